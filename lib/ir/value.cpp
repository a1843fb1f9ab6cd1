// Values: types, and moving uses from one to another.
//
// Not handled: whether a replacement is defined before the uses it takes over; verify() checks, since rewrites pass
// through states where it is not.
#include <utility>

#include "hone/ir/graph.h"
#include "ir/names.h"

namespace hone::ir {

void Value::set_type(Type type) {
  // A declaration that no longer says what the type says would be written as it was read: drop it.
  if (info_ && !is_input_ && output_of_.empty() && !identical(type, type_)) info_.reset();
  type_ = std::move(type);
}

void Graph::rename_in_table(Value& value, std::string_view name) {
  const Name* old = std::exchange(value.name_, names_->add(name, *this, value));
  names_->remove(*old, *this);
}

void Graph::rename(Value& value, std::string name) {
  if (value.graph_ != this) return value.graph_->rename(value, std::move(name));
  if (name == value.name()) return;
  if (name.empty()) fail(ErrorKind::internal, "an empty name for {}", quote(value.name()));
  if (find_in_scope(name)) fail(ErrorKind::internal, "the name {} is taken", quote(name));
  rename_in_table(value, name);
  unshadow_uses(value);
}

void Graph::exchange_names(Value& a, Value& b) {
  if (&a == &b) return;
  const bool repeated = NameTable::count(*a.name_) > 1 || NameTable::count(*b.name_) > 1;
  if (a.graph_ != b.graph_ && (repeated || a.graph_->names_ != b.graph_->names_)) {
    fail(ErrorKind::internal, "exchanging the names {} and {} between graphs, and others have them too",
         quote(a.name()), quote(b.name()));
  }
  NameTable::exchange(*a.name_, a, *b.name_, b);
  std::swap(a.name_, b.name_);
  unshadow_uses(a);
  unshadow_uses(b);
}

void Graph::unshadow_uses(Value& value) {
  if (NameTable::count(*value.name_) < 2) return;
  for (const Use& use : value.uses_) unshadow(value, use.node->graph());
  for (const Graph* user : value.output_of_) unshadow(value, *user);
}

void Graph::unshadow(Value& value, const Graph& user) {
  for (const Graph* graph = &user; graph != value.graph_; graph = graph->parent_graph()) {
    if (Value* other = graph->find(value.name())) other->graph_->rename_in_table(*other, fresh_name(other->name()));
  }
}

void Graph::replace_uses_if(Value& value, Value& replacement, const std::function<bool(const Use&)>& chosen) {
  if (&value == &replacement) return;
  for (const Use& use : value.uses_.copy()) {
    if (chosen(use)) use.node->set_input(use.index, &replacement);
  }
}

void Graph::replace_all_uses(Value& value, Value& replacement, bool outputs) {
  if (&value == &replacement) return;
  // From the back, so that what is left in value.uses_ stays where it is.
  while (!value.uses_.empty()) {
    const Use use = value.uses_.back();
    use.node->set_input(use.index, &replacement);
  }
  if (!outputs) return;
  while (!value.output_of_.empty()) {
    Graph& user = *value.output_of_.back();
    for (std::size_t i = 0; i < user.outputs_.size(); ++i) {
      if (user.outputs_[i] == &value) user.set_output(i, &replacement);
    }
  }
}

}  // namespace hone::ir
