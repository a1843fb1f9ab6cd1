// eliminate-transpose: a Transpose that moves nothing goes; two in a row become one.
//   Transpose(q, Transpose(p, x)) = Transpose(p[q[0]], p[q[1]], ...)
//
// Left alone: a first Transpose that anybody else sees stays for them; ranks that are not known.
#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {

Status eliminate_transpose(ir::Node& transpose, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const auto second = permutation(transpose);
  if (!second) return rewriter.decline(transpose, "permutation is not known");
  if (is_identity(*second)) return rewriter.replace(transpose, *transpose.input(0));
  const ir::Node* before = rewrite::producer(transpose.input(0), "Transpose");
  if (!before) return rewriter.decline(transpose, "moves dimensions");
  const auto first = permutation(*before);
  if (!first || first->size() != second->size()) return rewriter.decline(transpose, "permutation is not known");
  Permutation composed;
  for (const std::int64_t axis : *second) composed.push_back((*first)[static_cast<std::size_t>(axis)]);
  ir::Value& source = *before->input(0);
  if (is_identity(composed)) return rewriter.replace(transpose, source);
  rewriter.together([&] {
    rewriter.set_attribute(transpose, "perm", std::move(composed));
    rewriter.set_input(transpose, 0, &source);
  });
  return Status::changed;
}

}  // namespace hone::passes
