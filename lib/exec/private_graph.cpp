#include "exec/private_graph.h"

#include <algorithm>
#include <functional>
#include <unordered_set>

#include "hone/support/error.h"

namespace hone::exec {
namespace {

// Functions that call functions can grow a small file without end.
constexpr std::size_t most_inlined = 1'000'000;

void for_each_node(ir::Node& node, const std::function<void(ir::Node&)>& f) {
  f(node);
  node.for_each_subgraph([&](ir::Graph& graph) {
    for (ir::Node& inner : graph.nodes()) for_each_node(inner, f);
  });
}

// An attribute that refers to one of the function's becomes what the call, or else the function's default, gives.
void bind_attributes(ir::Node& node, const ir::Node& call, const ir::Function& function) {
  auto& attributes = node.attributes();
  for (std::size_t i = 0; i < attributes.size();) {
    const ir::Attribute& attribute = attributes[i];
    if (attribute.reference.empty()) {
      ++i;
      continue;
    }
    const ir::Attribute* given = call.attribute(attribute.reference);
    if (!given) {
      for (const ir::Attribute& fallback : function.attribute_defaults) {
        if (fallback.name == attribute.reference) given = &fallback;
      }
    }
    if (!given) {
      attributes.erase(attributes.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    ir::ValueMap map;
    ir::Attribute bound = ir::clone_attribute(*given, node, map);
    bound.name = attribute.name;
    attributes[i] = std::move(bound);
    ++i;
  }
}

// Outer values that the subgraphs of a node use.
std::vector<ir::Value*> captured(const ir::Node& node) {
  std::vector<ir::Value*> result;
  std::unordered_set<const ir::Value*> seen;
  const std::function<void(const ir::Graph&, const ir::Graph&)> visit = [&](const ir::Graph& graph,
                                                                            const ir::Graph& top) {
    const auto use = [&](ir::Value* value) {
      if (value && !top.encloses(value->graph()) && seen.insert(value).second) result.push_back(value);
    };
    for (const ir::Node& inner : graph.nodes()) {
      for (std::size_t i = 0; i < inner.input_count(); ++i) use(inner.input(i));
      inner.for_each_subgraph([&](const ir::Graph& each) { visit(each, top); });
    }
    for (ir::Value* output : graph.outputs()) use(output);
  };
  node.for_each_subgraph([&](const ir::Graph& graph) { visit(graph, graph); });
  return result;
}

}  // namespace

std::int64_t opset_of(const ir::Node& node, const ir::Model& model) {
  const std::int64_t version = model.opset(node.domain());
  return version == 0 && !node.domain().empty() ? 1 : version;
}

ir::Type type_of(const ir::Datum& datum) {
  if (const ir::Tensor* tensor = datum.tensor()) {
    return ir::Type::tensor(tensor->type(), ir::Shape(tensor->dims().begin(), tensor->dims().end()));
  }
  ir::Type type;
  if (const ir::Sequence* sequence = datum.sequence()) {
    type.kind = ir::Type::Kind::sequence;
    if (!sequence->items.empty()) {
      ir::Type element = type_of(sequence->items[0]);
      if (element.is_tensor()) element.shape.reset();
      type.inner = std::make_shared<const ir::Type>(std::move(element));
    } else {
      type.inner = std::make_shared<const ir::Type>(sequence->element);
    }
  } else if (const ir::Optional* optional = datum.optional()) {
    type.kind = ir::Type::Kind::optional;
    type.inner = std::make_shared<const ir::Type>(optional->value ? type_of(*optional->value) : ir::Type{});
  } else if (const ir::Map* map = datum.map()) {
    type.kind = ir::Type::Kind::map;
    type.element = map->keys.type();
    type.inner = std::make_shared<const ir::Type>(map->values.empty() ? ir::Type{} : type_of(map->values[0]));
  }
  return type;
}

PrivateGraph::PrivateGraph(const ir::Model& model, const ir::Graph& graph, const std::vector<ir::OpsetImport>& opsets,
                           const std::vector<std::string>& variables, bool overridable)
    : model_(model), graph_(std::make_unique<ir::Graph>()) {
  scopes_.push_back({&opsets, nullptr, 0});
  ir::ValueMap map;
  std::unordered_set<std::string_view> variable(variables.begin(), variables.end());
  for (const ir::Value* input : graph.inputs()) {
    if (input->initializer() && !overridable && !variable.contains(input->name())) {
      map[input] = graph_->add_initializer(input->name(), *input->initializer());
    } else {
      map[input] = graph_->add_input(input->name(), input->type());
    }
  }
  for (const ir::Value* value : graph.initializers()) {
    if (!value->is_graph_input() && variable.contains(value->name())) {
      map[value] = graph_->add_input(value->name(), value->type());
    }
  }
  ir::clone_into(graph, *graph_, nullptr, map);
  for (const ir::Value* output : graph.outputs()) graph_->add_output(map.at(output));
  originals_.reserve(graph.node_count());
  const ir::Node* original = graph.first();
  for (ir::Node& node : graph_->nodes()) {
    originals_[&node] = original;
    original = original->next();
    for_each_node(node, [](ir::Node& each) { each.mark = 0; });
  }
  inline_functions();
}

PrivateGraph::PrivateGraph(const ir::Model& model, const ir::Node& node,
                           const std::vector<std::optional<ir::Datum>>& inputs)
    : model_(model), graph_(std::make_unique<ir::Graph>()) {
  scopes_.push_back({&model.opsets, nullptr, 0});
  ir::ValueMap map;
  for (ir::Value* value : captured(node)) {
    const ir::Tensor* tensor = ir::constant(value);
    if (!tensor) unsupported("it uses value {} of the graph around it, which is not constant", quote(value->name()));
    map[value] = graph_->add_initializer(value->name(), *tensor);
  }
  // One input per slot: a value in two slots may come with two different Datums.
  ir::ValueMap slots = map;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    if (const ir::Value* value = node.input(i); value && !slots.contains(value))
      slots[value] = graph_->add_input(value->name());
  }
  ir::Node& copy = ir::clone_into(node, *graph_, nullptr, slots);
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    const bool given = i < inputs.size() && inputs[i].has_value();
    copy.set_input(i, given ? graph_->add_input(fmt::format("input_{}", i), type_of(*inputs[i])) : nullptr);
  }
  for (std::size_t i = graph_->inputs().size(); i-- > 0;) {
    ir::Value* input = graph_->inputs()[i];
    if (!input->has_uses() && !input->type().is_tensor() && input->type().kind == ir::Type::Kind::unknown)
      graph_->remove_input(i);
  }
  for (std::size_t i = 0; i < copy.output_count(); ++i) {
    if (copy.output(i)) graph_->add_output(copy.output(i));
  }
  for_each_node(copy, [](ir::Node& each) { each.mark = 0; });
  originals_[&copy] = &node;
  inline_functions();
}

ir::Value* PrivateGraph::find(std::string_view name) const {
  std::string current(name);
  for (std::size_t i = 0; i <= aliases_.size(); ++i) {
    const auto alias = aliases_.find(current);
    if (alias == aliases_.end()) break;
    current = alias->second;
  }
  return graph_->find(current);
}

std::int64_t PrivateGraph::opset(const ir::Node& node) const {
  for (const ir::OpsetImport& import : *scopes_[node.mark].opsets) {
    if (import.domain == node.domain()) return import.version;
  }
  return opset_of(node, model_);
}

const ir::Node& PrivateGraph::original(const ir::Node& node) const {
  const auto found = originals_.find(&node);
  return found == originals_.end() ? node : *found->second;
}

void PrivateGraph::inherit(ir::Node& node, const ir::Node& from) {
  node.mark = from.mark;
  node.set_name(from.name());
  originals_[&node] = &original(from);
}

void PrivateGraph::replace(std::vector<ir::Node*> nodes, ir::Value& result, ir::Node& by) {
  ir::Value& output = *by.add_output();
  output.set_type(result.type());
  std::sort(nodes.begin(), nodes.end(), [](const ir::Node* a, const ir::Node* b) { return a->is_before(*b); });
  auto body = std::make_unique<ir::Graph>(by);
  ir::ValueMap map;
  for (const ir::Node* node : nodes) inherit(ir::clone_into(*node, *body, nullptr, map), *node);
  body->add_output(map.at(&result));
  by.set_attribute("fallback", std::move(body));
  redirect(result.name(), output.name());
  by.graph().replace_all_uses(result, output);
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    forget(**node);
    by.graph().erase(**node);
  }
}

std::vector<ir::Graph*> PrivateGraph::running_graphs() {
  std::vector<ir::Graph*> graphs;
  ir::for_each_graph(*graph_, [&](ir::Graph& each) {
    const ir::Graph* outer = &each;
    for (const ir::Node* parent; (parent = outer->parent_node()); outer = outer->parent_graph()) {
      if (!parent->is("If") && !parent->is("Loop") && !parent->is("Scan")) return;
    }
    graphs.push_back(&each);
  });
  return graphs;
}

void PrivateGraph::inline_functions() {
  if (model_.functions.empty()) return;
  const std::function<void(ir::Graph&)> visit = [&](ir::Graph& graph) {
    for (ir::Node* node = graph.first(); node;) {
      if (const ir::Function* function = model_.functions.called_by(*node)) {
        ir::Node* previous = node->previous();
        inline_call(*node, *function);
        node = previous ? previous->next() : graph.first();
        continue;
      }
      node->for_each_subgraph(visit);
      node = node->next();
    }
  };
  visit(*graph_);
}

void PrivateGraph::inline_call(ir::Node& call, const ir::Function& function) {
  for (std::uint32_t scope = call.mark; scope != 0; scope = scopes_[scope].caller) {
    if (scopes_[scope].function == &function) {
      bad_input("function {} calls itself", quote(function.name));
    }
  }
  inlined_ += ir::total_node_count(*function.body) + 1;
  if (inlined_ > most_inlined) {
    fail(ErrorKind::resource_limit, "the model's functions expand to more than {} nodes", most_inlined);
  }
  ir::Graph& graph = call.graph();
  const ir::Graph& body = *function.body;
  if (call.input_count() > body.inputs().size() || call.output_count() > body.outputs().size()) {
    bad_input("node {}: function {} has {} inputs and {} outputs, the call has {} and {}", quote(call.name()),
              quote(function.name), body.inputs().size(), body.outputs().size(), call.input_count(),
              call.output_count());
  }

  ir::ValueMap map;
  std::vector<ir::Value*> missing;
  for (std::size_t i = 0; i < body.inputs().size(); ++i) {
    ir::Value* given = call.input(i);
    if (!given) {
      given = graph.add_input(graph.fresh_name("missing"));
      missing.push_back(given);
    }
    map[body.inputs()[i]] = given;
  }
  const auto scope = static_cast<std::uint32_t>(scopes_.size());
  scopes_.push_back({&function.opsets, &function, call.mark});
  ir::Node* previous = call.previous();
  ir::clone_into(body, graph, &call, map);
  const ir::Node& origin = original(call);
  for (ir::Node* node = previous ? previous->next() : graph.first(); node != &call; node = node->next()) {
    for_each_node(*node, [&](ir::Node& each) {
      each.mark = scope;
      bind_attributes(each, call, function);
    });
    if (&graph == graph_.get()) originals_[node] = &origin;
  }
  for (std::size_t i = 0; i < call.output_count(); ++i) {
    ir::Value* output = call.output(i);
    if (!output) continue;
    const auto found = map.find(body.outputs()[i]);
    ir::Value* value = found == map.end() ? nullptr : found->second;
    for (const ir::Value* each : missing) value = value == each ? nullptr : value;
    if (!value)
      bad_input("node {}: function {} does not make its output {}", quote(call.name()), quote(function.name), i);
    redirect(output->name(), value->name());
    graph.replace_all_uses(*output, *value);
  }
  for (ir::Value* value : missing) {
    const std::vector<ir::Use> uses(value->uses().begin(), value->uses().end());
    for (const ir::Use& use : uses) use.node->set_input(use.index, nullptr);
    for (std::size_t i = graph.inputs().size(); i-- > 0;) {
      if (graph.inputs()[i] == value) graph.remove_input(i);
    }
  }
  originals_.erase(&call);
  graph.erase(call);
}

}  // namespace hone::exec
