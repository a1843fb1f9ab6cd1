// The table of messages.h.
#include "onnx/messages.h"

namespace hone::onnx {
namespace {

struct Line {
  Message message;
  std::uint32_t number;
  FieldInfo info;
};

using K = FieldKind;
using M = Message;

constexpr Line lines[] = {
    {M::model, 1, {K::varint, M::none, "ir_version"}},
    {M::model, 2, {K::text, M::none, "producer_name"}},
    {M::model, 3, {K::text, M::none, "producer_version"}},
    {M::model, 4, {K::text, M::none, "domain"}},
    {M::model, 5, {K::varint, M::none, "model_version"}},
    {M::model, 6, {K::text, M::none, "doc_string"}},
    {M::model, 7, {K::message, M::graph, "graph"}},
    {M::model, 8, {K::message, M::opset, "opset_import"}},
    {M::model, 14, {K::message, M::string_entry, "metadata_props"}},
    {M::model, 20, {K::message, M::training_info, "training_info"}},
    {M::model, 25, {K::message, M::function, "functions"}},
    {M::model, 26, {K::message, M::device_configuration, "configuration"}},

    {M::graph, 1, {K::message, M::node, "node"}},
    {M::graph, 2, {K::text, M::none, "name"}},
    {M::graph, 5, {K::message, M::tensor, "initializer"}},
    {M::graph, 10, {K::text, M::none, "doc_string"}},
    {M::graph, 11, {K::message, M::value_info, "input"}},
    {M::graph, 12, {K::message, M::value_info, "output"}},
    {M::graph, 13, {K::message, M::value_info, "value_info"}},
    {M::graph, 14, {K::message, M::tensor_annotation, "quantization_annotation"}},
    {M::graph, 15, {K::message, M::sparse_tensor, "sparse_initializer"}},
    {M::graph, 16, {K::message, M::string_entry, "metadata_props"}},

    {M::node, 1, {K::text, M::none, "input"}},
    {M::node, 2, {K::text, M::none, "output"}},
    {M::node, 3, {K::text, M::none, "name"}},
    {M::node, 4, {K::text, M::none, "op_type"}},
    {M::node, 5, {K::message, M::attribute, "attribute"}},
    {M::node, 6, {K::text, M::none, "doc_string"}},
    {M::node, 7, {K::text, M::none, "domain"}},
    {M::node, 8, {K::text, M::none, "overload"}},
    {M::node, 9, {K::message, M::string_entry, "metadata_props"}},
    {M::node, 10, {K::message, M::node_device_configuration, "device_configurations"}},

    {M::attribute, 1, {K::text, M::none, "name"}},
    {M::attribute, 2, {K::fixed32, M::none, "f"}},
    {M::attribute, 3, {K::varint, M::none, "i"}},
    {M::attribute, 4, {K::bytes, M::none, "s"}},
    {M::attribute, 5, {K::message, M::tensor, "t"}},
    {M::attribute, 6, {K::message, M::graph, "g"}},
    {M::attribute, 7, {K::fixed32s, M::none, "floats"}},
    {M::attribute, 8, {K::varints, M::none, "ints"}},
    {M::attribute, 9, {K::bytes, M::none, "strings"}},
    {M::attribute, 10, {K::message, M::tensor, "tensors"}},
    {M::attribute, 11, {K::message, M::graph, "graphs"}},
    {M::attribute, 13, {K::text, M::none, "doc_string"}},
    {M::attribute, 14, {K::message, M::type, "tp"}},
    {M::attribute, 15, {K::message, M::type, "type_protos"}},
    {M::attribute, 20, {K::varint, M::none, "type"}},
    {M::attribute, 21, {K::text, M::none, "ref_attr_name"}},
    {M::attribute, 22, {K::message, M::sparse_tensor, "sparse_tensor"}},
    {M::attribute, 23, {K::message, M::sparse_tensor, "sparse_tensors"}},

    {M::tensor, 1, {K::varints, M::none, "dims"}},
    {M::tensor, 2, {K::varint, M::none, "data_type"}},
    {M::tensor, 3, {K::message, M::segment, "segment"}},
    {M::tensor, 4, {K::fixed32s, M::none, "float_data"}},
    {M::tensor, 5, {K::varints, M::none, "int32_data"}},
    {M::tensor, 6, {K::bytes, M::none, "string_data"}},
    {M::tensor, 7, {K::varints, M::none, "int64_data"}},
    {M::tensor, 8, {K::text, M::none, "name"}},
    {M::tensor, 9, {K::bytes, M::none, "raw_data"}},
    {M::tensor, 10, {K::fixed64s, M::none, "double_data"}},
    {M::tensor, 11, {K::varints, M::none, "uint64_data"}},
    {M::tensor, 12, {K::text, M::none, "doc_string"}},
    {M::tensor, 13, {K::message, M::string_entry, "external_data"}},
    {M::tensor, 14, {K::varint, M::none, "data_location"}},
    {M::tensor, 16, {K::message, M::string_entry, "metadata_props"}},

    {M::sparse_tensor, 1, {K::message, M::tensor, "values"}},
    {M::sparse_tensor, 2, {K::message, M::tensor, "indices"}},
    {M::sparse_tensor, 3, {K::varints, M::none, "dims"}},

    {M::value_info, 1, {K::text, M::none, "name"}},
    {M::value_info, 2, {K::message, M::type, "type"}},
    {M::value_info, 3, {K::text, M::none, "doc_string"}},
    {M::value_info, 4, {K::message, M::string_entry, "metadata_props"}},

    {M::function, 1, {K::text, M::none, "name"}},
    {M::function, 4, {K::text, M::none, "input"}},
    {M::function, 5, {K::text, M::none, "output"}},
    {M::function, 6, {K::text, M::none, "attribute"}},
    {M::function, 7, {K::message, M::node, "node"}},
    {M::function, 8, {K::text, M::none, "doc_string"}},
    {M::function, 9, {K::message, M::opset, "opset_import"}},
    {M::function, 10, {K::text, M::none, "domain"}},
    {M::function, 11, {K::message, M::attribute, "attribute_proto"}},
    {M::function, 12, {K::message, M::value_info, "value_info"}},
    {M::function, 13, {K::text, M::none, "overload"}},
    {M::function, 14, {K::message, M::string_entry, "metadata_props"}},

    {M::opset, 1, {K::text, M::none, "domain"}},
    {M::opset, 2, {K::varint, M::none, "version"}},

    {M::string_entry, 1, {K::text, M::none, "key"}},
    {M::string_entry, 2, {K::text, M::none, "value"}},

    {M::training_info, 1, {K::message, M::graph, "initialization"}},
    {M::training_info, 2, {K::message, M::graph, "algorithm"}},
    {M::training_info, 3, {K::message, M::string_entry, "initialization_binding"}},
    {M::training_info, 4, {K::message, M::string_entry, "update_binding"}},

    {M::tensor_annotation, 1, {K::text, M::none, "tensor_name"}},
    {M::tensor_annotation, 2, {K::message, M::string_entry, "quant_parameter_tensor_names"}},

    {M::segment, 1, {K::varint, M::none, "begin"}},
    {M::segment, 2, {K::varint, M::none, "end"}},

    {M::type, 1, {K::message, M::tensor_type, "tensor_type"}},
    {M::type, 4, {K::message, M::sequence_type, "sequence_type"}},
    {M::type, 5, {K::message, M::map_type, "map_type"}},
    {M::type, 6, {K::text, M::none, "denotation"}},
    {M::type, 7, {K::message, M::opaque_type, "opaque_type"}},
    {M::type, 8, {K::message, M::sparse_tensor_type, "sparse_tensor_type"}},
    {M::type, 9, {K::message, M::optional_type, "optional_type"}},
    {M::tensor_type, 1, {K::varint, M::none, "elem_type"}},
    {M::tensor_type, 2, {K::message, M::shape, "shape"}},
    {M::sequence_type, 1, {K::message, M::type, "elem_type"}},
    {M::map_type, 1, {K::varint, M::none, "key_type"}},
    {M::map_type, 2, {K::message, M::type, "value_type"}},
    {M::optional_type, 1, {K::message, M::type, "elem_type"}},
    {M::sparse_tensor_type, 1, {K::varint, M::none, "elem_type"}},
    {M::sparse_tensor_type, 2, {K::message, M::shape, "shape"}},
    {M::opaque_type, 1, {K::text, M::none, "domain"}},
    {M::opaque_type, 2, {K::text, M::none, "name"}},
    {M::shape, 1, {K::message, M::dimension, "dim"}},
    {M::dimension, 1, {K::varint, M::none, "dim_value"}},
    {M::dimension, 2, {K::text, M::none, "dim_param"}},
    {M::dimension, 3, {K::text, M::none, "denotation"}},

    {M::device_configuration, 1, {K::text, M::none, "name"}},
    {M::device_configuration, 2, {K::varint, M::none, "num_devices"}},
    {M::device_configuration, 3, {K::text, M::none, "device"}},
    {M::node_device_configuration, 1, {K::text, M::none, "configuration_id"}},
    {M::node_device_configuration, 2, {K::message, M::sharding_spec, "sharding_spec"}},
    {M::node_device_configuration, 3, {K::varint, M::none, "pipeline_stage"}},
    {M::sharding_spec, 1, {K::text, M::none, "tensor_name"}},
    {M::sharding_spec, 2, {K::varints, M::none, "device"}},
    {M::sharding_spec, 3, {K::message, M::int_int_list_entry, "index_to_device_group_map"}},
    {M::sharding_spec, 4, {K::message, M::sharded_dim, "sharded_dim"}},
    {M::sharded_dim, 1, {K::varint, M::none, "axis"}},
    {M::sharded_dim, 2, {K::message, M::simple_sharded_dim, "simple_sharding"}},
    {M::simple_sharded_dim, 1, {K::varint, M::none, "dim_value"}},
    {M::simple_sharded_dim, 2, {K::text, M::none, "dim_param"}},
    {M::simple_sharded_dim, 3, {K::varint, M::none, "num_shards"}},
    {M::int_int_list_entry, 1, {K::varint, M::none, "key"}},
    {M::int_int_list_entry, 2, {K::varints, M::none, "value"}},

    {M::sequence_data, 1, {K::text, M::none, "name"}},
    {M::sequence_data, 2, {K::varint, M::none, "elem_type"}},
    {M::sequence_data, 3, {K::message, M::tensor, "tensor_values"}},
    {M::sequence_data, 4, {K::message, M::sparse_tensor, "sparse_tensor_values"}},
    {M::sequence_data, 5, {K::message, M::sequence_data, "sequence_values"}},
    {M::sequence_data, 6, {K::message, M::map_data, "map_values"}},
    {M::sequence_data, 7, {K::message, M::optional_data, "optional_values"}},
    {M::map_data, 1, {K::text, M::none, "name"}},
    {M::map_data, 2, {K::varint, M::none, "key_type"}},
    {M::map_data, 3, {K::varints, M::none, "keys"}},
    {M::map_data, 4, {K::bytes, M::none, "string_keys"}},
    {M::map_data, 5, {K::message, M::sequence_data, "values"}},
    {M::optional_data, 1, {K::text, M::none, "name"}},
    {M::optional_data, 2, {K::varint, M::none, "elem_type"}},
    {M::optional_data, 3, {K::message, M::tensor, "tensor_value"}},
    {M::optional_data, 4, {K::message, M::sparse_tensor, "sparse_tensor_value"}},
    {M::optional_data, 5, {K::message, M::sequence_data, "sequence_value"}},
    {M::optional_data, 6, {K::message, M::map_data, "map_value"}},
    {M::optional_data, 7, {K::message, M::optional_data, "optional_value"}},
};

constexpr FieldTable make_table() {
  FieldTable table{};
  for (const Line& line : lines) table[static_cast<std::size_t>(line.message)][line.number] = line.info;
  return table;
}

}  // namespace

constexpr FieldTable field_table = make_table();

const char* message_name(Message message) {
  switch (message) {
    case Message::none:
      break;
    case Message::model:
      return "ModelProto";
    case Message::graph:
      return "GraphProto";
    case Message::node:
      return "NodeProto";
    case Message::attribute:
      return "AttributeProto";
    case Message::tensor:
      return "TensorProto";
    case Message::sparse_tensor:
      return "SparseTensorProto";
    case Message::value_info:
      return "ValueInfoProto";
    case Message::function:
      return "FunctionProto";
    case Message::opset:
      return "OperatorSetIdProto";
    case Message::string_entry:
      return "StringStringEntryProto";
    case Message::training_info:
      return "TrainingInfoProto";
    case Message::tensor_annotation:
      return "TensorAnnotation";
    case Message::segment:
      return "TensorProto.Segment";
    case Message::type:
      return "TypeProto";
    case Message::tensor_type:
      return "TypeProto.Tensor";
    case Message::sequence_type:
      return "TypeProto.Sequence";
    case Message::map_type:
      return "TypeProto.Map";
    case Message::optional_type:
      return "TypeProto.Optional";
    case Message::sparse_tensor_type:
      return "TypeProto.SparseTensor";
    case Message::opaque_type:
      return "TypeProto.Opaque";
    case Message::shape:
      return "TensorShapeProto";
    case Message::dimension:
      return "TensorShapeProto.Dimension";
    case Message::device_configuration:
      return "DeviceConfigurationProto";
    case Message::node_device_configuration:
      return "NodeDeviceConfigurationProto";
    case Message::sharding_spec:
      return "ShardingSpecProto";
    case Message::sharded_dim:
      return "ShardedDimProto";
    case Message::simple_sharded_dim:
      return "SimpleShardedDimProto";
    case Message::int_int_list_entry:
      return "IntIntListEntryProto";
    case Message::sequence_data:
      return "SequenceProto";
    case Message::map_data:
      return "MapProto";
    case Message::optional_data:
      return "OptionalProto";
  }
  return "a message";
}

}  // namespace hone::onnx
