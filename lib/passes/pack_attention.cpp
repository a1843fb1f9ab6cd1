// pack-attention: MultiHeadAttention of com.microsoft whose queries, keys and values are three products of one value becomes
// Attention, which holds the three weights side by side and multiplies head by head, straight into the layout it needs. The
// products may be one that a Split cuts in three, and Gemms of two dimensions between Reshapes. Attention's kernel wants
// biases: where there are none, zeros.
//
// Left alone:
//  1. more than one sample, or nobody knows how many: Attention multiplies sample by sample, and reads the weights each time;
//     attention without a mask: MultiHeadAttention then never writes the scores, which Attention does;
//  2. heads of other sizes for queries than for keys;
//  3. weights and products that anybody else uses; a past; types other than float32.
#include "hone/rewrite/match.h"
#include "passes/microsoft.h"
#include "passes/rules.h"
#include "passes/values.h"
#include "passes/weights.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

// x [batch, length, depth] times a weight [depth, columns] of its own, perhaps with a bias; x is null for anything else.
struct Product {
  ir::Value *x = nullptr, *weight = nullptr, *bias = nullptr;
};

Product product_of(const ir::Value* value) {
  Product found;
  if (const ir::Node* matmul = rewrite::sole_producer(value, "MatMul")) {
    found = {matmul->input(0), matmul->input(1), nullptr};
  } else if (const ir::Node* reshape = rewrite::sole_producer(value, "Reshape")) {
    const ir::Node* gemm = rewrite::sole_producer(reshape->input(0), "Gemm");
    const ir::Node* flat = gemm ? rewrite::producer(gemm->input(0), "Reshape") : nullptr;
    if (!flat || gemm->int_or("transA", 0) != 0 || gemm->int_or("transB", 0) != 0 || gemm->float_or("alpha", 1) != 1 ||
        gemm->float_or("beta", 1) != 1) {
      return {};
    }
    found = {flat->input(0), gemm->input(1), gemm->input(2)};
  }
  if (!found.x || !found.x->shape() || !found.weight || !found.weight->only_use()) return {};
  const ir::Shape &x = *found.x->shape(), &shape = *value->shape();
  if (x.size() != 3 || !provably_equal(x[0], shape[0]) || !provably_equal(x[1], shape[1])) return {};
  const ir::Tensor *weight = ir::constant(found.weight), *bias = found.bias ? ir::constant(found.bias) : nullptr;
  if (!weight || weight->rank() != 2 || weight->type() != ir::ElementType::float32) return {};
  if (x[2].number() != weight->dims()[0] || shape[2].number() != weight->dims()[1]) return {};
  if (found.bias && (!bias || bias->dims() != ir::Dims{weight->dims()[1]})) return {};
  return found;
}

struct Bindings {
  std::vector<Product> products;     // three, or one of all
  std::vector<std::int64_t> widths;  // of queries, keys, values
  std::vector<float> bias;           // of all
};

Match<Bindings> match(const ir::Node& attention) {
  if (attention.output_count() > 1 || attention.input(4) || attention.input(6) || attention.input(7))
    return no("a past, a mask of keys, or more results");
  if (!attention.input(5)) return no("no mask");
  Bindings found;
  for (std::size_t i = 0; i < 3; ++i) {
    const ir::Value* each = attention.input(i);
    if (!each || each->element_type() != ir::ElementType::float32) return no("element type");
    if (!each->shape() || each->shape()->size() != 3 || !each->shape()->back().number())
      return no("shapes are not known");
    found.widths.push_back(*each->shape()->back().number());
  }
  if ((*attention.input(0)->shape())[0].number() != 1) return no("not one sample");
  if (found.widths[0] != found.widths[1]) return no("queries and keys of other sizes");
  const ir::Node* split = rewrite::producer(attention.input(0), "Split");
  if (split && split->output_count() == 3) {
    const std::int64_t axis = split->int_or("axis", 0);
    for (std::size_t i = 0; i < 3; ++i) {
      if (split->output(i) != attention.input(i) || !split->output(i)->only_use() || (axis != -1 && axis != 2))
        return no("a Split of something else");
    }
    found.products.push_back(product_of(split->input(0)));
  } else {
    for (std::size_t i = 0; i < 3; ++i) found.products.push_back(product_of(attention.input(i)));
  }
  for (const Product& each : found.products) {
    if (!each.x) return no("no product with a weight of its own");
    if (each.x != found.products[0].x) return no("products of several values");
    std::vector<float> own(static_cast<std::size_t>(*each.weight->shape()->back().number()));
    if (each.bias) own = ir::constant(each.bias)->to_floats();
    found.bias.insert(found.bias.end(), own.begin(), own.end());
  }
  if (attention.input(3)) {
    const ir::Tensor* bias = ir::constant(attention.input(3));
    if (!bias || bias->dims() != ir::Dims{static_cast<std::int64_t>(found.bias.size())})
      return no("biases are not constant");
    const std::vector<float> own = bias->to_floats();
    for (std::size_t i = 0; i < own.size(); ++i) found.bias[i] += own[i];
  }
  return found;
}

}  // namespace

Status pack_attention(ir::Node& attention, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (attention.domain() != "com.microsoft") return Status::unchanged;
  const auto found = match(attention);
  if (!found) return rewriter.decline(attention, found.reason());
  ir::Value* weight = found->products[0].weight;
  if (found->products.size() > 1) {
    std::vector<ir::Tensor> parts;
    for (const Product& each : found->products) parts.push_back(*ir::constant(each.weight));
    weight = &rewriter.constant(attention, side_by_side(std::move(parts)), "qkv_weight");
  }
  ir::Value& bias = rewriter.constant(attention, ir::Tensor::vector(found->bias), "qkv_bias");
  rewrite::Attributes attributes =
      rewrite::attributes("num_heads", attention.int_or("num_heads", 1), "scale", attention.float_or("scale", 0));
  if (attention.int_or("unidirectional", 0) != 0) attributes.emplace_back("unidirectional", std::int64_t{1});
  if (found->widths[2] != found->widths[0]) attributes.emplace_back("qkv_hidden_sizes", found->widths);
  ir::Node& packed =
      add_microsoft(rewriter, "Attention", {found->products[0].x, weight, &bias, nullptr, nullptr, attention.input(5)},
                    std::move(attributes), attention, &attention);
  return rewriter.replace(attention, *packed.output(0));
}

}  // namespace hone::passes
