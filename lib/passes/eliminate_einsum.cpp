// eliminate-einsum: an Einsum that only permutes becomes Transpose; one that multiplies matrices, with or without leading
// batch letters, becomes MatMul.
//
// Left alone: an ellipsis, a repeated letter within one operand, more than two operands, products that would need a
// Transpose or Reshape as well, and dimensions that would broadcast.
#include <algorithm>

#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

bool has_repeats(std::string letters) {
  std::sort(letters.begin(), letters.end());
  return std::adjacent_find(letters.begin(), letters.end()) != letters.end();
}

}  // namespace

Status eliminate_einsum(ir::Node& einsum, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  std::string equation = einsum.string_or("equation", "");
  std::erase(equation, ' ');
  const std::size_t arrow = equation.find("->");
  if (arrow == std::string::npos || equation.find('.') != std::string::npos) {
    return rewriter.decline(einsum, "implicit result or ellipsis");
  }
  const std::string result = equation.substr(arrow + 2), operands = equation.substr(0, arrow);
  const std::size_t comma = operands.find(',');
  const std::string a = operands.substr(0, comma);
  const std::size_t count = 1 + static_cast<std::size_t>(std::count(operands.begin(), operands.end(), ','));
  if (einsum.input_count() != count) return rewriter.decline(einsum, "more or fewer operands than the equation says");
  for (std::size_t i = 0; i < count; ++i) {
    if (!einsum.input(i)) return rewriter.decline(einsum, "an operand is missing");
  }
  if (has_repeats(a) || has_repeats(result)) return rewriter.decline(einsum, "repeated letter");
  if (comma == std::string::npos) {
    if (a.size() != result.size()) return rewriter.decline(einsum, "sums over a letter");
    Permutation perm;
    for (const char letter : result) {
      const std::size_t at = a.find(letter);
      if (at == std::string::npos) return rewriter.decline(einsum, "unknown letter");
      perm.push_back(static_cast<std::int64_t>(at));
    }
    ir::Node& transpose =
        rewriter.add("Transpose", {einsum.input(0)}, rewrite::attributes("perm", perm), einsum, &einsum);
    return rewriter.replace(einsum, *transpose.output(0));
  }
  const std::string b = operands.substr(comma + 1);
  if (b.find(',') != std::string::npos || has_repeats(b)) return rewriter.decline(einsum, "more than two operands");
  const std::size_t rank = a.size();
  if (rank < 2 || b.size() != rank || result.size() != rank)
    return rewriter.decline(einsum, "not a product of matrices");
  // a = batch i j, b = batch j k, result = batch i k
  const std::string batch = a.substr(0, rank - 2);
  const char i = a[rank - 2], j = a[rank - 1], k = b[rank - 1];
  if (b != batch + j + k || result != batch + i + k || i == k)
    return rewriter.decline(einsum, "not a product of matrices");
  const auto& left = einsum.input(0)->shape();
  const auto& right = einsum.input(1)->shape();
  if (!left || !right || left->size() != rank || right->size() != rank)
    return rewriter.decline(einsum, "shapes are not known");
  for (std::size_t axis = 0; axis + 2 < rank; ++axis) {
    if (!provably_equal((*left)[axis], (*right)[axis])) return rewriter.decline(einsum, "batch dimensions may differ");
  }
  if (!provably_equal((*left)[rank - 1], (*right)[rank - 2]))
    return rewriter.decline(einsum, "one of the summed dimensions may be 1");
  if (!ir::is_float(einsum.output(0)->element_type())) return rewriter.decline(einsum, "element type");
  ir::Node& product = rewriter.add("MatMul", {einsum.input(0), einsum.input(1)}, {}, einsum, &einsum);
  return rewriter.replace(einsum, *product.output(0));
}

}  // namespace hone::passes
