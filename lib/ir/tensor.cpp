// Tensors: checked construction, access to bytes wherever they are, comparison and conversion in windows.
//
// Not handled: arithmetic, transposition and casts of whole tensors (exec, and the deferred tensors of passes).
#include "hone/ir/tensor.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <type_traits>

#include "hone/ir/dimension.h"
#include "hone/support/checked.h"

namespace hone::ir {
namespace {

// Large enough that a read costs far more than its system call, small enough to stay in the second-level cache.
constexpr std::uint64_t window_size = 1 << 20;
// Most tensors that differ do so in their first page.
constexpr std::uint64_t first_window_size = 1 << 12;

std::uint64_t checked_count(const Dims& dims) {
  if (const auto count = hone::element_count(dims)) return static_cast<std::uint64_t>(*count);
  if (std::any_of(dims.begin(), dims.end(), [](std::int64_t dim) { return dim < 0; })) {
    bad_input("tensor of shape {}: negative dimension", text(dims));
  }
  bad_input("tensor of shape {}: more elements than 64 bits count", text(dims));
}

// Calls f(offset, bytes) for the bytes in order until it returns false: all at once if they are in memory, else in
// windows, the first of them small. Windows start at multiples of 16 elements of any type.
template <typename F>
void for_each_window(const Tensor& tensor, F&& f) {
  const std::uint64_t size = tensor.byte_size();
  if (tensor.is_loaded()) {
    if (size > 0) f(std::uint64_t{0}, tensor.bytes());
    return;
  }
  std::vector<std::byte> window;
  for (std::uint64_t offset = 0; offset < size;) {
    const std::uint64_t length = std::min(size - offset, offset == 0 ? first_window_size : window_size);
    window.resize(length);
    tensor.read(offset, window);
    if (!f(offset, std::span<const std::byte>(window))) return;
    offset += length;
  }
}

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

// The element at `index` of packed elements of `width` bits, in the low bits.
unsigned unpack(const std::byte* bytes, std::uint64_t index, unsigned width) {
  const std::uint64_t bit = index * width;
  return (std::to_integer<unsigned>(bytes[bit / 8]) >> (bit % 8)) & ((1u << width) - 1);
}

int sign_extend(unsigned bits, unsigned width) {
  const unsigned sign = 1u << (width - 1);
  return static_cast<int>(bits ^ sign) - static_cast<int>(sign);
}

template <typename T>
auto number(T value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return value;
  } else {
    return to_float(value);
  }
}

// Appends the elements in `bytes` to `out`, converted by convert(number).
template <typename T, typename Out, typename Convert>
void append(std::span<const std::byte> bytes, std::vector<Out>& out, Convert&& convert) {
  for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    out.push_back(convert(number(load<T>(bytes.data() + at))));
  }
}

template <typename Out, typename Convert>
void append_packed(ElementType type, std::span<const std::byte> bytes, std::uint64_t left, std::vector<Out>& out,
                   Convert&& convert) {
  const auto width = static_cast<unsigned>(bit_width(type));
  const std::uint64_t count = std::min<std::uint64_t>(left, bytes.size() * 8 / width);
  for (std::uint64_t i = 0; i < count; ++i) {
    const unsigned bits = unpack(bytes.data(), i, width);
    if (type == ElementType::float4e2m1) {
      out.push_back(convert(float4e2m1_to_float(static_cast<std::uint8_t>(bits))));
    } else {
      out.push_back(convert(is_signed_integer(type) ? sign_extend(bits, width) : static_cast<int>(bits)));
    }
  }
}

template <typename Out, typename Convert>
std::vector<Out> convert_all(const Tensor& tensor, const char* what, Convert&& convert) {
  const ElementType type = tensor.type();
  const auto count = static_cast<std::uint64_t>(tensor.element_count());
  if (count > std::numeric_limits<std::size_t>::max() / sizeof(Out)) {
    fail(ErrorKind::resource_limit, "converting a tensor of {} elements: too many", count);
  }
  require_memory(count * sizeof(Out), "converting a tensor");
  std::vector<Out> out;
  out.reserve(count);
  for_each_window(tensor, [&](std::uint64_t, std::span<const std::byte> bytes) {
    switch (type) {
      case ElementType::float32:
        append<float>(bytes, out, convert);
        break;
      case ElementType::float64:
        append<double>(bytes, out, convert);
        break;
      case ElementType::uint8:
        append<std::uint8_t>(bytes, out, convert);
        break;
      case ElementType::int8:
        append<std::int8_t>(bytes, out, convert);
        break;
      case ElementType::uint16:
        append<std::uint16_t>(bytes, out, convert);
        break;
      case ElementType::int16:
        append<std::int16_t>(bytes, out, convert);
        break;
      case ElementType::uint32:
        append<std::uint32_t>(bytes, out, convert);
        break;
      case ElementType::int32:
        append<std::int32_t>(bytes, out, convert);
        break;
      case ElementType::uint64:
        append<std::uint64_t>(bytes, out, convert);
        break;
      case ElementType::int64:
        append<std::int64_t>(bytes, out, convert);
        break;
      case ElementType::boolean:
        for (const std::byte byte : bytes) out.push_back(convert(byte != std::byte{0} ? 1 : 0));
        break;
      case ElementType::float16:
        append<float16>(bytes, out, convert);
        break;
      case ElementType::bfloat16:
        append<bfloat16>(bytes, out, convert);
        break;
      case ElementType::float8e4m3fn:
        append<float8e4m3fn>(bytes, out, convert);
        break;
      case ElementType::float8e4m3fnuz:
        append<float8e4m3fnuz>(bytes, out, convert);
        break;
      case ElementType::float8e5m2:
        append<float8e5m2>(bytes, out, convert);
        break;
      case ElementType::float8e5m2fnuz:
        append<float8e5m2fnuz>(bytes, out, convert);
        break;
      case ElementType::float8e8m0:
        append<float8e8m0>(bytes, out, convert);
        break;
      case ElementType::uint4:
      case ElementType::int4:
      case ElementType::uint2:
      case ElementType::int2:
      case ElementType::float4e2m1:
        append_packed(type, bytes, count - out.size(), out, convert);
        break;
      case ElementType::undefined:
      case ElementType::string:
      case ElementType::complex64:
      case ElementType::complex128:
        bad_input("a tensor of type {} where {} are needed", name(type), what);
    }
    return true;
  });
  return out;
}

void require_real(const Tensor& tensor, const char* what) {
  if (!is_float(tensor.type()) && !is_integer(tensor.type()) && tensor.type() != ElementType::boolean) {
    bad_input("a tensor of type {} where {} are needed", name(tensor.type()), what);
  }
}

// A mixing function for fingerprints: multiply and fold, as in wyhash; quality matters little, since equal() decides.
std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  const auto product = static_cast<unsigned __int128>(hash ^ 0x9E3779B97F4A7C15u) * (value ^ 0xD6E8FEB86659FD93u);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64) ^ (value << 1);
}

std::uint64_t mix(std::uint64_t hash, std::span<const std::byte> bytes) {
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) hash = mix(hash, load<std::uint64_t>(bytes.data() + at));
  std::uint64_t tail = bytes.size() - at;
  for (; at < bytes.size(); ++at) tail = tail << 8 | std::to_integer<std::uint64_t>(bytes[at]);
  return mix(hash, tail);
}

// Where the sampled windows of a tensor start; they overlap in small ones.
struct Samples {
  static constexpr std::uint64_t length = 1024;
  std::uint64_t starts[4] = {};
  std::size_t count = 0;
  std::uint64_t each = 0;
};

Samples samples_of(std::uint64_t size) {
  Samples samples;
  if (size <= 4 * Samples::length) {
    samples.count = size > 0;
    samples.each = size;
    return samples;
  }
  samples.count = 4;
  samples.each = Samples::length;
  const std::uint64_t last = size - Samples::length;
  for (std::uint64_t i = 0; i < 4; ++i) samples.starts[i] = last / 3 * i;
  samples.starts[3] = last;
  return samples;
}

bool same_range(const Tensor& a, const Tensor& b, std::uint64_t offset, std::uint64_t length,
                std::vector<std::byte>& left, std::vector<std::byte>& right) {
  const auto view = [&](const Tensor& tensor, std::vector<std::byte>& scratch) -> const std::byte* {
    if (tensor.is_loaded()) return tensor.bytes().data() + offset;
    scratch.resize(length);
    tensor.read(offset, scratch);
    return scratch.data();
  };
  const std::byte* first = view(a, left);
  const std::byte* second = view(b, right);
  return std::memcmp(first, second, length) == 0;
}

}  // namespace

Tensor::Tensor(ElementType type, Dims dims) : type_(type), dims_(std::move(dims)) {
  if (!is_known(type)) bad_input("tensor of element type {}, which is none", static_cast<std::int32_t>(type));
  const std::uint64_t count = checked_count(dims_);
  if (!ir::byte_size(type_, count)) bad_input("tensor of shape {}: its size in bytes passes 64 bits", text(dims_));
}

Tensor Tensor::allocate(ElementType type, Dims dims) {
  Tensor result(type, std::move(dims));
  if (type == ElementType::string) {
    const auto count = static_cast<std::uint64_t>(result.element_count());
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(std::string)) {
      fail(ErrorKind::resource_limit, "a tensor of {} strings is too large", count);
    }
    require_memory(count * sizeof(std::string), "a tensor of strings");
    result.strings_ = std::make_shared<const std::vector<std::string>>(count);
  } else if (const std::uint64_t size = result.byte_size(); size > 0) {
    result.buffer_ = std::make_shared<Buffer>(size);
  }
  return result;
}

Tensor Tensor::zeros(ElementType type, Dims dims) {
  Tensor result = allocate(type, std::move(dims));
  if (result.buffer_) std::memset(result.buffer_->data(), 0, result.byte_size());
  return result;
}

Tensor Tensor::strings(Dims dims, std::vector<std::string> values) {
  Tensor result(ElementType::string, std::move(dims));
  if (values.size() != static_cast<std::uint64_t>(result.element_count())) {
    bad_input("{} strings for a tensor of {} elements", values.size(), result.element_count());
  }
  result.strings_ = std::make_shared<const std::vector<std::string>>(std::move(values));
  return result;
}

Tensor Tensor::from_file(ElementType type, Dims dims, FileSlice slice) {
  Tensor result(type, std::move(dims));
  if (result.is_string()) bad_input("a tensor of strings can't be a range of bytes");
  if (slice.length != result.byte_size()) {
    bad_input("{} bytes of data where {}{} needs {}", slice.length, name(type), text(result.dims_), result.byte_size());
  }
  if (slice.length > 0) {
    std::uint64_t end = 0;
    if (__builtin_add_overflow(slice.offset, slice.length, &end) || end > slice.file->size()) {
      bad_input("{} bytes of data at {} lie outside of the {} bytes of {}", slice.length, slice.offset,
                slice.file->size(), quote(slice.file->name()));
    }
  }
  result.slice_ = std::move(slice);
  return result;
}

Tensor Tensor::from_buffer(ElementType type, Dims dims, SharedBuffer buffer, std::size_t offset) {
  Tensor result(type, std::move(dims));
  if (result.is_string()) bad_input("a tensor of strings can't be a range of bytes");
  const std::uint64_t size = result.byte_size();
  if (size == 0) return result;
  if (!buffer || offset > buffer->size() || buffer->size() - offset < size) {
    bad_input("{} bytes of data where {}{} needs {}", buffer ? buffer->size() - std::min(offset, buffer->size()) : 0,
              name(type), text(result.dims_), size);
  }
  result.buffer_ = std::move(buffer);
  result.buffer_offset_ = offset;
  return result;
}

Tensor Tensor::deferred(ElementType type, Dims dims, std::shared_ptr<const DeferredBytes> bytes) {
  Tensor result(type, std::move(dims));
  if (result.is_string() || !bytes) fail(ErrorKind::internal, "a deferred tensor of type {} without bytes", name(type));
  result.deferred_ = std::move(bytes);
  return result;
}

std::int64_t Tensor::element_count() const {
  std::int64_t count = 1;
  for (const std::int64_t dim : dims_) {
    count *= dim;
  }
  return type_ == ElementType::undefined ? 0 : count;
}

std::uint64_t Tensor::byte_size() const {
  return ir::byte_size(type_, static_cast<std::uint64_t>(element_count())).value_or(0);
}

void Tensor::read(std::uint64_t offset, std::span<std::byte> out) const {
  const std::uint64_t size = byte_size();
  if (offset > size || size - offset < out.size()) {
    fail(ErrorKind::internal, "reading {} bytes at {} of a tensor of {} bytes", out.size(), offset, size);
  }
  if (out.empty()) return;
  if (buffer_) {
    std::memcpy(out.data(), buffer_->data() + buffer_offset_ + offset, out.size());
  } else if (slice_.file) {
    slice_.file->read(slice_.offset + offset, out);
  } else {
    deferred_->produce(offset, out);
  }
}

Tensor Tensor::loaded() const {
  if (is_loaded()) return *this;
  const std::uint64_t size = byte_size();
  auto buffer = std::make_shared<Buffer>(size);
  for (std::uint64_t offset = 0; offset < size; offset += window_size) {
    read(offset, {buffer->data() + offset, std::min(window_size, size - offset)});
  }
  if (type_ == ElementType::boolean) {
    for (std::uint64_t i = 0; i < size; ++i)
      buffer->data()[i] = buffer->data()[i] == std::byte{0} ? std::byte{0} : std::byte{1};
  }
  Tensor result = *this;
  result.slice_ = {};
  result.deferred_ = nullptr;
  result.buffer_ = std::move(buffer);
  result.buffer_offset_ = 0;
  return result;
}

Tensor Tensor::reshaped(Dims dims) const {
  if (checked_count(dims) != static_cast<std::uint64_t>(element_count())) {
    bad_input("a tensor of shape {} can't take the shape {}", text(dims_), text(dims));
  }
  Tensor result = *this;
  result.dims_ = std::move(dims);
  return result;
}

Tensor Tensor::clone() const {
  if (strings_) {
    Tensor result = *this;
    result.strings_ = std::make_shared<const std::vector<std::string>>(*strings_);
    return result;
  }
  if (!buffer_) return loaded();
  Tensor result = *this;
  const std::uint64_t size = byte_size();
  result.buffer_ = std::make_shared<Buffer>(size);
  result.buffer_offset_ = 0;
  std::memcpy(result.buffer_->data(), buffer_->data() + buffer_offset_, size);
  return result;
}

std::span<const std::byte> Tensor::bytes() const {
  if (buffer_) return {buffer_->data() + buffer_offset_, byte_size()};
  if (!is_loaded()) fail(ErrorKind::internal, "bytes of a tensor that is not loaded");
  return {};
}

std::span<std::byte> Tensor::mutable_bytes() {
  if (buffer_) return {buffer_->data() + buffer_offset_, byte_size()};
  if (!is_loaded()) fail(ErrorKind::internal, "bytes of a tensor that is not loaded");
  return {};
}

void Tensor::check_view(std::size_t element_size, std::size_t alignment) const {
  const std::size_t width = bit_width(type_);
  if (width != element_size * 8 && !(element_size == 1 && width > 0 && width < 8)) {
    fail(ErrorKind::internal, "elements of type {} seen as ones of {} bytes", name(type_), element_size);
  }
  if (buffer_ && buffer_offset_ % alignment != 0) fail(ErrorKind::internal, "elements at an unaligned address");
}

std::vector<std::int64_t> Tensor::to_ints() const {
  constexpr const char* what = "integers";
  if (!is_integer(type_) && type_ != ElementType::boolean) {
    bad_input("a tensor of type {} where {} are needed", name(type_), what);
  }
  return convert_all<std::int64_t>(*this, what, [](auto value) -> std::int64_t {
    if constexpr (std::is_same_v<decltype(value), std::uint64_t>) {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        bad_input("{} is more than an int64 holds", value);
      }
    }
    return static_cast<std::int64_t>(value);
  });
}

std::vector<double> Tensor::to_doubles() const {
  require_real(*this, "numbers");
  return convert_all<double>(*this, "numbers", [](auto value) { return static_cast<double>(value); });
}

std::vector<float> Tensor::to_floats() const {
  require_real(*this, "numbers");
  return convert_all<float>(*this, "numbers", [](auto value) { return static_cast<float>(value); });
}

bool equal(const Tensor& a, const Tensor& b) {
  if (a.type() != b.type() || a.dims() != b.dims()) return false;
  if (a.is_string()) return a.string_values() == b.string_values() || *a.string_values() == *b.string_values();
  const std::uint64_t size = a.byte_size();
  if (size == 0) return true;
  if (a.is_loaded() && b.is_loaded()) {
    return a.bytes().data() == b.bytes().data() || std::memcmp(a.bytes().data(), b.bytes().data(), size) == 0;
  }
  if (a.is_deferred() && a.deferred_bytes() == b.deferred_bytes()) return true;
  const FileSlice* left = a.file_slice();
  const FileSlice* right = b.file_slice();
  if (left && right && left->file == right->file && left->offset == right->offset) return true;

  std::vector<std::byte> scratch[2];
  const Samples samples = samples_of(size);
  for (std::size_t i = 0; i < samples.count; ++i) {
    if (!same_range(a, b, samples.starts[i], samples.each, scratch[0], scratch[1])) return false;
  }
  if (samples.each == size) return true;
  for (std::uint64_t offset = 0; offset < size; offset += window_size) {
    if (!same_range(a, b, offset, std::min(window_size, size - offset), scratch[0], scratch[1])) return false;
  }
  return true;
}

std::uint64_t fingerprint(const Tensor& tensor) {
  std::uint64_t hash = mix(0, static_cast<std::uint64_t>(tensor.type()));
  hash = mix(hash, tensor.rank());
  for (const std::int64_t dim : tensor.dims()) hash = mix(hash, static_cast<std::uint64_t>(dim));
  if (tensor.is_string()) {
    const auto& values = *tensor.string_values();
    const std::size_t step = values.size() / 64 + 1;
    for (std::size_t i = 0; i < values.size(); i += step) {
      hash = mix(hash,
                 std::as_bytes(std::span(values[i].data(), std::min<std::size_t>(values[i].size(), Samples::length))));
      hash = mix(hash, values[i].size());
    }
    return hash;
  }
  const Samples samples = samples_of(tensor.byte_size());
  std::vector<std::byte> window(samples.each);
  for (std::size_t i = 0; i < samples.count; ++i) {
    tensor.read(samples.starts[i], window);
    hash = mix(hash, std::span<const std::byte>(window));
  }
  return hash;
}

template <typename T>
std::optional<T> uniform(const Tensor& tensor) {
  if (tensor.type() != element_type_of<T> || tensor.element_count() == 0) return std::nullopt;
  std::optional<T> value;
  bool same = true;
  for_each_window(tensor, [&](std::uint64_t, std::span<const std::byte> bytes) {
    if constexpr (std::is_same_v<T, bool>) {
      if (!value) value = bytes[0] != std::byte{0};
      same = std::all_of(bytes.begin(), bytes.end(), [&](std::byte byte) { return (byte != std::byte{0}) == *value; });
    } else {
      const T first = load<T>(bytes.data());
      if (!value) value = first;
      // Every element equals the one before it, and the first one that of the window before.
      same = std::memcmp(&first, &*value, sizeof(T)) == 0 &&
             std::memcmp(bytes.data(), bytes.data() + sizeof(T), bytes.size() - sizeof(T)) == 0;
    }
    return same;
  });
  return same ? value : std::nullopt;
}

template std::optional<float> uniform(const Tensor&);
template std::optional<double> uniform(const Tensor&);
template std::optional<std::uint8_t> uniform(const Tensor&);
template std::optional<std::int8_t> uniform(const Tensor&);
template std::optional<std::uint16_t> uniform(const Tensor&);
template std::optional<std::int16_t> uniform(const Tensor&);
template std::optional<std::uint32_t> uniform(const Tensor&);
template std::optional<std::int32_t> uniform(const Tensor&);
template std::optional<std::uint64_t> uniform(const Tensor&);
template std::optional<std::int64_t> uniform(const Tensor&);
template std::optional<bool> uniform(const Tensor&);
template std::optional<float16> uniform(const Tensor&);
template std::optional<bfloat16> uniform(const Tensor&);
template std::optional<float8e4m3fn> uniform(const Tensor&);
template std::optional<float8e4m3fnuz> uniform(const Tensor&);
template std::optional<float8e5m2> uniform(const Tensor&);
template std::optional<float8e5m2fnuz> uniform(const Tensor&);
template std::optional<float8e8m0> uniform(const Tensor&);

}  // namespace hone::ir
