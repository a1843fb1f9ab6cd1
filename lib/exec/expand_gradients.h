// The operator Gradient of ai.onnx.preview.training, which names a part of the graph around it by the part's inputs and
// its result: it becomes nodes that compute the part again from the values it is given, and the derivatives of the result.
//
// Not handled: Gradient in functions and in bodies of If, Loop and Scan, results of more than one element (the standard
// gives them no meaning), and second derivatives where the first are made of operators without a gradient of their own.
#pragma once

#include <optional>

#include "hone/ir/model.h"

namespace hone::exec {

// The model with its Gradient nodes expanded; nullopt where it has none. Raises bad_input for names that no value has, and
// unsupported, naming the nodes, where hone has no gradient of an operator.
std::optional<ir::Model> expand_gradients(const ir::Model& model);

}  // namespace hone::exec
