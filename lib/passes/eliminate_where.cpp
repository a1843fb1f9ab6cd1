// eliminate-where: Where(c, a, b) becomes a where c is true everywhere, b where it is false everywhere; a too where both
// are one value. Folded masks leave such nodes.
//
// Left alone: a condition that is mixed, empty or also a graph input; a branch not provably of the result's shape, since
// dropping the node would drop its broadcast.
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {

Status eliminate_where(ir::Node& where, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  std::size_t kept = 1;
  if (where.input(1) != where.input(2)) {
    const auto all = splat(where.input(0));
    if (!all) return rewriter.decline(where, "condition is mixed or not constant");
    kept = *all != 0 ? 1 : 2;
  }
  if (!same_shape(where.input(kept), where.output(0))) return rewriter.decline(where, "branch is broadcast");
  return rewriter.replace(where, *where.input(kept));
}

}  // namespace hone::passes
