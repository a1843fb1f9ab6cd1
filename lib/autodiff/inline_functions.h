// Calls of functions, replaced by their bodies.
#pragma once

#include "hone/ir/model.h"
#include "hone/shapes/inference.h"

namespace hone::autodiff {

// Puts the body of the function that `node` calls, model-local or ONNX's definition of the operator, in the place of the
// node, and returns the first node of it (the next node where the body has none). Null where there is no body, or its
// operators are of other versions than the model imports: the node then stays.
ir::Node* inline_function(ir::Node& node, ir::Model& model, shapes::Inference& inference);

}  // namespace hone::autodiff
