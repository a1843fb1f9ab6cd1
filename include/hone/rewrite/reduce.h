// Makes a failing model small: delta debugging over a model, for bug reports and tests.
//
// Tried, over and over until nothing more can go: fewer outputs, an output earlier in the graph, nodes passed by (an
// output becomes one of the node's inputs), a node's output as a graph input or as zeros, an If as one of its branches,
// attributes and optional inputs left out, smaller dimensions (everywhere at once), weights of all ones, names, metadata,
// functions and opsets that nothing needs.
//
// Not tried: other operators, new orders, edits inside of function bodies beyond removing what they have no use for.
#pragma once

#include <cstdint>
#include <functional>

#include "hone/ir/model.h"
#include "hone/support/observer.h"

namespace hone::rewrite {

struct ReduceOptions {
  std::uint64_t max_trials = 5000;  // calls of `fails`
  Observer* observer = nullptr;     // progress; null: none
};

struct ReduceResult {
  ir::Model model;
  std::uint64_t trials = 0;
  bool complete = true;  // false: max_trials came first
};

// `fails` says of a model whether it still shows the fault; it is given models that may be invalid in any way, which
// must not count as showing it. Raises usage if it does not hold for `model` itself.
ReduceResult reduce(const ir::Model& model, const std::function<bool(const ir::Model&)>& fails,
                    const ReduceOptions& options = {});

}  // namespace hone::rewrite
