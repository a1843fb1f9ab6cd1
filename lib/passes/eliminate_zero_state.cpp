// eliminate-zero-state: LSTM, GRU and RNN start from zeros when no initial state is given; one that is provably zero goes,
// with the shape arithmetic that made it.
//
// Left alone: states that are not zero everywhere; custom domains.
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {

Status eliminate_zero_state(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  Status status = Status::unchanged;
  for (std::size_t i = 5; i < (node.is("LSTM") ? 7u : 6u); ++i) {
    if (!node.input(i) || !is_splat(node.input(i), 0)) continue;
    rewriter.set_input(node, i, nullptr);
    status = Status::changed;
  }
  if (status == Status::unchanged) return rewriter.decline(node, "no initial state that is zero");
  node.trim_inputs();
  return status;
}

}  // namespace hone::passes
