// eliminate-concat: a Concat of one value goes, and so does one that puts the pieces of a Split together again; one that only
// another Concat along the same axis reads goes into that.
//
// Left alone: pieces in another order, of another axis, or not all of them; operands of other shapes; Concats that others
// read too, which would copy their operands twice.
#include <optional>

#include "hone/rewrite/match.h"
#include "passes/rules.h"

namespace hone::passes {
namespace {

// A chain of Concats is merged one by one: more operands than this would make that cost the square of its length.
constexpr std::size_t kMostOperands = 256;

std::optional<std::int64_t> axis_of(const ir::Node& concat) {
  const ir::Value* value = concat.output(0);
  if (!value->shape() || !concat.has_attribute("axis")) return std::nullopt;
  const std::int64_t axis = concat.int_or("axis", 0);
  return axis < 0 ? axis + static_cast<std::int64_t>(value->shape()->size()) : axis;
}

// Whether `value` is a Concat that may go into `outer`.
ir::Node* inner_concat(const ir::Node& outer, const ir::Value* value) {
  ir::Node* inner = rewrite::sole_producer(value, "Concat");
  if (!inner || &inner->graph() != &outer.graph() || inner->input_count() + outer.input_count() > kMostOperands)
    return nullptr;
  const auto axis = axis_of(outer);
  return axis && axis_of(*inner) == axis ? inner : nullptr;
}

}  // namespace

Status eliminate_concat(ir::Node& concat, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (concat.input_count() == 1 && concat.input(0)) return rewriter.replace(concat, *concat.input(0));
  for (std::size_t i = 0; i < concat.input_count(); ++i) {
    const ir::Node* inner = inner_concat(concat, concat.input(i));
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
