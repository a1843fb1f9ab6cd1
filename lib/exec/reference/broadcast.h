// Walking over several tensors at once under ONNX's (NumPy's) broadcasting.
//
// Dimensions that all operands step through alike are collapsed into one first, so that the usual cases (same shape, a
// scalar, a row, one value a channel) become one or a few long runs. Inside a run an operand either moves by one element
// with the output or stays.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <type_traits>

#include "exec/reference/elements.h"
#include "exec/reference/shape.h"
#include "hone/ir/dimension.h"

namespace hone::exec {

// The shape that operands broadcast to; bad_input where they don't.
ir::Dims broadcast_dims(DimSpan a, DimSpan b);

template <std::size_t N>
struct Broadcast {
  std::int64_t count = 0;         // elements of the output
  ir::Dims dims;                  // collapsed; never empty
  std::array<ir::Dims, N> steps;  // of each operand along dims, in elements; 0 where it stays
  std::array<bool, N> moves;      // along the innermost dimension
};

// How operands of shapes `operands` (which broadcast to `out`) are read.
template <std::size_t N>
Broadcast<N> broadcast(DimSpan out, const std::array<DimSpan, N>& operands);

// Calls f(at, length, offsets): `length` elements of the output from `at` on, and where each operand starts. A run lies
// within one row of the innermost dimension; rows are cut where threads take over. Compiled once, not for each operator
// and type: for N up to 3.
template <std::size_t N>
using Run = std::function<void(std::int64_t at, std::int64_t length, const std::array<std::int64_t, N>& offsets)>;
template <std::size_t N>
void for_each_run(const Broadcast<N>& b, std::int64_t grain, const std::type_identity_t<Run<N>>& f);

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
