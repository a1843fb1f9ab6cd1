// The engine's own copy of a graph, in which model-local functions are inlined and nodes may be fused: the model itself
// never changes. Tensors are shared with it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"

namespace hone::exec {

// Where a node comes from: the model itself (scope 0) or a call of a function, which imports opsets of its own.
struct Scope {
  const std::vector<ir::OpsetImport>* opsets = nullptr;
  const ir::Function* function = nullptr;
  std::uint32_t caller = 0;
};

class PrivateGraph {
 public:
  // A copy of the main graph or of a function's body. Initializers named in `variables` become inputs without a default;
  // inputs with a default stay inputs if `overridable`, and become constants otherwise.
  PrivateGraph(const ir::Model& model, const ir::Graph& graph, const std::vector<ir::OpsetImport>& opsets,
               const std::vector<std::string>& variables, bool overridable);
  // A graph of this one node. Its inputs are those of the node that are not empty, with the types of `inputs`; outer
  // values that its subgraphs use must be constants.
  PrivateGraph(const ir::Model& model, const ir::Node& node, const std::vector<std::optional<ir::Datum>>& inputs);

  ir::Graph& graph() { return *graph_; }
  const ir::Model& model() const { return model_; }
  // The value that carries what `name` names in the graph this was copied from; null if there is none.
  ir::Value* find(std::string_view name) const;
  std::int64_t opset(const ir::Node& node) const;
  // The node of the original graph it is a copy of, or the call it was inlined from; the node itself where it is new.
  const ir::Node& original(const ir::Node& node) const;
  // For a node that replaces `from`.
  void inherit(ir::Node& node, const ir::Node& from);
  void forget(const ir::Node& node) { originals_.erase(&node); }
  // `by`, which has no output yet, gives `result` from now on; the nodes that it was made by are gone, and stay as the
  // subgraph `fallback` of `by`.
  void replace(std::vector<ir::Node*> nodes, ir::Value& result, ir::Node& by);
  // `from` is gone, `to` carries its value now.
  void redirect(const std::string& from, const std::string& to) { aliases_[from] = to; }

  // The graph, and the bodies of If, Loop and Scan in it: what the engine runs itself and may put operators of its own into.
  // Other bodies (of SequenceMap, FlexAttention, fused nodes) are left out: functions that are made of them know the
  // operators of the model only.
  std::vector<ir::Graph*> running_graphs();

 private:
  void inline_functions();
  void inline_call(ir::Node& call, const ir::Function& function);

  const ir::Model& model_;
  std::unique_ptr<ir::Graph> graph_;
  std::vector<Scope> scopes_;  // a node's `mark` is its place in here
  std::unordered_map<const ir::Node*, const ir::Node*> originals_;
  std::unordered_map<std::string, std::string> aliases_;
  std::size_t inlined_ = 0;
};

// The version of a node's domain: 1 where a domain of one's own is not imported.
std::int64_t opset_of(const ir::Node& node, const ir::Model& model);

// The type of a Datum, with exact dimensions.
ir::Type type_of(const ir::Datum& datum);

}  // namespace hone::exec
