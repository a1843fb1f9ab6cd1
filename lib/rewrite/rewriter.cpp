// Rewriter: edits that keep names, types and the worklist right. See the header for what each one promises.
#include "hone/rewrite/rewriter.h"

#include <algorithm>
#include <unordered_set>

#include "hone/support/error.h"
#include "rewrite/worklist.h"

namespace hone::rewrite {
namespace {

// Values of graphs around it that a node's subgraphs use.
void collect_captures(const ir::Node& node, std::unordered_set<ir::Value*>& captures) {
  node.for_each_subgraph([&](ir::Graph& subgraph) {
    ir::for_each_graph(subgraph, [&](ir::Graph& graph) {
      for (ir::Node& inner : graph.nodes()) {
        for (std::size_t i = 0; i < inner.input_count(); ++i) {
          ir::Value* value = inner.input(i);
          if (value && !subgraph.encloses(value->graph())) captures.insert(value);
        }
      }
      for (ir::Value* value : graph.outputs()) {
        if (value && !subgraph.encloses(value->graph())) captures.insert(value);
      }
    });
  });
}

bool in_function(const ir::Model& model, const ir::Graph& graph) { return &graph.root() != model.graph.get(); }

// Whether `value` may be what a graph output of `graph` refers to under another name.
bool can_be_renamed_output(const ir::Value& value, const ir::Graph& graph) {
  return &value.graph() == &graph && value.producer() && !value.is_graph_output();
}

// Before IR version 4 an initializer had to be a graph input too: a new one, which is not, makes it a model of version 4.
ir::Value* add_constant(ir::Model& model, ir::Graph& graph, std::string name, ir::Tensor tensor) {
  model.ir_version = std::max<std::int64_t>(model.ir_version, 4);
  return graph.add_initializer(std::move(name), std::move(tensor));
}

}  // namespace

Rewriter::Rewriter(ir::Model& model, shapes::Inference& shapes, Worklist* worklist)
    : model_(model), shapes_(shapes), worklist_(worklist) {
  if (!worklist_) return;
  shapes_.on_change([this](const ir::Value& value) {
    for (const ir::Use& use : value.uses()) worklist_->push(*use.node);
  });
}

std::int64_t Rewriter::opset(const ir::Node& node, std::string_view domain) const {
  return model_.opset(node.graph(), domain);
}

Status Rewriter::decline(const ir::Node& node, std::string_view reason) {
  ++refusals_[reason];
  if (log_) log_->push_back({&node, reason});
  return Status::unchanged;
}

ir::Value& Rewriter::constant(const ir::Node& near, ir::Tensor tensor, std::string_view name) {
  ir::Graph& graph = near.graph();
  if (in_function(model_, graph)) {  // a FunctionProto has no initializers
    ir::Node& node = graph.insert("Constant", {}, 0, const_cast<ir::Node*>(&near));
    const ir::ElementType type = tensor.type();
    const ir::Dims dims = tensor.dims();
    node.set_attribute("value", std::move(tensor));
    ir::Value* value = node.add_output(graph.fresh_name(name));
    value->set_type(ir::Type::tensor(type, ir::Shape(dims.begin(), dims.end())));
    touched(node);
    return *value;
  }
  const ir::Dims& dims = tensor.dims();
  ir::Type type = ir::Type::tensor(tensor.type(), ir::Shape(dims.begin(), dims.end()));
  ir::Value* value = add_constant(model_, graph, std::string(name), std::move(tensor));
  value->set_type(std::move(type));
  ++edits_;
  return *value;
}

ir::Value& Rewriter::constant_ints(const ir::Node& near, const std::vector<std::int64_t>& values,
                                   std::string_view name) {
  return constant(near, ir::Tensor::vector(values), name);
}

ir::Node& Rewriter::add(std::string op_type, const std::vector<ir::Value*>& inputs, Attributes attributes,
                        ir::Node& before, const ir::Node* origin, std::size_t outputs, std::string domain) {
  ir::Node& node = before.graph().insert(std::move(op_type), inputs, outputs, &before, std::move(domain));
  for (auto& [name, payload] : attributes) node.set_attribute(std::move(name), std::move(payload));
  if (origin) {
    node.set_name(origin->name());
    node.set_rest(origin->rest());
  }
  touched(node);
  return node;
}

bool Rewriter::replace_value(ir::Value& old, ir::Value& value) {
  if (&old == &value) return false;
  if (old.is_graph_output() && !can_be_renamed_output(value, old.graph())) return false;
  const bool was_output = old.is_graph_output();
  if (worklist_) {
    for (const ir::Use& use : old.uses()) worklist_->push(*use.node);
    if (value.producer()) worklist_->push(*value.producer());
    for (const ir::Use& use : value.uses()) worklist_->push(*use.node);
  }
  std::vector<ir::Node*> users;
  for (const ir::Use& use : old.uses()) users.push_back(use.node);
  const bool without_shape = value.type().is_tensor() && !value.shape() && old.type().is_tensor() && old.shape() &&
                             value.element_type() == old.element_type();
  if (value.type().kind == ir::Type::Kind::unknown || without_shape) {
    value.set_type(old.type());
    for (const ir::Use& use : value.uses()) users.push_back(use.node);
  }
  old.graph().replace_all_uses(old, value, true);
  if (was_output) {
    value.adopt_declaration(old);
    old.graph().exchange_names(old, value);
  }
  ++edits_;
  // What the users know may get better: the replacement can have a sharper type.
  for (ir::Node* user : users) update(*user);
  return true;
}

Status Rewriter::replace(ir::Node& node, ir::Value& value) {
  ir::Value& old = *node.output(0);
  if (replace_value(old, value)) {
    erase(node);
    return Status::changed;
  }
  if (node.is("Identity") && node.input(0) == &value) return Status::unchanged;
  // Users other than the graph output need not go through the Identity.
  std::vector<ir::Node*> users;
  for (const ir::Use& use : old.uses()) users.push_back(use.node);
  old.graph().replace_all_uses(old, value, false);
  ir::Node& identity = add("Identity", {&value}, {}, node, &node);
  if (!replace_value(old, *identity.output(0))) {
    fail(ErrorKind::internal, "rewriting node {}: its output can't be renamed", quote(node.name()));
  }
  for (ir::Node* user : users) touched(*user);
  erase(node);
  return Status::changed;
}

Status Rewriter::replace_with(ir::Node& node, ir::Node& replacement) {
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    ir::Value* old = node.output(i);
    if (!old || !old->has_uses()) continue;
    ir::Value* value = replacement.output(i);
    if (!value || !replace_value(*old, *value)) {
      fail(ErrorKind::internal, "rewriting node {}: output {} has no replacement", quote(node.name()), i);
    }
  }
  erase(node);
  return Status::changed;
}

Status Rewriter::fold(ir::Node& node, const std::vector<ir::Tensor>& tensors) {
  if (node.is("Constant") && node.output(0)->is_graph_output()) return Status::unchanged;
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    ir::Value* old = node.output(i);
    if (!old || !old->has_uses()) continue;
    const ir::Dims& dims = tensors.at(i).dims();
    const ir::Type type = ir::Type::tensor(tensors[i].type(), ir::Shape(dims.begin(), dims.end()));
    if (old->is_graph_output() || in_function(model_, node.graph())) {
      ir::Node& constant = node.graph().insert("Constant", {}, 1, &node);
      constant.set_name(node.name());
      constant.set_rest(node.rest());
      constant.set_attribute("value", tensors[i]);
      constant.output(0)->set_type(type);
      touched(constant);
      replace_value(*old, *constant.output(0));
      continue;
    }
    const std::string name = old->name();
    ir::Value* value = add_constant(model_, node.graph(), name, tensors[i]);
    value->set_type(type);
    replace_value(*old, *value);
    node.graph().exchange_names(*old, *value);
  }
  erase(node);
  return Status::changed;
}

void Rewriter::set_input(ir::Node& node, std::size_t index, ir::Value* value) {
  ir::Value* old = node.input(index);
  node.set_input(index, value);
  touched(node);
  erase_unused(old);
}

void Rewriter::remove_input(ir::Node& node, std::size_t index) {
  ir::Value* old = node.input(index);
  node.remove_input(index);
  touched(node);
  erase_unused(old);
}

void Rewriter::set_attribute(ir::Node& node, std::string name, ir::Attribute::Payload payload) {
  node.set_attribute(std::move(name), std::move(payload));
  touched(node);
}

void Rewriter::remove_attribute(ir::Node& node, std::string_view name) {
  node.remove_attribute(name);
  touched(node);
}

void Rewriter::set_op(ir::Node& node, std::string op_type, std::string domain) {
  node.set_op(std::move(op_type), std::move(domain));
  touched(node);
}

void Rewriter::set_tensor(ir::Value& initializer, ir::Tensor tensor) {
  const ir::Dims dims = tensor.dims();
  const ir::ElementType type = tensor.type();
  initializer.graph().set_initializer(initializer, std::move(tensor));
  shapes_.forget(initializer);
  initializer.set_type(ir::Type::tensor(type, ir::Shape(dims.begin(), dims.end())));
  ++edits_;
  std::vector<ir::Node*> users;
  for (const ir::Use& use : initializer.uses()) users.push_back(use.node);
  for (ir::Node* user : users) touched(*user);
}

void Rewriter::move_before(ir::Node& node, ir::Node& before) {
  node.graph().move_before(node, &before);
  ++edits_;
}

void Rewriter::retype(ir::Node& node) {
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    ir::Value* result = node.output(i);
    if (!result) continue;
    shapes_.forget(*result);
    result->undeclare();
    result->set_type({});
  }
  touched(node);
}

void Rewriter::update(ir::Node& node) {
  if (!waits_) {
    shapes_.update(node);
  } else if (std::find(waiting_.begin(), waiting_.end(), &node) == waiting_.end()) {
    waiting_.push_back(&node);
  }
}

void Rewriter::settle() {
  // Graph after graph, those inside others behind them, whose values they may read.
  struct Place {
    int depth = 0;
    std::size_t graph = 0;
    ir::Node* node = nullptr;
  };
  std::vector<Place> places;
  std::vector<const ir::Graph*> graphs;
  for (ir::Node* node : std::exchange(waiting_, {})) {
    Place place{0, 0, node};
    for (const ir::Graph* graph = &node->graph(); graph->parent_graph(); graph = graph->parent_graph()) ++place.depth;
    const auto known = std::find(graphs.begin(), graphs.end(), &node->graph());
    place.graph = static_cast<std::size_t>(known - graphs.begin());
    if (known == graphs.end()) graphs.push_back(&node->graph());
    places.push_back(place);
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    if (a.graph != b.graph) return std::pair(a.depth, a.graph) < std::pair(b.depth, b.graph);
    return a.node != b.node && a.node->is_before(*b.node);
  });
  for (const Place& place : places) shapes_.update(*place.node);
}

void Rewriter::touched(ir::Node& node) {
  ++edits_;
  update(node);
  if (!worklist_) return;
  worklist_->push(node);
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (const ir::Value* output = node.output(i)) {
      for (const ir::Use& use : output->uses()) worklist_->push(*use.node);
    }
  }
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    if (const ir::Value* input = node.input(i); input && input->producer()) worklist_->push(*input->producer());
  }
}

void Rewriter::erase(ir::Node& first) {
  std::vector<ir::Node*> doomed{&first};
  while (!doomed.empty()) {
    ir::Node& node = *doomed.back();
    doomed.pop_back();
    std::unordered_set<ir::Value*> seen;
    std::vector<ir::Value*> sources;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (ir::Value* input = node.input(i); input && seen.insert(input).second) sources.push_back(input);
    }
    if (node.has_subgraphs()) {
      std::unordered_set<ir::Value*> captures;
      collect_captures(node, captures);
      for (ir::Value* value : captures) {
        if (seen.insert(value).second) sources.push_back(value);
      }
      node.for_each_subgraph([&](ir::Graph& subgraph) {
        ir::for_each_graph(subgraph, [&](ir::Graph& graph) {
          graph.for_each_value([&](ir::Value& value) { shapes_.forget(value); });
          for (ir::Node& inner : graph.nodes()) {
            std::erase(waiting_, &inner);
            if (worklist_) worklist_->forget(inner);
          }
        });
      });
    }
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (const ir::Value* output = node.output(i)) shapes_.forget(*output);
    }
    std::erase(waiting_, &node);
    if (worklist_) worklist_->forget(node);
    node.graph().erase(node);
    ++edits_;
    for (ir::Value* source : sources) {
      if (source->has_uses()) {
        // One use fewer: patterns that want a sole user may match now.
        if (worklist_) {
          if (source->producer()) worklist_->push(*source->producer());
          if (const ir::Use* use = source->only_use()) worklist_->push(*use->node);
        }
        continue;
      }
      if (ir::Node* producer = source->producer()) {
        bool unused = true;
        for (std::size_t i = 0; i < producer->output_count(); ++i) {
          unused &= !producer->output(i) || !producer->output(i)->has_uses();
        }
        if (unused) {
          // It may have given several of the sources.
          if (std::find(doomed.begin(), doomed.end(), producer) == doomed.end()) doomed.push_back(producer);
        } else if (worklist_) {
          worklist_->push(*producer);
        }
      } else if (!source->is_graph_input() && (source->initializer() || source->sparse_initializer())) {
        shapes_.forget(*source);
        source->graph().remove_initializer(*source);
      }
    }
  }
}

void Rewriter::erase_unused(ir::Value* value) {
  if (!value || value->has_uses()) return;
  if (ir::Node* producer = value->producer()) {
    for (std::size_t i = 0; i < producer->output_count(); ++i) {
      if (producer->output(i) && producer->output(i)->has_uses()) return;
    }
    erase(*producer);
  } else if (!value->is_graph_input() && (value->initializer() || value->sparse_initializer())) {
    shapes_.forget(*value);
    value->graph().remove_initializer(*value);
  }
}

}  // namespace hone::rewrite
