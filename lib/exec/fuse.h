// Fusing at plan time, on the engine's own copy of a graph: elementwise tails of Conv, Gemm and MatMul run inside of them.
//
// A fused node is of the domain "hone.fused" and keeps the inputs of the node it comes from. What follows it is in
// attributes that read_tail() gives back:
//   channel scale and shift    BatchNormalization, and Mul, Div, Add, Sub by constants with one value a channel
//   steps                      activations, and adding another value of the same shape, in order
//   fallback                   the nodes as they were, as a subgraph: for shapes that can't be fused (the value to be added
//                              broadcasts, say), which are known only at run time
//
// Left alone: values that somebody else reads, that are outputs, or that an observer or extra output asks for.
#pragma once

#include <string>
#include <vector>

#include "exec/private_graph.h"

namespace hone::exec {

inline constexpr std::string_view fused_domain = "hone.fused";

struct FusedStep {
  enum class Kind {
    relu,
    leaky_relu,
    clip,
    linear,
    sigmoid,
    tanh,
    hard_sigmoid,
    hard_swish,
    swish,
    elu,
    gelu_erf,
    gelu_tanh,
    add
  };
  Kind kind = Kind::relu;
  float alpha = 0, beta = 0;  // slope; lower and upper; factor and summand ...
  std::size_t input = 0;      // add: which input of the node
};

struct FusedTail {
  std::vector<float> scale, shift;  // empty: none
  std::vector<FusedStep> steps;
};

// Empty for a node that is not fused.
FusedTail read_tail(const ir::Node& node);

// The number of a float constant of one element.
std::optional<float> constant_float(const ir::Value* value);

// Names in `keep` stay values of their own.
void fuse(PrivateGraph& graph, const std::vector<std::string>& keep);

}  // namespace hone::exec
