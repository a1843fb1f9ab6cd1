// fuse-reshape-transpose: a Reshape that only merges neighbouring dimensions, a Transpose, and a Reshape back are one
// Transpose of the dimensions there were before:
//   [b,12,s,64] -> [12*b,s,64] -> [12*b,64,s] -> [b,12,64,s]  is  Transpose<perm = [0,1,3,2]>
// Where the last Reshape does more, the first goes still: Reshape(Transpose(x)).
//
// Left alone: a first Reshape that splits or regroups dimensions; one that anybody else sees; shapes that are not known.
#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

// For each dimension of `merged` the neighbouring ones of `from` whose product it is.
std::optional<std::vector<std::vector<std::int64_t>>> groups(const ir::Shape& from, const ir::Shape& merged) {
  std::vector<std::vector<std::int64_t>> result;
  std::size_t next = 0;
  for (const ir::Dimension& dim : merged) {
    ir::Dimension product = 1;
    std::vector<std::int64_t> group;
    while (next < from.size() && (group.empty() || !provably_equal(product, dim))) {
      product = product * from[next];
      group.push_back(static_cast<std::int64_t>(next++));
    }
    if (group.empty() || !provably_equal(product, dim)) return std::nullopt;
    result.push_back(std::move(group));
  }
  return next == from.size() ? std::optional(std::move(result)) : std::nullopt;
}

struct Bindings {
  ir::Value* source;
  Permutation perm;
  ir::Shape moved;
};

Match<Bindings> match(const ir::Node& last) {
  const ir::Node* transpose = rewrite::sole_producer(last.input(0), "Transpose");
  if (!transpose) return no("no Transpose of its own before it");
  const ir::Node* first = rewrite::sole_producer(transpose->input(0), "Reshape");
  if (!first) return no("no Reshape of its own before the Transpose");
  ir::Value* source = first->input(0);
  const auto perm = permutation(*transpose);
  if (!perm || !source->shape() || !first->output(0)->shape() || !last.output(0)->shape()) {
    return no("shapes are not known");
  }
  const auto merged = groups(*source->shape(), *first->output(0)->shape());
  if (!merged || merged->size() != perm->size()) return no("the first Reshape does more than merge");
  Bindings found{source, {}, {}};
  for (const std::int64_t axis : *perm) {
    for (const std::int64_t each : (*merged)[static_cast<std::size_t>(axis)]) {
      found.perm.push_back(each);
      found.moved.push_back((*source->shape())[static_cast<std::size_t>(each)]);
    }
  }
  return found;
}

}  // namespace

Status fuse_reshape_transpose(ir::Node& last, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (rewriter.opset(last) < 5) return rewriter.decline(last, "Reshape of this opset has its target as attribute");
  const auto found = match(last);
  if (!found) return rewriter.decline(last, found.reason());
  const ir::Shape& result = *last.output(0)->shape();
  const bool back = provably_same_shape(found->moved, result);
  const auto target = reshape_target(found->moved, result);
  if (!back && !target) return rewriter.decline(last, "target is not expressible as a constant");
  const ir::Node& transpose = *last.input(0)->producer();
  ir::Node& moved =
      rewriter.add("Transpose", {found->source}, rewrite::attributes("perm", found->perm), last, &transpose);
  if (back) return rewriter.replace(last, *moved.output(0));
  ir::Value& dims = rewriter.constant_ints(last, *target, last.output(0)->name() + "_shape");
  ir::Node& reshape = rewriter.add("Reshape", {moved.output(0), &dims}, {}, last, &last);
  return rewriter.replace(last, *reshape.output(0));
}

}  // namespace hone::passes
