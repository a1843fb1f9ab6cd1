// constant-to-initializer: the output of a Constant node becomes an initializer of the same name, one node fewer.
//
// Left alone: Constant nodes of function bodies (a function has no initializers), ones that are graph outputs, and sparse
// values.
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {

Status constant_to_initializer(ir::Node& constant, PassContext& context) {
  const ir::Tensor* tensor = ir::constant(constant.output(0));
  if (!tensor) return context.rewriter.decline(constant, "not a dense tensor");
  if (constant.output(0)->is_graph_output()) return context.rewriter.decline(constant, "is a graph output");
  if (!in_main_graph(constant, *context.rewriter.model().graph)) {
    return context.rewriter.decline(constant, "a function body has no initializers");
  }
  return context.rewriter.fold(constant, {*tensor});
}

}  // namespace hone::passes
