// What tests of operations on whole models share.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "hone/exec/session.h"
#include "hone/onnx/read.h"
#include "hone/onnx/write.h"

namespace hone::testing {

inline ir::Model parse(const std::string& graph, int opset = 17) {
  return onnx::read_text("<ir_version: 8, opset_import: [\"\": " + std::to_string(opset) + "]>\n" + graph);
}

inline std::vector<std::string> names(std::span<ir::Value* const> values) {
  std::vector<std::string> result;
  for (const ir::Value* value : values) result.push_back(value->name());
  return result;
}

// Outputs by name.
inline std::map<std::string, ir::Tensor> run(const ir::Model& model, const std::map<std::string, ir::Tensor>& inputs) {
  ir::verify(*model.graph);
  exec::SessionOptions options;
  options.reference = true;
  exec::Session session(model, options);
  std::vector<ir::NamedDatum> given;
  for (const auto& [name, tensor] : inputs) given.push_back({name, tensor});
  std::map<std::string, ir::Tensor> result;
  const std::vector<ir::Datum> outputs = session.run(given);
  for (std::size_t i = 0; i < outputs.size(); ++i) result[session.output_names()[i]] = *outputs[i].tensor();
  return result;
}

}  // namespace hone::testing
