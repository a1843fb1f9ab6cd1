// What ONNX says of an operator: a view of its OpSchema. A schema is made when it is first asked for: all of them would cost
// 14 ms.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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

// The versions of its domain in which the operator changed, oldest first: since_version of every schema, that of a
// deprecation too. Empty for an operator nobody knows.
const std::vector<std::int64_t>& schema_versions(const std::string& op_type, const std::string& domain);

// Why `node`, valid at version `from` of its domain, is not valid at `to`: an attribute, an input or a type that the
// operator does not have there. nullopt: it is, as far as schemas tell (they don't tell what a string attribute may say,
// nor what an operator does). A type that is not known counts as the worst that `from` allows.
std::optional<std::string> misfit(const ir::Node& node, std::int64_t from, std::int64_t to);

// Default values of the operator's attributes at a version of its domain, by name; those that have one.
const std::vector<std::pair<std::string, ir::Attribute>>& attribute_defaults(const std::string& op_type,
                                                                             const std::string& domain,
                                                                             std::int64_t version);

// The function body that ONNX gives for this node (context-dependent ones included, from the types its inputs have), with
// the node's attributes bound, or null. Inputs and outputs of the body are in the order of the node's; there may be more
// inputs than the node has. Its opset may be an older one than the model's: that which the body was written for.
// `version` is that of the node's domain, 0: as imported.
std::unique_ptr<ir::Function> function_body(const ir::Node& node, const ir::Model& model, std::int64_t version = 0);

// Types of the node's outputs by ONNX's own inference, from the types of its inputs and the constants among them; one
// entry per output, kind unknown where ONNX can't tell. Raises bad_input when inference finds the node invalid.
std::vector<ir::Type> infer_types(const ir::Node& node, const ir::Model& model);

}  // namespace hone::onnx
