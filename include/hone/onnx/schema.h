// What ONNX says of an operator: a view of its OpSchema. A schema is made when it is first asked for: all of them would cost
// 14 ms.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hone/ir/model.h"

namespace hone::onnx {

struct Parameter {
  enum class Option { single, optional, variadic };
  std::string name;
  std::string type;  // a type constraint ("T") or a type ("tensor(float)")
  Option option = Option::single;
  bool homogeneous = true;
};

struct AttributeSchema {
  std::string name;
  int type = 0;  // AttributeProto.AttributeType
  bool required = false;
  bool has_default = false;
};

struct Schema {
  std::string name, domain;
  std::int64_t since_version = 0;
  bool deprecated = false;
  bool deterministic = true;
  bool has_function_body = false;
  std::vector<Parameter> inputs, outputs;
  int min_inputs = 0, max_inputs = 0, min_outputs = 0, max_outputs = 0;
  std::vector<AttributeSchema> attributes;
};

// Null when ONNX 1.23 does not know the operator at that version of its domain. Cheap after the first call.
const Schema* find_schema(std::string_view op_type, std::string_view domain, std::int64_t version);
// The newest version of the ai.onnx domain that this build knows.
std::int64_t latest_opset(std::string_view domain = "");

// The function body that ONNX gives for this node (context-dependent ones included, from the types its inputs have), with
// the node's attributes bound, or null. Inputs and outputs of the body are in the order of the node's; there may be more
// inputs than the node has. Its opset may be an older one than the model's: that which the body was written for.
std::unique_ptr<ir::Function> function_body(const ir::Node& node, const ir::Model& model);

// Types of the node's outputs by ONNX's own inference, from the types of its inputs and the constants among them; one
// entry per output, kind unknown where ONNX can't tell. Raises bad_input when inference finds the node invalid.
std::vector<ir::Type> infer_types(const ir::Node& node, const ir::Model& model);

}  // namespace hone::onnx
