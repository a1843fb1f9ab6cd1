// eliminate-neutral: x + 0, x - 0, x * 1, x / 1, pow(x, 1), x and true, x or false, x xor false are x.
//
// Left alone: x * 0 and the like (NaN and infinity are not 0); an operand that enlarges x; 0 - x, 1 / x; opsets before 7,
// whose broadcasting is by attribute. x + 0 makes +0 of -0, which nothing but 1/x can see; it counts as equal.
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {

Status eliminate_neutral(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (rewriter.opset(node) < 7) return rewriter.decline(node, "opset without broadcasting");
  const bool adds = node.is("Add") || node.is("Sub") || node.is("Or") || node.is("Xor");
  const bool commutes = !node.is("Sub") && !node.is("Div") && !node.is("Pow");
  for (std::size_t i = commutes ? 0 : 1; i < 2; ++i) {
    const ir::Value* operand = node.input(i);
    ir::Value* other = node.input(1 - i);
    if (!operand || !other || !is_splat(operand, adds ? 0 : 1)) continue;
    const bool one_number = operand->shape() && operand->shape()->empty();
    if (!one_number && !same_shape(other, node.output(0))) return rewriter.decline(node, "operand enlarges the other");
    return rewriter.replace(node, *other);
  }
  return rewriter.decline(node, "no operand is neutral");
}

}  // namespace hone::passes
