#include "rewrite/bodies.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

namespace hone::rewrite {
namespace {

// Types only get better, but a model may contradict itself.
constexpr int most_visits = 4;

std::vector<ir::Type> output_types(const ir::Node& node) {
  std::vector<ir::Type> result;
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (const ir::Value* output = node.output(i)) result.push_back(output->type());
  }
  return result;
}

}  // namespace

void infer_holders(ir::Model& model, shapes::Inference& shapes, const std::unordered_set<const ir::Graph*>& changed) {
  if (changed.empty()) return;
  std::unordered_map<const ir::Graph*, std::vector<ir::Node*>> holders;
  std::vector<const ir::Graph*> pending;  // inner ones at the end
  const auto look = [&](ir::Graph& root) {
    ir::for_each_graph(root, [&](ir::Graph& graph) {
      if (changed.contains(&graph)) pending.push_back(&graph);
      for (ir::Node& node : graph.nodes()) {
        node.for_each_subgraph([&](const ir::Graph& body) { holders[&body].push_back(&node); });
        if (const ir::Function* function = model.functions.called_by(node))
          holders[function->body.get()].push_back(&node);
      }
    });
  };
  look(*model.graph);
  for (const auto& function : model.functions) look(*function->body);
  std::unordered_map<const ir::Graph*, int> visits;
  while (!pending.empty()) {
    const ir::Graph* body = pending.back();
    pending.pop_back();
    const auto found = holders.find(body);
    if (found == holders.end() || ++visits[body] > most_visits) continue;
    for (ir::Node* holder : found->second) {
      const std::vector<ir::Type> before = output_types(*holder);
      shapes.update(*holder);
      const std::vector<ir::Type> after = output_types(*holder);
      if (!std::equal(before.begin(), before.end(), after.begin(), after.end(),
                      [](const ir::Type& a, const ir::Type& b) { return ir::identical(a, b); }))
        pending.push_back(&holder->graph());
    }
  }
}

}  // namespace hone::rewrite
