// Reading and making the header of an .npy file, and its elements.
#include "data/npy_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

#include "data/utf8.h"
#include "hone/ir/dimension.h"
#include "hone/support/error.h"

namespace hone::data {
namespace {

using ir::ElementType;

constexpr std::string_view magic = "\x93NUMPY";
// NumPy itself reads 10,000 bytes; 32 dimensions and a type need under 1,000.
constexpr std::uint64_t longest_header = 1 << 16;

// The few Python literals that NumPy writes.
class Literals {
 public:
  explicit Literals(std::string_view text) : text_(text) {}

  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) bad_input("the .npy header has no '{}' where it should: {}", c, quote(text_));
  }
  bool at_end() {
    skip_space();
    return at_ == text_.size();
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  std::string string() {
    const char mark = peek();
    if (mark != '\'' && mark != '"') bad_input("the .npy header has no text where it should: {}", quote(text_));
    const std::size_t end = text_.find(mark, at_ + 1);
    if (end == std::string_view::npos) bad_input("the .npy header is cut short: {}", quote(text_));
    const std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }
  bool boolean() {
    skip_space();
    for (const auto& [word, value] : {std::pair{"True", true}, {"False", false}}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += std::string_view(word).size();
        return value;
      }
    }
    bad_input("the .npy header has no True or False where it should: {}", quote(text_));
  }
  std::int64_t integer() {
    skip_space();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) bad_input("the .npy header has no number where it should: {}", quote(text_));
    at_ = static_cast<std::size_t>(end - text_.data());
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // long integers of Python 2
    if (value < 0) bad_input("the .npy header has a negative dimension: {}", quote(text_));
    return value;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

std::optional<ElementType> number_type(char kind, std::uint64_t size) {
  switch (kind) {
    case 'b':
      return size == 1 ? std::optional(ElementType::boolean) : std::nullopt;
    case 'i':
      switch (size) {
        case 1:
          return ElementType::int8;
        case 2:
          return ElementType::int16;
        case 4:
          return ElementType::int32;
        case 8:
          return ElementType::int64;
        default:
          return std::nullopt;
      }
    case 'u':
      switch (size) {
        case 1:
          return ElementType::uint8;
        case 2:
          return ElementType::uint16;
        case 4:
          return ElementType::uint32;
        case 8:
          return ElementType::uint64;
        default:
          return std::nullopt;
      }
    case 'f':
      switch (size) {
        case 2:
          return ElementType::float16;
        case 4:
          return ElementType::float32;
        case 8:
          return ElementType::float64;
        default:
          return std::nullopt;
      }
    case 'c':
      switch (size) {
        case 8:
          return ElementType::complex64;
        case 16:
          return ElementType::complex128;
        default:
          return std::nullopt;
      }
    default:
      return std::nullopt;
  }
}

void read_descr(const std::string& descr, NpyHeader& header) {
  if (descr.find('O') != std::string::npos) {
    bad_input("an array of pickled Python objects, which can run any program: save it with a plain type");
  }
  const std::string_view text = descr;
  std::uint64_t size = 0;
  const auto parsed = text.size() < 3 ? std::from_chars_result{nullptr, std::errc::invalid_argument}
                                      : std::from_chars(text.data() + 2, text.data() + text.size(), size);
  const std::string_view orders = "<>|=";
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() ||
      orders.find(text[0]) == std::string_view::npos) {
    unsupported("NumPy type {}: numbers, booleans and text are read", quote(descr));
  }
  header.big_endian = text[0] == '>' && size > 1;
  if (text[1] == 'U' || text[1] == 'S') {
    header.kind = text[1] == 'U' ? NpyHeader::Kind::unicode : NpyHeader::Kind::bytes;
    header.type = ElementType::string;
    constexpr std::uint64_t longest = std::uint64_t{1} << 31;
    if (size == 0 || size > longest) bad_input("NumPy type {}: text of no or absurd width", quote(descr));
    header.item_size = text[1] == 'U' ? 4 * size : size;
    return;
  }
  const auto type = number_type(text[1], size);
  if (!type) {
    unsupported("NumPy type {}: numbers, booleans and text are read{}", quote(descr),
                text[1] == 'V' ? "; save bfloat16 and float8 as float32" : "");
  }
  header.type = *type;
  header.item_size = size;
}

void check_size(NpyHeader& header) {
  std::uint64_t count = 1;
  bool overflow = false, empty = false;
  for (const std::int64_t dim : header.dims) {
    empty |= dim == 0;
    overflow |= __builtin_mul_overflow(count, static_cast<std::uint64_t>(dim), &count);
  }
  if (empty) count = 0, overflow = false;
  if (overflow || __builtin_mul_overflow(count, header.item_size, &header.data_size)) {
    bad_input("the .npy header claims shape {}: more bytes than 64 bits count", ir::text(header.dims));
  }
}

void swap_bytes(std::span<std::byte> bytes, std::size_t size) {
  for (std::size_t at = 0; at + size <= bytes.size(); at += size) std::reverse(&bytes[at], &bytes[at] + size);
}

// Elements in Fortran order, `size` bytes each, to row-major order.
ir::Tensor from_fortran(const ir::Tensor& source) {
  const ir::Dims& dims = source.dims();
  const std::size_t rank = dims.size();
  if (rank < 2 || source.element_count() == 0) return source;
  ir::Tensor result = ir::Tensor::allocate(source.type(), dims);
  const auto size = static_cast<std::size_t>(source.byte_size() / static_cast<std::uint64_t>(source.element_count()));
  std::vector<std::size_t> strides(rank), index(rank, 0);
  std::size_t stride = size;
  for (std::size_t d = 0; d < rank; ++d) {
    strides[d] = stride;
    stride *= static_cast<std::size_t>(dims[d]);
  }
  const std::byte* in = source.bytes().data();
  std::byte* out = result.mutable_bytes().data();
  const auto inner = static_cast<std::size_t>(dims[rank - 1]);
  for (std::size_t offset = 0;;) {
    for (std::size_t i = 0; i < inner; ++i, out += size) std::copy_n(in + offset + i * strides[rank - 1], size, out);
    std::size_t d = rank - 1;
    for (;;) {
      if (d == 0) return result;
      --d;
      offset += strides[d];
      if (++index[d] < static_cast<std::size_t>(dims[d])) break;
      offset -= strides[d] * index[d];
      index[d] = 0;
    }
  }
}

std::string decode(const NpyHeader& header, std::span<const std::byte> item) {
  std::string text;
  if (header.kind == NpyHeader::Kind::bytes) {
    text.assign(reinterpret_cast<const char*>(item.data()), item.size());
    text.erase(text.find_last_not_of('\0') + 1);
    return text;
  }
  std::size_t end = item.size();
  const auto is_zero = [](std::byte b) { return b == std::byte{0}; };
  while (end > 0 && std::all_of(&item[end - 4], &item[end - 4] + 4, is_zero)) end -= 4;
  for (std::size_t at = 0; at < end; at += 4) {
    std::uint32_t point = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      point = point << 8 | std::to_integer<std::uint32_t>(item[at + (header.big_endian ? i : 3 - i)]);
    }
    if (!append_utf8(text, point)) bad_input("text that is not Unicode (code point {:#x})", point);
  }
  return text;
}

ir::Tensor read_strings(const NpyHeader& header, ByteReader& reader) {
  const std::uint64_t count = header.data_size / header.item_size;
  require_memory(count * sizeof(std::string), "text of an array");
  std::vector<std::string> values;
  std::vector<std::byte> item(header.item_size);
  for (std::uint64_t i = 0; i < count; ++i) {
    read_exactly(reader, item, "the array");
    values.push_back(decode(header, item));
  }
  expect_end(reader, "the array");
  return ir::Tensor::strings(header.dims, std::move(values));
}

}  // namespace

NpyHeader read_npy_header(ByteReader& reader) {
  std::array<std::byte, 8> start{};
  read_exactly(reader, start, "the .npy header");
  if (std::string_view(reinterpret_cast<const char*>(start.data()), magic.size()) != magic) {
    bad_input("not an .npy file: it doesn't start with \\x93NUMPY");
  }
  const int version = std::to_integer<int>(start[6]);
  if (version < 1 || version > 3) unsupported(".npy version {}; 1 to 3 are read", version);
  std::array<std::byte, 4> size_bytes{};
  const std::size_t size_width = version == 1 ? 2 : 4;
  read_exactly(reader, std::span(size_bytes).first(size_width), "the .npy header");
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < size_width; ++i) size |= std::to_integer<std::uint64_t>(size_bytes[i]) << (8 * i);
  if (size > longest_header) bad_input("an .npy header of {} bytes; {} are read", size, longest_header);
  std::string text(size, '\0');
  read_exactly(reader, std::as_writable_bytes(std::span(text)), "the .npy header");

  NpyHeader header;
  header.length = start.size() + size_width + size;
  Literals literals(text);
  bool has_descr = false, has_order = false, has_shape = false;
  literals.expect('{');
  while (!literals.accept('}')) {
    const std::string key = literals.string();
    literals.expect(':');
    if (key == "descr" && !has_descr) {
      if (literals.peek() == '[') unsupported("a structured NumPy array: save each field as an array of its own");
      read_descr(literals.string(), header);
      has_descr = true;
    } else if (key == "fortran_order" && !has_order) {
      header.fortran_order = literals.boolean();
      has_order = true;
    } else if (key == "shape" && !has_shape) {
      literals.expect('(');
      while (!literals.accept(')')) {
        header.dims.push_back(literals.integer());
        if (!literals.accept(',') && literals.peek() != ')') literals.expect(')');
      }
      has_shape = true;
    } else {
      bad_input("the .npy header has an unknown or repeated key {}", quote(key));
    }
    if (!literals.accept(',') && literals.peek() != '}') literals.expect('}');
  }
  if (!literals.at_end() || !has_descr || !has_order || !has_shape) {
    bad_input("the .npy header is not descr, fortran_order and shape: {}", quote(text));
  }
  check_size(header);
  return header;
}

NpyHeader read_npy_header(ByteReader& reader, std::uint64_t available) {
  const NpyHeader header = read_npy_header(reader);
  if (header.length > available || header.data_size != available - header.length) {
    bad_input("the .npy header claims shape {} ({} bytes), but {} bytes follow", ir::text(header.dims),
              header.data_size, available - std::min(available, header.length));
  }
  return header;
}

ir::Tensor read_npy_elements(const NpyHeader& header, ByteReader& reader) {
  if (header.kind != NpyHeader::Kind::number) {
    if (header.fortran_order && header.dims.size() > 1) unsupported("text in Fortran order");
    return read_strings(header, reader);
  }
  ir::Tensor result = ir::Tensor::allocate(header.type, header.dims);
  const auto bytes = result.mutable_bytes();
  read_exactly(reader, bytes, "the array");
  expect_end(reader, "the array");
  const bool complex = header.type == ElementType::complex64 || header.type == ElementType::complex128;
  if (header.big_endian) swap_bytes(bytes, header.item_size / (complex ? 2 : 1));
  if (header.type == ElementType::boolean) {
    for (std::byte& byte : bytes) byte = byte == std::byte{0} ? std::byte{0} : std::byte{1};
  }
  return header.fortran_order ? from_fortran(result) : result;
}

std::string npy_header(const std::string& descr, const ir::Dims& dims) {
  std::string shape;
  for (const std::int64_t dim : dims) shape += fmt::format("{}{}", shape.empty() ? "" : ", ", dim);
  if (dims.size() == 1) shape += ',';
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  constexpr std::size_t alignment = 64;  // as NumPy: for mapping into memory
  const std::size_t start = magic.size() + 4;
  text.append((alignment - (start + text.size() + 1) % alignment) % alignment, ' ');
  text += '\n';
  std::string header(magic);
  header += {'\1', '\0', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return header + text;
}

}  // namespace hone::data
