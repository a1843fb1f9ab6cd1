// lift-initializers: before IR version 4 every initializer had to be listed as a graph input; such a model gets IR version 4
// and loses those inputs, so that its weights are constants.
//
// Left alone: models of IR version 4 and later, where such an input means that the caller may override it; initializers
// that are graph outputs too.
#include "passes/rules.h"

namespace hone::passes {

Status lift_initializers(PassContext& context) {
  ir::Model& model = context.rewriter.model();
  if (model.ir_version >= 4) return Status::unchanged;
  ir::Graph& graph = *model.graph;
  Status status = Status::unchanged;
  for (std::size_t i = graph.inputs().size(); i-- > 0;) {
    ir::Value* input = graph.inputs()[i];
    if (!input->initializer() || input->is_graph_output()) continue;
    graph.remove_input(i);
    std::vector<ir::Node*> users;
    for (const ir::Use& use : input->uses()) users.push_back(use.node);
    for (ir::Node* user : users) context.rewriter.touched(*user);
    status = Status::changed;
  }
  if (status == Status::changed) model.ir_version = 4;
  return status;
}

}  // namespace hone::passes
