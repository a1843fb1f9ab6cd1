// Shapes of com.microsoft operators, for which ONNX has no schema, and of SimplifiedLayerNormalization, which ONNX Runtime
// keeps in ONNX's own domain.
#include "shapes/microsoft.h"

#include <algorithm>

namespace hone::shapes {
namespace {

using ir::Dimension;
using ir::ElementType;
using ir::Shape;

std::optional<Shape> copy(const Shape* shape) { return shape ? std::optional(*shape) : std::nullopt; }
// Dimension i of input `input`, counted from the end where negative; unknown where the rank is.
Dimension dim(const View& view, std::size_t input, std::int64_t i) {
  const Shape* shape = view.shape(input);
  if (!shape) return {};
  const auto axis = normalize_axis(i, shape->size());
  return axis ? (*shape)[*axis] : Dimension();
}
void set_wanted(View& view, std::size_t output, ElementType type, std::optional<Shape> shape) {
  if (view.node.output(output)) view.set(output, type, std::move(shape));
}

void skip_normalization(View& view) {
  same_as_input(view);
  const Shape* shape = view.shape(0);
  std::optional<Shape> statistics = copy(shape);
  if (statistics && !statistics->empty()) statistics->back() = 1;
  for (std::size_t i = 1; i <= 2; ++i) set_wanted(view, i, ElementType::float32, statistics);
  set_wanted(view, 3, view.type(0), copy(shape));
}

void embed_normalization(View& view) {
  const Shape sum{dim(view, 0, 0), dim(view, 0, 1), dim(view, 2, 1)};
  view.set(0, view.type(2), sum);
  set_wanted(view, 1, ElementType::int32, Shape{dim(view, 0, 0)});
  set_wanted(view, 2, view.type(2), sum);
}

void matmul_of(View& view, const Shape* a, const Shape* b, ElementType type) {
  if (!a || !b || a->empty() || b->empty()) return view.set(0, type, std::nullopt);
  Shape result = broadcast(Shape(a->begin(), a->size() >= 2 ? a->end() - 2 : a->begin()),
                           Shape(b->begin(), b->size() >= 2 ? b->end() - 2 : b->begin()));
  if (a->size() >= 2) result.push_back((*a)[a->size() - 2]);
  if (b->size() >= 2) result.push_back(b->back());
  view.set(0, type, std::move(result));
}
void fused_mat_mul(View& view) {
  const auto operand = [&](std::size_t i, const char* transposed, const char* moved) {
    std::optional<Shape> shape = copy(view.shape(i));
    if (!shape || shape->size() < 2) return shape;
    if (view.node.int_or(moved, 0) != 0 && shape->size() > 2)
      std::rotate(shape->begin(), shape->begin() + 1, shape->end() - 1);
    if (view.node.int_or(transposed, 0) != 0) std::swap(shape->back(), (*shape)[shape->size() - 2]);
    return shape;
  };
  const auto a = operand(0, "transA", "transBatchA"), b = operand(1, "transB", "transBatchB");
  matmul_of(view, a ? &*a : nullptr, b ? &*b : nullptr, view.type(0));
}
void float_mat_mul(View& view) { matmul_of(view, view.shape(0), view.shape(1), view.type(2)); }

void mat_mul_nbits(View& view) {
  std::optional<Shape> shape = copy(view.shape(0));
  if (shape && !shape->empty()) shape->back() = view.node.int_or("N", 0);
  view.set(0, view.type(0), std::move(shape));
}

void qgemm(View& view) {
  const bool quantized = view.has(7);
  view.set(
      0,
      !quantized    ? ElementType::float32
      : view.has(8) ? view.type(8)
                    : view.type(0),
      Shape{dim(view, 0, view.node.int_or("transA", 0) ? 1 : 0), dim(view, 3, view.node.int_or("transB", 0) ? 0 : 1)});
}

void gather_block_quantized(View& view) {
  const Shape *data = view.shape(0), *indices = view.shape(1);
  if (!data || !indices || data->empty()) return view.set(0, view.type(2), std::nullopt);
  Shape full = *data;
  const std::int64_t bits = view.node.int_or("bits", 4);
  if (view.type(0) == ElementType::uint8 && (bits == 2 || bits == 4)) full.back() = full.back() * Dimension(8 / bits);
  const auto axis = normalize_axis(view.node.int_or("gather_axis", 0), full.size());
  if (!axis) return view.set(0, view.type(2), std::nullopt);
  const auto at = full.begin() + static_cast<std::ptrdiff_t>(*axis);
  Shape result(full.begin(), at);
  result.insert(result.end(), indices->begin(), indices->end());
  result.insert(result.end(), at + 1, full.end());
  view.set(0, view.type(2), std::move(result));
}

void packed_attention(View& view) {
  const auto widths = view.node.ints_or("qkv_hidden_sizes", {});
  const Dimension total = dim(view, 1, 1);
  const Dimension width = widths.size() == 3 ? Dimension(widths[2]) : floor_div(total, Dimension(3));
  view.set(0, view.type(0), Shape{dim(view, 0, 0), dim(view, 0, 1), width});
  const std::int64_t heads = view.node.int_or("num_heads", 0);
  if (!view.node.output(1) || heads < 1) return;
  const Dimension before = view.has(4) ? dim(view, 4, 3) : Dimension(0);
  view.set(1, view.type(0),
           Shape{2, dim(view, 0, 0), heads, before + dim(view, 0, 1), floor_div(width, Dimension(heads))});
}

void multi_head_attention(View& view) {
  const std::int64_t heads = view.node.int_or("num_heads", 0);
  const Shape *q = view.shape(0), *k = view.shape(1), *v = view.shape(2);
  if (!q || q->size() != 3 || !k || !v || k->size() != v->size() || (k->size() != 3 && k->size() != 4) || heads < 1) {
    return view.set(0, view.type(0), std::nullopt);
  }
  const bool by_head = k->size() == 4;
  const Dimension width = by_head ? v->back() * Dimension(heads) : v->back();
  view.set(0, view.type(0), Shape{(*q)[0], (*q)[1], width});
  const Dimension keys = (view.has(6) ? dim(view, 6, 2) : Dimension(0)) + (by_head ? (*k)[2] : (*k)[1]);
  set_wanted(view, 1, view.type(0), Shape{(*q)[0], heads, keys, floor_div((*q)[2], Dimension(heads))});
  set_wanted(view, 2, view.type(0), Shape{(*q)[0], heads, keys, floor_div(width, Dimension(heads))});
  set_wanted(view, 3, view.type(0), Shape{(*q)[0], heads, (*q)[1], keys});
}

void group_query_attention(View& view) {
  const std::int64_t heads = view.node.int_or("num_heads", 0), kv_heads = view.node.int_or("kv_num_heads", 0);
  if (heads < 1 || kv_heads < 1) return view.set(0, view.type(0), std::nullopt);
  const Dimension size = floor_div(dim(view, 0, 2), Dimension(view.has(1) ? heads : heads + 2 * kv_heads));
  view.set(0, view.type(0), Shape{dim(view, 0, 0), dim(view, 0, 1), size * Dimension(heads)});
  // A cache has room for the longest sequence, or more.
  const auto total = view.ints(6);
  Dimension keys;
  if (total && total->size() == 1)
    keys = view.has(3) ? maximum(dim(view, 3, 2), Dimension((*total)[0])) : Dimension((*total)[0]);
  for (std::size_t i = 1; i <= 2; ++i) {
    set_wanted(view, i, view.has(i + 2) ? view.type(i + 2) : view.type(0),
               Shape{dim(view, 0, 0), kv_heads, keys, size});
  }
}

void qlinear_binary(View& view) {
  const Shape *a = view.shape(0), *b = view.shape(3);
  view.set(0, view.type(0), a && b ? std::optional(broadcast(*a, *b)) : std::nullopt);
}
void qlinear_where(View& view) {
  const Shape *c = view.shape(0), *a = view.shape(1), *b = view.shape(4);
  view.set(0, view.type(1), c && a && b ? std::optional(broadcast(*c, broadcast(*a, *b))) : std::nullopt);
}
void qlinear_concat(View& view) {
  const Shape* first = view.shape(2);
  std::optional<Shape> result = copy(first);
  const auto axis = first ? normalize_axis(view.node.int_or("axis", 0), first->size()) : std::nullopt;
  if (!axis) return view.set(0, view.type(1), std::nullopt);
  for (std::size_t i = 5; i < view.node.input_count() && result; i += 3) {
    const Shape* next = view.shape(i);
    if (!next || next->size() != result->size()) {
      (*result)[*axis] = Dimension();
    } else {
      (*result)[*axis] = (*result)[*axis] + (*next)[*axis];
    }
  }
  view.set(0, view.type(1), std::move(result));
}

void qlinear_global_pool(View& view) {
  const Shape* shape = view.shape(0);
  if (!shape || shape->size() < 3) return view.set(0, view.type(0), std::nullopt);
  Shape result(shape->size(), Dimension(1));
  const std::size_t channel = view.node.int_or("channels_last", 0) != 0 ? shape->size() - 1 : 1;
  result[0] = (*shape)[0];
  result[channel] = (*shape)[channel];
  view.set(0, view.type(0), std::move(result));
}

void dynamic_quantize_lstm(View& view) {
  const Dimension directions = dim(view, 2, 0), hidden = dim(view, 2, 1), batch = dim(view, 0, 1);
  set_wanted(view, 0, ElementType::float32, Shape{dim(view, 0, 0), directions, batch, hidden});
  for (std::size_t i = 1; i <= 2; ++i) set_wanted(view, i, ElementType::float32, Shape{directions, batch, hidden});
}

}  // namespace

void simplified_normalization(View& view) {
  const Shape* shape = view.shape(0);
  view.set(0, view.type(1), copy(shape));
  if (!view.node.output(1)) return;
  const auto axis = shape ? normalize_axis(view.node.int_or("axis", -1), shape->size()) : std::nullopt;
  std::optional<Shape> statistics = copy(axis ? shape : nullptr);
  if (statistics) std::fill(statistics->begin() + static_cast<std::ptrdiff_t>(*axis), statistics->end(), Dimension(1));
  view.set(1, ElementType::float32, std::move(statistics));
}

std::vector<FunctionEntry> microsoft_functions() {
  return {{"Gelu", same_as_input},
          {"BiasGelu", same_as_input},
          {"FastGelu", same_as_input},
          {"QuickGelu", same_as_input},
          {"SkipLayerNormalization", skip_normalization},
          {"SkipSimplifiedLayerNormalization", skip_normalization},
          {"EmbedLayerNormalization", embed_normalization},
          {"FusedMatMul", fused_mat_mul},
          {"FusedConv", convolution},
          {"MatMulNBits", mat_mul_nbits},
          {"GatherBlockQuantized", gather_block_quantized},
          {"Attention", packed_attention},
          {"MultiHeadAttention", multi_head_attention},
          {"GroupQueryAttention", group_query_attention},
          {"RotaryEmbedding", same_as_input},
          {"DynamicQuantizeMatMul", float_mat_mul},
          {"MatMulIntegerToFloat", float_mat_mul},
          {"DynamicQuantizeLSTM", dynamic_quantize_lstm},
          {"QLinearAdd", qlinear_binary},
          {"QLinearMul", qlinear_binary},
          {"QLinearSigmoid", same_as_input},
          {"QLinearLeakyRelu", same_as_input},
          {"QLinearSoftmax", same_as_input},
          {"QLinearAveragePool", pooling},
          {"QLinearGlobalAveragePool", qlinear_global_pool},
          {"QLinearConcat", qlinear_concat},
          {"QLinearWhere", qlinear_where},
          {"QGemm", qgemm}};
}

}  // namespace hone::shapes
