// fuse-scale: multiplication by a constant moves into the weights of the MatMul or Gemm beside it.
//   (x W + b) * c  =  x (W c) + b c       c one number, or one per column
//   (x * c) W      =  x (c W)             c one number
// One number also passes through Reshape, Transpose and the left side of a MatMul on its way up.
// Rounding differs as it does between any two orders of multiplication.
//
// Left alone:
//  1. values in between that anybody else sees; weights or factors that are not constant, not finite, or huge;
//  2. weights that another node uses too: there would be two of them;
//  3. a factor that would enlarge the product; Gemm with alpha or beta other than 1 or transposed weights; constant / x;
//  4. a bias that does not lie along the columns;
//  5. the half of a Gelu: without it ONNX Runtime no longer recognizes that, and it ran MiniLM 7 % slower.
#include <cmath>

#include "hone/rewrite/match.h"
#include "passes/gelu.h"
#include "passes/rules.h"
#include "passes/values.h"
#include "passes/weights.h"

namespace hone::passes {
namespace {

struct Linear {
  ir::Node* product = nullptr;  // MatMul or Gemm
  ir::Node* add = nullptr;      // its bias, for MatMul
  std::size_t bias = 0;         // input of `add` or `product` that is the bias
};

bool is_plain_gemm(const ir::Node& gemm) {
  return gemm.float_or("alpha", 1) == 1 && gemm.float_or("beta", 1) == 1 && gemm.int_or("transB", 0) == 0;
}

const ir::Tensor* matrix(const ir::Value* value) {
  const ir::Tensor* tensor = value && value->only_use() ? ir::constant(value) : nullptr;
  return tensor && tensor->rank() == 2 && is_scalable(tensor->type()) && tensor->element_count() > 0 ? tensor : nullptr;
}

// The product that makes `value`, seen by nobody else.
std::optional<Linear> linear(const ir::Value* value) {
  Linear found;
  if (!value || !value->only_use() || !value->producer()) return std::nullopt;
  ir::Node* node = value->producer();
  if (node->is("Gemm")) {
    if (!is_plain_gemm(*node) || !matrix(node->input(1)) || (node->input(2) && !ir::constant(node->input(2)))) {
      return std::nullopt;
    }
    found.product = node;
    found.bias = 2;
    return found;
  }
  if (node->is("Add")) {
    found.add = node;
    for (std::size_t i = 0; i < 2 && !found.product; ++i) {
      ir::Node* product = rewrite::sole_producer(node->input(i), "MatMul");
      if (product && ir::constant(node->input(1 - i))) {
        found.product = product;
        found.bias = 1 - i;
      }
    }
    if (!found.product) return std::nullopt;
  } else if (node->is("MatMul")) {
    found.product = node;
  } else {
    return std::nullopt;
  }
  return matrix(found.product->input(1)) ? std::optional(found) : std::nullopt;
}

Status scale_result(ir::Node& mul, ir::Value* data, const ir::Tensor& constant, bool divide, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (!data->shape() || !mul.output(0)->shape() || !same_shape(data, mul.output(0))) {
    return rewriter.decline(mul, "factor enlarges the product");
  }
  const ir::Value* source = data;
  const bool one_number = constant.element_count() == 1;
  while (one_number && source->only_use() && source->producer()) {
    const ir::Node& node = *source->producer();
    if (!node.is("Reshape") && !node.is("Transpose") && !(node.is("MatMul") && !ir::constant(node.input(1)))) break;
    source = node.input(0);
  }
  const auto found = linear(source);
  if (!found) return rewriter.decline(mul, "not beside a product with constant weights");
  const ir::Tensor& weight = *ir::constant(found->product->input(1));
  const std::int64_t columns = weight.dims()[1];
  if (!source->shape()) return rewriter.decline(mul, "shapes are not known");
  const std::size_t rank = source->shape()->size();
  auto factors = rank > 0 ? per_channel(constant, rank, rank - 1, columns) : std::nullopt;
  if (!factors) return rewriter.decline(mul, "factor is not one per column");
  for (double& factor : *factors) {
    if (divide) factor = 1 / factor;
    if (!std::isfinite(factor) || factor == 0) return rewriter.decline(mul, "factor is zero or not finite");
  }
  if (!is_moderate(weight, *factors)) return rewriter.decline(mul, "weights would be huge");
  ir::Node* holder = found->add ? found->add : found->product;
  ir::Value* bias =
      found->bias < holder->input_count() && (found->add || holder->is("Gemm")) ? holder->input(found->bias) : nullptr;
  std::optional<std::vector<double>> shifted;
  if (bias) {
    const ir::Tensor& tensor = *ir::constant(bias);
    if (!is_scalable(tensor.type())) return rewriter.decline(mul, "bias type");
    shifted = per_channel(tensor, rank, rank - 1, columns);
    if (!shifted) return rewriter.decline(mul, "bias is not one per column");
    for (std::size_t i = 0; i < shifted->size(); ++i) (*shifted)[i] *= (*factors)[i];
    if (!is_moderate(tensor, *factors)) return rewriter.decline(mul, "a bias would be huge");
  }
  if (bias) {
    rewriter.set_input(*holder, found->bias,
                       &rewriter.constant(*holder, from_doubles(weight.type(), {columns}, *shifted), bias->name()));
  }
  rewriter.set_input(
      *found->product, 1,
      &rewriter.constant(*found->product, scale_along(weight, 1, *factors), found->product->input(1)->name()));
  return rewriter.replace(mul, *data);
}

}  // namespace

Status fuse_scale(ir::Node& mul, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const bool divide = mul.is("Div");
  if (!divide && spelled_out_gelu(mul)) return rewriter.decline(mul, "the half of Gelu, which runtimes recognize");
  for (std::size_t i = divide ? 1 : 0; i < 2; ++i) {
    const ir::Tensor* constant = ir::constant(mul.input(i));
    ir::Value* data = mul.input(1 - i);
    if (!constant || !data || ir::constant(data) || !is_scalable(constant->type())) continue;
    if (scale_result(mul, data, *constant, divide, context) == Status::changed) return Status::changed;
    // (x * c) W: one number, read only by a product as its left side.
    const ir::Use* use = mul.output(0)->only_use();
    if (constant->element_count() != 1 || !use || use->index != 0 || !same_shape(data, mul.output(0))) break;
    ir::Node& product = *use->node;
    if (!(product.is("MatMul") || (product.is("Gemm") && product.float_or("alpha", 1) == 1))) break;
    const ir::Tensor* weight = matrix(product.input(1));
    if (!weight || &product.graph() != &mul.graph()) break;
    const double number = constant->to_doubles()[0];
    const double factor = divide ? 1 / number : number;
    if (!std::isfinite(factor) || factor == 0 || !is_moderate(*weight, {factor})) break;
    ir::Value& scaled = rewriter.constant(
        product, scale_along(*weight, 0, std::vector<double>(static_cast<std::size_t>(weight->dims()[0]), factor)),
        product.input(1)->name());
    rewriter.set_input(product, 1, &scaled);
    rewriter.set_input(product, 0, data);
    return Status::changed;
  }
  return rewriter.decline(mul, "not beside a product with constant weights");
}

}  // namespace hone::passes
