// fuse-conv-add: Conv or ConvTranspose, then Add or Sub of a constant that is one number per channel: it moves into the
// bias.
//
// Left alone:
//  1. a constant of any other shape ([1,C,H,W], or [W], which lies along the last axis);
//  2. a convolution whose result anybody else sees; weights or constant that are not constant;
//  3. constant - convolution.
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
  std::vector<double> bias;
  ir::ElementType type;
};

Match<Bindings> match(const ir::Node& add) {
  const auto operand = convolution_operand(add);
  if (!operand) return no(operand.reason());
  const auto [conv, weight, bias, constant] = *operand;
  const std::int64_t channels = conv->is("Conv") ? weight->dims()[0] : weight->dims()[1] * conv->int_or("group", 1);
  const auto values = per_channel(*constant, weight->rank(), 1, channels);
  if (!values) return no("constant is not per channel");
  Bindings found{conv, bias ? bias->to_doubles() : std::vector<double>(values->size(), 0.0), weight->type()};
  if (found.bias.size() != values->size()) return no("bias doesn't fit the channels");
  for (std::size_t c = 0; c < values->size(); ++c) found.bias[c] += add.is("Sub") ? -(*values)[c] : (*values)[c];
  return found;
}

}  // namespace

Status fuse_conv_add(ir::Node& add, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const auto found = match(add);
  if (!found) return rewriter.decline(add, found.reason());
  ir::Node& conv = *found->conv;
  const std::string name = conv.input(2) ? conv.input(2)->name() : conv.input(1)->name() + "_bias";
  const auto channels = static_cast<std::int64_t>(found->bias.size());
  rewriter.set_input(conv, 2, &rewriter.constant(conv, from_doubles(found->type, {channels}, found->bias), name));
  return rewriter.replace(add, *conv.output(0));
}

}  // namespace hone::passes
