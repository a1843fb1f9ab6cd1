// Bodies give what their nodes give out: when an edit in a body makes its outputs better known, the control-flow node that
// holds it, and calls of the local function that it is, are inferred again.
#pragma once

#include <unordered_set>

#include "hone/ir/model.h"
#include "hone/shapes/inference.h"

namespace hone::rewrite {

// Graphs are compared by address only: those in `changed` may be gone.
void infer_holders(ir::Model& model, shapes::Inference& shapes, const std::unordered_set<const ir::Graph*>& changed);

}  // namespace hone::rewrite
