// Arithmetic on numbers that a file decides: the result, or none where it would not fit.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>

namespace hone {

template <std::integral Integer>
std::optional<Integer> checked_add(Integer a, Integer b) {
  Integer sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <std::integral Integer>
std::optional<Integer> checked_mul(Integer a, Integer b) {
  Integer product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// The number of elements of a shape: none where a dimension is negative or the product passes an int64. A zero makes the
// product 0, but a shape is refused all the same when the product of its other dimensions does not fit: strides would
// overflow.
inline std::optional<std::int64_t> element_count(std::span<const std::int64_t> dims) {
  std::optional<std::int64_t> others = 1;
  bool empty = false;
  for (const std::int64_t dim : dims) {
    if (dim < 0) return std::nullopt;
    if (dim == 0) {
      empty = true;
    } else {
      others = checked_mul(*others, dim);
      if (!others) return std::nullopt;
    }
  }
  return empty ? 0 : others;
}

}  // namespace hone
