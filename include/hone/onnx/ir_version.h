// Which ir_version a model needs, and what of a model the IR does not model.
#pragma once

#include <cstdint>

#include "hone/ir/model.h"

namespace hone::onnx {

// The least ir_version that may carry this version of the ai.onnx operators.
std::int64_t ir_version_for_opset(std::int64_t opset);
// Whether it carries graphs for training (ModelProto.training_info), which are kept as bytes.
bool has_training_info(const ir::Model& model);

}  // namespace hone::onnx
