// recognize-attention: softmax(scale Q K' + mask) V becomes Attention (opset 23):
//   with the Reshapes and Transposes that take heads apart and put them together, where all of them are there;
//   else between the values [batch, heads, length, size] that the products read, keys turned back where they were turned;
//   with fewer key than query heads, where Unsqueeze, Expand and Reshape repeat them;
//   a constant mask that hides what comes later, and nothing else, becomes is_causal.
// ONNX Runtime's kernel takes a mask of exactly [.., queries, keys]: a smaller one is widened, once for all layers that
// share it. A query whose keys a mask hides all, with minus infinity, gave NaN and gives 0: so the operator is defined.
//
// Left alone:
//  1. scores or probabilities that anybody else sees; masks that enlarge the scores, or that put a number in place of scores
//     that is not below -1e30;
//  2. a scale that is not positive (the operator takes its root);
//  3. types other than float32: where softmax_precision is not said, half precision may round elsewhere.
#include <cmath>

#include "hone/rewrite/match.h"
#include "passes/heads.h"
#include "passes/rules.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Bindings {
  ir::Node* product;     // of probabilities and values
  ir::Value *q, *k, *v;  // [batch, heads, length, size]
  Permutation turn;      // what makes k of the value found; identity: it is k
  Scores scores;
};

const ir::Shape* shape4(const ir::Value* value) {
  return value && value->shape() && value->shape()->size() == 4 ? &*value->shape() : nullptr;
}

// x [batch, heads, length, size] where value is x with every head several times in a row.
ir::Value* unrepeated(ir::Value* value) {
  const ir::Node* reshape = rewrite::producer(value, "Reshape");
  const ir::Node* expand = reshape ? rewrite::producer(reshape->input(0), "Expand") : nullptr;
  const ir::Node* unsqueeze = expand ? rewrite::producer(expand->input(0), "Unsqueeze") : nullptr;
  const ir::Node* by_reshape = expand && !unsqueeze ? rewrite::producer(expand->input(0), "Reshape") : nullptr;
  const ir::Node* apart = unsqueeze ? unsqueeze : by_reshape;
  if (!apart || !shape4(apart->input(0)) || !shape4(value)) return nullptr;
  const auto &wide = expand->output(0)->shape(), &thin = expand->input(0)->shape();
  if (!wide || !thin || wide->size() != 5 || thin->size() != 5 || (*thin)[2].number() != 1) return nullptr;
  const ir::Shape &x = *apart->input(0)->shape(), &result = *value->shape();
  const auto heads = x[1].number(), repeated = (*wide)[2].number();
  if (!heads || !repeated || result[1].number() != *heads * *repeated) return nullptr;
  for (const std::size_t i : {0u, 1u, 2u, 3u}) {
    const std::size_t in_five = i < 2 ? i : i + 1;
    if (!provably_equal(x[i], (*wide)[in_five]) || !provably_equal(x[i], (*thin)[in_five])) return nullptr;
    if (i != 1 && !provably_equal(x[i], result[i])) return nullptr;
  }
  return apart->input(0);
}

Match<Bindings> match(const ir::Node& softmax) {
  if (!shape4(softmax.input(0))) return no("not four dimensions");
  const std::int64_t axis = softmax.int_or("axis", -1);
  if (axis != -1 && axis != 3) return no("softmax over another axis");
  if (softmax.output(0)->element_type() != ir::ElementType::float32) return no("element type");
  Bindings found;
  found.product = rewrite::sole_user(softmax.output(0), "MatMul");
  if (!found.product || found.product->input(0) != softmax.output(0) || &found.product->graph() != &softmax.graph()) {
    return no("no product with values of its own");
  }
  found.v = found.product->input(1);
  const auto scores = passes::scores(softmax);
  if (!scores) return no(scores.reason());
  found.scores = *scores;
  double& scale = found.scores.scale;
  found.q = unscaled(found.scores.product->input(0), scale);
  found.k = unscaled(found.scores.product->input(1), scale);
  found.turn = {0, 1, 3, 2};
  if (const ir::Node* transpose = rewrite::producer(found.k, "Transpose")) {
    if (const auto perm = permutation(*transpose); perm && perm->size() == 4) {
      found.turn = {(*perm)[0], (*perm)[1], (*perm)[3], (*perm)[2]};
      found.k = unscaled(transpose->input(0), scale);
    }
  }
  const ir::Shape *q = shape4(found.q), *v = shape4(found.v);
  if (!q || !v || !shape4(found.k)) return no("queries, keys or values of unknown shape");
  if (!(scale > 0) || !std::isnormal(static_cast<float>(scale))) return no("a scale that is not positive");
  ir::Shape k;
  for (const std::int64_t i : found.turn) k.push_back((*found.k->shape())[static_cast<std::size_t>(i)]);
  for (const std::size_t i : {0u, 1u}) {
    if (!provably_equal((*q)[i], k[i]) || !provably_equal((*q)[i], (*v)[i])) return no("products that broadcast");
  }
  if (!(*q)[1].number() || !(*q)[3].number() || !provably_equal((*q)[3], k[3]) || !provably_equal(k[2], (*v)[2])) {
    return no("queries, keys and values of different lengths");
  }
  // Heads that are repeated for several queries: of keys and values alike.
  if (is_identity(found.turn)) {
    ir::Value *few_k = unrepeated(found.k), *few_v = unrepeated(found.v);
    if (few_k && few_v && provably_equal((*few_k->shape())[1], (*few_v->shape())[1])) {
      found.k = few_k;
      found.v = few_v;
    }
  }
  return found;
}

// Whether a constant mask is 0 up to the query's own place, and hides what is behind it.
bool is_causal(const ir::Value* mask, const ir::Dimension& queries, const ir::Dimension& keys) {
  const ir::Tensor* tensor = ir::constant(mask);
  constexpr std::int64_t kLongest = 4096;  // 64 MiB of mask
  // What no sum with a score of any use comes near to: its exponential is 0 beside that of the query's own key.
  constexpr float kHidden = -1e30f;
  if (!tensor || !queries.number() || !provably_equal(queries, keys) || *queries.number() > kLongest) return false;
  const auto length = *queries.number();
  if (length < 1 || tensor->rank() < 2 || tensor->element_count() != length * length) return false;
  if (tensor->dims()[tensor->rank() - 1] != length || tensor->dims()[tensor->rank() - 2] != length) return false;
  const std::vector<float> values = tensor->to_floats();
  for (std::int64_t row = 0; row < length; ++row) {
    for (std::int64_t column = 0; column < length; ++column) {
      const float value = values[static_cast<std::size_t>(row * length + column)];
      if (column <= row ? value != 0 : !(value <= kHidden)) return false;
    }
  }
  return true;
}

// One dimension of a value, as a vector.
ir::Value* length_of(rewrite::Rewriter& rewriter, ir::Value* value, std::int64_t axis, ir::Node& before) {
  const ir::Dimension& dim = (*value->shape())[static_cast<std::size_t>(axis)];
  if (dim.number()) return &rewriter.constant_ints(before, {*dim.number()}, "length");
  return rewriter.add("Shape", {value}, rewrite::attributes("start", axis, "end", axis + 1), before).output(0);
}

// The mask with its last two dimensions in full. `q` and `k` have their lengths at `axis`.
ir::Value* widened(rewrite::Rewriter& rewriter, ir::Value* mask, ir::Value* q, ir::Value* k, std::int64_t axis,
                   ir::Node& before) {
  const ir::Shape shape = mask->shape().value_or(ir::Shape());
  const auto at = static_cast<std::size_t>(axis);
  const ir::Dimension &queries = (*q->shape())[at], &keys = (*k->shape())[at];
  if (shape.size() >= 2 && provably_equal(shape[shape.size() - 2], queries) && provably_equal(shape.back(), keys)) {
    return mask;
  }
  if (queries.number() && keys.number()) {
    ir::Value& target = rewriter.constant_ints(before, {1, 1, *queries.number(), *keys.number()}, "mask_shape");
    return rewriter.add("Expand", {mask, &target}, {}, before).output(0);
  }
  ir::Value& ones = rewriter.constant_ints(before, {1, 1}, "ones");
  ir::Node& target =
      rewriter.add("Concat", {&ones, length_of(rewriter, q, axis, before), length_of(rewriter, k, axis, before)},
                   rewrite::attributes("axis", std::int64_t{0}), before);
  return rewriter.add("Expand", {mask, target.output(0)}, {}, before).output(0);
}

// Rows of all three, and the Reshape that puts the results together.
struct Rows {
  Heads q, k, v;
  ir::Node* last;
  double scale;  // found before heads were taken apart
};

std::optional<Rows> as_rows(const Bindings& found) {
  const Permutation apart{0, 2, 1, 3};
  ir::Node* transpose = rewrite::sole_user(found.product->output(0), "Transpose");
  if (!transpose || permutation(*transpose) != apart) return std::nullopt;
  ir::Node* last = rewrite::sole_user(transpose->output(0), "Reshape");
  if (!last || last->input(0) != transpose->output(0) || &last->graph() != &found.product->graph() ||
      &transpose->graph() != &last->graph() || !last->output(0)->shape()) {
    return std::nullopt;
  }
  double scale = 1, value_scale = 1;
  const auto q = heads(found.q, apart, scale), v = heads(found.v, apart, value_scale);
  const auto k = is_identity(found.turn) ? heads(found.k, apart, scale)
                 : found.turn == apart   ? heads_apart(found.k, scale)
                                         : std::nullopt;
  if (!q || !k || !v || value_scale != 1 || !(scale > 0)) return std::nullopt;
  if (!std::isnormal(static_cast<float>(scale * found.scores.scale))) return std::nullopt;
  const ir::Shape together{q->batch, q->length, q->count * v->size};
  if (!provably_same_shape(together, *last->output(0)->shape())) return std::nullopt;
  return Rows{*q, *k, *v, last, scale};
}

}  // namespace

Status recognize_attention(ir::Node& softmax, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (rewriter.opset(softmax) < 23) return rewriter.decline(softmax, "opset before 23");
  const auto found = match(softmax);
  if (!found) return rewriter.decline(softmax, found.reason());
  const ir::Dimension queries = (*found->q->shape())[2];
  const ir::Dimension keys = (*found->v->shape())[2];
  const Scores& scores = found->scores;
  const bool causal = scores.added && !scores.choice && is_causal(scores.added, queries, keys);
  const auto rows = as_rows(*found);
  ir::Node& last = rows ? *rows->last : *found->product;
  std::vector<ir::Value*> inputs;
  rewrite::Attributes attributes;
  if (causal) attributes.emplace_back("is_causal", std::int64_t{1});
  attributes.emplace_back("scale", static_cast<float>(scores.scale * (rows ? rows->scale : 1)));
  if (rows) {
    inputs = {rows->q.rows, rows->k.rows, rows->v.rows};
    attributes.emplace_back("q_num_heads", rows->q.count);
    attributes.emplace_back("kv_num_heads", rows->k.count);
  } else {
    ir::Value* k = found->k;
    if (!is_identity(found->turn)) {
      k = rewriter.add("Transpose", {k}, rewrite::attributes("perm", found->turn), last).output(0);
    }
    inputs = {found->q, k, found->v};
  }
  if (ir::Value* mask = causal ? nullptr : passes::mask(rewriter, scores, last)) {
    inputs.push_back(widened(rewriter, mask, inputs[0], inputs[1], rows ? 1 : 2, last));
  }
  ir::Node& fused = rewriter.add("Attention", inputs, std::move(attributes), last, &softmax);
  return rewriter.replace(last, *fused.output(0));
}

}  // namespace hone::passes
