// Threads are ours (parallel_for): Eigen's would cut by their number.
#define EIGEN_DONT_PARALLELIZE
#include "exec/reference/gemm.h"

#include <Eigen/Core>
#include <algorithm>
#include <type_traits>

#include "exec/reference/elements.h"

namespace hone::exec {
namespace {

// A piece of the result: large enough that packing the factors for it is a few percent of the work, small enough that
// a layer of a usual network makes several.
constexpr std::int64_t piece_rows = 192, piece_columns = 256;

template <typename T>
using Eigen_matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename T>
auto map(Matrix<const T> m, std::int64_t rows, std::int64_t columns) {
  return Eigen::Map<const Eigen_matrix<T>, 0, Eigen::OuterStride<>>(m.data, rows, columns,
                                                                    Eigen::OuterStride<>(m.step));
}

template <typename T>
Matrix<const T> rows_from(Matrix<const T> m, std::int64_t row) {
  m.data += m.transposed ? row : row * m.step;
  return m;
}
template <typename T>
Matrix<const T> columns_from(Matrix<const T> m, std::int64_t column) {
  m.data += m.transposed ? column * m.step : column;
  return m;
}

template <typename T>
void multiply_piece(std::int64_t rows, std::int64_t depth, std::int64_t columns, Matrix<const T> a, Matrix<const T> b,
                    Matrix<T> c, bool add) {
  if constexpr (std::is_floating_point_v<T>) {
    Eigen::Map<Eigen_matrix<T>, 0, Eigen::OuterStride<>> result(c.data, rows, columns, Eigen::OuterStride<>(c.step));
    // What Eigen makes of an assignment, too: one kernel less to compile.
    if (!add) result.setZero();
    const auto add_product = [&](const auto& left, const auto& right) { result.noalias() += left * right; };
    const auto with_right = [&](const auto& left) {
      if (b.transposed) {
        add_product(left, map(b, columns, depth).transpose());
      } else {
        add_product(left, map(b, depth, columns));
      }
    };
    if (a.transposed) {
      with_right(map(a, depth, rows).transpose());
    } else {
      with_right(map(a, rows, depth));
    }
  } else {
    const std::int64_t b_row = b.transposed ? 1 : b.step, b_column = b.transposed ? b.step : 1;
    for (std::int64_t r = 0; r < rows; ++r) {
      T* to = c.data + r * c.step;
      if (!add) std::fill_n(to, columns, T{0});
      for (std::int64_t d = 0; d < depth; ++d) {
        const T left = a.transposed ? a.data[d * a.step + r] : a.data[r * a.step + d];
        const T* right = b.data + d * b_row;
        for (std::int64_t k = 0; k < columns; ++k) to[k] += left * right[k * b_column];
      }
    }
  }
}

template <typename T>
void multiply_all(std::int64_t rows, std::int64_t depth, std::int64_t columns, Matrix<const T> a, Matrix<const T> b,
                  Matrix<T> c, bool add) {
  if (rows == 0 || columns == 0) return;
  if (depth == 0) {
    for (std::int64_t r = 0; r < rows && !add; ++r) std::fill_n(c.data + r * c.step, columns, T{0});
    return;
  }
  const std::int64_t down = ceil_div(rows, piece_rows), across = ceil_div(columns, piece_columns);
  const double work =
      static_cast<double>(std::min(rows, piece_rows) * std::min(columns, piece_columns)) * static_cast<double>(depth);
  parallel_for(down * across, grain_for(work), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      const std::int64_t row = piece / across * piece_rows, column = piece % across * piece_columns;
      Matrix<T> to = c;
      to.data += row * c.step + column;
      multiply_piece(std::min(piece_rows, rows - row), depth, std::min(piece_columns, columns - column),
                     rows_from(a, row), columns_from(b, column), to, add);
    }
  });
}

// Signed integers as unsigned ones: the same bits, and no undefined overflow.
template <typename T>
using Wrapping = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::type_identity<T>>::type;

}  // namespace

template <typename T>
void multiply(std::int64_t rows, std::int64_t depth, std::int64_t columns, Matrix<const T> a, Matrix<const T> b,
              Matrix<T> c, bool add) {
  using W = Wrapping<T>;
  multiply_all<W>(rows, depth, columns, {reinterpret_cast<const W*>(a.data), a.step, a.transposed},
                  {reinterpret_cast<const W*>(b.data), b.step, b.transposed},
                  {reinterpret_cast<W*>(c.data), c.step, false}, add);
}

#define HONE_MULTIPLY(T)                                                                                           \
  template void multiply<T>(std::int64_t, std::int64_t, std::int64_t, Matrix<const T>, Matrix<const T>, Matrix<T>, \
                            bool);
HONE_MULTIPLY(float)
HONE_MULTIPLY(double)
HONE_MULTIPLY(std::int32_t)
HONE_MULTIPLY(std::int64_t)
HONE_MULTIPLY(std::uint32_t)
HONE_MULTIPLY(std::uint64_t)
#undef HONE_MULTIPLY

void multiply_rows(std::int64_t rows, std::int64_t depth, std::int64_t columns, const std::int16_t* a,
                   const std::int16_t* b, std::int32_t* c, std::int64_t c_step) {
  const auto product_of = [](const std::int16_t x, const std::int16_t y) {
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(x) * static_cast<std::int32_t>(y));
  };
  // Four rows of b at a time share the loads of a.
  parallel_for(rows, grain_for(static_cast<double>(depth) * static_cast<double>(columns) / 8),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t r = begin; r < end; ++r) {
                   const std::int16_t* x = a + r * depth;
                   std::int64_t k = 0;
                   for (; k + 4 <= columns; k += 4) {
                     const std::int16_t *y0 = b + k * depth, *y1 = y0 + depth, *y2 = y1 + depth, *y3 = y2 + depth;
                     std::uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
                     for (std::int64_t d = 0; d < depth; ++d) {
                       s0 += product_of(x[d], y0[d]);
                       s1 += product_of(x[d], y1[d]);
                       s2 += product_of(x[d], y2[d]);
                       s3 += product_of(x[d], y3[d]);
                     }
                     std::int32_t* to = c + r * c_step + k;
                     to[0] = static_cast<std::int32_t>(s0);
                     to[1] = static_cast<std::int32_t>(s1);
                     to[2] = static_cast<std::int32_t>(s2);
                     to[3] = static_cast<std::int32_t>(s3);
                   }
                   for (; k < columns; ++k) {
                     std::uint32_t sum = 0;
                     for (std::int64_t d = 0; d < depth; ++d) sum += product_of(x[d], b[k * depth + d]);
                     c[r * c_step + k] = static_cast<std::int32_t>(sum);
                   }
                 }
               });
}

}  // namespace hone::exec
