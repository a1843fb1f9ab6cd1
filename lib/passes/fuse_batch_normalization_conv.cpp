// fuse-batch-normalization-conv: BatchNormalization in inference mode before a Conv moves into the Conv's weights and bias.
//
// Left alone:
//  1. a Conv that pads: its zeros would have to be the value that normalizes to zero;
//  2. training mode; a normalized value that anybody else sees; parameters or weights that are not constant, not finite, huge;
//  3. groups other than 1; weights of more than 64 MB, which are read here to sum them.
#include <algorithm>
#include <cmath>

#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/weights.h"

namespace hone::passes {

Status fuse_batch_normalization_conv(ir::Node& conv, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  ir::Node* norm = rewrite::sole_producer(conv.input(0), "BatchNormalization");
  if (!norm) return rewriter.decline(conv, "no BatchNormalization of its own before it");
  if (norm->int_or("training_mode", 0) != 0 || rewriter.opset(conv) < 7) return rewriter.decline(conv, "training mode");
  for (std::size_t i = 1; i < norm->output_count(); ++i) {
    if (norm->output(i) && norm->output(i)->has_uses()) return rewriter.decline(conv, "training mode");
  }
  const auto pads = conv.ints_or("pads", {});
  const std::string auto_pad = conv.string_or("auto_pad", "NOTSET");
  if ((auto_pad != "NOTSET" && auto_pad != "VALID") ||
      std::any_of(pads.begin(), pads.end(), [](std::int64_t pad) { return pad != 0; })) {
    return rewriter.decline(conv, "the convolution pads");
  }
  if (conv.int_or("group", 1) != 1) return rewriter.decline(conv, "groups");
  const ir::Tensor* weight = ir::constant(conv.input(1));
  const ir::Tensor* bias = ir::constant(conv.input(2));
  if (!weight || weight->rank() < 3 || !is_scalable(weight->type()) || (conv.input(2) && !bias)) {
    return rewriter.decline(conv, "weights are not constant");
  }
  if (weight->byte_size() > (64u << 20)) return rewriter.decline(conv, "weights are large");
  const auto outputs = static_cast<std::size_t>(weight->dims()[0]),
             channels = static_cast<std::size_t>(weight->dims()[1]);
  std::vector<std::vector<double>> parameters;
  for (std::size_t i = 1; i < 5; ++i) {
    const ir::Tensor* tensor = ir::constant(norm->input(i));
    if (!tensor || tensor->element_count() != weight->dims()[1] || !is_scalable(tensor->type())) {
      return rewriter.decline(conv, "parameters are not constant");
    }
    parameters.push_back(tensor->to_doubles());
  }
  std::vector<double> scale(channels), shift(channels);
  const double epsilon = static_cast<double>(norm->float_or("epsilon", 1e-5f));
  for (std::size_t c = 0; c < channels; ++c) {
    scale[c] = parameters[0][c] / std::sqrt(parameters[3][c] + epsilon);
    shift[c] = parameters[1][c] - parameters[2][c] * scale[c];
    if (!std::isfinite(scale[c]) || !is_moderate(weight->type(), shift[c]))
      return rewriter.decline(conv, "parameters are not finite, or huge");
  }
  if (!is_moderate(*weight, scale)) return rewriter.decline(conv, "weights would be huge");
  std::vector<double> moved = bias ? bias->to_doubles() : std::vector<double>(outputs, 0.0);
  const std::vector<double> values = weight->to_doubles();
  if (moved.size() != outputs || values.empty()) return rewriter.decline(conv, "bias doesn't fit the channels");
  const std::size_t taps = values.size() / outputs / channels;
  for (std::size_t i = 0; i < values.size(); ++i) moved[i / taps / channels] += values[i] * shift[i / taps % channels];
  ir::Value& new_weight = rewriter.constant(conv, scale_along(*weight, 1, scale), conv.input(1)->name());
  ir::Value& new_bias = rewriter.constant(conv, from_doubles(weight->type(), {weight->dims()[0]}, moved),
                                          conv.input(2) ? conv.input(2)->name() : norm->input(2)->name());
  rewriter.set_input(conv, 1, &new_weight);
  rewriter.set_input(conv, 2, &new_bias);
  rewriter.set_input(conv, 0, norm->input(0));
  return Status::changed;
}

}  // namespace hone::passes
