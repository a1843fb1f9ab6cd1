#include "hone/onnx/type_constraints.h"

#include <algorithm>
#include <string>

#include "onnx/registry.h"

namespace hone::onnx {

bool accepts(std::string_view op_type, std::string_view domain, std::int64_t version, bool output, std::size_t index,
             ir::ElementType type) {
  const ::onnx::OpSchema* schema = find_op_schema(op_type, domain, version);
  if (!schema) return false;
  const auto& parameters = output ? schema->outputs() : schema->inputs();
  if (parameters.empty()) return false;
  if (index >= parameters.size() && parameters.back().GetOption() != ::onnx::OpSchema::Variadic) return false;
  const auto& types = parameters[std::min(index, parameters.size() - 1)].GetTypes();
  const std::string wanted = "tensor(" + std::string(ir::name(type)) + ")";
  return std::any_of(types.begin(), types.end(), [&](const auto& each) { return *each == wanted; });
}

}  // namespace hone::onnx
