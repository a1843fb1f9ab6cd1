// eliminate-concat: a Concat of one value goes, and so does one that puts the pieces of a Split together again.
//
// Left alone: pieces in another order, of another axis, or not all of them; operands of other shapes.
#include "hone/rewrite/match.h"
#include "passes/rules.h"

namespace hone::passes {

Status eliminate_concat(ir::Node& concat, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (concat.input_count() == 1 && concat.input(0)) return rewriter.replace(concat, *concat.input(0));
  const ir::Node* split = rewrite::producer(concat.input(0), "Split");
  if (!split || split->output_count() != concat.input_count() || !concat.output(0)->shape()) {
    return rewriter.decline(concat, "not the pieces of one Split");
  }
  for (std::size_t i = 0; i < concat.input_count(); ++i) {
    if (!concat.input(i) || concat.input(i) != split->output(i)) return rewriter.decline(concat, "not the pieces of one Split");
  }
  const auto rank = static_cast<std::int64_t>(concat.output(0)->shape()->size());
  std::int64_t left = concat.int_or("axis", 0), right = split->int_or("axis", 0);
  left += left < 0 ? rank : 0;
  right += right < 0 ? rank : 0;
  if (left != right) return rewriter.decline(concat, "another axis");
  return rewriter.replace(concat, *split->input(0));
}

}  // namespace hone::passes
