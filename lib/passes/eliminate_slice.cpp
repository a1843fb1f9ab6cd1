// eliminate-slice: a Slice that takes everything goes; two in a row on different axes become one.
//
// Left alone: steps other than 1 where everything is taken (-1 reverses); two Slices of one axis; bounds that are not
// constant; Slice before opset 10, which has its bounds as attributes; a first Slice that anybody else sees.
#include <numeric>

#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

struct Bounds {
  std::vector<std::int64_t> starts, ends, axes, steps;
};

std::optional<Bounds> bounds(const ir::Node& slice) {
  const auto starts = ir::constant_ints(slice.input(1)), ends = ir::constant_ints(slice.input(2));
  if (!starts || !ends || starts->size() != ends->size() || !slice.input(0)->shape()) return std::nullopt;
  Bounds found{*starts, *ends, std::vector<std::int64_t>(starts->size()), std::vector<std::int64_t>(starts->size(), 1)};
  std::iota(found.axes.begin(), found.axes.end(), 0);
  if (slice.input(3)) {
    const auto axes = ir::constant_ints(slice.input(3));
    if (!axes || axes->size() != starts->size()) return std::nullopt;
    found.axes = *axes;
  }
  if (slice.input(4)) {
    const auto steps = ir::constant_ints(slice.input(4));
    if (!steps || steps->size() != starts->size()) return std::nullopt;
    found.steps = *steps;
  }
  for (std::int64_t& axis : found.axes) {
    if (axis < 0) axis += static_cast<std::int64_t>(slice.input(0)->shape()->size());
  }
  return found;
}

}  // namespace

Status eliminate_slice(ir::Node& slice, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (rewriter.opset(slice) < 10) return rewriter.decline(slice, "bounds are attributes");
  if (!slice.input(0)) return rewriter.decline(slice, "has no input");
  const auto second = bounds(slice);
  if (!second) return rewriter.decline(slice, "bounds are not constant");
  bool steps_are_one = true, takes_all = true;
  for (std::size_t i = 0; i < second->axes.size(); ++i) {
    steps_are_one &= second->steps[i] == 1;
    takes_all &= second->starts[i] == 0 && second->ends[i] >= INT32_MAX;
  }
  if (steps_are_one && (takes_all || same_shape(slice.input(0), slice.output(0)))) {
    return rewriter.replace(slice, *slice.input(0));
  }
  const ir::Node* before = rewrite::sole_producer(slice.input(0), "Slice");
  if (!before || &before->graph() != &slice.graph()) return rewriter.decline(slice, "no Slice of its own before it");
  const auto first = bounds(*before);
  if (!first) return rewriter.decline(slice, "bounds are not constant");
  Bounds both = *first;
  for (std::size_t i = 0; i < second->axes.size(); ++i) {
    for (const std::int64_t axis : first->axes) {
      if (axis == second->axes[i]) return rewriter.decline(slice, "both cut one axis");
    }
    both.starts.push_back(second->starts[i]);
    both.ends.push_back(second->ends[i]);
    both.axes.push_back(second->axes[i]);
    both.steps.push_back(second->steps[i]);
  }
  const std::string name = slice.output(0)->name();
  ir::Node& merged = rewriter.add("Slice",
                                  {before->input(0), &rewriter.constant_ints(slice, both.starts, name + "_starts"),
                                   &rewriter.constant_ints(slice, both.ends, name + "_ends"),
                                   &rewriter.constant_ints(slice, both.axes, name + "_axes"),
                                   &rewriter.constant_ints(slice, both.steps, name + "_steps")},
                                  {}, slice, &slice);
  return rewriter.replace(slice, *merged.output(0));
}

}  // namespace hone::passes
