// What the operations on whole models share. Private to lib/surgery.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "hone/ir/model.h"

namespace hone::surgery {

// The value of the main graph that has the name; raises usage, naming the nearest, if there is none. `what` says what was
// asked for ("output", "tensor to cut at").
ir::Value& find_tensor(const ir::Graph& graph, std::string_view name, std::string_view what);

// Calls f(value) for each value of `graph` that the node uses, itself or in its subgraphs; repeats are possible.
void for_each_source(const ir::Graph& graph, const ir::Node& node, const std::function<void(ir::Value&)>& f);

// A fresh graph input, behind the others, takes the name, declaration, default value and uses of `value`, which stays
// behind under a derived name (an unused output of its node) or goes (an input or initializer).
ir::Value& move_to_input(ir::Graph& graph, ir::Value& value, const ir::Type& type);

// Nodes and initializers of the main graph that nothing uses, functions that nothing calls, annotations of values that are
// not there.
void remove_unused(ir::Model& model);

// "node 'conv1' (Conv)".
std::string describe(const ir::Node& node);

}  // namespace hone::surgery
