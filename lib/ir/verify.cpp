// verify(): every invariant of a graph, checked from the outside in.
//
// Not handled: what operators require of their inputs and attributes (the onnx layer's checker).
#include <algorithm>
#include <unordered_set>

#include "hone/ir/graph.h"
#include "ir/names.h"

namespace hone::ir {

struct Verifier {
  template <typename... Args>
  [[noreturn]] static void broken(fmt::format_string<Args...> format, Args&&... args) {
    throw Error(ErrorKind::internal, "graph is broken: " + fmt::format(format, std::forward<Args>(args)...));
  }

  // Of the graph and those inside.
  std::unordered_map<const Name*, std::size_t> names;
  std::vector<const Value*> values;
  std::unordered_map<const Value*, std::vector<const Graph*>> output_slots;

  static std::string label(const Node& node) { return "node " + quote(node.name_) + " (" + node.op_type_ + ")"; }
  static std::string label(const Value& value) { return "value " + quote(value.name()); }
  static std::string label(const Graph& graph) { return "graph " + quote(graph.name_); }

  // That `value`, seen from `user`, is what its name means there. `who`: a node or graph.
  template <typename Who>
  static void check_scope(const Value& value, const Graph& user, const Who& who) {
    if (value.graph_ == &user) return;  // names are told apart in one graph
    if (!value.graph_->encloses(user)) broken("{} uses {}, which is not visible there", label(who), label(value));
    if (user.find_in_scope(value.name()) != &value) {
      broken("{} uses {}, but another value of that name is nearer", label(who), label(value));
    }
  }

  static void check_list(const Graph& graph) {
    std::size_t count = 0;
    const Node* previous = nullptr;
    for (const Node* node = graph.first_; node; node = node->next_) {
      if (node->graph_ != &graph) broken("{} is in a list but not in its graph", label(*node));
      if (node->previous_ != previous) broken("{} has a wrong back link", label(*node));
      if (node->position_ <= (previous ? previous->position_ : 0)) {
        broken("{} has a position that is not behind its predecessor's", label(*node));
      }
      if (node->domain_ == "ai.onnx") broken("{} spells out the default domain", label(*node));
      previous = node;
      ++count;
    }
    if (graph.last_ != previous) broken("the last node is not the end of the list");
    if (graph.node_count_ != count) broken("{} nodes are counted, {} are there", graph.node_count_, count);
  }

  void check_value(const Graph& graph, const Value& value) {
    if (!value.name_ || value.name().empty()) broken("a value has no name");
    if (value.graph_ != &graph) broken("{} is listed in a graph that is not its own", label(value));
    if (graph.find(value.name()) != &value) broken("{} is not found by its name", label(value));
    const bool initialized = value.initializer_ || value.sparse_;
    if (value.initializer_ && value.sparse_) broken("{} has both a dense and a sparse initializer", label(value));
    if (value.producer_ && (value.is_input_ || initialized)) {
      broken("{} has both a producer and an input or initializer", label(value));
    }
    if (initialized && (value.initializer_index_ >= graph.initializers_.size() ||
                        graph.initializers_[value.initializer_index_] != &value)) {
      broken("{} is not in its place among the initializers", label(value));
    }
    if (value.info_ && !value.declared_) broken("{} has a declaration but is not declared", label(value));
    for (std::size_t i = 0; i < value.uses_.size(); ++i) {
      const Use& use = value.uses_[i];
      if (use.index >= use.node->inputs_.size() || use.node->inputs_[use.index].value != &value ||
          use.node->inputs_[use.index].place != i) {
        broken("use {} of {} does not fit its slot", i, label(value));
      }
    }
    values.push_back(&value);
    ++names[value.name_];
  }

  static void check_node(const Graph& graph, const Node& node) {
    for (std::size_t i = 0; i < node.inputs_.size(); ++i) {
      const Value* value = node.inputs_[i].value;
      if (!value) continue;
      const std::size_t place = node.inputs_[i].place;
      if (place >= value->uses_.size() || value->uses_[place].node != &node || value->uses_[place].index != i) {
        broken("{}: input {} is not in the list of uses of {}", label(node), i, label(*value));
      }
      check_scope(*value, graph, node);
      if (!value->producer_) continue;
      const Node* at = ancestor_in(*value->graph_, const_cast<Node&>(node));
      if (!value->producer_->is_before(*at)) broken("{} uses {} before it is made", label(node), label(*value));
    }
    std::unordered_set<std::string_view> attributes;
    for (const Attribute& attribute : node.attributes_) {
      if (!attributes.insert(attribute.name).second) {
        broken("{} has the attribute {} twice", label(node), quote(attribute.name));
      }
      const auto check = [&](const std::unique_ptr<Graph>& inner) {
        if (!inner) broken("{}: attribute {} holds no graph", label(node), quote(attribute.name));
        if (inner->parent_ != &node) broken("{}: a subgraph belongs to another node", label(node));
        if (inner->names_ != graph.names_) broken("{}: a subgraph has names of its own", label(node));
      };
      if (const auto* inner = attribute.get<std::unique_ptr<Graph>>()) check(*inner);
      if (const auto* inner = attribute.get<std::vector<std::unique_ptr<Graph>>>()) {
        for (const auto& each : *inner) check(each);
      }
    }
  }

  void check_outputs(const Graph& graph) {
    for (const Value* value : graph.outputs_) {
      if (!value) broken("{}: an output is null", label(graph));
      check_scope(*value, graph, graph);
      output_slots[value].push_back(&graph);
      if (value->graph_ == &graph || !value->producer_) continue;
      const Node* at = ancestor_in(*value->graph_, *graph.parent_);
      if (!value->producer_->is_before(*at)) broken("output {} is made after the graph", label(*value));
    }
  }

  void check(const Graph& graph) {
    check_list(graph);
    std::unordered_set<const Value*> inputs;
    for (const Value* value : graph.inputs_) {
      if (!value || !value->is_input_) broken("{}: an input does not know that it is one", label(graph));
      if (!inputs.insert(value).second) broken("{} is an input twice", label(*value));
      check_value(graph, *value);
    }
    std::size_t removed = 0;
    for (std::size_t i = 0; i < graph.initializers_.size(); ++i) {
      const Value* value = graph.initializers_[i];
      removed += value == nullptr;
      if (!value) continue;
      if (!value->initializer_ && !value->sparse_) broken("initializer {} has no tensor", label(*value));
      if (value->initializer_index_ != i) broken("initializer {} is there twice", label(*value));
      if (!value->is_input_) check_value(graph, *value);
      if (value->is_input_ && !inputs.contains(value)) broken("{} is not among the inputs", label(*value));
    }
    if (removed != graph.removed_initializers_) broken("{}: removed initializers are miscounted", label(graph));
    for (const Node& node : graph.nodes()) {
      for (std::size_t i = 0; i < node.outputs_.size(); ++i) {
        const Value* value = node.outputs_[i];
        if (!value) continue;
        if (value->producer_ != &node || value->output_index_ != i || value->is_input_) {
          broken("{}: output {} is not its own", label(node), i);
        }
        check_value(graph, *value);
      }
      check_node(graph, node);
    }
    check_outputs(graph);
    for (const Node& node : graph.nodes()) {
      node.for_each_subgraph([&](const Graph& inner) { check(inner); });
    }
  }
};

void verify(const Graph& graph) {
  Verifier verifier;
  verifier.check(graph);
  for (const Value* value : verifier.values) {
    const auto slots = verifier.output_slots.find(value);
    std::vector<const Graph*> found;
    if (slots != verifier.output_slots.end()) found = slots->second;
    std::vector<const Graph*> recorded(value->output_of_.begin(), value->output_of_.end());
    std::sort(found.begin(), found.end());
    std::sort(recorded.begin(), recorded.end());
    if (found != recorded) Verifier::broken("{} does not know which outputs it is", Verifier::label(*value));
  }
  for (const auto& [name, count] : verifier.names) {
    const std::size_t recorded = NameTable::count(*name);
    if (graph.parent_node() ? recorded < count : recorded != count) {
      Verifier::broken("the name {} is counted {} times, used {} times", quote(name->text), recorded, count);
    }
  }
}

}  // namespace hone::ir
