// fuse-transpose-reshape: a Transpose that moves only dimensions of 1 is a Reshape, and goes into the Reshape, Flatten,
// Squeeze or Unsqueeze before or behind it.
//   [b,768,1,1] -> Transpose -> [b,1,1,768] -> Reshape -> [b,768]  is one Reshape
// It comes late: attention over one row is recognized by the Transposes of its heads.
//
// Left alone: what anybody else sees between the two; such a Transpose alone; shapes that are not known.
#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

bool moves_only_ones(const ir::Node& node) {
  const auto perm = node.is("Transpose") ? permutation(node) : std::nullopt;
  const auto& shape = node.input(0)->shape();
  if (!perm || !shape || shape->size() != perm->size()) return false;
  std::int64_t last = -1;
  for (const std::int64_t axis : *perm) {
    if ((*shape)[static_cast<std::size_t>(axis)].number() == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

}  // namespace

Status fuse_transpose_reshape(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (rewriter.opset(node) < 5) return rewriter.decline(node, "Reshape of this opset has its target as attribute");
  const ir::Use* use = node.input(0) ? node.input(0)->only_use() : nullptr;
  const ir::Node* before = use ? node.input(0)->producer() : nullptr;
  if (!before || !before->input(0)) return rewriter.decline(node, "nothing of its own before it");
  const bool fits = node.is("Transpose") ? regroups(*before) && moves_only_ones(node) : moves_only_ones(*before);
  if (removes_any_ones(node) || removes_any_ones(*before))
    return rewriter.decline(node, "removes dimensions that may be 1");
  if (!fits) return rewriter.decline(node, "no Transpose that moves only dimensions of 1");
  ir::Value& source = *before->input(0);
  const ir::Value* output = node.output(0);
  if (!source.shape() || !output->shape()) return rewriter.decline(node, "shapes are not known");
  if (provably_same_shape(*source.shape(), *output->shape())) return rewriter.replace(node, source);
  const auto dims = reshape_target(*source.shape(), *output->shape());
  if (!dims) return rewriter.decline(node, "target is not expressible as a constant");
  ir::Value& target = rewriter.constant_ints(node, *dims, output->name() + "_shape");
  ir::Node& reshape = rewriter.add("Reshape", {&source, &target}, {}, node, &node);
  return rewriter.replace(node, *reshape.output(0));
}

}  // namespace hone::passes
