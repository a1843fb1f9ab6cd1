// Copies of nodes, graphs and functions. Structure is copied, tensors are shared.
//
// Works in two steps for each graph, values before uses, so that graphs that are not sorted are copied as they are.
// Recurses over nested graphs, which readers cap, never over nodes.
//
// Not handled: filling in a function's attribute references; whoever inlines a function does.
#include <utility>

#include "hone/ir/functions.h"
#include "hone/ir/graph.h"
#include "hone/support/error.h"
#include "ir/names.h"

namespace hone::ir {
namespace {

Attribute without_payload(const Attribute& attribute) {
  Attribute copy;
  copy.name = attribute.name;
  copy.reference = attribute.reference;
  copy.reference_type = attribute.reference_type;
  copy.rest = attribute.rest;
  return copy;
}

template <typename Payload>
constexpr bool holds_graphs =
    std::is_same_v<Payload, std::unique_ptr<Graph>> || std::is_same_v<Payload, std::vector<std::unique_ptr<Graph>>>;

// The default of a function's attribute is a value, not a subgraph: no node would own that.
Attribute clone_default(const Attribute& attribute) {
  Attribute copy = without_payload(attribute);
  std::visit(
      [&](const auto& payload) {
        if constexpr (holds_graphs<std::decay_t<decltype(payload)>>) {
          unsupported("attribute {}: a graph as the default of a function's attribute", quote(attribute.name));
        } else {
          copy.payload = payload;
        }
      },
      attribute.payload);
  return copy;
}

}  // namespace

struct Cloner {
  ValueMap& map;
  bool exact;           // names stay as they are: a whole graph is copied
  bool inside = false;  // of a subgraph that is copied

  static void copy_details(const Value& from, Value& to) {
    to.type_ = from.type_;
    to.declared_ = from.declared_;
    to.declaration_order_ = from.declaration_order_;
    if (from.info_) to.info_ = std::make_unique<ValueInfo>(*from.info_);
  }

  // Values of `to` and of graphs inside it must not share names, so that only an unused one is free; a new subgraph may
  // have the names of its siblings.
  std::string name_for(const Value& value, const Graph& to) const {
    if (exact || (inside && !to.find_in_scope(value.name()))) return value.name();
    return to.fresh_name(value.name());
  }

  Value* mapped(Value* value) const {
    const auto found = map.find(value);
    return found == map.end() ? value : found->second;
  }

  Node& copy_shell(const Node& node, Graph& to, Node* before) {
    Node& copy = to.insert(node.op_type_, before, node.domain_);
    copy.overload_ = node.overload_;
    copy.name_ = node.name_;
    copy.rest_ = node.rest_;
    copy.outputs_.resize(node.outputs_.size());
    for (std::size_t i = 0; i < node.outputs_.size(); ++i) {
      if (!node.outputs_[i]) continue;
      Value* output = copy.set_output(i, name_for(*node.outputs_[i], to));
      copy_details(*node.outputs_[i], *output);
      map[node.outputs_[i]] = output;
    }
    return copy;
  }

  void fill(const Node& node, Node& copy) {
    copy.inputs_.resize(node.inputs_.size());
    for (std::size_t i = 0; i < node.inputs_.size(); ++i) {
      if (node.inputs_[i].value) copy.set_input(i, mapped(node.inputs_[i].value));
    }
    copy.attributes_.reserve(node.attributes_.size());
    for (const Attribute& attribute : node.attributes_) copy.attributes_.push_back(copy_attribute(attribute, copy));
  }

  Attribute copy_attribute(const Attribute& attribute, Node& owner) {
    Attribute copy = without_payload(attribute);
    std::visit(
        [&](const auto& payload) {
          using T = std::decay_t<decltype(payload)>;
          if constexpr (std::is_same_v<T, std::unique_ptr<Graph>>) {
            copy.payload = copy_subgraph(*payload, owner);
          } else if constexpr (std::is_same_v<T, std::vector<std::unique_ptr<Graph>>>) {
            T graphs;
            for (const auto& each : payload) graphs.push_back(copy_subgraph(*each, owner));
            copy.payload = std::move(graphs);
          } else {
            copy.payload = payload;
          }
        },
        attribute.payload);
    return copy;
  }

  std::unique_ptr<Graph> copy_subgraph(const Graph& graph, Node& parent) {
    auto copy = std::make_unique<Graph>(parent);
    const bool was_inside = std::exchange(inside, true);
    copy_all(graph, *copy);
    inside = was_inside;
    return copy;
  }

  void copy_initializer(const Value& value, Value& copy) {
    if (value.initializer_) copy.initializer_ = std::make_unique<Tensor>(*value.initializer_);
    if (value.sparse_) copy.sparse_ = std::make_unique<SparseTensor>(*value.sparse_);
    copy.graph_->enlist_initializer(copy);
  }

  // Initializers (those without a stand-in) and nodes.
  void copy_contents(const Graph& graph, Graph& to, Node* before) {
    for (const Value* value : graph.initializers_) {
      if (!value || map.contains(value)) continue;
      Value* copy = to.make_value(name_for(*value, to));
      copy_details(*value, *copy);
      copy_initializer(*value, *copy);
      map[value] = copy;
    }
    std::vector<std::pair<const Node*, Node*>> pairs;
    pairs.reserve(graph.node_count_);
    map.reserve(map.size() + graph.node_count_);
    for (const Node& node : graph.nodes()) pairs.emplace_back(&node, &copy_shell(node, to, before));
    for (const auto& [node, copy] : pairs) fill(*node, *copy);
  }

  void copy_all(const Graph& graph, Graph& to) {
    to.name_ = graph.name_;
    to.rest_ = graph.rest_;
    to.dangling_infos = graph.dangling_infos;
    for (const Value* input : graph.inputs_) {
      Value* copy = to.add_input(name_for(*input, to));
      copy_details(*input, *copy);
      map[input] = copy;
    }
    // In the order of the original, those of inputs among them.
    for (const Value* value : graph.initializers_) {
      if (!value) continue;
      Value* copy = value->is_input_ ? map[value] : to.make_value(name_for(*value, to));
      copy_details(*value, *copy);
      copy_initializer(*value, *copy);
      map[value] = copy;
    }
    copy_contents(graph, to, nullptr);
    for (Value* output : graph.outputs_) to.add_output(mapped(output));
  }
};

Node& clone_into(const Node& node, Graph& to, Node* before, ValueMap& map) {
  Cloner cloner{map, false};
  Node& copy = cloner.copy_shell(node, to, before);
  cloner.fill(node, copy);
  return copy;
}

void clone_into(const Graph& from, Graph& to, Node* before, ValueMap& map) {
  for (const Value* input : from.inputs()) {
    if (!map.contains(input)) fail(ErrorKind::internal, "inlining a graph without its input {}", quote(input->name()));
  }
  Cloner{map, false}.copy_contents(from, to, before);
}

std::unique_ptr<Graph> clone_subgraph(const Graph& graph, Node& new_parent, ValueMap& map) {
  return Cloner{map, false}.copy_subgraph(graph, new_parent);
}

std::unique_ptr<Graph> clone_graph(const Graph& graph) {
  if (graph.parent_node()) fail(ErrorKind::internal, "a subgraph copied without a node to own it");
  ValueMap map;
  auto copy = std::make_unique<Graph>();
  Cloner{map, true}.copy_all(graph, *copy);
  return copy;
}

Attribute clone_attribute(const Attribute& attribute, Node& owner, ValueMap& map) {
  return Cloner{map, false}.copy_attribute(attribute, owner);
}

std::unique_ptr<Function> clone_function(const Function& function) {
  auto twin = std::make_unique<Function>();
  twin->domain = function.domain;
  twin->name = function.name;
  twin->overload = function.overload;
  twin->opsets = function.opsets;
  twin->body = clone_graph(*function.body);
  twin->attributes = function.attributes;
  for (const Attribute& attribute : function.attribute_defaults) {
    twin->attribute_defaults.push_back(clone_default(attribute));
  }
  twin->rest = function.rest;
  return twin;
}

}  // namespace hone::ir
