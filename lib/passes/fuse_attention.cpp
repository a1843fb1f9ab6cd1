// fuse-attention: softmax(scale Q K' + mask) V over heads becomes MultiHeadAttention of com.microsoft, with the Reshapes and
// Transposes that take heads apart and put them together, the biases of the three projections, and the mask as it is added.
// Its CPU kernel never lays out heads twice, and without a mask not even the scores in full.
//
// A mask of one row for all queries is widened to what the operator takes, once for all layers that share it.
//
// Left alone:
//  1. scores or probabilities that anybody else sees; masks that enlarge the scores, or that put a number in place of scores
//     that is not below -1e30;
//  2. fewer key than query heads; heads that do not come from rows of [batch, length, heads * size], side by side;
//  3. types other than float32.
#include "hone/rewrite/match.h"
#include "passes/heads.h"
#include "passes/microsoft.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Bindings {
  Heads q, k, v;
  Scores scores;
  ir::Node* last;  // the Reshape that puts heads together
};

// [batch or 1, heads or 1, queries, keys]
bool is_whole(const ir::Value* mask, const ir::Dimension& queries, const ir::Dimension& keys) {
  const auto& shape = mask->shape();
  return shape && shape->size() == 4 && provably_equal((*shape)[2], queries) && provably_equal((*shape)[3], keys);
}

Match<Bindings> match(const ir::Node& softmax, std::int64_t opset) {
  if (!softmax.input(0)->shape() || softmax.input(0)->shape()->size() != 4) return no("not four dimensions");
  const std::int64_t axis = softmax.int_or("axis", opset >= 13 ? -1 : 1);
  if (axis != -1 && axis != 3) return no("softmax over another axis");
  if (softmax.output(0)->element_type() != ir::ElementType::float32) return no("element type");

  // Behind it: a product with the values, heads put together.
  ir::Node* product = rewrite::sole_user(softmax.output(0), "MatMul");
  if (!product || product->input(0) != softmax.output(0)) return no("no product with values of its own");
  ir::Node* transpose = rewrite::sole_user(product->output(0), "Transpose");
  if (!transpose || permutation(*transpose) != Permutation{0, 2, 1, 3}) return no("heads are not put together");
  ir::Node* last = rewrite::sole_user(transpose->output(0), "Reshape");
  if (!last || last->input(0) != transpose->output(0) || &last->graph() != &softmax.graph())
    return no("heads are not put together");
  double value_scale = 1;
  const auto v = heads(product->input(1), {0, 2, 1, 3}, value_scale);
  if (!v || value_scale != 1) return no("values are no heads side by side");

  auto scores = passes::scores(softmax);
  if (!scores) return no(scores.reason());
  Scores found = *scores;
  const auto q = heads(found.product->input(0), {0, 2, 1, 3}, found.scale),
             k = heads(found.product->input(1), {0, 2, 3, 1}, found.scale);
  if (!q || !k) return no("queries or keys are no heads side by side");
  if (q->count != k->count || v->count != k->count || q->size != k->size) return no("fewer key than query heads");
  if (!provably_equal(q->batch, k->batch) || !provably_equal(q->batch, v->batch) ||
      !provably_equal(k->length, v->length)) {
    return no("queries, keys and values of different lengths");
  }
  if (opset < 15 && (found.choice || (found.added && !is_whole(found.added, q->length, k->length))))
    return no("a mask to be widened, before opset 15");  // Shape of one dimension, to widen it
  if (!last->output(0)->shape()) return no("the result's shape is not known");
  return Bindings{*q, *k, *v, found, last};
}

ir::Value* widened(rewrite::Rewriter& rewriter, ir::Value* mask, const Bindings& found) {
  ir::Node& before = *found.last;
  const auto &rows = found.q.length, &keys = found.k.length;
  if (is_whole(mask, rows, keys)) return mask;
  const auto length = [&](const ir::Dimension& dim, ir::Value* of) -> ir::Value* {
    if (dim.number()) return &rewriter.constant_ints(before, {*dim.number()}, "length");
    return rewriter.add("Shape", {of}, rewrite::attributes("start", std::int64_t{1}, "end", std::int64_t{2}), before)
        .output(0);
  };
  ir::Value* target = nullptr;
  if (rows.number() && keys.number()) {
    target = &rewriter.constant_ints(before, {1, 1, *rows.number(), *keys.number()}, "mask_shape");
  } else {
    ir::Value& ones = rewriter.constant_ints(before, {1, 1}, "ones");
    target = rewriter
                 .add("Concat", {&ones, length(rows, found.q.rows), length(keys, found.k.rows)},
                      rewrite::attributes("axis", std::int64_t{0}), before)
                 .output(0);
  }
  return rewriter.add("Expand", {mask, target}, {}, before).output(0);
}

}  // namespace

Status fuse_attention(ir::Node& softmax, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const auto found = match(softmax, rewriter.opset(softmax));
  if (!found) return rewriter.decline(softmax, found.reason());
  if (!takes_microsoft(rewriter, softmax)) return rewriter.decline(softmax, "com.microsoft has no place here");
  ir::Node& last = *found->last;
  const ir::Shape shape{found->q.batch, found->q.length, found->v.count * found->v.size},
      wanted = *last.output(0)->shape();
  const bool as_rows = provably_same_shape(shape, wanted);
  const auto target = as_rows ? std::nullopt : reshape_target(shape, wanted);
  if (!as_rows && !target) return rewriter.decline(softmax, "the result's shape can't be written as a Reshape");

  std::vector<ir::Value*> inputs{found->q.rows, found->k.rows, found->v.rows};
  const Biased parts[3] = {biased(inputs[0], false), biased(inputs[1], false), biased(inputs[2], false)};
  ir::Value* bias = nullptr;
  if (parts[0].x && parts[1].x && parts[2].x) {
    std::vector<float> all;
    for (std::size_t i = 0; i < 3; ++i) {
      const std::vector<float> own = ir::constant(parts[i].bias)->to_floats();
      all.insert(all.end(), own.begin(), own.end());
      inputs[i] = parts[i].x;
    }
    bias = &rewriter.constant(last, ir::Tensor::vector(all), "qkv_bias");
  }
  ir::Value* mask = passes::mask(rewriter, found->scores, last);
  if (mask) mask = widened(rewriter, mask, *found);
  if (bias || mask) inputs.push_back(bias);
  if (mask) inputs.insert(inputs.end(), {nullptr, mask});
  ir::Node& fused =
      add_microsoft(rewriter, "MultiHeadAttention", inputs,
                    rewrite::attributes("num_heads", found->q.count, "scale", static_cast<float>(found->scores.scale)),
                    last, &softmax);
  if (as_rows) return rewriter.replace(last, *fused.output(0));
  ir::Value& dims = rewriter.constant_ints(last, *target, "shape");
  ir::Node& reshaped = rewriter.add("Reshape", {fused.output(0), &dims}, {}, last, &last);
  return rewriter.replace(last, *reshaped.output(0));
}

}  // namespace hone::passes
