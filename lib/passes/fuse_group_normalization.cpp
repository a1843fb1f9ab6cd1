// fuse-group-normalization: Reshape to [batch, groups, -1], InstanceNormalization with scale 1 and bias 0, Reshape back, times
// and plus one number for each channel, becomes GroupNormalization (opset 21). So PyTorch exports torch.nn.GroupNorm.
//
// Runs only when it is named: ONNX Runtime's CPU provider has no kernel for the operator, and took 1.6 to 1.8 times as long
// for it as for the nodes it stands for.
//
// Left alone: another scale or bias inside; factors that are not one for each channel; types other than float32, which the
// operator computes in float32 and InstanceNormalization does not.
#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Bindings {
  ir::Value *x, *scale, *bias;
  std::int64_t groups, channels;
  float epsilon;
  ir::Node* last;
};

// A constant of shape [channels, 1, 1] or [1, channels, 1, 1] for a value of rank 4, and so for other ranks.
bool is_by_channel(const ir::Value* value, std::int64_t channels, std::size_t rank) {
  const ir::Tensor* tensor = ir::constant(value);
  if (!tensor || tensor->element_count() != channels || tensor->rank() > rank || tensor->rank() + 1 < rank)
    return false;
  return tensor->dims()[tensor->rank() - (rank - 1)] == channels;
}

Match<Bindings> match(const ir::Node& normal) {
  const ir::Node* apart = rewrite::sole_producer(normal.input(0), "Reshape");
  ir::Node* back = rewrite::sole_user(normal.output(0), "Reshape");
  if (!apart || !back || back->input(0) != normal.output(0)) return no("no groups");
  ir::Value* x = apart->input(0);
  if (normal.output(0)->element_type() != ir::ElementType::float32) return no("element type");
  if (!same_shape(x, back->output(0)) || x->shape()->size() < 3) return no("the shape does not come back");
  const auto& in = normal.input(0)->shape();
  const auto channels = (*x->shape())[1].number();
  if (!in || in->size() != 3 || !provably_equal((*in)[0], (*x->shape())[0])) return no("no groups");
  const auto groups = (*in)[1].number();
  if (!groups || !channels || *groups < 1 || *channels % *groups != 0) return no("no groups");
  if (!is_splat(normal.input(1), 1) || !is_splat(normal.input(2), 0)) return no("a scale or bias of groups");
  ir::Node* mul = rewrite::sole_user(back->output(0), "Mul");
  if (!mul) return no("no factor for each channel");
  ir::Node* add = rewrite::sole_user(mul->output(0), "Add");
  if (!add || &add->graph() != &normal.graph() || &mul->graph() != &add->graph()) return no("no number added for each");
  ir::Value *scale = rewrite::other_input(*mul, back->output(0)), *bias = rewrite::other_input(*add, mul->output(0));
  const std::size_t rank = x->shape()->size();
  if (!is_by_channel(scale, *channels, rank) || !is_by_channel(bias, *channels, rank)) {
    return no("factors that are not one for each channel");
  }
  return Bindings{x, scale, bias, *groups, *channels, normal.float_or("epsilon", 1e-5f), add};
}

}  // namespace

Status fuse_group_normalization(ir::Node& normal, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (rewriter.opset(normal) < 21) return rewriter.decline(normal, "opset before 21");
  const auto found = match(normal);
  if (!found) return rewriter.decline(normal, found.reason());
  ir::Node& last = *found->last;
  const auto flat = [&](ir::Value* value) {
    return &rewriter.constant(last, ir::constant(value)->reshaped({found->channels}), value->name());
  };
  ir::Node& fused =
      rewriter.add("GroupNormalization", {found->x, flat(found->scale), flat(found->bias)},
                   rewrite::attributes("epsilon", found->epsilon, "num_groups", found->groups), last, &normal);
  return rewriter.replace(last, *fused.output(0));
}

}  // namespace hone::passes
