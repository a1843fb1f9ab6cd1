// eliminate-identity: users of Identity(x) use x.
//
// Left alone: an Identity that ties a graph output to a graph input, an initializer, a value of an outer graph or another
// output: the output needs its name.
#include "passes/rules.h"

namespace hone::passes {

Status eliminate_identity(ir::Node& identity, PassContext& context) {
  ir::Value* input = identity.input(0);
  if (!input || !identity.output(0)) return context.rewriter.decline(identity, "has no input or output");
  if (context.rewriter.replace(identity, *input) == Status::changed) return Status::changed;
  // The output keeps the Identity; everybody else can do without it.
  ir::Value& output = *identity.output(0);
  if (output.uses().empty()) return context.rewriter.decline(identity, "a graph output needs it for its name");
  std::vector<ir::Node*> users;
  for (const ir::Use& use : output.uses()) users.push_back(use.node);
  output.graph().replace_all_uses(output, *input, false);
  for (ir::Node* user : users) context.rewriter.touched(*user);
  return Status::changed;
}

}  // namespace hone::passes
