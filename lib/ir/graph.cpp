// Graphs: the list of nodes and its order, the signature, initializers, life and death of values.
//
// Positions of nodes are 64-bit numbers with gaps. A node put where no number is free renumbers the smallest aligned
// range around it that is sparse enough (the order-maintenance scheme of Bender et al., "Two simplified algorithms for
// maintaining order in a list", ESA 2002), which costs O(log n) amortized in the worst case and nothing in the usual one.
//
// Not handled: removing nodes nobody uses (a pass), types of outputs (shape inference).
#include "hone/ir/graph.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "ir/names.h"

namespace hone::ir {
namespace {

constexpr std::uint64_t position_limit = std::uint64_t{1} << 63;
constexpr std::uint64_t middle_position = std::uint64_t{1} << 62;
constexpr std::uint64_t position_gap = std::uint64_t{1} << 24;  // 2^38 nodes appended before the range is full

}  // namespace

Graph::Graph() : names_(std::make_shared<NameTable>()) {}

Graph::Graph(Node& parent) : parent_(&parent), names_(parent.graph().names_) {}

Graph::~Graph() {
  if (!parent_) names_->closing = true;
  // Subgraphs first: they hold uses of values that are still here. As deep as graphs are nested, which readers cap.
  for (Node* node = first_; node; node = node->next_) {
    if (node->has_subgraphs()) node->attributes_.clear();
  }
  for (Value* output : outputs_) {
    if (output->graph_ != this) unrefer_output(output);
  }
  for (Node* node = first_; node; node = node->next_) {
    for (std::size_t i = 0; i < node->inputs_.size(); ++i) {
      const Value* value = node->inputs_[i].value;
      if (value && value->graph_ != this) node->drop_use(i);
    }
  }
  const auto discard = [this](Value* value) {
    names_->remove(*value->name_, *this);
    value->~Value();
    names_->values.give(value);
  };
  for (Value* value : initializers_) {
    if (value && !value->is_input_) discard(value);
  }
  for (Value* value : inputs_) discard(value);
  for (Node* node = first_; node;) {
    Node* next = node->next_;
    for (Value* value : node->outputs_) {
      if (value) discard(value);
    }
    node->~Node();
    names_->nodes.give(node);
    node = next;
  }
}

const Graph& Graph::root() const {
  const Graph* graph = this;
  while (graph->parent_) graph = &graph->parent_->graph();
  return *graph;
}

bool Graph::encloses(const Graph& inner) const {
  const Graph* graph = &inner;
  while (graph && graph != this) graph = graph->parent_graph();
  return graph == this;
}

// Values.

Value* Graph::make_value(std::string_view name) {
  Value* value = new (names_->values.take()) Value;
  value->graph_ = this;
  value->name_ = names_->add(name, *this, *value);
  if (value->name_) return value;
  value->~Value();
  names_->values.give(value);
  fail(ErrorKind::internal, "the graph has a value {} already", quote(name));
}

void Graph::destroy(Value* value) {
  names_->remove(*value->name_, *this);
  value->~Value();
  names_->values.give(value);
}

Value* Graph::find(std::string_view name) const { return names_->find(name, *this); }

Value* Graph::find_in_scope(std::string_view name) const {
  for (const Graph* graph = this; graph; graph = graph->parent_graph()) {
    if (Value* value = graph->find(name)) return value;
  }
  return nullptr;
}

void Graph::for_each_value(const std::function<void(Value&)>& f) const {
  for (Value* value : inputs_) f(*value);
  for (Value* value : initializers_) {
    if (value && !value->is_input_) f(*value);
  }
  for (const Node* node = first_; node; node = node->next_) {
    for (Value* value : node->outputs_) {
      if (value) f(*value);
    }
  }
}

std::string Graph::fresh_name(std::string_view name) const { return names_->fresh(name); }

// Signature.

void Graph::refer_output(Value* value) {
  if (!value || !value->graph_->encloses(*this)) {
    fail(ErrorKind::internal, "output {} is not visible in its graph", value ? quote(value->name()) : "that is null");
  }
  if (value->graph_ != this && NameTable::count(*value->name_) > 1) unshadow(*value, *this);
  value->output_of_.push_back(this);
}

void Graph::unrefer_output(Value* value) {
  const auto found = std::find(value->output_of_.begin(), value->output_of_.end(), this);
  *found = value->output_of_.back();
  value->output_of_.pop_back();
}

Value* Graph::add_input(std::string name, Type type) {
  if (name.empty()) name = fresh_name("input");
  Value* value = make_value(name);
  value->is_input_ = true;
  value->type_ = std::move(type);
  inputs_.push_back(value);
  return value;
}

void Graph::remove_input(std::size_t index) {
  Value* value = inputs_.at(index);
  const bool stays = value->initializer_ || value->sparse_;
  if (!stays && value->has_uses()) fail(ErrorKind::internal, "graph input {} is still used", quote(value->name()));
  inputs_.erase(inputs_.begin() + static_cast<std::ptrdiff_t>(index));
  value->is_input_ = false;
  if (!stays) destroy(value);
}

void Graph::add_output(Value* value) {
  refer_output(value);
  outputs_.push_back(value);
}

void Graph::set_output(std::size_t index, Value* value) {
  refer_output(value);
  unrefer_output(std::exchange(outputs_.at(index), value));
}

void Graph::remove_output(std::size_t index) {
  unrefer_output(outputs_.at(index));
  outputs_.erase(outputs_.begin() + static_cast<std::ptrdiff_t>(index));
}

// Initializers.

std::vector<Value*> Graph::initializers() const {
  std::vector<Value*> present;
  present.reserve(initializers_.size() - removed_initializers_);
  for (Value* value : initializers_) {
    if (value) present.push_back(value);
  }
  return present;
}

void Graph::enlist_initializer(Value& value) {
  value.initializer_index_ = initializers_.size();
  initializers_.push_back(&value);
}

void Graph::delist_initializer(Value& value) {
  initializers_[value.initializer_index_] = nullptr;
  if (++removed_initializers_ * 2 <= initializers_.size() || removed_initializers_ < 32) return;
  std::erase(initializers_, nullptr);
  removed_initializers_ = 0;
  for (std::size_t i = 0; i < initializers_.size(); ++i) initializers_[i]->initializer_index_ = i;
}

std::string Graph::initializer_name(std::string name, bool exact) const {
  if (!name.empty() && (exact || names_->count(name) == 0)) return name;
  // Sibling subgraphs may have the name, graphs around or inside this one may not.
  if (!name.empty() && parent_ && !find_in_scope(name)) {
    bool inside = false;
    for_each_graph(*const_cast<Graph*>(this), [&](Graph& graph) { inside |= graph.find(name) != nullptr; });
    if (!inside) return name;
  }
  return fresh_name(name);
}

Value* Graph::add_initializer(std::string name, Tensor tensor, bool exact) {
  name = initializer_name(std::move(name), exact);
  Value* value = make_value(name);
  set_initializer(*value, std::move(tensor));
  return value;
}

Value* Graph::add_sparse_initializer(std::string name, SparseTensor tensor, bool exact) {
  name = initializer_name(std::move(name), exact);
  Value* value = make_value(name);
  Shape shape(tensor.dims.begin(), tensor.dims.end());
  value->type_ = Type::tensor(tensor.values.type(), std::move(shape));
  value->sparse_ = std::make_unique<SparseTensor>(std::move(tensor));
  enlist_initializer(*value);
  return value;
}

void Graph::set_initializer(Value& value, Tensor tensor) {
  if (value.graph_ != this) return value.graph_->set_initializer(value, std::move(tensor));
  if (value.producer_) fail(ErrorKind::internal, "an initializer for {}, which a node makes", quote(value.name()));
  if (!value.initializer_ && !value.sparse_) enlist_initializer(value);
  value.sparse_.reset();
  if (!value.is_input_) {
    value.set_type(Type::tensor(tensor.type(), Shape(tensor.dims().begin(), tensor.dims().end())));
  }
  value.initializer_ = std::make_unique<Tensor>(std::move(tensor));
}

void Graph::remove_initializer(Value& value) {
  if (value.graph_ != this) return value.graph_->remove_initializer(value);
  if (!value.initializer_ && !value.sparse_) return;
  if (!value.is_input_ && value.has_uses()) {
    fail(ErrorKind::internal, "initializer {} is still used", quote(value.name()));
  }
  delist_initializer(value);
  value.initializer_.reset();
  value.sparse_.reset();
  if (!value.is_input_) destroy(&value);
}

// Nodes.

void Graph::link(Node& node, Node* before) {
  Node* previous = before ? before->previous_ : last_;
  node.previous_ = previous;
  node.next_ = before;
  (previous ? previous->next_ : first_) = &node;
  (before ? before->previous_ : last_) = &node;
  ++node_count_;

  if (!previous && !before) {
    node.position_ = middle_position;
    return;
  }
  // Free positions lie in (low, high).
  std::uint64_t low = 0, high = position_limit;
  if (previous) low = previous->position_;
  if (before) high = before->position_;
  if (high - low < 2) {
    make_room(*(previous ? previous : before));
    if (previous) low = previous->position_;
    if (before) high = before->position_;
  }
  if (before && previous) {
    node.position_ = low + (high - low) / 2;
  } else if (previous) {
    node.position_ = low + std::min(position_gap, (high - low) / 2);
  } else {
    node.position_ = high - std::min(position_gap, (high - low) / 2);
  }
}

// Called while a new node is in the list without a position: it must not be counted, and is skipped by position 0.
void Graph::make_room(Node& node) {
  const auto skip_left = [](Node* at) { return at && at->position_ == 0 ? at->previous_ : at; };
  const auto skip_right = [](Node* at) { return at && at->position_ == 0 ? at->next_ : at; };
  Node* left = &node;  // first and last node of the range
  Node* right = &node;
  std::uint64_t count = 1;
  double capacity = 1;
  for (std::uint64_t size = 2; size <= position_limit; size *= 2) {
    // A range of 2^i positions is sparse if it holds at most 1.4^i nodes. The bound needs a number between 1 and 2; with
    // this one 10^9 nodes fit.
    capacity *= 1.4;
    const std::uint64_t low = node.position_ & ~(size - 1);
    const std::uint64_t high = low + (size - 1);
    for (Node* at = skip_left(left->previous_); at && at->position_ >= low; at = skip_left(at->previous_)) {
      left = at;
      ++count;
    }
    for (Node* at = skip_right(right->next_); at && at->position_ <= high; at = skip_right(at->next_)) {
      right = at;
      ++count;
    }
    const std::uint64_t step = size / (count + 1);
    if (static_cast<double>(count) > capacity || step < 2) continue;
    std::uint64_t position = low;
    for (Node* at = left;; at = skip_right(at->next_)) {
      at->position_ = position += step;
      if (at == right) return;
    }
  }
  fail(ErrorKind::resource_limit, "a graph of {} nodes is too large", node_count_);
}

void Graph::unlink(Node& node) {
  (node.previous_ ? node.previous_->next_ : first_) = node.next_;
  (node.next_ ? node.next_->previous_ : last_) = node.previous_;
  node.previous_ = node.next_ = nullptr;
  node.position_ = 0;
  --node_count_;
}

Node& Graph::insert(std::string op_type, Node* before, std::string domain) {
  if (before && before->graph_ != this) fail(ErrorKind::internal, "inserting before a node of another graph");
  auto* node = new (names_->nodes.take()) Node;
  node->graph_ = this;
  node->set_op(std::move(op_type), std::move(domain));
  link(*node, before);
  return *node;
}

Node& Graph::insert(std::string op_type, const std::vector<Value*>& inputs, std::size_t outputs, Node* before,
                    std::string domain) {
  Node& node = insert(std::move(op_type), before, std::move(domain));
  node.inputs_.reserve(inputs.size());
  for (Value* value : inputs) node.add_input(value);
  for (std::size_t i = 0; i < outputs; ++i) node.add_output();
  return node;
}

void Graph::move_before(Node& node, Node* before) {
  if (node.graph_ != this || (before && before->graph_ != this)) {
    fail(ErrorKind::internal, "moving a node between graphs");
  }
  if (before == &node || before == node.next_) return;
  unlink(node);
  link(node, before);
}

void Graph::erase(Node& node) {
  if (node.graph_ != this) return node.graph_->erase(node);
  for (const Value* value : node.outputs_) {
    if (value && value->has_uses()) {
      fail(ErrorKind::internal, "erasing node {} ({}): its output {} is still used", quote(node.name_), node.op_type_,
           quote(value->name()));
    }
  }
  node.attributes_.clear();  // subgraphs give their uses back
  for (std::size_t i = 0; i < node.inputs_.size(); ++i) node.drop_use(i);
  for (Value* value : node.outputs_) {
    if (value) destroy(value);
  }
  unlink(node);
  node.~Node();
  names_->nodes.give(&node);
}

bool Graph::sort() {
  // Calls f(user) for each node of this graph that must come after `node`.
  const auto for_each_user = [this](const Node& node, auto&& f) {
    for (const Value* value : node.outputs_) {
      if (!value) continue;
      for (const Use& use : value->uses_) f(*ancestor_in(*this, *use.node));
      for (const Graph* user : value->output_of_) {
        if (user != this) f(*ancestor_in(*this, *user->parent_));
      }
    }
  };
  bool in_order = true;
  for (const Node* node = first_; node && in_order; node = node->next_) {
    for_each_user(*node, [&](const Node& user) { in_order &= node->position_ < user.position_; });
  }
  if (in_order) return true;

  // Kahn's algorithm, taking the ready node that came first in the old order.
  std::vector<Node*> nodes;
  nodes.reserve(node_count_);
  for (Node* node = first_; node; node = node->next_) nodes.push_back(node);
  const auto index_of = [&](const Node& node) {
    return static_cast<std::size_t>(
        std::lower_bound(nodes.begin(), nodes.end(), node.position_,
                         [](const Node* at, std::uint64_t position) { return at->position_ < position; }) -
        nodes.begin());
  };
  std::vector<std::size_t> missing(nodes.size(), 0);
  std::vector<std::vector<std::size_t>> users(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for_each_user(*nodes[i], [&](const Node& user) {
      users[i].push_back(index_of(user));
      ++missing[users[i].back()];
    });
  }

  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (missing[i] == 0) ready.push(i);
  }
  std::vector<Node*> order;
  order.reserve(nodes.size());
  while (!ready.empty()) {
    const std::size_t i = ready.top();
    ready.pop();
    order.push_back(nodes[i]);
    for (const std::size_t user : users[i]) {
      if (--missing[user] == 0) ready.push(user);
    }
  }
  if (order.size() != nodes.size()) return false;

  first_ = last_ = nullptr;
  std::uint64_t position = middle_position;
  for (Node* node : order) {
    node->previous_ = last_;
    node->next_ = nullptr;
    (last_ ? last_->next_ : first_) = node;
    last_ = node;
    node->position_ = position += position_gap;
  }
  return true;
}

// Walks.

Node* ancestor_in(const Graph& graph, Node& node) {
  Node* at = &node;
  while (at && &at->graph() != &graph) at = at->graph().parent_node();
  return at;
}

void for_each_graph(Graph& graph, const std::function<void(Graph&)>& f) {
  f(graph);
  for (Node& node : graph.nodes()) {
    node.for_each_subgraph([&](Graph& inner) { for_each_graph(inner, f); });
  }
}

std::size_t total_node_count(const Graph& graph) {
  std::size_t count = graph.node_count();
  for (const Node& node : graph.nodes()) {
    node.for_each_subgraph([&](const Graph& inner) { count += total_node_count(inner); });
  }
  return count;
}

}  // namespace hone::ir
