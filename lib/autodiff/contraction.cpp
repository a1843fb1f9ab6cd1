// Matrix products and convolutions.
//
// Left alone: ConvTranspose whose padding is given by auto_pad or output_shape (exporters write pads).
#include "autodiff/backward.h"

namespace hone::autodiff {
namespace {

// y = alpha A' B' + beta c, where ' transposes if transA, transB say so.
void gemm(Backward& back) {
  const ir::Node& node = back.node();
  const auto trans_a = static_cast<std::int64_t>(node.int_or("transA", 0) != 0);
  const auto trans_b = static_cast<std::int64_t>(node.int_or("transB", 0) != 0);
  const float alpha = node.float_or("alpha", 1), beta = node.float_or("beta", 1);
  ir::Value* dy = back.gradient();
  const auto product = [&](ir::Value* left, std::int64_t left_transposed, ir::Value* right,
                           std::int64_t right_transposed) {
    return back.add("Gemm", {left, right},
                    attributes("alpha", alpha, "transA", left_transposed, "transB", right_transposed));
  };
  ir::Value* a = back.input(0);
  ir::Value* b = back.input(1);
  back.give(0, [&] { return trans_a ? product(b, trans_b, dy, 1) : product(dy, 0, b, 1 - trans_b); });
  back.give(1, [&] { return trans_b ? product(dy, 1, a, trans_a) : product(a, 1 - trans_a, dy, 0); });
  back.give_reduced(2, [&] { return beta == 1 ? dy : back.add("Mul", {dy, back.scalar(beta, dy->element_type())}); });
}

// The last two dimensions exchanged.
ir::Value* transposed(Backward& back, ir::Value* value, std::int64_t rank) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(rank));
  for (std::int64_t i = 0; i < rank; ++i) order[static_cast<std::size_t>(i)] = i;
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return back.add("Transpose", {value}, attributes("perm", std::move(order)));
}

// [..., n] as [rows, n].
ir::Value* as_matrix(Backward& back, ir::Value* value, std::int64_t rank) {
  return rank == 2 ? value : back.own("AsMatrix", {value});
}

void matmul(Backward& back) {
  ir::Value* a = back.input(0);
  ir::Value* b = back.input(1);
  ir::Value* dy = back.gradient();
  const std::int64_t rank_a = back.rank(a), rank_b = back.rank(b);
  if (rank_a == 1 && rank_b == 1) {  // a number
    back.give(0, [&] { return back.add("Mul", {dy, b}); });
    back.give(1, [&] { return back.add("Mul", {dy, a}); });
    return;
  }
  if (rank_a == 1) {  // dy[..., n] = a[k] b[..., k, n]
    ir::Value* column = back.own("InsertDimension", {dy}, attributes("axis", std::int64_t{-1}));   // [..., n, 1]
    ir::Value* row = back.own("InsertDimension", {dy}, attributes("axis", std::int64_t{-2}));      // [..., 1, n]
    ir::Value* a_column = back.own("InsertDimension", {a}, attributes("axis", std::int64_t{-1}));  // [k, 1]
    if (back.wants(0)) {
      // [..., k, 1] without its last dimension, added up to [k].
      ir::Value* products = back.add("MatMul", {b, column});
      back.give(0, back.own("SumTo", {back.own("RemoveDimension", {products}), back.shape(*a)}));
    }
    if (back.wants(1)) back.give(1, back.own("SumTo", {back.add("MatMul", {a_column, row}), back.shape(*b)}));
    return;
  }
  if (rank_b == 1) {  // dy[..., m] = a[..., m, k] b[k]
    ir::Value* column = back.own("InsertDimension", {dy}, attributes("axis", std::int64_t{-1}));  // [..., m, 1]
    ir::Value* b_row = back.own("InsertDimension", {b}, attributes("axis", std::int64_t{-2}));    // [1, k]
    if (back.wants(0)) back.give(0, back.own("SumTo", {back.add("MatMul", {column, b_row}), back.shape(*a)}));
    if (back.wants(1)) {
      ir::Value* products = back.add("MatMul", {transposed(back, a, rank_a), column});  // [..., k, 1]
      back.give(1, back.own("SumTo", {back.own("RemoveDimension", {products}), back.shape(*b)}));
    }
    return;
  }
  if (rank_b == 2) {  // weights: all rows at once
    ir::Value* dy_matrix = as_matrix(back, dy, rank_a);
    if (back.wants(0)) {
      ir::Value* da = back.add("Gemm", {dy_matrix, b}, attributes("transB", std::int64_t{1}));
      back.give(0, rank_a == 2 ? da : back.reshape_like(da, *a));
    }
    if (back.wants(1)) {
      back.give(1, back.add("Gemm", {as_matrix(back, a, rank_a), dy_matrix}, attributes("transA", std::int64_t{1})));
    }
    return;
  }
  if (back.wants(0)) {
    back.give(0, back.own("SumTo", {back.add("MatMul", {dy, transposed(back, b, rank_b)}), back.shape(*a)}));
  }
  if (back.wants(1)) {
    back.give(1, back.own("SumTo", {back.add("MatMul", {transposed(back, a, rank_a), dy}), back.shape(*b)}));
  }
}

void conv(Backward& back) {
  ir::Value* dy = back.gradient();
  ir::Value* x = back.input(0);
  ir::Value* w = back.input(1);
  back.give(0, [&] { return back.own("ConvGradientData", {dy, w, back.shape(*x)}, back.same_attributes()); });
  if (!back.wants(1) && !back.wants(2)) return;
  const auto parts =
      back.own("ConvGradientWeights", {x, dy, back.shape(*w)}, back.same_attributes(), {back.wants(1), back.wants(2)});
  back.give(1, [&] { return parts[0]; });
  back.give(2, [&] { return parts[1]; });
}

// The transpose of a convolution whose input is y and whose output is x.
void conv_transpose(Backward& back) {
  const ir::Node& node = back.node();
  const std::string padding = node.string_or("auto_pad", "NOTSET");
  if ((padding != "NOTSET" && padding != "VALID") || node.has_attribute("output_shape")) {
    back.refuse("padding that follows from an output shape");
  }
  ir::Value* dy = back.gradient();
  ir::Value* x = back.input(0);
  ir::Value* w = back.input(1);
  const auto conv_attributes = [&] {
    Attributes result;
    for (auto& each : back.same_attributes()) {
      if (each.first != "output_padding") result.push_back(std::move(each));
    }
    return result;
  };
  back.give(0, [&] { return back.add("Conv", {dy, w}, conv_attributes()); });
  back.give(1, [&] { return back.own("ConvGradientWeights", {dy, x, back.shape(*w)}, conv_attributes()); });
  back.give(2, [&] { return back.own("ChannelSum", {dy}); });
}

}  // namespace

std::span<const Operator> contraction_rules() {
  static constexpr Operator rules[] = {
      {"Gemm", gemm},
      {"MatMul", matmul},
      {"Conv", conv},
      {"ConvTranspose", conv_transpose},
  };
  return rules;
}

}  // namespace hone::autodiff
