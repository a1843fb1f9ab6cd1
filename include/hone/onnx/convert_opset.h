// Opset conversion by ONNX's own version converter, on the graph without its weights, repaired where it loses things
// (model-local functions, metadata, quantization annotations, ir_version, sparse initializers).
#pragma once

#include <cstdint>

#include "hone/ir/model.h"

namespace hone::onnx {

// The model at `target` of the ai.onnx domain. Raises unsupported, naming the operators, where no adapter exists.
ir::Model convert_opset(const ir::Model& model, std::int64_t target);
// The least ir_version that may carry this opset.
std::int64_t ir_version_for_opset(std::int64_t opset);

}  // namespace hone::onnx
