// TensorProto to ir::Tensor.
//
// raw_data, and float_data or double_data in one piece, stay in the file. Other typed fields are unpacked into memory, since
// they are varints: nobody writes large weights that way.
#include "onnx/tensors.h"

#include <nettle/sha1.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "hone/support/error.h"

namespace hone::onnx {
namespace {

using ir::ElementType;
using wire::Field;
using wire::Fields;
using wire::Range;
using wire::Source;

// The typed field of an element type, and how many of its entries make an element (or, for packed types, elements an entry).
struct TypedField {
  std::uint32_t number = 0;
  std::uint64_t entry_bytes = 0;     // in memory
  std::int64_t least = 0, most = 0;  // of an entry, where it is a varint
};

TypedField typed_field(ElementType type) {
  constexpr std::int64_t int32_least = std::numeric_limits<std::int32_t>::min();
  constexpr std::int64_t int32_most = std::numeric_limits<std::int32_t>::max();
  switch (type) {
    case ElementType::float32:
    case ElementType::complex64:
      return {4, 4};
    case ElementType::float64:
    case ElementType::complex128:
      return {10, 8};
    case ElementType::int32:
      return {5, 4, int32_least, int32_most};
    case ElementType::int16:
      return {5, 2, -32768, 32767};
    case ElementType::int8:
      return {5, 1, -128, 127};
    case ElementType::uint16:
    case ElementType::float16:
    case ElementType::bfloat16:
      return {5, 2, 0, 65535};
    case ElementType::uint8:
    case ElementType::boolean:
    case ElementType::float8e4m3fn:
    case ElementType::float8e4m3fnuz:
    case ElementType::float8e5m2:
    case ElementType::float8e5m2fnuz:
    case ElementType::float8e8m0:
    case ElementType::uint4:
    case ElementType::int4:
    case ElementType::float4e2m1:
    case ElementType::uint2:
    case ElementType::int2:
      return {5, 1, 0, 255};
    case ElementType::int64:
      return {7, 8};
    case ElementType::uint64:
      return {11, 8};
    case ElementType::uint32:
      return {11, 4, 0, std::numeric_limits<std::uint32_t>::max()};
    case ElementType::string:
      return {6, 0};
    case ElementType::undefined:
      break;
  }
  return {};
}

std::string shape_text(ElementType type, const ir::Dims& dims) {
  return fmt::format("{}{}", name(type), ir::text(dims));
}

// Both raise bad_input where 64 bits are not enough.
std::uint64_t element_count(const ir::Dims& dims) {
  std::uint64_t count = 1;
  bool overflow = false;
  for (const std::int64_t dim : dims) {
    if (dim < 0) bad_input("dimension {} of {} is negative", dim, ir::text(dims));
    overflow |= __builtin_mul_overflow(count, static_cast<std::uint64_t>(dim), &count);
  }
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return 0;
  if (overflow || count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    bad_input("a shape of {}: more elements than 64 bits count", ir::text(dims));
  }
  return count;
}

std::uint64_t packed_size(ElementType type, const ir::Dims& dims) {
  const std::optional<std::uint64_t> size = ir::byte_size(type, element_count(dims));
  if (!size) bad_input("a shape of {}: more bytes than 64 bits count", ir::text(dims));
  return *size;
}

struct Parts {
  ir::Dims dims;
  std::int32_t data_type = 0;
  bool has_raw = false, has_type = false;
  Range raw;
  std::vector<Field> typed;
  std::int32_t location = 0;
  std::vector<std::pair<std::string, std::string>> external;
  std::string external_rest;  // the same entries, serialized, with data_location
  std::string name, rest;
};

std::pair<std::string, std::string> read_entry(Source& source, Range range) {
  std::pair<std::string, std::string> entry;
  for (Fields fields(source, range, Message::string_entry); fields.next();) {
    if (fields->number == 1) entry.first = wire::text(source, *fields);
    if (fields->number == 2) entry.second = wire::text(source, *fields);
  }
  return entry;
}

Parts read_parts(Source& source, std::span<const Range> ranges, bool keep_name) {
  Parts parts;
  for (const Range& range : ranges) {
    for (Fields fields(source, range, Message::tensor); fields.next();) {
      switch (fields->number) {
        case 1:
          wire::for_each_varint(source, *fields,
                                [&](std::uint64_t dim) { parts.dims.push_back(static_cast<std::int64_t>(dim)); });
          break;
        case 2:
          parts.data_type = static_cast<std::int32_t>(fields->number_value);
          parts.has_type = true;
          break;
        case 4:
        case 5:
        case 6:
        case 7:
        case 10:
        case 11:
          // An empty packed field is no field at all.
          if (fields->number == 6 || fields->type != wire::Type::bytes || fields->payload.size() > 0) {
            parts.typed.push_back(*fields);
          }
          break;
        case 8:
          parts.name = wire::text(source, *fields);
          if (keep_name) wire::keep(source, *fields, parts.rest);
          break;
        case 9:
          parts.has_raw = true;
          parts.raw = fields->payload;
          break;
        case 13:
          parts.external.push_back(read_entry(source, fields->payload));
          wire::keep(source, *fields, parts.external_rest);
          break;
        case 14:
          parts.location = static_cast<std::int32_t>(fields->number_value);
          if (parts.location == 0) wire::keep(source, *fields, parts.external_rest);
          break;
        default:
          wire::keep(source, *fields, parts.rest);
          break;
      }
    }
  }
  return parts;
}

std::uint64_t count_entries(Source& source, const std::vector<Field>& typed) {
  std::uint64_t count = 0;
  for (const Field& field : typed) wire::for_each_varint(source, field, [&](std::uint64_t) { ++count; });
  return count;
}

ir::Tensor unpack_varints(Source& source, const Parts& parts, ElementType type, const TypedField& field,
                          std::uint64_t size) {
  const std::uint64_t entries = size / field.entry_bytes;
  if (const std::uint64_t found = count_entries(source, parts.typed); found != entries) {
    bad_input("{} values in {} where {} needs {}", found, parts.typed[0].info->name, shape_text(type, parts.dims),
              entries);
  }
  ir::Tensor tensor = ir::Tensor::allocate(type, parts.dims);
  std::byte* out = tensor.mutable_bytes().data();
  for (const Field& each : parts.typed) {
    wire::for_each_varint(source, each, [&](std::uint64_t value) {
      if (field.most != 0) {
        // An int32 is written as 64 bits, sign and all; protobuf looks at the low half only.
        const std::int64_t number =
            field.number == 5 ? static_cast<std::int32_t>(value) : static_cast<std::int64_t>(value);
        if (number < field.least || number > field.most) {
          bad_input("{} in {} is no value of type {}", number, each.info->name, name(type));
        }
      }
      std::memcpy(out, &value, field.entry_bytes);
      out += field.entry_bytes;
    });
  }
  return tensor;
}

// float_data and double_data: their bytes are those of raw_data.
ir::Tensor read_floats(Source& source, const Parts& parts, ElementType type, const TypedField& field,
                       std::uint64_t size, std::uint64_t load_below) {
  std::uint64_t found = 0;
  bool whole = true;
  for (const Field& each : parts.typed) {
    const std::uint64_t length = each.type == wire::Type::bytes ? each.payload.size() : field.entry_bytes;
    whole &= length % field.entry_bytes == 0;
    found += length;
  }
  if (found != size || !whole) {
    bad_input("{} bytes in {} where {} needs {}", found, parts.typed[0].info->name, shape_text(type, parts.dims), size);
  }
  const Field& first = parts.typed[0];
  if (parts.typed.size() == 1 && first.type == wire::Type::bytes && size > load_below) {
    return ir::Tensor::from_file(type, parts.dims, {source.file(), first.payload.begin, size});
  }
  ir::Tensor tensor = ir::Tensor::allocate(type, parts.dims);
  std::byte* out = tensor.mutable_bytes().data();
  for (const Field& each : parts.typed) {
    const std::uint64_t length = each.type == wire::Type::bytes ? each.payload.size() : field.entry_bytes;
    if (each.type == wire::Type::bytes) {
      source.read(each.payload.begin, {out, length});
    } else {
      std::memcpy(out, &each.number_value, length);
    }
    out += length;
  }
  return tensor;
}

ir::Tensor read_strings(Source& source, const Parts& parts, std::uint64_t count) {
  if (parts.typed.size() != count) {
    bad_input("{} values in string_data where {} needs {}", parts.typed.size(),
              shape_text(ElementType::string, parts.dims), count);
  }
  std::vector<std::string> values;
  values.reserve(count);
  for (const Field& field : parts.typed) values.push_back(source.string(field.payload));
  return ir::Tensor::strings(parts.dims, std::move(values));
}

// That the data is in one place, and one that the type may have it in.
void check_fields(const Parts& parts, ElementType type) {
  if (parts.location != 0 && parts.location != 1) {
    bad_input("data_location {}, which ONNX does not have", parts.location);
  }
  for (const Field& field : parts.typed) {
    if (field.number != parts.typed[0].number) {
      bad_input("data in both {} and {}", parts.typed[0].info->name, field.info->name);
    }
  }
  if (parts.has_raw && !parts.typed.empty()) bad_input("data in both raw_data and {}", parts.typed[0].info->name);
  if (parts.location == 1 && (!parts.typed.empty() || parts.raw.size() > 0)) {
    bad_input("data both in the model and beside it");
  }
  if (parts.has_raw && type == ElementType::string) bad_input("strings in raw_data");
  if (!parts.typed.empty() && parts.typed[0].number != typed_field(type).number) {
    bad_input("data in {}, where {} has none", parts.typed[0].info->name, name(type));
  }
}

ir::Tensor read_raw(Source& source, const Parts& parts, ElementType type, std::uint64_t size,
                    std::uint64_t load_below) {
  if (parts.raw.size() != size) {
    bad_input("{} bytes of data where {} needs {}", parts.raw.size(), shape_text(type, parts.dims), size);
  }
  if (size > load_below) return ir::Tensor::from_file(type, parts.dims, {source.file(), parts.raw.begin, size});
  ir::Tensor tensor = ir::Tensor::allocate(type, parts.dims);
  source.read(parts.raw.begin, tensor.mutable_bytes());
  return tensor;
}

// The data that is in the model.
ir::Tensor read_data(Source& source, const Parts& parts, ElementType type, std::uint64_t load_below) {
  const TypedField field = typed_field(type);
  const std::uint64_t size = packed_size(type, parts.dims);
  ir::Tensor tensor;
  if (type == ElementType::string) {
    tensor = read_strings(source, parts, element_count(parts.dims));
  } else if (parts.has_raw) {
    tensor = read_raw(source, parts, type, size, load_below);
  } else if (!parts.typed.empty()) {
    const bool floats = field.number == 4 || field.number == 10;
    tensor = floats ? read_floats(source, parts, type, field, size, load_below)
                    : unpack_varints(source, parts, type, field, size);
  } else {
    if (size > 0) bad_input("no data, where {} needs {} bytes", shape_text(type, parts.dims), size);
    tensor = ir::Tensor::allocate(type, parts.dims);
  }
  tensor.encoding = parts.has_raw ? ir::Encoding::raw : ir::Encoding::typed;
  return tensor;
}

std::uint64_t to_number(const std::string& key, const std::string& text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || text.empty() ||
      value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    bad_input("external data: {} {} is not a whole number of bytes", key, quote(text));
  }
  return value;
}

std::string sha1(const File& file) {
  sha1_ctx state;
  sha1_init(&state);
  std::vector<std::byte> window(std::size_t{1} << 20);
  for (std::uint64_t at = 0; at < file.size(); at += window.size()) {
    const std::size_t length = std::min<std::uint64_t>(window.size(), file.size() - at);
    file.read(at, {window.data(), length});
    sha1_update(&state, length, reinterpret_cast<const std::uint8_t*>(window.data()));
  }
  std::uint8_t digest[SHA1_DIGEST_SIZE];
  sha1_digest(&state, sizeof digest, digest);
  std::string hex;
  for (const std::uint8_t byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

// Paths that mean something else on another system, or to some library, are refused everywhere.
void check_location(const std::string& location) {
  const auto refuse = [&](const char* why) {
    bad_input("external data: location {} {}; it must be a file below the model's folder", quote(location), why);
  };
  if (location.empty()) refuse("is empty");
  if (location.find('\0') != std::string::npos) refuse("holds a zero byte");
  if (location[0] == '/' || location[0] == '\\') refuse("is an absolute path");
  if (location.size() > 1 && location[1] == ':') refuse("is an absolute path of Windows");
  if (location[0] == '~') refuse("begins with ~");
  if (location.find('\\') != std::string::npos) refuse("holds a backslash");
  if (location.starts_with("file:") || location.find("://") != std::string::npos) refuse("is a URL");
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

ExternalFiles::ExternalFiles(const File& model, const ReadOptions& options)
    : model_(model.name()),
      folder_(options.external_root.empty() ? folder_of(model.name()) : options.external_root),
      piped_(options.external_root.empty() && (model.name() == "-" || model.descriptor() < 0)) {}

ExternalFiles::Opened& ExternalFiles::open(const std::string& location) {
  if (const auto found = files_.find(location); found != files_.end()) return found->second;
  check_location(location);
  if (piped_) {
    usage_error(
        "the model keeps weights in the file {} beside it, and comes without a folder: name the folder with "
        "--external-root DIR",
        quote(location));
  }
  return files_[location] = Opened{File::open_below(folder_, location, model_), {}};
}

ir::Tensor ExternalFiles::tensor(ElementType type, ir::Dims dims,
                                 const std::vector<std::pair<std::string, std::string>>& entries) {
  auto where = std::make_shared<ir::ExternalLocation>();
  std::optional<std::uint64_t> offset, length;
  std::string checksum;
  std::vector<std::string_view> seen;
  for (const auto& [key, value] : entries) {
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) bad_input("external data: {} given twice", quote(key));
    seen.push_back(key);
    if (key == "location") {
      where->location = value;
    } else if (key == "offset") {
      offset = to_number(key, value);
    } else if (key == "length") {
      length = to_number(key, value);
    } else if (key == "checksum" || key == "basepath" || key.starts_with("prepacked")) {
      // basepath is of old files; prepacked... is of ONNX Runtime.
      where->others.emplace_back(key, value);
      if (key == "checksum") checksum = value;
    } else {
      bad_input("external data: unknown key {}; known are location, offset, length and checksum", quote(key));
    }
  }
  where->has_offset = offset.has_value();
  where->has_length = length.has_value();
  if (std::find(seen.begin(), seen.end(), "location") == seen.end()) bad_input("external data: no location");
  if (type == ElementType::string) bad_input("external data: strings can't be kept there");
  // What can be checked without opening a file comes first.
  const std::uint64_t needed = packed_size(type, dims);
  if (length && *length != needed) {
    bad_input("external data: length {} where {} needs {}", *length, shape_text(type, dims), needed);
  }
  Opened& opened = open(where->location);
  const std::uint64_t begin = offset.value_or(0);
  const std::uint64_t size = opened.file->size();
  if (begin > size || size - begin < needed) {
    bad_input("external data: {} bytes at {} are not in {}, which has {}: is it the file that belongs to this model?",
              needed, begin, quote(where->location), size);
  }
  if (!checksum.empty() && opened.ranges.empty()) {
    if (const std::string found = sha1(*opened.file); found != checksum) {
      bad_input("external data: the checksum of {} is {}, not {}", quote(where->location), found, quote(checksum));
    }
  }
  opened.ranges.push_back({begin, begin + needed});
  ir::Tensor tensor = ir::Tensor::from_file(type, std::move(dims), {opened.file, begin, needed});
  tensor.encoding = ir::Encoding::external;
  tensor.external = std::move(where);
  return tensor;
}

void ExternalFiles::check() const {
  // Tied weights share a range; some files in use have a handful of tensors on one. A file whose tensors together are many
  // times its size is an attempt to fill the memory of whoever loads them.
  constexpr std::uint64_t most_shared = 8, free_bytes = 1 << 20;
  for (const auto& [location, opened] : files_) {
    std::vector<Range> ranges = opened.ranges;
    std::sort(ranges.begin(), ranges.end(),
              [](const Range& a, const Range& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
    std::uint64_t total = 0, end = 0;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      const Range& range = ranges[i];
      if (range.size() == 0) continue;
      total += std::min(range.size(), std::numeric_limits<std::uint64_t>::max() - total);
      const bool same = i > 0 && ranges[i - 1].begin == range.begin && ranges[i - 1].end == range.end;
      if (!same && range.begin < end) {
        bad_input("external data: bytes {} to {} of {} belong to more than one tensor, and not as a whole", range.begin,
                  std::min(end, range.end), quote(location));
      }
      end = std::max(end, range.end);
    }
    if (total > free_bytes && (total - free_bytes) / most_shared > opened.file->size()) {
      bad_input("external data: {} tensors share the {} bytes of {}, {} bytes in all", ranges.size(),
                opened.file->size(), quote(location), total);
    }
  }
}

std::optional<NamedTensor> TensorReader::read(std::span<const Range> ranges, bool keep_name) {
  Parts parts = read_parts(source, ranges, keep_name);
  const auto where = [&] { return parts.name.empty() ? std::string("tensor") : "tensor " + quote(parts.name); };
  return in_context(where, [&]() -> std::optional<NamedTensor> {
    if (!parts.has_type || parts.data_type == 0) bad_input("no element type");
    if (parts.data_type == 27 || parts.data_type == 28) return std::nullopt;
    const auto type = static_cast<ElementType>(parts.data_type);
    if (!ir::is_known(type)) bad_input("element type {}, which ONNX does not have", parts.data_type);
    check_fields(parts, type);

    NamedTensor result;
    result.name = parts.name;
    if (parts.location == 1) {
      result.tensor = external.tensor(type, parts.dims, parts.external);
      if (parts.has_raw) wire::put_bytes(parts.rest, 9, "");
    } else {
      parts.rest += parts.external_rest;
      result.tensor = read_data(source, parts, type, options.load_below);
    }
    if (!parts.rest.empty()) result.tensor.rest = std::make_shared<const std::string>(std::move(parts.rest));
    return result;
  });
}

}  // namespace hone::onnx
