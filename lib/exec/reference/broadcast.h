// Walking over several tensors at once under ONNX's (NumPy's) broadcasting.
//
// Dimensions that all operands step through alike are collapsed into one first, so that the usual cases (same shape, a
// scalar, a row, one value a channel) become one or a few long runs. Inside a run an operand either moves by one element
// with the output or stays.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "exec/reference/elements.h"
#include "exec/reference/shape.h"
#include "hone/ir/dimension.h"

namespace hone::exec {

// The shape that operands broadcast to; bad_input where they don't.
inline ir::Dims broadcast_dims(DimSpan a, DimSpan b) {
  ir::Dims result(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      bad_input("shapes {} and {} don't broadcast", ir::text(ir::Dims(a.begin(), a.end())),
                ir::text(ir::Dims(b.begin(), b.end())));
    }
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

template <std::size_t N>
struct Broadcast {
  std::int64_t count = 0;         // elements of the output
  ir::Dims dims;                  // collapsed; never empty
  std::array<ir::Dims, N> steps;  // of each operand along dims, in elements; 0 where it stays
  std::array<bool, N> moves;      // along the innermost dimension
};

// How operands of shapes `operands` (which broadcast to `out`) are read.
template <std::size_t N>
Broadcast<N> broadcast(DimSpan out, const std::array<DimSpan, N>& operands) {
  Broadcast<N> result;
  result.count = product(out);
  std::array<std::int64_t, N> size;
  size.fill(1);
  // From the innermost dimension outward, building the collapsed lists backwards.
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t dim = out[out.size() - 1 - i];
    if (dim == 1) continue;
    std::array<std::int64_t, N> step;
    bool merge = !result.dims.empty();
    for (std::size_t k = 0; k < N; ++k) {
      const DimSpan dims = operands[k];
      const std::int64_t own = i < dims.size() ? dims[dims.size() - 1 - i] : 1;
      step[k] = own == 1 ? 0 : size[k];
      if (own != 1) {
        std::uint64_t grown = static_cast<std::uint64_t>(size[k]) * static_cast<std::uint64_t>(own);
        size[k] = static_cast<std::int64_t>(grown);
      }
      // It goes on where the dimension inside ends.
      if (merge &&
          (step[k] == 0 ? result.steps[k].back() != 0 : result.steps[k].back() * result.dims.back() != step[k])) {
        merge = false;
      }
    }
    if (merge && result.count > 0) {
      result.dims.back() *= dim;
    } else {
      result.dims.push_back(dim);
      for (std::size_t k = 0; k < N; ++k) result.steps[k].push_back(step[k]);
    }
  }
  if (result.dims.empty()) {
    result.dims.push_back(1);
    for (std::size_t k = 0; k < N; ++k) result.steps[k].push_back(0);
  }
  std::reverse(result.dims.begin(), result.dims.end());
  for (std::size_t k = 0; k < N; ++k) {
    std::reverse(result.steps[k].begin(), result.steps[k].end());
    result.moves[k] = result.steps[k].back() != 0;
  }
  return result;
}

// Calls f(at, length, offsets): `length` elements of the output from `at` on, and where each operand starts. A run lies
// within one row of the innermost dimension; rows are cut where threads take over.
template <std::size_t N, typename F>
void for_each_run(const Broadcast<N>& b, std::int64_t grain, const F& f) {
  if (b.count == 0) return;
  const std::int64_t inner = b.dims.back();
  const std::size_t outer = b.dims.size() - 1;
  parallel_for(b.count, grain, [&](std::int64_t begin, std::int64_t end) {
    std::array<std::int64_t, N> base{};
    ir::Dims index(outer);
    std::int64_t column = begin % inner, row = begin / inner;
    for (std::size_t d = outer; d-- > 0;) {
      index[d] = row % b.dims[d];
      row /= b.dims[d];
      for (std::size_t k = 0; k < N; ++k) base[k] += index[d] * b.steps[k][d];
    }
    for (std::int64_t at = begin; at < end;) {
      const std::int64_t length = std::min(inner - column, end - at);
      std::array<std::int64_t, N> offsets = base;
      if (column > 0) {
        for (std::size_t k = 0; k < N; ++k) offsets[k] += b.moves[k] ? column : 0;
      }
      f(at, length, offsets);
      at += length;
      column = 0;
      for (std::size_t d = outer; d-- > 0;) {  // the next row
        ++index[d];
        for (std::size_t k = 0; k < N; ++k) base[k] += b.steps[k][d];
        if (index[d] < b.dims[d]) break;
        for (std::size_t k = 0; k < N; ++k) base[k] -= b.steps[k][d] * b.dims[d];
        index[d] = 0;
      }
    }
  });
}

// out[i] = f(a[i], b[i]) over a broadcast of two operands.
template <typename A, typename B, typename R, typename F>
void combine(const Broadcast<2>& shape, const A* a, const B* b, R* out, std::int64_t grain, const F& f) {
  for_each_run(shape, grain, [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 2>& from) {
    const A* x = a + from[0];
    const B* y = b + from[1];
    R* to = out + at;
    if (shape.moves[0] && shape.moves[1]) {
      HONE_INDEPENDENT
      for (std::int64_t i = 0; i < length; ++i) to[i] = f(x[i], y[i]);
    } else if (shape.moves[0]) {
      const B right = *y;
      HONE_INDEPENDENT
      for (std::int64_t i = 0; i < length; ++i) to[i] = f(x[i], right);
    } else if (shape.moves[1]) {
      const A left = *x;
      HONE_INDEPENDENT
      for (std::int64_t i = 0; i < length; ++i) to[i] = f(left, y[i]);
    } else {
      std::fill_n(to, length, f(*x, *y));
    }
  });
}

}  // namespace hone::exec
