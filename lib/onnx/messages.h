// The messages of onnx-ml.proto and onnx-data.proto of ONNX 1.23, field by field: what the reader needs to check fields it
// does not look into, and to name them in errors. A test holds this table against ONNX's own descriptors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hone::onnx {

enum class Message : std::uint8_t {
  none,
  model,
  graph,
  node,
  attribute,
  tensor,
  sparse_tensor,
  value_info,
  function,
  opset,
  string_entry,
  training_info,
  tensor_annotation,
  segment,
  type,
  tensor_type,
  sequence_type,
  map_type,
  optional_type,
  sparse_tensor_type,
  opaque_type,
  shape,
  dimension,
  device_configuration,
  node_device_configuration,
  sharding_spec,
  sharded_dim,
  simple_sharded_dim,
  int_int_list_entry,
  sequence_data,
  map_data,
  optional_data,
};

enum class FieldKind : std::uint8_t {
  none,  // no such field
  varint,
  fixed32,
  fixed64,
  text,
  bytes,
  message,
  varints,
  fixed32s,
  fixed64s,  // repeated numbers, packed or not
};

struct FieldInfo {
  FieldKind kind = FieldKind::none;
  Message message = Message::none;  // where kind is message
  const char* name = "";
};

constexpr std::uint32_t field_limit = 32;  // field numbers are below it

constexpr std::size_t message_count = static_cast<std::size_t>(Message::optional_data) + 1;
using FieldTable = std::array<std::array<FieldInfo, field_limit>, message_count>;
extern const FieldTable field_table;

// Of kind none where there is no such field.
inline const FieldInfo& field_info(Message message, std::uint32_t number) {
  return field_table[static_cast<std::size_t>(message)][number < field_limit ? number : 0];
}
const char* message_name(Message message);  // "NodeProto"

}  // namespace hone::onnx
