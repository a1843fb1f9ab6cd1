// inline-if: an If whose condition is constant becomes the nodes of the branch it takes.
//
// Left alone: a condition that is not constant; in function bodies, a branch with initializers of its own (a function has
// none).
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {

Status inline_if(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const ir::Tensor* condition = ir::constant(node.input(0));
  if (!condition || condition->element_count() != 1) return rewriter.decline(node, "condition is not constant");
  const bool taken = condition->to_ints()[0] != 0;
  const ir::Graph* branch = node.subgraph(taken ? "then_branch" : "else_branch");
  if (!branch || branch->outputs().size() < node.output_count()) return rewriter.decline(node, "branch is missing");
  if (!branch->initializers().empty() && !in_main_graph(node, *rewriter.model().graph)) {
    return rewriter.decline(node, "a function has no initializers");
  }
  ir::ValueMap map;
  return inline_graph(*branch, node, map, 0, context);
}

Status inline_graph(const ir::Graph& body, ir::Node& node, ir::ValueMap& map, std::size_t skipped,
                    PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  ir::Graph& graph = node.graph();
  ir::Node* before = node.previous();
  ir::clone_into(body, graph, &node, map);
  for (ir::Node* made = before ? before->next() : graph.first(); made != &node; made = made->next()) {
    rewriter.touched(*made);
    made->for_each_subgraph([&](ir::Graph& subgraph) {
      ir::for_each_graph(subgraph, [&](ir::Graph& inner) {
        for (ir::Node& each : inner.nodes()) rewriter.touched(each);
      });
    });
  }
  // How the body declares what it gives out, often without a type, says nothing about a value inside a graph; nor for one
  // that nothing uses. What comes from outside of the body keeps its declaration.
  for (const ir::Value* given : body.outputs()) {
    const auto mapped = map.find(given);
    if (mapped == map.end() || !given->producer()) continue;
    ir::Value& result = *mapped->second;
    if (result.type().kind == ir::Type::Kind::unknown) {
      result.undeclare();
    } else if (result.is_declared()) {
      result.declare();
    }
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    ir::Value* old = node.output(i);
    if (!old || !old->has_uses()) continue;
    ir::Value* result = body.outputs()[i + skipped];
    if (const auto mapped = map.find(result); mapped != map.end()) result = mapped->second;
    if (rewriter.replace_value(*old, *result)) continue;
    // A graph output that would lose its name.
    ir::Node& named = rewriter.add("Identity", {result}, {}, node);
    rewriter.replace_value(*old, *named.output(0));
  }
  rewriter.erase(node);
  return Status::changed;
}

}  // namespace hone::passes
