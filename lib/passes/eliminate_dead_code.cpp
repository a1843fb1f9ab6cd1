// eliminate-dead-code: nodes and initializers that nothing uses go; optional outputs that nothing uses are left out; so
// are model-local functions that nothing calls.
//
// Left alone: graph inputs (the signature), initializers that are graph inputs too, and outputs of nodes whose position
// other outputs need.
#include <set>
#include <tuple>

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

using FunctionKey = std::tuple<std::string, std::string, std::string>;

void collect_calls(ir::Graph& root, std::set<FunctionKey>& calls) {
  ir::for_each_graph(root, [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) calls.insert({node.domain(), node.op_type(), node.overload()});
  });
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

  if (model.functions.empty()) return status;

  // Functions reachable from the main graph.
  std::set<FunctionKey> calls;
  collect_calls(*model.graph, calls);
  for (std::size_t known = 0; known != calls.size();) {
    known = calls.size();
    for (const auto& function : model.functions) {
      if (calls.contains({function->domain, function->name, function->overload})) collect_calls(*function->body, calls);
    }
  }
  const auto unused = [&](const std::unique_ptr<ir::Function>& function) {
    return !calls.contains({function->domain, function->name, function->overload});
  };
  for (const auto& function : model.functions) {
    if (!unused(function)) continue;
    status = Status::changed;
    // Node by node, so that whoever keeps a list of nodes hears of it.
    ir::Graph& body = *function->body;
    while (!body.outputs().empty()) body.remove_output(body.outputs().size() - 1);
    while (body.last()) context.rewriter.erase(*body.last());
    body.for_each_value([&](ir::Value& value) { context.rewriter.shapes().forget(value); });
  }
  std::erase_if(model.functions, unused);
  return status;
}

}  // namespace hone::passes
