// inline-loop: a Loop that runs exactly once becomes the nodes of its body.
//
// Left alone: a trip count other than the constant 1; a condition that is not constant true; outputs that collect a value
// of each turn; loops of function bodies.
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {

Status inline_loop(ir::Node& loop, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const auto trips = ir::constant_ints(loop.input(0));
  if (!trips || trips->size() != 1 || trips->front() != 1) return rewriter.decline(loop, "trip count is not 1");
  if (loop.input(1) && !is_splat(loop.input(1), 1)) return rewriter.decline(loop, "condition is not constant");
  const ir::Graph* body = loop.subgraph("body");
  if (!body || loop.input_count() != body->inputs().size() || body->inputs().size() < 2) {
    return rewriter.decline(loop, "body does not fit");
  }
  if (body->outputs().size() != body->inputs().size() - 1)
    return rewriter.decline(loop, "collects values of each turn");
  if (!in_main_graph(loop, *rewriter.model().graph)) return rewriter.decline(loop, "a function has no initializers");
  ir::ValueMap map;
  map[body->inputs()[0]] = &rewriter.constant(loop, ir::Tensor::scalar<std::int64_t>(0), "turn");
  map[body->inputs()[1]] = &rewriter.constant(loop, ir::Tensor::scalar<bool>(true), "condition");
  for (std::size_t i = 2; i < loop.input_count(); ++i) map[body->inputs()[i]] = loop.input(i);
  return inline_graph(*body, loop, map, 1, context);
}

}  // namespace hone::passes
