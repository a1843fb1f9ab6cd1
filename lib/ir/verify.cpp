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
  template <typename... Args>
  static void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
    if (!condition) broken(format, std::forward<Args>(args)...);
  }

  // Of the graph and those inside.
  std::unordered_map<std::string_view, std::uint32_t> names;
  std::vector<const Value*> values;
  std::unordered_map<const Value*, std::vector<const Graph*>> output_slots;

  static std::string label(const Node& node) { return "node " + quoted(node.name_) + " (" + node.op_type_ + ")"; }

  // That `value`, seen from `user`, is what its name means there.
  static void check_scope(const Value& value, const Graph& user, const std::string& who) {
    require(value.graph_->encloses(user), "{} uses {}, which is not visible there", who, quoted(value.name_));
    require(user.find_in_scope(value.name_) == &value, "{} uses {}, but another value of that name is nearer", who,
            quoted(value.name_));
  }

  static void check_list(const Graph& graph) {
    std::size_t count = 0;
    const Node* previous = nullptr;
    for (const Node* node = graph.first_; node; node = node->next_) {
      require(node->graph_ == &graph, "{} is in a list but not in its graph", label(*node));
      require(node->previous_ == previous, "{} has a wrong back link", label(*node));
      require(!previous || previous->position_ < node->position_, "{} has a position before its predecessor's",
              label(*node));
      require(node->position_ > 0, "{} has no position", label(*node));
      require(node->domain_ != "ai.onnx", "{} spells out the default domain", label(*node));
      previous = node;
      ++count;
    }
    require(graph.last_ == previous, "the last node is not the end of the list");
    require(graph.node_count_ == count, "{} nodes are counted, {} are there", graph.node_count_, count);
  }

  void check_value(const Graph& graph, const Value& value, const std::unordered_set<const Value*>& inputs) {
    const std::string who = "value " + quoted(value.name_);
    require(!value.name_.empty(), "a value has no name");
    require(value.graph_ == &graph, "{} is listed in a graph that is not its own", who);
    require(!value.producer_ || (!value.is_input_ && !value.initializer_ && !value.sparse_),
            "{} has both a producer and an input or initializer", who);
    require(!(value.initializer_ && value.sparse_), "{} has both a dense and a sparse initializer", who);
    require(value.producer_ || value.is_input_ || value.initializer_ || value.sparse_, "{} has no origin", who);
    if (value.producer_) {
      require(value.producer_->graph_ == &graph, "{} is produced in another graph", who);
      require(value.producer_->output(value.output_index_) == &value, "{} is not in its output slot", who);
    }
    if (value.is_input_) {
      require(inputs.contains(&value), "{} is not among the inputs", who);
    }
    if (value.initializer_ || value.sparse_) {
      require(value.initializer_index_ < graph.initializers_.size() &&
                  graph.initializers_[value.initializer_index_] == &value,
              "{} is not in its place among the initializers", who);
    }
    require(!value.info_ || value.declared_, "{} has a declaration but is not declared", who);
    for (std::size_t i = 0; i < value.uses_.size(); ++i) {
      const Use& use = value.uses_[i];
      require(use.index < use.node->inputs_.size() && use.node->inputs_[use.index].value == &value &&
                  use.node->inputs_[use.index].place == i,
              "use {} of {} does not fit its slot", i, who);
    }
    values.push_back(&value);
  }

  static void check_node(const Graph& graph, const Node& node) {
    const std::string who = label(node);
    for (std::size_t i = 0; i < node.inputs_.size(); ++i) {
      const Value* value = node.inputs_[i].value;
      if (!value) continue;
      const std::size_t place = node.inputs_[i].place;
      require(place < value->uses_.size() && value->uses_[place].node == &node && value->uses_[place].index == i,
              "{}: input {} is not in the list of uses of {}", who, i, quoted(value->name_));
      check_scope(*value, graph, who);
      if (!value->producer_) continue;
      const Node* at = ancestor_in(*value->graph_, const_cast<Node&>(node));
      require(value->producer_->is_before(*at), "{} uses {} before it is made", who, quoted(value->name_));
    }
    for (std::size_t i = 0; i < node.outputs_.size(); ++i) {
      const Value* value = node.outputs_[i];
      require(!value || (value->producer_ == &node && value->output_index_ == i), "{}: output {} is not its own", who,
              i);
    }
    std::unordered_set<std::string_view> attributes;
    for (const Attribute& attribute : node.attributes_) {
      require(attributes.insert(attribute.name).second, "{} has the attribute {} twice", who, quoted(attribute.name));
    }
    for (const Attribute& attribute : node.attributes_) {
      if (const auto* inner = attribute.get<std::unique_ptr<Graph>>()) require(*inner != nullptr, "{}: no graph", who);
      if (const auto* inner = attribute.get<std::vector<std::unique_ptr<Graph>>>()) {
        for (const auto& each : *inner) require(each != nullptr, "{}: no graph", who);
      }
    }
  }

  void check(const Graph& graph) {
    check_list(graph);
    std::size_t count = graph.inputs_.size();
    const std::unordered_set<const Value*> inputs(graph.inputs_.begin(), graph.inputs_.end());
    require(inputs.size() == graph.inputs_.size(), "an input is there twice");
    for (const Value* input : graph.inputs_) {
      require(input && input->is_input_ && input->graph_ == &graph, "an input does not know that it is one");
    }
    std::size_t removed = 0;
    for (const Value* value : graph.initializers_) {
      removed += value == nullptr;
      if (!value) continue;
      require(value->initializer_ || value->sparse_, "initializer {} has no tensor", quoted(value->name_));
      count += !value->is_input_;
    }
    require(removed == graph.removed_initializers_, "removed initializers are miscounted");
    for (const Value* value : graph.outputs_) {
      require(value != nullptr, "an output is null");
      check_scope(*value, graph, "a graph output");
      output_slots[value].push_back(&graph);
      if (value->graph_ != &graph && value->producer_) {
        const Node* at = ancestor_in(*value->graph_, *graph.parent_);
        require(value->producer_->is_before(*at), "graph output {} is made after the graph", quoted(value->name_));
      }
    }
    for (const Node& node : graph.nodes()) {
      for (const Value* value : node.outputs_) count += value != nullptr;
      check_node(graph, node);
    }
    require(count == graph.by_name_.size(), "{} values have {} names", count, graph.by_name_.size());
    for (const auto& [name, value] : graph.by_name_) {
      require(name == value->name_ && name.data() == value->name_.data(), "{} is listed under another name",
              quoted(value->name_));
      check_value(graph, *value, inputs);
      ++names[name];
    }
    for (const Node& node : graph.nodes()) {
      node.for_each_subgraph([&](const Graph& inner) {
        require(inner.parent_ == &node, "{}: a subgraph belongs to another node", label(node));
        require(inner.names_ == graph.names_, "{}: a subgraph has names of its own", label(node));
        check(inner);
      });
    }
  }
};

void verify(const Graph& graph) {
  Verifier verifier;
  verifier.check(graph);
  for (const Value* value : verifier.values) {
    std::vector<const Graph*> found = verifier.output_slots[value];
    std::vector<const Graph*> recorded(value->output_of_.begin(), value->output_of_.end());
    std::sort(found.begin(), found.end());
    std::sort(recorded.begin(), recorded.end());
    Verifier::require(found == recorded, "value {} does not know which outputs it is", quoted(value->name_));
  }
  for (const auto& [name, count] : verifier.names) {
    const std::uint32_t recorded = graph.names_->count(name);
    Verifier::require(graph.parent_ ? recorded >= count : recorded == count,
                      "name {} is counted {} times, used {} times", quoted(name), recorded, count);
  }
}

}  // namespace hone::ir
