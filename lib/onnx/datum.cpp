// Values of test data sets: TensorProto, SequenceProto, OptionalProto and MapProto files.
//
// Not handled: sparse tensors.
#include "hone/ir/datum.h"

#include "hone/onnx/read.h"
#include "hone/support/error.h"
#include "onnx/emit.h"
#include "onnx/tensors.h"

namespace hone::onnx {
namespace {

using wire::Fields;
using wire::Range;

// SequenceProto.DataType and OptionalProto.DataType.
enum ElementKind : std::uint64_t { of_nothing = 0, of_tensors = 1, of_sequences = 3, of_maps = 4, of_optionals = 5 };

// Elements of a SequenceProto, value of an OptionalProto: both have them in the fields of the same numbers.
constexpr std::uint32_t tensor_field = 3, sparse_field = 4, sequence_field = 5, map_field = 6, optional_field = 7;

class DatumReader {
 public:
  explicit DatumReader(const std::shared_ptr<const File>& file)
      : source_(file), external_(*file, options_), tensors_{source_, options_, external_} {}

  ir::Datum read(const ir::Type& type) {
    const Range all{0, source_.size()};
    switch (type.kind) {
      case ir::Type::Kind::sequence:
        return sequence(all, type, 0);
      case ir::Type::Kind::optional:
        return optional(all, type, 0);
      case ir::Type::Kind::map:
        return map(all, type, 0);
      default:
        return tensor(all);
    }
  }

 private:
  void check_depth(int depth) const {
    if (depth > options_.max_nesting) bad_input("values nested more than {} deep", options_.max_nesting);
  }

  ir::Tensor tensor(Range range) {
    std::optional<NamedTensor> read = tensors_.read(std::span(&range, 1), false);
    if (!read) unsupported("floats of 6 bits are not supported");
    return read->tensor.loaded();
  }

  // The value in a field of a sequence or optional.
  std::optional<ir::Datum> value(const wire::Field& field, const ir::Type& type, int depth) {
    switch (field.number) {
      case tensor_field:
        return tensor(field.payload);
      case sparse_field:
        unsupported("a sparse tensor as a value is not supported");
      case sequence_field:
        return sequence(field.payload, type, depth + 1);
      case map_field:
        return map(field.payload, type, depth + 1);
      case optional_field:
        return optional(field.payload, type, depth + 1);
      default:
        return std::nullopt;
    }
  }

  ir::Datum sequence(Range range, const ir::Type& type, int depth) {
    check_depth(depth);
    ir::Sequence result;
    if (type.inner) result.element = *type.inner;
    for (Fields fields(source_, range, Message::sequence_data); fields.next();) {
      if (auto item = value(*fields, result.element, depth)) result.items.push_back(std::move(*item));
    }
    const bool unsaid = result.element.kind == ir::Type::Kind::unknown;
    if (unsaid && !result.items.empty() && result.items[0].tensor()) {
      result.element = ir::Type::tensor(result.items[0].tensor()->type());
    }
    return result;
  }

  ir::Datum optional(Range range, const ir::Type& type, int depth) {
    check_depth(depth);
    ir::Optional result;
    for (Fields fields(source_, range, Message::optional_data); fields.next();) {
      if (auto held = value(*fields, type.inner ? *type.inner : ir::Type(), depth)) {
        result.value = std::make_shared<const ir::Datum>(std::move(*held));
      }
    }
    return result;
  }

  ir::Datum map(Range range, const ir::Type& type, int depth) {
    check_depth(depth);
    ir::Map result;
    auto key_type = ir::ElementType::undefined;
    std::vector<std::int64_t> numbers;
    std::vector<std::string> texts;
    for (Fields fields(source_, range, Message::map_data); fields.next();) {
      switch (fields->number) {
        case 2:
          key_type = static_cast<ir::ElementType>(static_cast<std::int32_t>(fields->number_value));
          break;
        case 3:
          wire::for_each_varint(source_, *fields,
                                [&](std::uint64_t key) { numbers.push_back(static_cast<std::int64_t>(key)); });
          break;
        case 4:
          texts.push_back(source_.string(fields->payload));
          break;
        case 5: {
          ir::Type values;
          values.inner = type.inner;
          result.values = sequence(fields->payload, values, depth + 1).sequence()->items;
          break;
        }
        default:
          break;
      }
    }
    const bool by_text = key_type == ir::ElementType::string;
    if (!by_text && !ir::is_integer(key_type)) bad_input("a map with keys of type {}", ir::name(key_type));
    const auto count = static_cast<std::int64_t>(by_text ? texts.size() : numbers.size());
    if (static_cast<std::size_t>(count) != result.values.size()) {
      bad_input("a map of {} keys and {} values", count, result.values.size());
    }
    result.keys = by_text ? ir::Tensor::strings({count}, std::move(texts)) : ir::Tensor::vector(numbers);
    return result;
  }

  ReadOptions options_;
  wire::Source source_;
  ExternalFiles external_;
  TensorReader tensors_;
};

std::string datum_bytes(const ir::Datum& datum, std::string_view name);

std::string sequence_bytes(const std::vector<ir::Datum>& items, std::string_view name);

std::uint32_t field_of(const ir::Datum& datum) {
  if (datum.tensor()) return tensor_field;
  if (datum.sequence()) return sequence_field;
  return datum.map() ? map_field : optional_field;
}

ElementKind kind_of(const ir::Datum& datum) {
  if (datum.tensor()) return of_tensors;
  if (datum.sequence()) return of_sequences;
  return datum.map() ? of_maps : of_optionals;
}

std::string tensor_wire(const ir::Tensor& tensor, std::string_view name) {
  ir::Tensor plain = tensor;
  plain.encoding = ir::Encoding::raw;
  plain.rest.reset();
  return tensor_bytes(plain, name);
}

std::string map_bytes(const ir::Map& map, std::string_view name) {
  std::string out;
  if (!name.empty()) wire::put_bytes(out, 1, name);
  wire::put_number(out, 2, static_cast<std::uint64_t>(map.keys.type()));
  if (map.keys.is_string()) {
    for (const std::string& key : *map.keys.string_values()) wire::put_bytes(out, 4, key);
  } else {
    for (const std::int64_t key : map.keys.to_ints()) wire::put_number(out, 3, static_cast<std::uint64_t>(key));
  }
  wire::put_bytes(out, 5, sequence_bytes(map.values, ""));
  return out;
}

std::string sequence_bytes(const std::vector<ir::Datum>& items, std::string_view name) {
  std::string out;
  if (!name.empty()) wire::put_bytes(out, 1, name);
  wire::put_number(out, 2, items.empty() ? of_tensors : kind_of(items[0]));
  for (const ir::Datum& item : items) wire::put_bytes(out, field_of(item), datum_bytes(item, ""));
  return out;
}

std::string datum_bytes(const ir::Datum& datum, std::string_view name) {
  if (const ir::Tensor* tensor = datum.tensor()) return tensor_wire(*tensor, name);
  if (const ir::Sequence* sequence = datum.sequence()) return sequence_bytes(sequence->items, name);
  if (const ir::Map* map = datum.map()) return map_bytes(*map, name);
  const ir::Datum* held = datum.optional()->value.get();
  std::string out;
  if (!name.empty()) wire::put_bytes(out, 1, name);
  wire::put_number(out, 2, held ? kind_of(*held) : of_nothing);
  if (held) wire::put_bytes(out, field_of(*held), datum_bytes(*held, name));
  return out;
}

}  // namespace

ir::Datum read_datum(const std::string& path, const ir::Type& type) {
  const auto where = [&] { return "reading " + printable(path); };
  return in_context(where, [&] { return DatumReader(File::open(path)).read(type); });
}

std::string write_datum(const ir::Datum& datum, const std::string& name) { return datum_bytes(datum, name); }

}  // namespace hone::onnx
