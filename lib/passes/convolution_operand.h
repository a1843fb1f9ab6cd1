// What the passes share that move an Add, Sub, Mul or Div behind a convolution into it.
#pragma once

#include "hone/ir/graph.h"
#include "hone/rewrite/match.h"

namespace hone::passes {

struct ConvolutionOperand {
  ir::Node* conv;
  const ir::Tensor* weight;    // of a type that scale_along takes, at least two dimensions
  const ir::Tensor* bias;      // nullptr where there is none
  const ir::Tensor* constant;  // the other operand
};

// The Conv or ConvTranspose with constant weights that makes one operand of `node` and feeds nothing else, where the other
// operand is constant. Of Sub and Div only the first operand counts.
rewrite::Match<ConvolutionOperand> convolution_operand(const ir::Node& node);

}  // namespace hone::passes
