// TypeProto to ir::Type and back.
//
// A dimension below zero, which some exporters write for "not known", is read as unknown.
#include "onnx/types.h"

#include "hone/support/error.h"

namespace hone::onnx {
namespace {

using wire::Fields;
using wire::Range;
using wire::Source;

ir::Dimension read_dimension(Source& source, Range range, DimensionCache& cache) {
  ir::Dimension dimension;
  for (Fields fields(source, range, Message::dimension); fields.next();) {
    if (fields->number == 1) {
      const auto value = static_cast<std::int64_t>(fields->number_value);
      dimension = value < 0 ? ir::Dimension() : ir::Dimension(value);
    } else if (fields->number == 2) {
      const auto [found, is_new] = cache.try_emplace(wire::text(source, *fields));
      if (is_new) found->second = ir::Dimension::parse(found->first);
      dimension = found->second;
    } else if (fields->number == 3) {
      wire::text(source, *fields);
    }
  }
  return dimension;
}

ir::Type read_tensor_type(Source& source, Range range, ir::Type::Kind kind, DimensionCache& cache) {
  ir::Type type;
  type.kind = kind;
  for (Fields fields(source, range, Message::tensor_type); fields.next();) {
    if (fields->number == 1) {
      type.element = static_cast<ir::ElementType>(static_cast<std::int32_t>(fields->number_value));
    } else if (fields->number == 2) {
      if (!type.shape) type.shape.emplace().reserve(4);
      for (Fields dims(source, fields->payload, Message::shape); dims.next();) {
        if (dims->number == 1) type.shape->push_back(read_dimension(source, dims->payload, cache));
      }
    }
  }
  return type;
}

// Sequence, optional (field 1 is the type inside) or map (field 1 the key, field 2 the type inside).
ir::Type read_container(Source& source, Range range, ir::Type::Kind kind, int max_nesting, DimensionCache& cache) {
  ir::Type type;
  type.kind = kind;
  const bool map = kind == ir::Type::Kind::map;
  for (Fields fields(source, range, map ? Message::map_type : Message::sequence_type); fields.next();) {
    if (fields->number == (map ? 2u : 1u)) {
      type.inner = std::make_shared<const ir::Type>(read_type(source, fields->payload, max_nesting - 1, cache));
    } else if (fields->number == 1) {
      type.element = static_cast<ir::ElementType>(static_cast<std::int32_t>(fields->number_value));
    }
  }
  return type;
}

std::string tensor_type_wire(const ir::Type& type) {
  std::string out;
  wire::put_number(out, 1, static_cast<std::uint32_t>(type.element));
  if (!type.shape) return out;
  std::string shape;
  for (const ir::Dimension& dimension : *type.shape) {
    std::string dim;
    if (const auto number = dimension.number()) {
      wire::put_number(dim, 1, static_cast<std::uint64_t>(*number));
    } else if (!dimension.is_unknown()) {
      wire::put_bytes(dim, 2, dimension.text());
    }
    wire::put_bytes(shape, 1, dim);
  }
  wire::put_bytes(out, 2, shape);
  return out;
}

}  // namespace

ir::Type read_type(Source& source, Range range, int max_nesting, DimensionCache& cache) {
  if (max_nesting <= 0) bad_input("a type nested too deep at byte {}", range.begin);
  using Kind = ir::Type::Kind;
  ir::Type type;
  for (Fields fields(source, range, Message::type); fields.next();) {
    switch (fields->number) {
      case 1:
        type = read_tensor_type(source, fields->payload, Kind::tensor, cache);
        break;
      case 4:
        type = read_container(source, fields->payload, Kind::sequence, max_nesting, cache);
        break;
      case 5:
        type = read_container(source, fields->payload, Kind::map, max_nesting, cache);
        break;
      case 6:
        wire::text(source, *fields);
        break;
      case 7:
        wire::validate(source, fields->payload, Message::opaque_type);
        type = {};
        type.kind = Kind::opaque;
        break;
      case 8:
        type = read_tensor_type(source, fields->payload, Kind::sparse_tensor, cache);
        break;
      case 9:
        type = read_container(source, fields->payload, Kind::optional, max_nesting, cache);
        break;
      default:
        break;
    }
  }
  return type;
}

std::string type_wire(const ir::Type& type) {
  using Kind = ir::Type::Kind;
  std::string out, inside;
  if (type.inner) inside = type_wire(*type.inner);
  std::string body;
  switch (type.kind) {
    case Kind::unknown:
      break;
    case Kind::tensor:
      wire::put_bytes(out, 1, tensor_type_wire(type));
      break;
    case Kind::sparse_tensor:
      wire::put_bytes(out, 8, tensor_type_wire(type));
      break;
    case Kind::sequence:
    case Kind::optional:
      wire::put_bytes(body, 1, inside);
      wire::put_bytes(out, type.kind == Kind::sequence ? 4 : 9, body);
      break;
    case Kind::map:
      wire::put_number(body, 1, static_cast<std::uint32_t>(type.element));
      wire::put_bytes(body, 2, inside);
      wire::put_bytes(out, 5, body);
      break;
    case Kind::opaque:
      wire::put_bytes(out, 7, "");
      break;
  }
  return out;
}

}  // namespace hone::onnx
