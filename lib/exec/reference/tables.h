// Elements picked along each dimension by a table: padding, resizing to the nearest.
#pragma once

#include "exec/reference/elements.h"

namespace hone::exec {

// Fills `out`, whose dimensions are the lengths of the tables: element (i, j, ...) is in[tables[0][i], tables[1][j], ...],
// or `constant` where a table says -1. At least one dimension, none of them 0.
template <typename T>
void fill_from(const T* in, const ir::Dims& in_dims, T* out, const std::vector<ir::Dims>& tables, const T& constant) {
  ir::Dims dims;
  for (const ir::Dims& table : tables) dims.push_back(static_cast<std::int64_t>(table.size()));
  const std::size_t last = dims.size() - 1;
  const ir::Dims steps = strides(in_dims);
  const std::int64_t* columns = tables[last].data();
  const std::int64_t width = dims[last];
  // What comes from neighbours in the middle of a row is copied at once.
  std::int64_t first = 0;
  while (first < width && columns[first] < 0) ++first;
  std::int64_t end = first;
  while (end < width && columns[end] == columns[first] + (end - first)) ++end;
  parallel_for(product(dims, 0, last), std::max<std::int64_t>(1, cheap_grain / width),
               [&](std::int64_t begin, std::int64_t stop) {
                 for (std::int64_t row = begin; row < stop; ++row) {
                   std::int64_t base = 0, rest = row;
                   bool inside = true;
                   for (std::size_t d = last; d-- > 0; rest /= dims[d]) {
                     const std::int64_t at = tables[d][static_cast<std::size_t>(rest % dims[d])];
                     inside = inside && at >= 0;
                     base += at * steps[d];
                   }
                   T* to = out + row * width;
                   if (!inside) {
                     std::fill_n(to, width, constant);
                     continue;
                   }
                   const T* from = in + base;
                   for (std::int64_t i = 0; i < first; ++i) to[i] = constant;
                   if (end > first) std::copy_n(from + columns[first], end - first, to + first);
                   for (std::int64_t i = end; i < width; ++i) to[i] = columns[i] < 0 ? constant : from[columns[i]];
                 }
               });
}

}  // namespace hone::exec
