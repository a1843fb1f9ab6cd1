#include "exec/onednn/winograd.h"

#include <algorithm>
#include <cstring>

#include "exec/onednn/avx2_tail.h"
#include "exec/onednn/winograd_cost.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {

#ifdef HONE_HAS_AVX2
namespace {

using namespace avx2;

constexpr std::int64_t side = 6, points = side * side, produced = 4;
static_assert(panel_columns == 2 * lanes && tile_rows == 6);

std::int64_t padded(std::int64_t channels) { return panel_count(channels) * panel_columns; }

constexpr WinogradCost cost{2 / 60.0, 7, 0.025, 0.065, points, sizeof(float)};

// How the tiles of a batch are cut into blocks that are transformed, multiplied and transformed back together.
struct Blocks {
  std::int64_t tiles_high, tiles_wide, tiles, panels, most, size, count, in_plane, out_plane;
  WinogradCost::Shares shares;  // of the blocks and panels

  explicit Blocks(const WinogradShape& shape) {
    tiles_high = (shape.out_height + produced - 1) / produced;
    tiles_wide = (shape.out_width + produced - 1) / produced;
    tiles = shape.batch * tiles_high * tiles_wide;
    panels = panel_count(shape.out_channels);
    // Near the first-level cache where the channels are few, more rows for each reading of the weights where they are many.
    most = shape.in_channels + shape.out_channels <= 64 ? 12 : 24;
    shares = cost.share(tiles, shape.in_channels, shape.out_channels, most, threads());
    count = (tiles + most - 1) / most;
    count = std::min((count + shares.slices - 1) / shares.slices * shares.slices, tiles);
    size = (tiles + count - 1) / count;
    count = (tiles + size - 1) / size;
    shares.slices = std::min(shares.slices, count);
    // One cache line more, so that the planes don't fall on the same places of a cache.
    in_plane = size * shape.in_channels + 2 * lanes;
    out_plane = size * padded(shape.out_channels) + 2 * lanes;
  }
  std::int64_t floats() const { return points * (in_plane + out_plane); }
};

double time_of(const WinogradShape& shape, const Blocks& blocks) {
  return cost.time(blocks.tiles, shape.in_channels, shape.out_channels, blocks.most);
}

// The polynomials are evaluated at 0, +-a, +-b and infinity. With a, b = 1, 2, the usual choice, errors are three times as
// large.
constexpr float a1 = 0.707106781F, b1 = 1.41421356F, a2 = 0.5F, b2 = 2.0F, a3 = 0.353553391F, b3 = 2.82842712F;

// One dimension of the transformation of inputs.
HONE_AVX2_INLINE void transform_in(const Vector d[side], Vector o[side]) {
  const Vector squares = all(-(a2 + b2));  // and their product is 1
  o[0] = fused(squares, d[2], d[0] + d[4]);
  const Vector a = fused(all(-b2), d[2], d[4]), odd_a = all(a1) * fused(all(-b2), d[1], d[3]);
  o[1] = a + odd_a;
  o[2] = a - odd_a;
  const Vector b = fused(all(-a2), d[2], d[4]), odd_b = all(b1) * fused(all(-a2), d[1], d[3]);
  o[3] = b + odd_b;
  o[4] = b - odd_b;
  o[5] = fused(squares, d[3], d[1] + d[5]);
}

HONE_AVX2_INLINE void transform_out(const Vector m[side], Vector o[produced]) {
  const Vector s = m[1] + m[2], d = m[1] - m[2], p = m[3] + m[4], q = m[3] - m[4];
  o[0] = m[0] + s + p;
  o[1] = fused(all(b1), q, all(a1) * d);
  o[2] = fused(all(b2), p, all(a2) * s);
  o[3] = fused(all(b3), q, fused(all(a3), d, m[5]));
}

// A tile of 8 channels into its row of each plane. `rows` and `columns` of it from `row` and `column` on lie in the image.
HONE_AVX2 void take_tile(const float* image, std::int64_t width, std::int64_t row, std::int64_t column,
                         std::int64_t rows, std::int64_t columns, float* to, std::int64_t plane) {
  Vector middle[side][side];
  const bool whole = row == 0 && column == 0 && rows == side && columns == side;
  for (std::int64_t i = 0; i < side; ++i) {
    Vector d[side];
    if (whole) {
#pragma GCC unroll 6
      for (std::int64_t j = 0; j < side; ++j) d[j] = load(image + (i * width + j) * lanes);
    } else {
      for (std::int64_t j = 0; j < side; ++j) {
        const bool inside = i >= row && i < row + rows && j >= column && j < column + columns;
        d[j] = inside ? load(image + (i * width + j) * lanes) : all(0.0F);
      }
    }
    transform_in(d, middle[i]);
  }
#pragma GCC unroll 6
  for (std::int64_t j = 0; j < side; ++j) {
    Vector d[side], o[side];
#pragma GCC unroll 6
    for (std::int64_t i = 0; i < side; ++i) d[i] = middle[i][j];
    transform_in(d, o);
#pragma GCC unroll 6
    for (std::int64_t i = 0; i < side; ++i) store(to + (i * side + j) * plane, o[i]);
  }
}

// 8 channels of a tile from its row of each plane; `rows` x `columns` of its outputs lie in the image.
HONE_AVX2 void give_tile(const float* from, std::int64_t plane, Vector bias, const std::vector<FusedStep>& steps,
                         float* image, std::int64_t width, std::int64_t rows, std::int64_t columns) {
  Vector middle[produced][side];
#pragma GCC unroll 6
  for (std::int64_t j = 0; j < side; ++j) {
    Vector m[side], o[produced];
#pragma GCC unroll 6
    for (std::int64_t i = 0; i < side; ++i) m[i] = load(from + (i * side + j) * plane);
    transform_out(m, o);
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < produced; ++i) middle[i][j] = o[i];
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    Vector o[produced];
    transform_out(middle[i], o);
    float* to = image + i * width * lanes;
#pragma GCC unroll 4
    for (std::int64_t j = 0; j < produced; ++j) o[j] = o[j] + bias;
    for (const FusedStep& step : steps) {
      for (std::int64_t j = 0; j < columns; ++j) o[j] = step_of(step, o[j], to + j * lanes);
    }
    for (std::int64_t j = 0; j < columns; ++j) store(to + j * lanes, o[j]);
  }
}

// Rows of `a` by a panel of 16 columns.
template <int Rows>
HONE_AVX2_INLINE void multiply_rows(const float* a, std::int64_t depth, const float* b, float* out, std::int64_t step) {
  Vector sum[Rows][2];
#pragma GCC unroll 6
  for (int r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = all(0.0F);
  for (std::int64_t k = 0; k < depth; ++k) {
    const Vector left = load(b + k * panel_columns), right = load(b + k * panel_columns + lanes);
#pragma GCC unroll 6
    for (int r = 0; r < Rows; ++r) {
      const Vector factor = all(a[r * depth + k]);
      sum[r][0] = fused(factor, left, sum[r][0]);
      sum[r][1] = fused(factor, right, sum[r][1]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < Rows; ++r) {
    store(out + r * step, sum[r][0]);
    store(out + r * step + lanes, sum[r][1]);
  }
}

// All rows by the panels from `first` to before `last`, of `columns` columns in all.
HONE_AVX2 void multiply(const float* a, std::int64_t rows, std::int64_t depth, const float* b, std::int64_t first,
                        std::int64_t last, std::int64_t columns, float* out) {
  b += first * depth * panel_columns;
  for (std::int64_t c = first * panel_columns; c < last * panel_columns;
       c += panel_columns, b += depth * panel_columns) {
    std::int64_t r = 0;
    for (; r + tile_rows <= rows; r += tile_rows)
      multiply_rows<tile_rows>(a + r * depth, depth, b, out + r * columns + c, columns);
    const float* rest = a + r * depth;
    float* to = out + r * columns + c;
    switch (rows - r) {
      case 5:
        multiply_rows<5>(rest, depth, b, to, columns);
        break;
      case 4:
        multiply_rows<4>(rest, depth, b, to, columns);
        break;
      case 3:
        multiply_rows<3>(rest, depth, b, to, columns);
        break;
      case 2:
        multiply_rows<2>(rest, depth, b, to, columns);
        break;
      case 1:
        multiply_rows<1>(rest, depth, b, to, columns);
        break;
      default:
        break;
    }
  }
}

struct Tile {
  std::int64_t image, row, column;  // of the first output
};
Tile tile_at(std::int64_t index, const Blocks& blocks) {
  const std::int64_t each = blocks.tiles_high * blocks.tiles_wide;
  return {index / each, index % each / blocks.tiles_wide * produced, index % blocks.tiles_wide * produced};
}

// What one thread computes: `count` tiles from `first` on, of the output channels of some panels.
struct Part {
  std::int64_t first = 0, count = 0, first_panel = 0, last_panel = 0;
};

HONE_AVX2 void run_block(const WinogradShape& shape, const Blocks& blocks, const Part& part, const float* in,
                         const float* transformed, const float* bias, const std::vector<FusedStep>& steps,
                         float* scratch, float* out) {
  float* inputs = scratch;
  float* products = scratch + points * blocks.in_plane;
  const std::int64_t in_size = shape.height * shape.width * lanes,
                     out_size = shape.out_height * shape.out_width * lanes;
  const std::int64_t columns = padded(shape.out_channels);
  for (std::int64_t t = 0; t < part.count; ++t) {
    const Tile tile = tile_at(part.first + t, blocks);
    const std::int64_t y = tile.row - shape.top, x = tile.column - shape.left;
    const std::int64_t top = std::max<std::int64_t>(0, -y), left = std::max<std::int64_t>(0, -x);
    const std::int64_t rows = std::min(side, shape.height - y) - top, wide = std::min(side, shape.width - x) - left;
    const float* image = in + tile.image * shape.in_channels / lanes * in_size + (y * shape.width + x) * lanes;
    for (std::int64_t c = 0; c < shape.in_channels; c += lanes) {
      take_tile(image + c / lanes * in_size, shape.width, top, left, rows, wide, inputs + t * shape.in_channels + c,
                blocks.in_plane);
    }
  }
  for (std::int64_t p = 0; p < points; ++p) {
    multiply(inputs + p * blocks.in_plane, part.count, shape.in_channels, transformed + p * shape.in_channels * columns,
             part.first_panel, part.last_panel, columns, products + p * blocks.out_plane);
  }
  for (std::int64_t t = 0; t < part.count; ++t) {
    const Tile tile = tile_at(part.first + t, blocks);
    const std::int64_t rows = std::min(produced, shape.out_height - tile.row),
                       wide = std::min(produced, shape.out_width - tile.column);
    float* image =
        out + tile.image * shape.out_channels / lanes * out_size + (tile.row * shape.out_width + tile.column) * lanes;
    const std::int64_t last = std::min(part.last_panel * panel_columns, shape.out_channels);
    for (std::int64_t c = part.first_panel * panel_columns; c < last; c += lanes) {
      give_tile(products + t * columns + c, blocks.out_plane, bias ? load(bias + c) : all(0.0F), steps,
                image + c / lanes * out_size, shape.out_width, rows, wide);
    }
  }
}

}  // namespace

bool winograd_fits(const WinogradShape& shape) {
  if (!has_only_avx2() || shape.in_channels % lanes != 0 || shape.out_channels % lanes != 0) return false;
  // Transformed weights are 4 times as large: for few places, reading them costs what was saved. A gain of less than a quarter
  // isn't worth their memory, either.
  const double direct = static_cast<double>(shape.batch * shape.out_height * shape.out_width) * 9 *
                        static_cast<double>(shape.in_channels * shape.out_channels) * cost.product;
  return direct > 1.25 * time_of(shape, Blocks(shape));
}

std::uint64_t winograd_weight_bytes(const WinogradShape& shape) {
  return static_cast<std::uint64_t>(points * shape.in_channels * padded(shape.out_channels)) * sizeof(float);
}

std::uint64_t winograd_scratch_bytes(const WinogradShape& shape) {
  const Blocks blocks(shape);
  return static_cast<std::uint64_t>(blocks.floats() * blocks.shares.count()) * sizeof(float);
}

void winograd_weights(const WinogradShape& shape, const float* weights, float* transformed) {
  // 1, p and p^2, over the product of the distances of the point p from the others.
  constexpr double a = 0.70710678118654752440, b = 1.41421356237309504880;
  constexpr double at_a = 2 * a * a * (a * a - b * b), at_b = 2 * b * b * (b * b - a * a);
  static constexpr double matrix[side][3] = {{1, 0, 0},
                                             {1 / at_a, a / at_a, a * a / at_a},
                                             {1 / at_a, -a / at_a, a * a / at_a},
                                             {1 / at_b, b / at_b, b * b / at_b},
                                             {1 / at_b, -b / at_b, b * b / at_b},
                                             {0, 0, 1}};
  const std::int64_t in = shape.in_channels, columns = padded(shape.out_channels);
  std::memset(transformed, 0, winograd_weight_bytes(shape));
  parallel_for(shape.out_channels, std::max<std::int64_t>(1, 256 / in), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o) {
      for (std::int64_t i = 0; i < in; ++i) {
        const float* w = weights + (o * in + i) * 9;
        double half[side][3];
        for (std::int64_t y = 0; y < side; ++y) {
          for (std::int64_t x = 0; x < 3; ++x) {
            half[y][x] = matrix[y][0] * static_cast<double>(w[x]) + matrix[y][1] * static_cast<double>(w[3 + x]) +
                         matrix[y][2] * static_cast<double>(w[6 + x]);
          }
        }
        for (std::int64_t y = 0; y < side; ++y) {
          for (std::int64_t x = 0; x < side; ++x) {
            const double value = half[y][0] * matrix[x][0] + half[y][1] * matrix[x][1] + half[y][2] * matrix[x][2];
            transformed[(y * side + x) * in * columns + o / panel_columns * panel_columns * in + i * panel_columns +
                        o % panel_columns] = static_cast<float>(value);
          }
        }
      }
    }
  });
}

void winograd(const WinogradShape& shape, const float* in, const float* transformed, const float* bias,
              const std::vector<FusedStep>& steps, float* scratch, float* out) {
  const Blocks blocks(shape);
  const auto [slices, groups] =
      worthwhile_threads(1e-9 * time_of(shape, blocks)) == 1 ? WinogradCost::Shares() : blocks.shares;
  parallel_for(slices * groups, 1, [&, slices = slices, groups = groups](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int64_t slice = p / groups, group = p % groups;
      Part part;
      part.first_panel = blocks.panels * group / groups;
      part.last_panel = blocks.panels * (group + 1) / groups;
      for (std::int64_t b = blocks.count * slice / slices; b < blocks.count * (slice + 1) / slices; ++b) {
        part.first = b * blocks.size;
        part.count = std::min(blocks.size, blocks.tiles - part.first);
        run_block(shape, blocks, part, in, transformed, bias, steps, scratch + p * blocks.floats(), out);
      }
    }
  });
}

#else
bool winograd_fits(const WinogradShape&) { return false; }
std::uint64_t winograd_weight_bytes(const WinogradShape&) { return 0; }
std::uint64_t winograd_scratch_bytes(const WinogradShape&) { return 0; }
void winograd_weights(const WinogradShape&, const float*, float*) {}
void winograd(const WinogradShape&, const float*, const float*, const float*, const std::vector<FusedStep>&, float*,
              float*) {}
#endif

}  // namespace hone::exec::onednn
