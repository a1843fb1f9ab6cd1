#include "exec/reference/strided.h"

namespace hone::exec {
namespace {

// Side of the square that is transposed at once: 32 x 32 floats take a quarter of the first-level cache.
constexpr std::int64_t tile = 32;

struct Walk {
  ir::Dims dims, steps;
};

// Without dimensions of 1, and with one dimension for those that both sides step through alike.
Walk collapse(DimSpan dims, DimSpan steps) {
  Walk walk;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    if (!walk.dims.empty() && walk.steps.back() == steps[i] * dims[i]) {
      walk.dims.back() *= dims[i];
      walk.steps.back() = steps[i];
    } else {
      walk.dims.push_back(dims[i]);
      walk.steps.push_back(steps[i]);
    }
  }
  if (walk.dims.empty()) {
    walk.dims.push_back(1);
    walk.steps.push_back(1);
  }
  return walk;
}

// Where a flat index into `dims` lies for the given steps.
std::int64_t locate(std::int64_t flat, const ir::Dims& dims, const ir::Dims& steps) {
  std::int64_t at = 0;
  for (std::size_t d = dims.size(); d-- > 0;) {
    at += flat % dims[d] * steps[d];
    flat /= dims[d];
  }
  return at;
}

template <typename T>
void copy_rows(const Walk& walk, const T* in, T* out) {
  const std::int64_t length = walk.dims.back(), step = walk.steps.back();
  const ir::Dims dims(walk.dims.begin(), walk.dims.end() - 1), steps(walk.steps.begin(), walk.steps.end() - 1);
  const auto copy = [&](const T* from, T* to, std::int64_t n) {
    if (step == 1) {
      std::copy_n(from, n, to);
    } else if (step == 0) {
      std::fill_n(to, n, *from);
    } else {
      for (std::int64_t i = 0; i < n; ++i) to[i] = from[i * step];
    }
  };
  if (dims.empty()) {
    parallel_for(length, cheap_grain,
                 [&](std::int64_t begin, std::int64_t end) { copy(in + begin * step, out + begin, end - begin); });
    return;
  }
  parallel_for(product(dims), std::max<std::int64_t>(1, cheap_grain / length),
               [&](std::int64_t begin, std::int64_t end) {
                 ir::Dims index(dims.size());
                 std::int64_t rest = begin;
                 for (std::size_t d = dims.size(); d-- > 0; rest /= dims[d]) index[d] = rest % dims[d];
                 std::int64_t at = locate(begin, dims, steps);
                 for (std::int64_t row = begin; row < end; ++row) {
                   copy(in + at, out + row * length, length);
                   for (std::size_t d = dims.size(); d-- > 0;) {
                     at += steps[d];
                     if (++index[d] < dims[d]) break;
                     at -= steps[d] * dims[d];
                     index[d] = 0;
                   }
                 }
               });
}

// The input is contiguous along dimension `fast`, the output along the last one: squares of both at a time.
template <typename T>
void copy_tiles(const Walk& walk, std::size_t fast, const T* in, T* out) {
  const std::size_t last = walk.dims.size() - 1;
  const ir::Dims out_steps = strides(walk.dims);
  ir::Dims dims, in_outer, out_outer;
  for (std::size_t d = 0; d < last; ++d) {
    if (d == fast) continue;
    dims.push_back(walk.dims[d]);
    in_outer.push_back(walk.steps[d]);
    out_outer.push_back(out_steps[d]);
  }
  const std::int64_t rows = walk.dims[fast], columns = walk.dims[last];
  const std::int64_t row_step = out_steps[fast], column_step = walk.steps[last];
  const std::int64_t bands = ceil_div(rows, tile);
  parallel_for(product(dims) * bands, std::max<std::int64_t>(1, cheap_grain / (tile * columns)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t unit = begin; unit < end; ++unit) {
                   const std::int64_t first_row = unit % bands * tile, last_row = std::min(rows, first_row + tile);
                   const T* from = in + locate(unit / bands, dims, in_outer);
                   T* to = out + locate(unit / bands, dims, out_outer);
                   for (std::int64_t c0 = 0; c0 < columns; c0 += tile) {
                     const std::int64_t c1 = std::min(columns, c0 + tile);
                     for (std::int64_t r = first_row; r < last_row; ++r) {
                       for (std::int64_t c = c0; c < c1; ++c) to[r * row_step + c] = from[r + c * column_step];
                     }
                   }
                 }
               });
}

template <typename T>
void copy(const Walk& walk, const T* in, T* out) {
  if (const std::int64_t step = walk.steps.back(); step != 1 && step != 0) {
    for (std::size_t d = 0; d + 1 < walk.dims.size(); ++d) {
      if (walk.steps[d] == 1) return copy_tiles(walk, d, in, out);
    }
  }
  copy_rows(walk, in, out);
}

}  // namespace

void copy_strided(Context& context, const Array& in, std::int64_t offset, DimSpan dims, DimSpan steps, Array& out) {
  if (product(dims) == 0) return;
  const Walk walk = collapse(dims, steps);
  move_elements(context, in, out, [&](const auto* from, auto* to) { copy(walk, from + offset, to); });
}

}  // namespace hone::exec
