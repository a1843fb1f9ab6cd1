// Products of matrices in memory, row-major, cut into pieces that don't depend on the number of threads: each element is
// summed in one order whoever computes it.
#pragma once

#include <cstdint>

namespace hone::exec {

// A matrix as it lies in memory: `step` elements from one row to the next; if `transposed`, it is read by columns.
template <typename T>
struct Matrix {
  T* data = nullptr;
  std::int64_t step = 0;
  bool transposed = false;
};

// c[rows, columns] = a[rows, depth] b[depth, columns], or c += ... if `add`. For float, double, and 32- and 64-bit
// integers, which wrap. `c` is not transposed, and overlaps neither factor.
template <typename T>
void multiply(std::int64_t rows, std::int64_t depth, std::int64_t columns, Matrix<const T> a, Matrix<const T> b,
              Matrix<T> c, bool add = false);

// c[rows, columns] = a[rows, depth] b[columns, depth]: both factors contiguous along the depth. Exact as long as each
// sum fits 32 bits, and wrapping otherwise.
void multiply_rows(std::int64_t rows, std::int64_t depth, std::int64_t columns, const std::int16_t* a,
                   const std::int16_t* b, std::int32_t* c, std::int64_t c_step);

}  // namespace hone::exec
