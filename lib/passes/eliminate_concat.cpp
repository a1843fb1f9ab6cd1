// eliminate-concat: a Concat of one value goes, and so does one that puts the pieces of a Split together again; one that only
// Concats along the same axis read goes into these.
//
// Left alone: pieces in another order, of another axis, or not all of them; operands of other shapes; Concats that other
// nodes read too, which would stay.
#include <algorithm>
#include <optional>

#include "hone/rewrite/match.h"
#include "passes/rules.h"

namespace hone::passes {
namespace {

// A chain of Concats is merged one by one: more operands than this would make that cost the square of its length.
constexpr std::size_t kMostOperands = 256;
// Where a Concat goes into several places: Concats of themselves would double their operands at each step.
constexpr std::size_t kMostRepeated = 16;

std::optional<std::int64_t> axis_of(const ir::Node& concat) {
  const ir::Value* value = concat.output(0);
  if (!value->shape() || !concat.has_attribute("axis")) return std::nullopt;
  const std::int64_t axis = concat.int_or("axis", 0);
  return axis < 0 ? axis + static_cast<std::int64_t>(value->shape()->size()) : axis;
}

// The Concat that `value` is, if it may go into all that read it.
const ir::Node* inner_concat(const ir::Value* value) {
  const ir::Node* inner = rewrite::producer(value, "Concat");
  if (!inner || value->is_graph_output()) return nullptr;
  const auto axis = axis_of(*inner);
  const std::size_t most = value->only_use() ? kMostOperands : kMostRepeated;
  const auto takes = [&](const ir::Use& use) {
    return use.node->is("Concat") && &use.node->graph() == &inner->graph() && axis_of(*use.node) == axis &&
           inner->input_count() + use.node->input_count() <= most;
  };
  return axis && std::all_of(value->uses().begin(), value->uses().end(), takes) ? inner : nullptr;
}

}  // namespace

Status eliminate_concat(ir::Node& concat, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (concat.input_count() == 1 && concat.input(0)) return rewriter.replace(concat, *concat.input(0));
  for (std::size_t i = 0; i < concat.input_count(); ++i) {
    const ir::Node* inner = inner_concat(concat.input(i));
    if (!inner) continue;
    std::vector<ir::Value*> operands;
    for (std::size_t k = 0; k < concat.input_count(); ++k) {
      if (k != i) {
        operands.push_back(concat.input(k));
      } else {
        for (std::size_t n = 0; n < inner->input_count(); ++n) operands.push_back(inner->input(n));
      }
    }
    ir::Node& merged = rewriter.add("Concat", operands, rewrite::attributes("axis", *axis_of(concat)), concat, &concat);
    return rewriter.replace(concat, *merged.output(0));
  }
  const ir::Node* split = rewrite::producer(concat.input(0), "Split");
  if (!split || split->output_count() != concat.input_count() || !concat.output(0)->shape()) {
    return rewriter.decline(concat, "not the pieces of one Split");
  }
  for (std::size_t i = 0; i < concat.input_count(); ++i) {
    if (!concat.input(i) || concat.input(i) != split->output(i))
      return rewriter.decline(concat, "not the pieces of one Split");
  }
  const auto rank = static_cast<std::int64_t>(concat.output(0)->shape()->size());
  std::int64_t left = concat.int_or("axis", 0), right = split->int_or("axis", 0);
  left += left < 0 ? rank : 0;
  right += right < 0 ? rank : 0;
  if (left != right) return rewriter.decline(concat, "another axis");
  return rewriter.replace(concat, *split->input(0));
}

}  // namespace hone::passes
