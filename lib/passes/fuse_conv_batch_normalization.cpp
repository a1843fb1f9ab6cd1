// fuse-conv-batch-normalization: Conv or ConvTranspose, then BatchNormalization with constant parameters, becomes one
// convolution with scaled weights and a bias.
//   W'[c] = W[c] * s[c], b'[c] = (b[c] - mean[c]) * s[c] + beta[c], where s[c] = gamma[c] / sqrt(variance[c] + epsilon)
//
// Left alone:
//  1. BatchNormalization in training mode, or with more than one output in use;
//  2. a convolution whose result anybody else sees;
//  3. weights or parameters that are not constant (an initializer that is also a graph input can be overridden).
// A weight that other nodes share stays as it is: the convolution gets a new one.
#include <cmath>

#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/weights.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Bindings {
  ir::Node* conv;
  const ir::Tensor* weight;
  std::size_t channel_axis;
  std::vector<double> scale, shift;
};

Match<Bindings> match(const ir::Node& norm, std::int64_t opset) {
  ir::Node* conv = rewrite::sole_producer(norm.input(0), "Conv");
  const bool transposed = !conv;
  if (!conv) conv = rewrite::sole_producer(norm.input(0), "ConvTranspose");
  if (!conv) return no("input is not made by a convolution of its own");
  if (opset >= 14 ? norm.int_or("training_mode", 0) != 0 : opset < 7 && norm.int_or("is_test", 0) == 0) {
    return no("training mode");
  }
  if (norm.int_or("spatial", 1) == 0) return no("not per channel");
  for (std::size_t i = 1; i < norm.output_count(); ++i) {
    if (norm.output(i) && norm.output(i)->has_uses()) return no("statistics are in use");
  }
  const ir::Tensor* weight = ir::constant(conv->input(1));
  const ir::Tensor* bias = ir::constant(conv->input(2));
  if (!weight || (conv->input(2) && !bias)) return no("convolution's weights are not constant");
  if (!is_scalable(weight->type()) || weight->rank() < 2) return no("weight type");
  // ConvTranspose weights are [C, M/group, ...]: with groups the channels of one group are no axis of the weight.
  if (transposed && conv->int_or("group", 1) != 1) return no("ConvTranspose with groups");

  std::vector<double> parameters[4];
  for (std::size_t i = 0; i < 4; ++i) {
    const ir::Tensor* tensor = ir::constant(norm.input(i + 1));
    if (!tensor || !is_scalable(tensor->type())) return no("parameters are not constant");
    parameters[i] = tensor->to_doubles();
  }
  const auto& [gamma, beta, mean, variance] = parameters;
  const std::size_t axis = transposed ? 1 : 0;
  const auto channels = static_cast<std::size_t>(weight->dims()[axis]);
  for (const auto& each : parameters) {
    if (each.size() != channels) return no("parameters don't fit the channels");
  }
  std::vector<double> old_bias = bias ? bias->to_doubles() : std::vector<double>(channels, 0.0);
  if (old_bias.size() != channels) return no("bias doesn't fit the channels");

  Bindings found{conv, weight, axis, std::vector<double>(channels), std::vector<double>(channels)};
  const double epsilon = static_cast<double>(norm.float_or("epsilon", 1e-5f));
  for (std::size_t c = 0; c < channels; ++c) {
    found.scale[c] = gamma[c] / std::sqrt(variance[c] + epsilon);
    found.shift[c] = (old_bias[c] - mean[c]) * found.scale[c] + beta[c];
    if (!std::isfinite(found.scale[c]) || !is_moderate(weight->type(), found.shift[c]))
      return no("parameters are not finite, or huge");
  }
  if (!is_moderate(*weight, found.scale)) return no("weights would be huge");
  return found;
}

}  // namespace

Status fuse_conv_batch_normalization(ir::Node& norm, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const auto found = match(norm, rewriter.opset(norm));
  if (!found) return rewriter.decline(norm, found.reason());
  ir::Node& conv = *found->conv;
  const auto channels = static_cast<std::int64_t>(found->scale.size());
  ir::Value& weight =
      rewriter.constant(conv, scale_along(*found->weight, found->channel_axis, found->scale), conv.input(1)->name());
  ir::Value& bias = rewriter.constant(conv, from_doubles(found->weight->type(), {channels}, found->shift),
                                      conv.input(2) ? conv.input(2)->name() : norm.input(2)->name());
  rewriter.set_input(conv, 1, &weight);
  rewriter.set_input(conv, 2, &bias);
  return rewriter.replace(norm, *conv.output(0));
}

}  // namespace hone::passes
