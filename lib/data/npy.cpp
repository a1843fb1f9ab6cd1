// .npy and .npz files: which bytes stay in the file, which are read at first use, and writing.
#include "hone/data/npy.h"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "data/npy_header.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::data {
namespace {

using ir::ElementType;
using ir::Tensor;

// An array that is made whole at first use: one that is compressed, or in another byte or dimension order.
class LoadedAtFirstUse final : public ir::DeferredBytes {
 public:
  explicit LoadedAtFirstUse(std::function<Tensor()> load) : load_(std::move(load)) {}

  void produce(std::uint64_t offset, std::span<std::byte> out) const override {
    const std::lock_guard lock(mutex_);
    if (!tensor_) tensor_ = load_();
    const auto bytes = tensor_->bytes();
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
  }
  double cost_per_byte() const override { return 10; }  // inflating, roughly

 private:
  std::function<Tensor()> load_;
  mutable std::mutex mutex_;
  mutable std::optional<Tensor> tensor_;
};

Tensor at_first_use(const NpyHeader& header, std::function<Tensor()> load) {
  if (header.type == ElementType::string) return load();
  return Tensor::deferred(header.type, header.dims, std::make_shared<LoadedAtFirstUse>(std::move(load)));
}

// Reads again from the start, past the header.
Tensor load_elements(const NpyHeader& header, ByteReader& reader) {
  std::vector<std::byte> skipped(header.length);
  read_exactly(reader, skipped, "the .npy header");
  return read_npy_elements(header, reader);
}

Tensor in_file(const NpyHeader& header, FileSlice slice) {
  slice.offset += header.length;
  slice.length = header.data_size;
  return Tensor::from_file(header.type, header.dims, std::move(slice));
}

// What NumPy has a type for, and the type it has.
struct Form {
  ElementType type;
  std::string descr;
};

Form numpy_form(ElementType type) {
  switch (type) {
    case ElementType::boolean:
      return {type, "|b1"};
    case ElementType::uint8:
      return {type, "|u1"};
    case ElementType::int8:
      return {type, "|i1"};
    case ElementType::uint16:
      return {type, "<u2"};
    case ElementType::int16:
      return {type, "<i2"};
    case ElementType::uint32:
      return {type, "<u4"};
    case ElementType::int32:
      return {type, "<i4"};
    case ElementType::uint64:
      return {type, "<u8"};
    case ElementType::int64:
      return {type, "<i8"};
    case ElementType::float16:
      return {type, "<f2"};
    case ElementType::float32:
      return {type, "<f4"};
    case ElementType::float64:
      return {type, "<f8"};
    case ElementType::complex64:
      return {type, "<c8"};
    case ElementType::complex128:
      return {type, "<c16"};
    case ElementType::uint4:
    case ElementType::uint2:
      return {ElementType::uint8, "|u1"};
    case ElementType::int4:
    case ElementType::int2:
      return {ElementType::int8, "|i1"};
    case ElementType::bfloat16:
    case ElementType::float8e4m3fn:
    case ElementType::float8e4m3fnuz:
    case ElementType::float8e5m2:
    case ElementType::float8e5m2fnuz:
    case ElementType::float8e8m0:
    case ElementType::float4e2m1:
      return {ElementType::float32, "<f4"};
    case ElementType::string:
    case ElementType::undefined:
      break;
  }
  fail(ErrorKind::internal, "no NumPy type for {}", ir::name(type));
}

Tensor widened(const Tensor& tensor, ElementType type) {
  if (type == ElementType::float32) return Tensor::of<float>(tensor.dims(), tensor.to_floats());
  const std::vector<std::int64_t> values = tensor.to_ints();
  Tensor result = Tensor::allocate(type, tensor.dims());
  const auto out = result.mutable_bytes();
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = static_cast<std::byte>(values[i]);
  return result;
}

using Sink = std::function<void(std::span<const std::byte>)>;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::optional<std::u32string> code_points(std::string_view text) {
  std::u32string points;
  for (std::size_t at = 0; at < text.size();) {
    const auto point = decode_utf8(text, at);
    if (!point) return std::nullopt;
    points += *point;
  }
  return points;
}

void put_text(const std::vector<std::string>& values, const ir::Dims& dims, const Sink& sink) {
  std::size_t width = 1, bytes_width = 1;
  bool unicode = true;
  for (const std::string& value : values) {
    bytes_width = std::max(bytes_width, value.size());
    const auto points = code_points(value);
    unicode &= points.has_value();
    if (points) width = std::max(width, points->size());
  }
  sink(bytes_of(npy_header(unicode ? fmt::format("<U{}", width) : fmt::format("|S{}", bytes_width), dims)));
  for (const std::string& value : values) {
    std::string item(unicode ? 4 * width : bytes_width, '\0');
    if (unicode) {
      const std::u32string points = *code_points(value);
      for (std::size_t i = 0; i < points.size(); ++i) {
        for (std::size_t b = 0; b < 4; ++b) item[4 * i + b] = static_cast<char>(points[i] >> (8 * b) & 0xff);
      }
    } else {
      std::copy(value.begin(), value.end(), item.begin());
    }
    sink(bytes_of(item));
  }
}

// Gives the .npy file in pieces.
void put_npy(const Tensor& tensor, const Sink& sink) {
  if (tensor.is_string()) return put_text(*tensor.string_values(), tensor.dims(), sink);
  const Form form = numpy_form(tensor.type());
  sink(bytes_of(npy_header(form.descr, tensor.dims())));
  if (form.type != tensor.type()) {
    sink(widened(tensor, form.type).bytes());
  } else if (tensor.is_loaded()) {
    sink(tensor.bytes());
  } else {
    constexpr std::uint64_t window_size = 1 << 20;  // as the rest of the library
    std::vector<std::byte> window;
    for (std::uint64_t at = 0; at < tensor.byte_size(); at += window.size()) {
      window.resize(std::min(window_size, tensor.byte_size() - at));
      tensor.read(at, window);
      sink(window);
    }
  }
}

constexpr std::string_view suffix = ".npy";

}  // namespace

Tensor read_npy(std::shared_ptr<const File> file) {
  return in_context([&] { return "reading " + quote(file->name()); },
                    [&]() -> Tensor {
                      if (is_gzip(*file)) {
                        const auto reader = gunzip(file);
                        const NpyHeader header = read_npy_header(*reader);
                        constexpr std::uint64_t most_ratio = 1032;  // of deflate
                        if (header.data_size / most_ratio > file->size()) {
                          bad_input("the .npy header claims {} bytes, more than {} compressed ones can give",
                                    header.data_size, file->size());
                        }
                        return read_npy_elements(header, *reader);
                      }
                      const auto reader = read_in_order(file);
                      const NpyHeader header = read_npy_header(*reader, file->size());
                      if (header.plain()) return in_file(header, {file, 0, file->size()});
                      return at_first_use(header,
                                          [file, header] { return load_elements(header, *read_in_order(file)); });
                    });
}

void write_npy(Output& output, const Tensor& tensor) {
  put_npy(tensor, [&](std::span<const std::byte> bytes) { output.write(bytes); });
}

NpzReader::NpzReader(std::shared_ptr<const File> file)
    : file_(file), zip_(in_context([&] { return "reading " + quote(file->name()); }, [&] { return ZipReader(file); })) {
  for (std::size_t i = 0; i < zip_.members().size(); ++i) {
    const std::string_view name = zip_.members()[i].name;
    if (!name.ends_with(suffix)) continue;
    names_.emplace_back(name.substr(0, name.size() - suffix.size()));
    members_.push_back(i);
  }
  std::vector<std::string> sorted = names_;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) bad_input("reading {}: two arrays are called {}", quote(file_->name()), quote(*twice));
}

NpzReader NpzReader::open(const std::string& path) {
  return NpzReader(path == "-" ? File::spool(STDIN_FILENO, "-") : File::open(path));
}

bool NpzReader::has(std::string_view name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

Tensor NpzReader::read(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) {
    std::string all;
    for (const std::string& each : names_) all += (all.empty() ? "" : ", ") + quote(each);
    bad_input("{} has no array {}; it has {}", quote(file_->name()), quote(name), all.empty() ? "none" : all);
  }
  const auto describe = [file = file_, array = std::string(name)] {
    return fmt::format("reading {}: array {}", quote(file->name()), quote(array));
  };
  return in_context(describe, [&]() -> Tensor {
    const ZipMember& member = zip_.members()[members_[static_cast<std::size_t>(found - names_.begin())]];
    const NpyHeader header = read_npy_header(*zip_.open(member), member.size);
    const auto slice = zip_.slice(member);
    if (slice && header.plain()) return in_file(header, *slice);
    return at_first_use(header, [zip = zip_, member, header, describe] {
      return in_context(describe, [&] { return load_elements(header, *zip.open(member)); });
    });
  });
}

void NpzWriter::add(std::string_view name, const Tensor& tensor) {
  if (std::find(names_.begin(), names_.end(), name) != names_.end()) {
    bad_input("two arrays for the archive are called {}", quote(name));
  }
  names_.emplace_back(name);
  std::uint64_t size = 0;
  uLong crc = crc32(0, nullptr, 0);
  put_npy(tensor, [&](std::span<const std::byte> bytes) {
    size += bytes.size();
    // For no bytes at a null pointer it would start anew.
    if (!bytes.empty()) crc = crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  });
  zip_.begin(std::string(name) + std::string(suffix), size, static_cast<std::uint32_t>(crc));
  write_npy(output_, tensor);
}

void NpzWriter::finish() { zip_.finish(); }

}  // namespace hone::data
