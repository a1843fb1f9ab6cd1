// What quantizing operators share: ranges, rounding, how scales lie over a tensor, and 8-bit operands less their zero
// points.
#pragma once

#include <cmath>

#include "exec/reference/broadcast.h"

namespace hone::exec {

// The types of codes that have integer kernels.
inline bool is_code(ir::ElementType type) { return type == ir::ElementType::int8 || type == ir::ElementType::uint8; }

struct IntegerRange {
  std::int32_t low = 0, high = 0;
};
// Of int8, uint8, int16, uint16 and the 4- and 2-bit types; bad_input for others.
IntegerRange quantized_range(ir::ElementType type);

// round(ratio) + zero_point, ties to even, cut to the range. NaN becomes the zero point.
inline std::int32_t quantized(float ratio, std::int32_t zero_point, IntegerRange range) {
  const float low = static_cast<float>(range.low - zero_point), high = static_cast<float>(range.high - zero_point);
  const float cut = ratio < low ? low : ratio > high ? high : ratio == ratio ? ratio : 0.0f;
  constexpr float shift = 12582912.0f;  // 1.5 * 2^23: adding it leaves no place for a fraction, and rounds to even
  return static_cast<std::int32_t>((cut + shift) - shift) + zero_point;
}

// How the values of a scale or zero point lie over a tensor of [outer, length, inner]: one for all, one for each place of
// the axis, or one for each `block` places of it (and each outer and inner place).
struct Granularity {
  std::int64_t outer = 1, length = 1, inner = 1, block = 0;
  enum class Kind { tensor, axis, blocked } kind = Kind::tensor;

  // From the attributes axis and block_size; bad_input where the scale's shape does not fit.
  Granularity(const ir::Node& node, const ir::Dims& dims, const ir::Dims& scale, bool blocks_allowed);

  // Calls f(begin, count, at, varies) for runs that cover the tensor, on several threads: `count` elements from `begin`
  // on take the values at `at`, `at + 1` ... if they vary, or all the one at `at`.
  template <typename F>
  void for_each_run(const F& f) const {
    constexpr std::int64_t piece = 4096;
    const std::int64_t count = size_product(outer, size_product(length, inner));
    if (count == 0) return;
    if (kind == Kind::tensor) {
      parallel_for(ceil_div(count, piece), cheap_grain / piece, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          f(i * piece, std::min(piece, count - i * piece), std::int64_t{0}, false);
      });
      return;
    }
    const bool rows = kind == Kind::axis && inner == 1;  // the values themselves are the run
    const std::int64_t per_outer = rows ? 1 : inner == 1 ? ceil_div(length, block) : length;
    const std::int64_t values = kind == Kind::axis ? length : ceil_div(length, block);
    const std::int64_t size = count / outer / per_outer;
    parallel_for(outer * per_outer, std::max<std::int64_t>(1, cheap_grain / std::max<std::int64_t>(1, size)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const std::int64_t o = i / per_outer, d = i % per_outer;
                     if (rows) {
                       f(o * length, length, std::int64_t{0}, true);
                     } else if (kind == Kind::axis) {
                       f(i * inner, inner, d, false);
                     } else if (inner == 1) {
                       f(o * length + d * block, std::min(block, length - d * block), o * values + d, false);
                     } else {
                       f(i * inner, inner, (o * values + d / block) * inner, true);
                     }
                   }
                 });
  }
};

// All elements as int32: any integer type of up to 32 bits.
const std::int32_t* integers(Context& context, const Array& array);

// An int8 or uint8 tensor less its zero points, which broadcast to it as `zero_dims`; null: none.
const std::int16_t* centered(Context& context, const Array& array, const Array* zero_point, const ir::Dims& zero_dims);

}  // namespace hone::exec
