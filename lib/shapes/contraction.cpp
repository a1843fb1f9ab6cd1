// Shapes of matrix products, convolutions and pooling.
#include <algorithm>
#include <map>

#include "hone/ir/einsum.h"
#include "hone/support/error.h"
#include "shapes/functions.h"
#include "shapes/microsoft.h"

namespace hone::shapes {
namespace {

using ir::Dimension;
using ir::ElementType;
using ir::Shape;
using Ints = std::vector<std::int64_t>;

void matmul_as(View& view, std::size_t left, std::size_t right, ElementType type) {
  const Shape* a = view.shape(left);
  const Shape* b = view.shape(right);
  if (!a || !b || a->empty() || b->empty()) return view.set(0, type, std::nullopt);
  Shape result;
  const Shape batch_a(a->begin(), a->size() >= 2 ? a->end() - 2 : a->begin());
  const Shape batch_b(b->begin(), b->size() >= 2 ? b->end() - 2 : b->begin());
  result = broadcast(batch_a, batch_b);
  if (a->size() >= 2) result.push_back((*a)[a->size() - 2]);
  if (b->size() >= 2) result.push_back(b->back());
  view.set(0, type, std::move(result));
}

void matmul(View& view) { matmul_as(view, 0, 1, view.type(0)); }
void matmul_integer(View& view) { matmul_as(view, 0, 1, ElementType::int32); }
void qlinear_matmul(View& view) { matmul_as(view, 0, 3, view.type(7)); }

void gemm(View& view) {
  const Shape* a = view.shape(0);
  const Shape* b = view.shape(1);
  Shape result(2);
  if (a && a->size() == 2) result[0] = (*a)[view.node.int_or("transA", 0) ? 1 : 0];
  if (b && b->size() == 2) result[1] = (*b)[view.node.int_or("transB", 0) ? 0 : 1];
  view.set(0, view.type(0), std::move(result));
}

// ONNX's own inference takes the first dimension of a label; one of 1 broadcasts against those of other inputs.
void einsum(View& view) {
  const ElementType type = view.type(0);
  std::vector<std::size_t> ranks;
  for (std::size_t i = 0; i < view.node.input_count(); ++i) {
    const Shape* shape = view.shape(i);
    if (!shape) return view.set(0, type, std::nullopt);
    ranks.push_back(shape->size());
  }
  try {
    const auto equation = ir::EinsumEquation(view.node.string_or("equation", "")).label(ranks);
    std::map<int, Shape> dims;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      for (std::size_t d = 0; d < ranks[i]; ++d) {
        Shape& known = dims[equation.operands[i][d]];
        known = broadcast(known, {(*view.shape(i))[d]});
      }
    }
    Shape result;
    for (const int label : equation.result) {
      const auto found = dims.find(label);
      result.push_back(found == dims.end() ? Dimension() : found->second[0]);
    }
    view.set(0, type, std::move(result));
  } catch (const Error&) {  // no equation for these inputs
    view.set(0, type, std::nullopt);
  }
}

// Everything convolution and pooling share: one spatial dimension of the result. The attributes are checked to be sane
// first; a nonsensical one leaves the dimension unknown.
struct Windows {
  Ints kernel, strides, dilations, pads;
  std::string auto_pad;
  bool ceil_mode = false;

  bool read(const ir::Node& node, Ints kernel_shape) {
    kernel = std::move(kernel_shape);
    const std::size_t n = kernel.size();
    strides = node.ints_or("strides", Ints(n, 1));
    dilations = node.ints_or("dilations", Ints(n, 1));
    pads = node.ints_or("pads", Ints(2 * n, 0));
    auto_pad = node.string_or("auto_pad", "NOTSET");
    ceil_mode = node.int_or("ceil_mode", 0) != 0;
    if (strides.size() != n || dilations.size() != n || pads.size() != 2 * n) return false;
    const auto sane = [](std::int64_t low) { return [low](std::int64_t v) { return v >= low && v <= INT32_MAX; }; };
    return std::all_of(kernel.begin(), kernel.end(), sane(1)) && std::all_of(strides.begin(), strides.end(), sane(1)) &&
           std::all_of(dilations.begin(), dilations.end(), sane(1)) &&
           std::all_of(pads.begin(), pads.end(), sane(-INT32_MAX));
  }
  Dimension length(const Dimension& in, std::size_t i) const {
    const Dimension stride = strides[i];
    if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") return ceil_div(in, stride);
    const std::int64_t extent = dilations[i] * (kernel[i] - 1) + 1;
    const std::int64_t padding = auto_pad == "VALID" ? 0 : pads[i] + pads[i + kernel.size()];
    const Dimension room = in + Dimension(padding - extent);
    if (!ceil_mode) return floor_div(room, stride) + Dimension(1);
    Dimension count = ceil_div(room, stride) + Dimension(1);
    // The last window must start inside the input or its padding at the front.
    if (count.number() && in.number() &&
        (*count.number() - 1) * strides[i] >= *in.number() + (auto_pad == "VALID" ? 0 : pads[i])) {
      return *count.number() - 1;
    }
    if (!count.number() && padding > 0) return {};
    return count;
  }
};

void conv_as(View& view, std::size_t weight_input, ElementType type) {
  const Shape* input = view.shape(0);
  const Shape* weight = view.shape(weight_input);
  if (!input || input->size() < 3) return view.set(0, type, std::nullopt);
  Shape result(input->size());
  result[0] = (*input)[0];
  if (weight && weight->size() == input->size()) {
    result[1] = (*weight)[0];
    Ints kernel;
    for (std::size_t i = 2; i < weight->size(); ++i) kernel.push_back((*weight)[i].number().value_or(-1));
    Windows windows;
    if (windows.read(view.node, view.node.ints_or("kernel_shape", kernel)) &&
        windows.kernel.size() == input->size() - 2) {
      for (std::size_t i = 0; i < windows.kernel.size(); ++i) result[i + 2] = windows.length((*input)[i + 2], i);
    }
  }
  view.set(0, type, std::move(result));
}
void conv(View& view) { conv_as(view, 1, view.type(0)); }
void conv_integer(View& view) { conv_as(view, 1, ElementType::int32); }
void qlinear_conv(View& view) { conv_as(view, 3, view.type(7)); }

void conv_transpose(View& view) {
  const Shape* input = view.shape(0);
  const Shape* weight = view.shape(1);
  if (!input || input->size() < 3) return view.set(0, view.type(0), std::nullopt);
  Shape result(input->size());
  result[0] = (*input)[0];
  if (weight && weight->size() == input->size()) {
    result[1] = (*weight)[1] * Dimension(view.node.int_or("group", 1));
    Ints kernel;
    for (std::size_t i = 2; i < weight->size(); ++i) kernel.push_back((*weight)[i].number().value_or(-1));
    Windows windows;
    const std::size_t n = kernel.size();
    const Ints wanted = view.node.ints_or("output_shape", {});
    const Ints extra = view.node.ints_or("output_padding", Ints(n, 0));
    if (wanted.size() == n) {
      for (std::size_t i = 0; i < n; ++i) result[i + 2] = wanted[i];
    } else if (windows.read(view.node, view.node.ints_or("kernel_shape", kernel)) && windows.kernel.size() == n &&
               extra.size() == n) {
      for (std::size_t i = 0; i < n; ++i) {
        const Dimension& in = (*input)[i + 2];
        const std::int64_t extent = windows.dilations[i] * (windows.kernel[i] - 1) + 1;
        if (windows.auto_pad == "SAME_UPPER" || windows.auto_pad == "SAME_LOWER") {
          // No more than what a kernel smaller than its stride reaches.
          const std::int64_t missing = std::max<std::int64_t>(windows.strides[i] - extent - extra[i], 0);
          result[i + 2] = in * Dimension(windows.strides[i]) + Dimension(-missing);
          continue;
        }
        const std::int64_t padding = windows.auto_pad == "VALID" ? 0 : windows.pads[i] + windows.pads[i + n];
        result[i + 2] = (in - Dimension(1)) * Dimension(windows.strides[i]) + Dimension(extent + extra[i] - padding);
      }
    }
  }
  view.set(0, view.type(0), std::move(result));
}

void pool(View& view) {
  const Shape* input = view.shape(0);
  if (!input || input->size() < 3) return view.set(0, view.type(0), std::nullopt);
  Shape result(input->size());
  const bool channels_last = view.node.int_or("channels_last", 0) != 0;  // of com.microsoft's
  const std::size_t first = channels_last ? 1 : 2, channel = channels_last ? input->size() - 1 : 1;
  result[0] = (*input)[0];
  result[channel] = (*input)[channel];
  Windows windows;
  if (windows.read(view.node, view.node.ints_or("kernel_shape", {})) && windows.kernel.size() == input->size() - 2) {
    for (std::size_t i = 0; i < windows.kernel.size(); ++i) result[i + first] = windows.length((*input)[i + first], i);
  }
  if (view.node.output(1)) view.set(1, ElementType::int64, result);
  view.set(0, view.type(0), std::move(result));
}

void global_pool(View& view) {
  const Shape* input = view.shape(0);
  if (!input || input->size() < 2) return view.set(0, view.type(0), std::nullopt);
  Shape result(input->size(), Dimension(1));
  result[0] = (*input)[0];
  result[1] = (*input)[1];
  view.set(0, view.type(0), std::move(result));
}

// The first output only; a cache and the scores are left to ONNX's inference.
void attention(View& view) {
  const Shape *q = view.shape(0), *v = view.shape(2);
  if (!q || !v || q->size() != v->size() || (q->size() != 3 && q->size() != 4)) {
    return view.set(0, view.type(0), std::nullopt);
  }
  if (q->size() == 4) return view.set(0, view.type(0), Shape{(*q)[0], (*q)[1], (*q)[2], v->back()});
  const std::int64_t heads = view.node.int_or("q_num_heads", 0), kv_heads = view.node.int_or("kv_num_heads", 0);
  if (heads < 1 || kv_heads < 1) return view.set(0, view.type(0), std::nullopt);
  view.set(0, view.type(0), Shape{(*q)[0], (*q)[1], floor_div(v->back(), Dimension(kv_heads)) * Dimension(heads)});
}

}  // namespace

void convolution(View& view) { conv(view); }
void pooling(View& view) { pool(view); }

std::vector<FunctionEntry> contraction_functions() {
  return {{"MatMul", matmul},
          {"MatMulInteger", matmul_integer},
          {"QLinearMatMul", qlinear_matmul},
          {"Gemm", gemm},
          {"Einsum", einsum},
          {"Attention", attention},
          {"Conv", conv},
          {"ConvInteger", conv_integer},
          {"QLinearConv", qlinear_conv},
          {"ConvTranspose", conv_transpose},
          {"MaxPool", pool},
          {"AveragePool", pool},
          {"LpPool", pool},
          {"GlobalAveragePool", global_pool},
          {"GlobalMaxPool", global_pool},
          {"GlobalLpPool", global_pool}};
}

}  // namespace hone::shapes
