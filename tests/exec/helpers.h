// Small models as text, and arrays in and out.
#pragma once

#include <string_view>
#include <vector>

#include "hone/exec/session.h"
#include "hone/onnx/read.h"

namespace hone::exec::testing {

// A model at opset 17 around the text of a graph: "g (float[2] a) => (float[2] y) { y = Relu(a) }".
inline ir::Model model(std::string_view graph, int opset = 17) {
  return onnx::read_text("<ir_version: 9, opset_import: [\"\" : " + std::to_string(opset) + "]>\n" +
                         std::string(graph));
}

inline ir::Tensor floats(ir::Dims dims, const std::vector<float>& values) {
  return ir::Tensor::of<float>(std::move(dims), values);
}
inline ir::Tensor ints(ir::Dims dims, const std::vector<std::int64_t>& values) {
  return ir::Tensor::of<std::int64_t>(std::move(dims), values);
}
inline std::vector<float> values(const ir::Datum& datum) { return datum.tensor()->to_floats(); }
inline const ir::Dims& dims(const ir::Datum& datum) { return datum.tensor()->dims(); }

}  // namespace hone::exec::testing
