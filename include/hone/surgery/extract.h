// Cutting a model: a part of it by tensor names, or two parts that give the whole when they are merged.
//
// What stays is as it was: names, metadata, doc strings, functions that are still called (and what those call), external
// data, which stays where it is until the model is written. Only values of the main graph can be cut; bodies of If, Loop
// and Scan move with their nodes, and what they use of the main graph counts as used by the node.
//
// Dropped with what they speak of: value_info and quantization annotations of values that are gone, training information.
#pragma once

#include <string>
#include <vector>

#include "hone/ir/model.h"

namespace hone::surgery {

// Makes `outputs` the outputs and `inputs` the inputs, in these orders, and drops all that they don't need. Without
// inputs, those that the outputs need stay, in the order of the model. An input may be any value, weights included; an
// input with a default value stays, where it is needed, without being named.
//
// Raises usage, naming the nearest tensor, for an unknown name; for inputs that do not cut the graph (the outputs need a
// graph input besides them) and for inputs that no output needs.
void extract(ir::Model& model, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs);

struct Parts {
  // Everything the cut tensors need; its outputs are these, in order, then those outputs of the model it has anyway.
  ir::Model first;
  // From the cut tensors, then the inputs of the model it needs besides, to the other outputs.
  ir::Model second;
};

// Raises usage where `at` does not separate the model: some value before the cut is used behind it. Nodes that depend on
// no input (constant expressions) go to both parts where both need them; random ones don't.
Parts split(const ir::Model& model, const std::vector<std::string>& at);

}  // namespace hone::surgery
