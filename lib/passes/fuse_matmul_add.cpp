// fuse-matmul-add: MatMul of two matrices, then Add of a bias, becomes Gemm.
//
// Left alone:
//  1. operands whose rank is not known to be 2: more dimensions would need two Reshapes around the Gemm;
//  2. a bias that doesn't broadcast to the product (rank above 2, or larger than it in a dimension);
//  3. a product that anybody else sees; element types Gemm doesn't take.
#include "hone/rewrite/match.h"
#include "passes/rules.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Bindings {
  ir::Node* product;
  ir::Value* bias;
};

bool broadcasts_to(const ir::Shape& bias, const ir::Shape& product) {
  if (bias.size() > product.size()) return false;
  for (std::size_t i = 0; i < bias.size(); ++i) {
    const ir::Dimension& dim = bias[i];
    if (dim.number() == 1) continue;
    if (!provably_equal(dim, product[product.size() - bias.size() + i])) return false;
  }
  return true;
}

Match<Bindings> match(const ir::Node& add, std::int64_t opset) {
  for (std::size_t i = 0; i < 2; ++i) {
    ir::Node* product = rewrite::sole_producer(add.input(i), "MatMul");
    if (!product) continue;
    ir::Value* bias = add.input(1 - i);
    const auto& left = product->input(0)->shape();
    const auto& right = product->input(1)->shape();
    if (!left || !right || left->size() != 2 || right->size() != 2) return no("operands are not matrices");
    if (opset < 7) return no("Gemm of this opset does not broadcast");
    const ir::ElementType type = product->input(0)->element_type();
    if (ir::bit_width(type) < 16 || (ir::is_integer(type) && (opset < 9 || ir::bit_width(type) < 32)) ||
        (type == ir::ElementType::bfloat16 && opset < 13)) {
      return no("element type");
    }
    const ir::Shape shape{(*left)[0], (*right)[1]};
    if (!bias->shape() || !broadcasts_to(*bias->shape(), shape)) return no("bias doesn't broadcast to the product");
    return Bindings{product, bias};
  }
  return no("no operand is a MatMul of its own");
}

}  // namespace

Status fuse_matmul_add(ir::Node& add, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const auto found = match(add, rewriter.opset(add));
  if (!found) return rewriter.decline(add, found.reason());
  ir::Node& product = *found->product;
  ir::Node& gemm = rewriter.add("Gemm", {product.input(0), product.input(1), found->bias}, {}, add, &product);
  return rewriter.replace(add, *gemm.output(0));
}

}  // namespace hone::passes
