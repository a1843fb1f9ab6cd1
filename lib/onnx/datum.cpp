// Values of test data sets: TensorProto, SequenceProto, OptionalProto and MapProto files.
//
// A tensor is read and written as the only initializer of a model, so that there is one reader of tensors. Not handled:
// sparse tensors, maps whose values are not one tensor.
#include <onnx/onnx-data.pb.h>
#include <onnx/onnx-ml.pb.h>

#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/support/error.h"

namespace hone::onnx {
namespace {

// Sequences in sequences: real files have one level.
constexpr int kMaxDepth = 8;

ir::Tensor to_tensor(const ::onnx::TensorProto& proto, const std::string& name) {
  ::onnx::ModelProto model;
  model.set_ir_version(10);
  ::onnx::TensorProto& copy = *model.mutable_graph()->add_initializer();
  copy = proto;
  copy.set_name("value");
  model.mutable_opset_import()->Add()->set_version(13);
  const ir::Model read_back = read(File::from_memory(model.SerializeAsString(), name));
  return read_back.graph->find("value")->initializer()->loaded();
}

::onnx::TensorProto to_proto(const ir::Tensor& tensor, const std::string& name) {
  ir::Model model;
  model.ir_version = 10;
  model.set_opset("", 13);
  ir::Tensor plain = tensor;
  plain.encoding = ir::Encoding::raw;
  plain.external.reset();
  plain.rest.reset();
  model.graph->add_initializer("value", std::move(plain));
  ::onnx::ModelProto proto;
  if (!proto.ParseFromString(to_bytes(model))) fail(ErrorKind::internal, "a tensor does not parse back");
  ::onnx::TensorProto result = std::move(*proto.mutable_graph()->mutable_initializer(0));
  result.set_name(name);
  return result;
}

ir::Datum to_datum(const ::onnx::SequenceProto& proto, const std::string& name, int depth);

ir::Map to_map(const ::onnx::MapProto& proto, const std::string& name, int depth) {
  ir::Map map;
  if (proto.key_type() == ::onnx::TensorProto::STRING) {
    std::vector<std::string> keys(proto.string_keys().begin(), proto.string_keys().end());
    map.keys = ir::Tensor::strings({static_cast<std::int64_t>(keys.size())}, std::move(keys));
  } else {
    map.keys = ir::Tensor::vector(std::vector<std::int64_t>(proto.keys().begin(), proto.keys().end()));
  }
  const ir::Datum values = to_datum(proto.values(), name, depth + 1);
  map.values = values.sequence()->items;
  if (static_cast<std::int64_t>(map.values.size()) != map.keys.element_count()) {
    bad_input("{}: a map of {} keys and {} values", quoted(name), map.keys.element_count(), map.values.size());
  }
  return map;
}

ir::Datum to_datum(const ::onnx::OptionalProto& proto, const std::string& name, int depth) {
  ir::Optional optional;
  const auto hold = [&](ir::Datum datum) { optional.value = std::make_shared<const ir::Datum>(std::move(datum)); };
  if (depth > kMaxDepth) bad_input("{}: nested too deep", quoted(name));
  if (proto.has_tensor_value()) {
    hold(to_tensor(proto.tensor_value(), name));
  } else if (proto.has_sequence_value()) {
    hold(to_datum(proto.sequence_value(), name, depth + 1));
  } else if (proto.has_map_value()) {
    hold(to_map(proto.map_value(), name, depth + 1));
  } else if (proto.has_optional_value()) {
    hold(to_datum(proto.optional_value(), name, depth + 1));
  }
  return optional;
}

ir::Datum to_datum(const ::onnx::SequenceProto& proto, const std::string& name, int depth) {
  if (depth > kMaxDepth) bad_input("{}: nested too deep", quoted(name));
  ir::Sequence sequence;
  for (const auto& each : proto.tensor_values()) sequence.items.emplace_back(to_tensor(each, name));
  for (const auto& each : proto.sequence_values()) sequence.items.push_back(to_datum(each, name, depth + 1));
  for (const auto& each : proto.optional_values()) sequence.items.push_back(to_datum(each, name, depth + 1));
  for (const auto& each : proto.map_values()) sequence.items.emplace_back(to_map(each, name, depth + 1));
  if (!sequence.items.empty() && sequence.items[0].tensor()) {
    sequence.element = ir::Type::tensor(sequence.items[0].tensor()->type());
  }
  return sequence;
}

void fill(::onnx::SequenceProto& proto, const ir::Sequence& sequence, const std::string& name);

void fill(::onnx::MapProto& proto, const ir::Map& map, const std::string& name) {
  proto.set_name(name);
  proto.set_key_type(static_cast<int>(map.keys.type()));
  if (map.keys.is_string()) {
    for (const std::string& key : *map.keys.string_values()) proto.add_string_keys(key);
  } else {
    for (const std::int64_t key : map.keys.to_ints()) proto.add_keys(key);
  }
  fill(*proto.mutable_values(), ir::Sequence{{}, map.values}, name);
}

void fill(::onnx::OptionalProto& proto, const ir::Optional& optional, const std::string& name) {
  proto.set_name(name);
  proto.set_elem_type(::onnx::OptionalProto::UNDEFINED);
  if (!optional.value) return;
  if (const ir::Tensor* tensor = optional.value->tensor()) {
    proto.set_elem_type(::onnx::OptionalProto::TENSOR);
    *proto.mutable_tensor_value() = to_proto(*tensor, name);
  } else if (const ir::Sequence* sequence = optional.value->sequence()) {
    proto.set_elem_type(::onnx::OptionalProto::SEQUENCE);
    fill(*proto.mutable_sequence_value(), *sequence, name);
  } else if (const ir::Map* map = optional.value->map()) {
    proto.set_elem_type(::onnx::OptionalProto::MAP);
    fill(*proto.mutable_map_value(), *map, name);
  } else {
    proto.set_elem_type(::onnx::OptionalProto::OPTIONAL);
    fill(*proto.mutable_optional_value(), *optional.value->optional(), name);
  }
}

void fill(::onnx::SequenceProto& proto, const ir::Sequence& sequence, const std::string& name) {
  proto.set_name(name);
  proto.set_elem_type(::onnx::SequenceProto::TENSOR);
  for (const ir::Datum& item : sequence.items) {
    if (const ir::Tensor* tensor = item.tensor()) {
      *proto.add_tensor_values() = to_proto(*tensor, "");
    } else if (const ir::Sequence* inner = item.sequence()) {
      proto.set_elem_type(::onnx::SequenceProto::SEQUENCE);
      fill(*proto.add_sequence_values(), *inner, "");
    } else if (const ir::Map* map = item.map()) {
      proto.set_elem_type(::onnx::SequenceProto::MAP);
      fill(*proto.add_map_values(), *map, "");
    } else {
      proto.set_elem_type(::onnx::SequenceProto::OPTIONAL);
      fill(*proto.add_optional_values(), *item.optional(), "");
    }
  }
}

template <typename Proto>
Proto parse(const std::string& path, const std::string& bytes, const char* what) {
  Proto proto;
  if (!proto.ParseFromString(bytes)) bad_input("{} is not a serialized {}", quoted(path), what);
  return proto;
}

}  // namespace

ir::Datum read_datum(const std::string& path, const ir::Type& type) {
  const auto file = File::open(path);
  std::string bytes(file->size(), '\0');
  file->read(0, std::as_writable_bytes(std::span(bytes.data(), bytes.size())));
  switch (type.kind) {
    case ir::Type::Kind::sequence: return to_datum(parse<::onnx::SequenceProto>(path, bytes, "SequenceProto"), path, 0);
    case ir::Type::Kind::optional: return to_datum(parse<::onnx::OptionalProto>(path, bytes, "OptionalProto"), path, 0);
    case ir::Type::Kind::map: return to_map(parse<::onnx::MapProto>(path, bytes, "MapProto"), path, 0);
    default: return to_tensor(parse<::onnx::TensorProto>(path, bytes, "TensorProto"), path);
  }
}

std::string write_datum(const ir::Datum& datum, const std::string& name) {
  if (const ir::Tensor* tensor = datum.tensor()) return to_proto(*tensor, name).SerializeAsString();
  if (const ir::Sequence* sequence = datum.sequence()) {
    ::onnx::SequenceProto proto;
    fill(proto, *sequence, name);
    return proto.SerializeAsString();
  }
  if (const ir::Map* map = datum.map()) {
    ::onnx::MapProto proto;
    fill(proto, *map, name);
    return proto.SerializeAsString();
  }
  ::onnx::OptionalProto proto;
  fill(proto, *datum.optional(), name);
  return proto.SerializeAsString();
}

}  // namespace hone::onnx
