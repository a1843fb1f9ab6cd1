// Binding names to values, once all values of a graph and the graphs inside it are there, and putting nodes in order.
#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "onnx/access.h"
#include "onnx/reader.h"
#include "onnx/structure.h"

namespace hone::onnx {
namespace {

// The nodes of one cycle in a graph that can't be sorted.
std::vector<const ir::Node*> find_cycle(const ir::Graph& graph) {
  std::unordered_map<const ir::Node*, std::size_t> waits;  // how many results a node waits for
  std::unordered_map<const ir::Node*, std::vector<const ir::Node*>> users;
  for (ir::Node& node : graph.nodes()) {
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (!node.output(i)) continue;
      for (const ir::Use& use : node.output(i)->uses()) {
        const ir::Node* user = ir::ancestor_in(graph, *use.node);
        users[&node].push_back(user);
        ++waits[user];
      }
    }
  }
  std::deque<const ir::Node*> ready;
  for (ir::Node& node : graph.nodes()) {
    if (!waits.contains(&node)) ready.push_back(&node);
  }
  for (; !ready.empty(); ready.pop_front()) {
    for (const ir::Node* user : users[ready.front()]) {
      if (--waits[user] == 0) ready.push_back(user);
    }
  }
  // Every node still waiting waits for another such node: going back along them ends in the cycle.
  std::unordered_map<const ir::Node*, const ir::Node*> waits_for;
  const ir::Node* start = nullptr;
  for (ir::Node& node : graph.nodes()) {
    const auto found = waits.find(&node);
    if (found == waits.end() || found->second == 0) continue;
    for (const ir::Node* user : users[&node]) waits_for[user] = &node;
    start = &node;
  }
  std::unordered_set<const ir::Node*> seen;
  const ir::Node* at = start;
  while (at && seen.insert(at).second) {
    const auto found = waits_for.find(at);
    at = found == waits_for.end() ? nullptr : found->second;
  }
  std::vector<const ir::Node*> cycle;
  for (const ir::Node* node = at; node && (cycle.empty() || node != at); node = waits_for[node]) cycle.push_back(node);
  std::reverse(cycle.begin(), cycle.end());
  return cycle;
}

}  // namespace

using ir::GraphAccess;
using wire::Range;

void Reader::bind() {
  bind_inputs();
  for (const PendingGraph& pending : pending_) check_shadowing(pending);
  order();
  // Inner graphs come first here. Outer ones declare the types of the values that inner ones pass through.
  for (auto pending = pending_.rbegin(); pending != pending_.rend(); ++pending) {
    bind_outputs(*pending);
    declare_values(*pending);
  }
  pending_.clear();
  links_.clear();
  names_.clear();
}

// For a value that was not fit to be read, or that nobody makes: an input of the outermost graph. For collecting only.
ir::Value* Reader::stand_in(ir::Graph& graph, std::string_view name) {
  ir::Graph* root = &graph;
  while (root->parent_graph()) root = root->parent_graph();
  return root->add_input(std::string(name), {});
}

void Reader::bind_inputs() {
  for (const Link& link : links_) {
    if (link.length == 0) {
      link.node->set_input(link.slot, nullptr);
      continue;
    }
    const std::string_view name = std::string_view(names_).substr(link.name, link.length);
    ir::Value* value = link.node->graph().find_in_scope(name);
    if (!value && broken_.contains(std::string(name))) {
      value = stand_in(link.node->graph(), name);
    } else if (!value || undefined_.contains(value)) {
      problem("undefined-input", describe(*link.node),
              fmt::format("input {} is no output of a node, no graph input and no initializer", quote(name)));
      if (!value) undefined_.insert(value = stand_in(link.node->graph(), name));
    }
    link.node->set_input(link.slot, value);
  }
}

void Reader::check_shadowing(const PendingGraph& pending) {
  const ir::Graph* around = pending.graph->parent_graph();
  if (!around) return;
  const auto check = [&](const ir::Value* value, const char* what) {
    if (!value || !around->find_in_scope(value->name())) return;
    problem("shadowing", describe(*pending.graph->parent_node()),
            fmt::format("{} {} of its subgraph has the name of a value around it", what, quote(value->name())));
  };
  for (const ir::Value* value : pending.graph->initializers()) check(value, "initializer");
  for (const ir::Node& node : pending.graph->nodes()) {
    for (std::size_t i = 0; i < node.output_count(); ++i) check(node.output(i), "value");
  }
}

void Reader::order() {
  std::vector<ir::Graph*> unsorted;
  for (const Link& link : links_) {
    const ir::Value* value = link.node->input(link.slot);
    if (!value || !value->producer()) continue;
    ir::Graph& graph = value->graph();
    const ir::Node* user = &graph == &link.node->graph() ? link.node : ir::ancestor_in(graph, *link.node);
    if (value->producer()->is_before(*user)) continue;
    if (std::find(unsorted.begin(), unsorted.end(), &graph) == unsorted.end()) unsorted.push_back(&graph);
  }
  for (ir::Graph* graph : unsorted) {
    if (graph->sort()) {
      if (options_.problems) {
        options_.problems->push_back(
            {"unsorted-nodes", false, "",
             fmt::format("nodes of graph {} are not in the order in which they can be run", quote(graph->name()))});
      } else {
        warn(fmt::format("{}: nodes of graph {} were not in the order in which they can be run; they are now",
                         printable(source_.name()), quote(graph->name())));
      }
      continue;
    }
    std::string nodes;
    const std::vector<const ir::Node*> cycle = find_cycle(*graph);
    for (std::size_t i = 0; i < cycle.size() && i < 4; ++i) nodes += (i > 0 ? ", " : "") + describe(*cycle[i]);
    if (cycle.size() > 4) nodes += fmt::format(" and {} more", cycle.size() - 4);
    problem("cycle", "",
            fmt::format("the graph has a cycle: {} {}", nodes,
                        cycle.size() == 1 ? "needs its own result" : "need each other's results"));
  }
}

void Reader::bind_outputs(PendingGraph& pending) {
  ir::Graph& graph = *pending.graph;
  for (const std::string& name : pending.output_names) {
    if (ir::Value* value = graph.find(name)) {
      graph.add_output(value);
    } else {
      problem("undefined-output", "", fmt::format("output {} is made by no node", quote(name)));
    }
  }
  for (const Range& range : pending.outputs) {
    Declaration output = read_declaration(range);
    ir::Value* value = output.name.empty() ? nullptr : graph.find_in_scope(output.name);
    if (!value && broken_.contains(output.name)) value = stand_in(graph, output.name);
    if (!value || undefined_.contains(value)) {
      const ir::Node* parent = graph.parent_node();
      problem("undefined-output", parent ? describe(*parent) : "",
              fmt::format("graph output {} is made by no node", quote(output.name)));
      continue;
    }
    const std::int64_t place = -1 - static_cast<std::int64_t>(graph.outputs().size());
    graph.add_output(value);
    if (&value->graph() != &graph) {
      wire::put_bytes(output.wire, 1, output.name);
      graph.dangling_infos.emplace_back(place, std::move(output.wire));
    } else if (ir::ValueInfo* info = GraphAccess::info(*value)) {
      info->again.emplace_back(place, std::move(output.wire));
    } else {
      if (output.type.kind != ir::Type::Kind::unknown) value->set_type(std::move(output.type));
      GraphAccess::declare(*value, std::move(output.wire), -1);
    }
  }
}

void Reader::declare_values(PendingGraph& pending) {
  ir::Graph& graph = *pending.graph;
  std::int64_t place = 0;
  for (const Range& range : pending.infos) {
    Declaration declaration = read_declaration(range);
    ir::Value* value = graph.find(declaration.name);
    if (!value) {
      wire::put_bytes(declaration.wire, 1, declaration.name);
      graph.dangling_infos.emplace_back(place, std::move(declaration.wire));
    } else if (ir::ValueInfo* info = GraphAccess::info(*value)) {
      info->again.emplace_back(place, std::move(declaration.wire));
    } else {
      if (declaration.type.kind != ir::Type::Kind::unknown && !value->initializer() && !value->sparse_initializer()) {
        value->set_type(std::move(declaration.type));
      }
      GraphAccess::declare(*value, std::move(declaration.wire), place);
    }
    ++place;
  }
}

}  // namespace hone::onnx
