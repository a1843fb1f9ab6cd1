// fuse-matmul-transpose: a Transpose of the last two dimensions before a MatMul, and a constant factor on a factor or on the
// product, go into FusedMatMul of com.microsoft, which reads transposed matrices where they lie.
//
// Left alone: other permutations; transposed values that anybody else sees; factors that are not one number, or that keep the
// product with a constant of huge numbers from an overflow; vectors; types other than float32; a product that is followed by
// a sum and makes a Gemm.
#include <cmath>

#include "hone/rewrite/match.h"
#include "passes/microsoft.h"
#include "passes/rules.h"
#include "passes/values.h"
#include "passes/weights.h"

namespace hone::passes {
namespace {

constexpr const char* kOperator = "FusedMatMul";

bool is_product(const ir::Node& node) {
  return node.is("MatMul") || (node.is("com.microsoft", kOperator) && node.int_or("transBatchA", 0) == 0 &&
                               node.int_or("transBatchB", 0) == 0);
}

bool swaps_last(const ir::Node& transpose) {
  const auto perm = permutation(transpose);
  if (!perm || perm->size() < 2) return false;
  for (std::size_t i = 0; i + 2 < perm->size(); ++i) {
    if ((*perm)[i] != static_cast<std::int64_t>(i)) return false;
  }
  return !is_identity(*perm);
}

// What a Mul or Div by a number multiplies, where the number is safe to apply elsewhere.
struct Scaled {
  ir::Value* x = nullptr;
  double factor = 1;
};
Scaled scaled(const ir::Node* node) {
  if (!node || (!node->is("Mul") && !node->is("Div"))) return {};
  for (std::size_t i = node->is("Div") ? 1 : 0; i < 2; ++i) {
    const auto number = splat(node->input(i));
    ir::Value* x = node->input(1 - i);
    if (!number || !same_shape(x, node->output(0))) continue;
    const double factor = node->is("Div") ? 1 / *number : *number;
    if (std::isnormal(static_cast<float>(factor))) return {x, factor};
  }
  return {};
}

// Whether products with it may pass the largest float where those with a small multiple of it do not.
bool is_huge(const ir::Value* value) {
  const ir::Tensor* constant = ir::constant(value);
  return constant && !is_moderate(*constant, {1});
}

}  // namespace

Status fuse_matmul_transpose(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (node.output(0)->element_type() != ir::ElementType::float32) return rewriter.decline(node, "element type");
  if (!is_product(node)) {  // a factor on a product
    if (!node.domain().empty()) return Status::unchanged;
    const Scaled after = scaled(&node);
    ir::Node* product = after.x && after.x->only_use() ? after.x->producer() : nullptr;
    if (!product || !is_product(*product)) return rewriter.decline(node, "no product of its own is scaled");
    if (!takes_microsoft(rewriter, node)) return rewriter.decline(node, "com.microsoft has no place here");
    if (&product->graph() != &node.graph()) return rewriter.decline(node, "the product is of another graph");
    const float alpha = static_cast<float>(static_cast<double>(product->float_or("alpha", 1)) * after.factor);
    rewrite::Attributes attributes = rewrite::attributes("alpha", alpha);
    for (const char* name : {"transA", "transB"}) {
      if (product->int_or(name, 0) != 0) attributes.emplace_back(name, std::int64_t{1});
    }
    ir::Node& fused = add_microsoft(rewriter, kOperator, {product->input(0), product->input(1)}, std::move(attributes),
                                    node, product);
    return rewriter.replace(node, *fused.output(0));
  }
  ir::Value* inputs[2] = {node.input(0), node.input(1)};
  std::int64_t transposed[2] = {node.int_or("transA", 0), node.int_or("transB", 0)};
  double alpha = static_cast<double>(node.float_or("alpha", 1));
  bool changed = false;
  for (std::size_t i = 0; i < 2; ++i) {
    const ir::Node* before = inputs[i] && inputs[i]->only_use() ? inputs[i]->producer() : nullptr;
    if (!before || !before->domain().empty()) continue;
    if (before->is("Transpose") && swaps_last(*before)) {
      inputs[i] = before->input(0);
      transposed[i] = 1 - transposed[i];
      changed = true;
    } else if (const Scaled factor = scaled(before);
               factor.x && (std::abs(factor.factor) >= 1 || !is_huge(inputs[1 - i]))) {
      inputs[i] = factor.x;
      alpha *= factor.factor;
      changed = true;
    }
  }
  if (!changed) return rewriter.decline(node, "no factor is transposed or scaled");
  for (const ir::Value* input : inputs) {
    if (!input->shape() || input->shape()->size() < 2) return rewriter.decline(node, "a factor is no matrix");
  }
  if (!takes_microsoft(rewriter, node)) return rewriter.decline(node, "com.microsoft has no place here");
  rewrite::Attributes attributes;
  if (alpha != 1) attributes.emplace_back("alpha", static_cast<float>(alpha));
  if (transposed[0]) attributes.emplace_back("transA", std::int64_t{1});
  if (transposed[1]) attributes.emplace_back("transB", std::int64_t{1});
  ir::Node& fused = add_microsoft(rewriter, kOperator, {inputs[0], inputs[1]}, std::move(attributes), node, &node);
  return rewriter.replace(node, *fused.output(0));
}

}  // namespace hone::passes
