// eliminate-reshape: Reshape, Flatten, Squeeze and Unsqueeze that change nothing go; of two in a row the first goes; a
// target that shape arithmetic computes becomes a constant with one -1 at most.
//
// The target of a Reshape is rewritten to a constant when every dimension of its result is a number, or all but one are
// (that one becomes -1), or an unknown one is a copy of the input's dimension at the same place (0).
//
// Left alone:
//  1. a second Reshape whose target copies dimensions (0) of what the first one made, unless its result is known;
//  2. results with more than one dimension that is neither a number nor a copy;
//  3. allowzero with a 0 in the result; tensors that may be empty where -1 would be ambiguous;
//  4. a Squeeze without axes of dimensions that may be 1, and what depends on the rank it gives.
#include <algorithm>

#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {

namespace {

// Whether the result's shape does not depend on the input's rank.
bool says_all(const ir::Node& node) {
  const auto target = node.is("Reshape") ? ir::constant_ints(node.input(1)) : std::nullopt;
  return target && std::find(target->begin(), target->end(), 0) == target->end();
}

}  // namespace

Status eliminate_reshape(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  ir::Value* input = node.input(0);
  const ir::Value* output = node.output(0);
  if (!input || !output) return rewriter.decline(node, "has no input or output");
  if (removes_any_ones(node)) return rewriter.decline(node, "removes dimensions that may be 1");
  if (input->shape() && output->shape() && provably_same_shape(*input->shape(), *output->shape())) {
    return rewriter.replace(node, *input);
  }
  if (node.is("Reshape") && rewriter.opset(node) >= 5 && output->shape() && input->shape() &&
      !ir::constant(node.input(1))) {
    if (auto dims = reshape_target(*input->shape(), *output->shape())) {
      rewriter.together([&] {
        if (node.has_attribute("allowzero")) rewriter.remove_attribute(node, "allowzero");
        rewriter.set_input(node, 1, &rewriter.constant_ints(node, *dims, node.input(1)->name()));
      });
      return Status::changed;
    }
  }
  const ir::Node* before = input->producer();
  if (!before || !regroups(*before) || !before->input(0)) return rewriter.decline(node, "changes the shape");
  if (removes_any_ones(*before) && !says_all(node)) return rewriter.decline(node, "of a shape that may have any rank");
  ir::Value& source = *before->input(0);
  if (source.shape() && output->shape() && provably_same_shape(*source.shape(), *output->shape())) {
    return rewriter.replace(node, source);
  }
  if (rewriter.opset(node) < 5) return rewriter.decline(node, "Reshape of this opset has its target as attribute");
  if (!source.shape() || !output->shape()) return rewriter.decline(node, "shapes are not known");
  if (const auto dims = reshape_target(*source.shape(), *output->shape())) {
    // Before the edit, so that the new node sees the types of the old one.
    ir::Node& reshape = rewriter.add(
        "Reshape", {&source, &rewriter.constant_ints(node, *dims, output->name() + "_shape")}, {}, node, &node);
    return rewriter.replace(node, *reshape.output(0));
  }
  return rewriter.decline(node, "target is not expressible as a constant");
}

}  // namespace hone::passes
