// Another version of the ai.onnx operators, up or down.
//
// Node by node: an operator that did not change between the two versions stays as it is; one whose changes only let it take
// more is checked by its schemas; for the others there are rules (lib/passes/opset/), and an operator that is too new
// becomes the nodes of the function body ONNX gives for it. Nodes stay in place wherever that is possible: names of values,
// metadata, doc strings, annotations and calls of model-local functions are kept. Weights are not touched.
//
// Bodies of model-local functions and graphs inside nodes are converted too. Other domains stay as they are.
#pragma once

#include <cstdint>

#include "hone/ir/model.h"
#include "hone/support/observer.h"

namespace hone::passes {

// `model` at `target` of ai.onnx; its ir_version is raised where that opset needs it, never lowered. Nothing happens where
// it is at `target` already. Raises usage for a version that does not exist, unsupported where a node can't be converted,
// naming every such operator; the model is then no longer good for anything.
void convert_opset(ir::Model& model, std::int64_t target, Observer& observer = silent());

}  // namespace hone::passes
