// What the subgraphs of a node use.
#pragma once

#include "hone/ir/graph.h"

namespace hone::exec {

// Calls f for each value that a node in a subgraph of `node` uses, or a subgraph gives, at any depth: values of the graphs
// around it, and the subgraphs' own.
template <typename F>
void for_each_inner_use(const ir::Node& node, const F& f) {
  node.for_each_subgraph([&](const ir::Graph& graph) {
    for (const ir::Node& inner : graph.nodes()) {
      for (std::size_t i = 0; i < inner.input_count(); ++i) {
        if (inner.input(i)) f(*inner.input(i));
      }
      for_each_inner_use(inner, f);
    }
    for (const ir::Value* output : graph.outputs()) f(*output);
  });
}

}  // namespace hone::exec
