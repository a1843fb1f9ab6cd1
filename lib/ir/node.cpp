// Nodes: slots and attributes.
//
// Not handled: what an operator's slots and attributes mean; no schema is known here.
#include <utility>

#include "hone/ir/graph.h"
#include "ir/names.h"

namespace hone::ir {
namespace {

std::string describe(const Node& node) {
  return "node " + quote(node.name()) + " (" + (node.domain().empty() ? "" : node.domain() + ".") + node.op_type() +
         ")";
}

// The payload of an attribute as T, null if there is none of the name; raises bad_input if it holds something else.
template <typename T>
const T* typed(const Node& node, std::string_view name, const char* what) {
  const Attribute* attribute = node.attribute(name);
  if (!attribute) return nullptr;
  if (const T* value = attribute->get<T>()) return value;
  if (!attribute->reference.empty()) {
    bad_input("{}: attribute {} refers to {} of the function around it, where {} is needed", describe(node),
              quote(name), quote(attribute->reference), what);
  }
  bad_input("{}: attribute {} is not {}", describe(node), quote(name), what);
}

}  // namespace

void Node::set_op(std::string op_type, std::string domain, std::string overload) {
  op_type_ = std::move(op_type);
  domain_ = domain == "ai.onnx" ? std::string() : std::move(domain);
  overload_ = std::move(overload);
}

void Node::drop_use(std::size_t index) {
  Slot& slot = inputs_[index];
  if (!slot.value) return;
  auto& uses = slot.value->uses_;
  const Use moved = uses.back();
  uses[slot.place] = moved;
  moved.node->inputs_[moved.index].place = slot.place;
  uses.pop_back();
  slot.value = nullptr;
}

void Node::set_input(std::size_t index, Value* value) {
  if (index >= inputs_.size()) inputs_.resize(index + 1);
  if (inputs_[index].value == value) return;
  if (value && value->graph_ != graph_) {
    if (!value->graph_->encloses(*graph_)) {
      fail(ErrorKind::internal, "{}: input {} is not visible there", describe(*this), quote(value->name()));
    }
    if (NameTable::count(*value->name_) > 1) graph_->unshadow(*value, *graph_);
  }
  drop_use(index);
  if (!value) return;
  inputs_[index] = {value, value->uses_.size()};
  value->uses_.push_back({this, index});
}

void Node::remove_input(std::size_t index) {
  if (index >= inputs_.size()) fail(ErrorKind::internal, "{}: no input {}", describe(*this), index);
  drop_use(index);
  inputs_.erase(index);
  for (std::size_t i = index; i < inputs_.size(); ++i) {
    if (inputs_[i].value) inputs_[i].value->uses_[inputs_[i].place].index = i;
  }
}

void Node::trim_inputs() {
  while (!inputs_.empty() && !inputs_.back().value) inputs_.pop_back();
}

Value* Node::add_output(std::string name) { return set_output(outputs_.size(), std::move(name)); }

Value* Node::set_output(std::size_t index, std::string name) {
  if (index < outputs_.size() && outputs_[index]) {
    if (!name.empty()) graph_->rename(*outputs_[index], std::move(name));
    return outputs_[index];
  }
  if (name.empty()) name = graph_->fresh_name(name_.empty() ? op_type_ : name_);
  Value* value = graph_->make_value(name);
  value->producer_ = this;
  value->output_index_ = index;
  if (index >= outputs_.size()) outputs_.resize(index + 1);
  outputs_[index] = value;
  return value;
}

void Node::drop_output(std::size_t index) {
  if (index >= outputs_.size() || !outputs_[index]) return;
  if (outputs_[index]->has_uses()) {
    fail(ErrorKind::internal, "{}: output {} is still used", describe(*this), quote(outputs_[index]->name()));
  }
  graph_->destroy(outputs_[index]);
  outputs_[index] = nullptr;
  while (!outputs_.empty() && !outputs_.back()) outputs_.pop_back();
}

const Attribute* Node::attribute(std::string_view name) const {
  for (const Attribute& attribute : attributes_) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

Attribute* Node::attribute(std::string_view name) {
  return const_cast<Attribute*>(std::as_const(*this).attribute(name));
}

std::int64_t Node::int_or(std::string_view name, std::int64_t fallback) const {
  const auto* value = typed<std::int64_t>(*this, name, "an integer");
  return value ? *value : fallback;
}

float Node::float_or(std::string_view name, float fallback) const {
  const auto* value = typed<float>(*this, name, "a float");
  return value ? *value : fallback;
}

std::string Node::string_or(std::string_view name, std::string_view fallback) const {
  const auto* value = typed<std::string>(*this, name, "a string");
  return value ? *value : std::string(fallback);
}

std::vector<std::int64_t> Node::ints_or(std::string_view name, std::vector<std::int64_t> fallback) const {
  const auto* value = typed<std::vector<std::int64_t>>(*this, name, "a list of integers");
  if (value) return *value;
  return fallback;
}

std::vector<float> Node::floats_or(std::string_view name, std::vector<float> fallback) const {
  const auto* value = typed<std::vector<float>>(*this, name, "a list of floats");
  if (value) return *value;
  return fallback;
}

const Tensor* Node::tensor(std::string_view name) const {
  const Attribute* found = attribute(name);
  return found ? found->get<Tensor>() : nullptr;
}

Graph* Node::subgraph(std::string_view name) const {
  const Attribute* found = attribute(name);
  const auto* graph = found ? found->get<std::unique_ptr<Graph>>() : nullptr;
  return graph ? graph->get() : nullptr;
}

void Node::set_attribute(std::string name, Attribute::Payload payload) {
  const auto check = [&](const std::unique_ptr<Graph>& graph) {
    if (!graph || graph->parent_node() != this) {
      fail(ErrorKind::internal, "{}: attribute {} holds a graph made for another node", describe(*this), quote(name));
    }
  };
  if (const auto* graph = std::get_if<std::unique_ptr<Graph>>(&payload)) check(*graph);
  if (const auto* graphs = std::get_if<std::vector<std::unique_ptr<Graph>>>(&payload)) {
    for (const auto& graph : *graphs) check(graph);
  }
  if (Attribute* found = attribute(name)) {
    *found = Attribute(std::move(name), std::move(payload));
  } else {
    attributes_.emplace_back(std::move(name), std::move(payload));
  }
}

void Node::remove_attribute(std::string_view name) {
  std::erase_if(attributes_, [&](const Attribute& attribute) { return attribute.name == name; });
}

bool Node::has_subgraphs() const {
  for (const Attribute& attribute : attributes_) {
    if (attribute.get<std::unique_ptr<Graph>>()) return true;
    if (const auto* graphs = attribute.get<std::vector<std::unique_ptr<Graph>>>(); graphs && !graphs->empty())
      return true;
  }
  return false;
}

bool Node::is_before(const Node& other) const {
  if (graph_ != other.graph_) fail(ErrorKind::internal, "the order of nodes in different graphs");
  return position_ < other.position_;
}

}  // namespace hone::ir
