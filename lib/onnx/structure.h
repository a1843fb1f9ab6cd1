// What must hold in any model, so that everything after reading may rely on it: nodes have the inputs and outputs that
// their operators need, control flow has its subgraphs, functions can be inlined.
#pragma once

#include <functional>

#include "hone/onnx/check.h"

namespace hone::onnx {

using Report = std::function<void(Problem)>;

// Costs a look at every node. Whoever reads a model raises the first error.
void check_structure(const ir::Model& model, const Report& report);

// For problems: "node 'conv1' (Conv)".
std::string describe(std::string_view name, std::string_view domain, std::string_view op_type);
std::string describe(const ir::Node& node);

}  // namespace hone::onnx
