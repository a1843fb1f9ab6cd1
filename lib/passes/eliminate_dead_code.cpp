// eliminate-dead-code: nodes and initializers that nothing uses go; optional outputs that nothing uses are left out; so
// are model-local functions that nothing calls.
//
// Left alone: graph inputs (the signature), initializers that are graph inputs too, and outputs of nodes whose position
// other outputs need.
#include <unordered_set>

#include "passes/rules.h"

namespace hone::passes {
namespace {

bool is_unused(const ir::Node& node) {
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (node.output(i) && node.output(i)->has_uses()) return false;
  }
  return true;
}

Status clean(ir::Graph& graph, rewrite::Rewriter& rewriter) {
  Status status = Status::unchanged;
  for (ir::Node* node = graph.last(); node;) {
    ir::Node* previous = node->previous();
    if (is_unused(*node)) {
      // erase() takes producers that become unused along, which may be `previous`: start again from what is left.
      ir::Node* next = node->next();
      rewriter.erase(*node);
      previous = next ? next->previous() : graph.last();
      status = Status::changed;
    }
    node = previous;
  }
  for (ir::Value* value : graph.initializers()) {
    if (value->has_uses() || value->is_graph_input()) continue;
    rewriter.shapes().forget(*value);
    graph.remove_initializer(*value);
    status = Status::changed;
  }
  return status;
}

}  // namespace

Status eliminate_dead_code(PassContext& context) {
  ir::Model& model = context.rewriter.model();
  Status status = Status::unchanged;
  const auto clean_all = [&](ir::Graph& root) {
    // Inner graphs last: cleaning an outer one may remove them, so the list is made afresh by for_each_graph.
    status |= clean(root, context.rewriter);
    for (ir::Node& node : root.nodes()) {
      node.for_each_subgraph([&](ir::Graph& subgraph) {
        ir::for_each_graph(subgraph, [&](ir::Graph& graph) { status |= clean(graph, context.rewriter); });
      });
    }
  };
  clean_all(*model.graph);
  for (const auto& function : model.functions) clean_all(*function->body);

  const std::unordered_set<const ir::Function*> reachable = ir::reachable_functions(model);
  if (reachable.size() == model.functions.size()) return status;
  for (const auto& function : model.functions) {
    if (reachable.contains(function.get())) continue;
    status = Status::changed;
    // Node by node, so that whoever keeps a list of nodes hears of it.
    ir::Graph& body = *function->body;
    while (!body.outputs().empty()) body.remove_output(body.outputs().size() - 1);
    while (body.last()) context.rewriter.erase(*body.last());
    body.for_each_value([&](ir::Value& value) { context.rewriter.shapes().forget(value); });
  }
  model.functions.erase_if([&](const ir::Function& function) { return !reachable.contains(&function); });
  return status;
}

}  // namespace hone::passes
