// Model-local functions: look-ups.
//
// Not handled: whether two have one name, or call each other without end; the onnx layer checks.
#include "hone/ir/functions.h"

#include <functional>

#include "hone/ir/model.h"

namespace hone::ir {
std::size_t Functions::KeyHash::operator()(const Key& key) const {
  const std::hash<std::string_view> hash;
  return (hash(key.name) * 31 + hash(key.domain)) * 31 + hash(key.overload);
}

Functions::Key Functions::key(const Function& function) {
  return {plain_domain(function.domain), function.name, function.overload};
}

void Functions::index() {
  by_name_.clear();
  by_body_.clear();
  for (const auto& function : list_) {
    by_name_.emplace(key(*function), function.get());
    by_body_.emplace(function->body.get(), function.get());
  }
}

Function& Functions::add(std::unique_ptr<Function> function) {
  Function& added = *list_.emplace_back(std::move(function));
  by_name_.emplace(key(added), &added);
  by_body_.emplace(added.body.get(), &added);
  return added;
}

void Functions::rename(const Function& function, std::string name) {
  by_body_.at(function.body.get())->name = std::move(name);
  index();
}

std::vector<std::unique_ptr<Function>> Functions::release() {
  std::vector<std::unique_ptr<Function>> all = std::move(list_);
  list_.clear();
  index();
  return all;
}

Function* Functions::find(std::string_view domain, std::string_view name, std::string_view overload) const {
  const auto found = by_name_.find({plain_domain(domain), name, overload});
  return found == by_name_.end() ? nullptr : found->second;
}

Function* Functions::called_by(const Node& node) const {
  return list_.empty() ? nullptr : find(node.domain(), node.op_type(), node.overload());
}

Function* Functions::around(const Graph& graph) const {
  if (list_.empty()) return nullptr;
  const auto found = by_body_.find(&graph.root());
  return found == by_body_.end() ? nullptr : found->second;
}

std::unordered_set<const Function*> reachable_functions(const Model& model) {
  std::unordered_set<const Function*> reached;
  if (model.functions.empty()) return reached;
  std::vector<Graph*> pending{model.graph.get()};
  while (!pending.empty()) {
    Graph& root = *pending.back();
    pending.pop_back();
    for_each_graph(root, [&](Graph& graph) {
      for (const Node& node : graph.nodes()) {
        const Function* function = model.functions.called_by(node);
        if (function && reached.insert(function).second) pending.push_back(function->body.get());
      }
    });
  }
  return reached;
}

}  // namespace hone::ir
