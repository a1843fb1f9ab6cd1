// Fusing at plan time: elementwise float operators that feed each other become one node, which passes over memory once.
//
// The fused node is "Elementwise" of the domain "hone.fused". Its attributes hold the program that read_program() gives
// back, and `fallback`, the nodes as they were, as fuse() has it (exec/fuse.h). One operator alone becomes such a node, too: it
// runs on vectors in any layout, and plans nothing for a shape.
//
// Left alone: values that somebody else reads, that are outputs, or that an observer or extra output asks for; other element
// types, and values whose type is not known before the run; Pow but by the constants 2 and 3.
#pragma once

#include <string>
#include <vector>

#include "exec/private_graph.h"

namespace hone::exec {

struct Instruction {
  enum class Kind {
    add,
    subtract,
    multiply,
    divide,
    minimum,
    maximum,
    negate,
    magnitude,
    square,
    cube,
    square_root,
    reciprocal,
    exponential,
    logarithm,
    error_function,
    sigmoid,
    hyperbolic_tangent,
    relu,
    leaky_relu,
    clip,
    hard_sigmoid,
    hard_swish,
    swish,
    gelu_erf,
    gelu_tanh
  };
  Kind kind = Kind::add;
  // Operands: an input of the node from 0 on, or an earlier instruction as -1 - index. Functions of one have them equal.
  std::int64_t a = 0, b = 0;
  float alpha = 0, beta = 0;  // slope; lower and upper; factor and summand
};

// The last instruction gives the node's output. Empty for another node.
std::vector<Instruction> read_program(const ir::Node& node);

// Names in `keep` stay values of their own.
void fuse_elementwise(PrivateGraph& graph, const std::vector<std::string>& keep);

}  // namespace hone::exec
