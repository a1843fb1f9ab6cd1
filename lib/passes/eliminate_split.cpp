// eliminate-split: a Split into one piece is its input.
//
// Left alone: one whose length is not known to be the input's, which fails where it is not, but for one of length 1 that only
// Squeezes of the axis read, which fail as well; lengths that are not constant.
#include <algorithm>

#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

// An axis counted from the front; nullopt where that takes a rank that is not known.
std::optional<std::int64_t> from_front(std::int64_t axis, const ir::Value& value) {
  if (axis >= 0) return axis;
  return value.shape() ? std::optional(axis + static_cast<std::int64_t>(value.shape()->size())) : std::nullopt;
}

bool squeezes(const ir::Node& node, std::int64_t axis) {
  const auto axes = node.is("Squeeze") ? ints_of(node, "axes", 1) : std::nullopt;
  return axes && std::any_of(axes->begin(), axes->end(),
                             [&](std::int64_t each) { return from_front(each, *node.input(0)) == axis; });
}

}  // namespace

Status eliminate_split(ir::Node& split, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  ir::Value *input = split.input(0), *piece = split.output(0);
  if (split.output_count() != 1 || !input || !piece) return rewriter.decline(split, "more than one piece");
  if (!split.has_attribute("split") && !split.input(1)) return rewriter.replace(split, *input);
  const auto lengths = ints_of(split, "split", 1);
  const auto axis = from_front(split.int_or("axis", 0), *input);
  if (!lengths || lengths->size() != 1 || !axis) return rewriter.decline(split, "length or axis is not known");
  const auto& shape = input->shape();
  const bool known = shape && *axis >= 0 && *axis < static_cast<std::int64_t>(shape->size());
  if (known && (*shape)[static_cast<std::size_t>(*axis)].number() == lengths->front())
    return rewriter.replace(split, *input);
  const auto uses = piece->uses();
  if (lengths->front() != 1 || piece->is_graph_output() || uses.empty() ||
      !std::all_of(uses.begin(), uses.end(), [&](const ir::Use& use) { return squeezes(*use.node, *axis); })) {
    return rewriter.decline(split, "may be shorter than the input");
  }
  return rewriter.replace(split, *input);
}

}  // namespace hone::passes
