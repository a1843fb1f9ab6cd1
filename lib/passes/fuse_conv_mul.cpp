// fuse-conv-mul: Conv, then Mul or Div by a constant that is one finite number per channel: it moves into weights and
// bias.
//
// Left alone:
//  1. a factor of any other shape, also one that would broadcast the batch;
//  2. a convolution whose result anybody else sees; weights or factor that are not constant;
//  3. constant / convolution; a divisor of 0; ConvTranspose with groups, whose channels are no axis of its weight.
#include <cmath>

#include "hone/rewrite/match.h"
#include "passes/convolution_operand.h"
#include "passes/rules.h"
#include "passes/weights.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Bindings {
  ir::Node* conv;
  const ir::Tensor* weight;
  const ir::Tensor* bias;
  std::size_t axis;
  std::vector<double> factors;
};

Match<Bindings> match(const ir::Node& mul) {
  const auto operand = convolution_operand(mul);
  if (!operand) return no(operand.reason());
  const auto [conv, weight, bias, constant] = *operand;
  if (conv->is("ConvTranspose") && conv->int_or("group", 1) != 1) return no("ConvTranspose with groups");
  const std::size_t axis = conv->is("Conv") ? 0 : 1;
  const std::int64_t channels = weight->dims()[axis];
  if (bias && bias->element_count() != channels) return no("bias doesn't fit the channels");
  auto factors = per_channel(*constant, weight->rank(), 1, channels);
  if (!factors) return no("constant is not per channel");
  for (double& factor : *factors) {
    if (mul.is("Div")) factor = 1.0 / factor;
    if (!std::isfinite(factor)) return no("factor is not finite");
  }
  if (!is_moderate(*weight, *factors) || (bias && !is_moderate(*bias, *factors))) return no("weights would be huge");
  return Bindings{conv, weight, bias, axis, std::move(*factors)};
}

}  // namespace

Status fuse_conv_mul(ir::Node& mul, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const auto found = match(mul);
  if (!found) return rewriter.decline(mul, found.reason());
  ir::Node& conv = *found->conv;
  ir::Value& weight =
      rewriter.constant(conv, scale_along(*found->weight, found->axis, found->factors), conv.input(1)->name());
  if (found->bias) {
    ir::Value& bias = rewriter.constant(conv, scale_along(*found->bias, 0, found->factors), conv.input(2)->name());
    rewriter.set_input(conv, 2, &bias);
  }
  rewriter.set_input(conv, 1, &weight);
  return rewriter.replace(mul, *conv.output(0));
}

}  // namespace hone::passes
