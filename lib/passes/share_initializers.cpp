// share-initializers: of initializers with equal type, shape and bytes, one serves all. Found by sampled fingerprints, then
// compared: weights that differ are told apart by a few kilobytes, never hashed whole.
//
// Left alone: initializers that are graph inputs (each can be overridden) or graph outputs (each needs its name), sparse
// ones, and those of functions (they have none).
#include <unordered_map>

#include "passes/rules.h"

namespace hone::passes {

Status share_initializers(PassContext& context) {
  Status status = Status::unchanged;
  ir::for_each_graph(*context.rewriter.model().graph, [&](ir::Graph& graph) {
    std::unordered_map<std::uint64_t, std::vector<ir::Value*>> seen;
    for (ir::Value* value : graph.initializers()) {
      if (!value->initializer() || value->is_graph_input() || value->is_graph_output()) continue;
      auto& candidates = seen[ir::fingerprint(*value->initializer())];
      ir::Value* twin = nullptr;
      for (ir::Value* candidate : candidates) {
        if (ir::equal(*candidate->initializer(), *value->initializer())) {
          twin = candidate;
          break;
        }
      }
      if (!twin) {
        candidates.push_back(value);
        continue;
      }
      context.rewriter.replace_value(*value, *twin);
      context.rewriter.shapes().forget(*value);
      graph.remove_initializer(*value);
      status = Status::changed;
    }
  });
  return status;
}

}  // namespace hone::passes
