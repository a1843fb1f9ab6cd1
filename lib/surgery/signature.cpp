#include "hone/surgery/signature.h"

#include <algorithm>
#include <map>

#include "hone/onnx/metadata.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "surgery/tensors.h"

namespace hone::surgery {
namespace {

// Positions in `present`, in the new order.
std::vector<std::size_t> order(std::span<ir::Value* const> present, const std::vector<std::string>& names,
                               std::string_view what) {
  std::vector<std::string> known;
  for (const ir::Value* value : present) known.push_back(value->name());
  std::vector<std::size_t> result;
  for (const std::string& name : names) {
    // An output may be there twice: each naming takes one.
    std::size_t at = 0;
    bool seen = false;
    for (; at < known.size(); ++at) {
      if (known[at] != name) continue;
      seen = true;
      if (std::find(result.begin(), result.end(), at) == result.end()) break;
    }
    if (at == known.size()) {
      if (seen) usage_error("{} {} is named twice", what, quote(name));
      const std::string near = nearest(name, known);
      usage_error("the model has no {} {}{}", what, quote(name),
                  near.empty() ? "" : fmt::format(", did you mean {}?", quote(near)));
    }
    result.push_back(at);
  }
  for (std::size_t at = 0; at < known.size(); ++at) {
    if (std::find(result.begin(), result.end(), at) == result.end()) result.push_back(at);
  }
  return result;
}

}  // namespace

void rename(ir::Model& model, const std::vector<std::pair<std::string, std::string>>& names) {
  ir::Graph& graph = *model.graph;
  std::map<std::string, std::string> all;
  std::map<std::string, std::string> by_new;
  std::vector<std::pair<ir::Value*, std::string>> renames;
  for (const auto& [old_name, new_name] : names) {
    ir::Value& value = find_tensor(graph, old_name, "tensor to rename");
    if (new_name.empty()) usage_error("tensor {} can't have an empty name", quote(old_name));
    if (!all.emplace(old_name, new_name).second) usage_error("tensor {} is renamed twice", quote(old_name));
    if (const auto [other, fresh] = by_new.emplace(new_name, old_name); !fresh) {
      usage_error("tensors {} and {} can't both be called {}", quote(other->second), quote(old_name), quote(new_name));
    }
    if (old_name != new_name) renames.emplace_back(&value, new_name);
  }
  for (const auto& [value, new_name] : renames) {
    const ir::Value* holder = graph.find(new_name);
    if (!holder || all.contains(new_name)) continue;
    usage_error("tensor {} can't be called {}: {} has that name; rename that as well", quote(value->name()),
                quote(new_name),
                holder->producer()         ? "a result of " + describe(*holder->producer())
                : holder->is_graph_input() ? std::string("an input")
                                           : std::string("an initializer"));
  }
  // By way of names that nobody has, so that two values may trade theirs.
  for (const auto& [value, new_name] : renames) graph.rename(*value, graph.fresh_name("renamed"));
  for (const auto& [value, new_name] : renames) graph.rename(*value, new_name);
  if (!renames.empty()) {
    onnx::set_annotations(graph, onnx::annotations(graph, [&](std::string_view name) {
                            const auto found = all.find(std::string(name));
                            return std::optional(found == all.end() ? std::string(name) : found->second);
                          }));
  }
}

void order_inputs(ir::Model& model, const std::vector<std::string>& names) {
  ir::Graph& graph = *model.graph;
  const std::vector<ir::Value*> present(graph.inputs().begin(), graph.inputs().end());
  const std::vector<std::size_t> wanted = order(graph.inputs(), names, "input");
  if (std::is_sorted(wanted.begin(), wanted.end())) return;
  for (const std::size_t at : wanted) move_to_input(graph, *present[at], present[at]->type());
}

void order_outputs(ir::Model& model, const std::vector<std::string>& names) {
  ir::Graph& graph = *model.graph;
  const std::vector<ir::Value*> present(graph.outputs().begin(), graph.outputs().end());
  const std::vector<std::size_t> wanted = order(graph.outputs(), names, "output");
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (graph.outputs()[i] != present[wanted[i]]) graph.set_output(i, present[wanted[i]]);
  }
}

}  // namespace hone::surgery
