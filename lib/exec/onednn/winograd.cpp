#include "exec/onednn/winograd.h"

#include <algorithm>
#include <cstring>

#include "exec/onednn/avx2_tail.h"
#include "exec/onednn/avx512.h"
#include "exec/onednn/tile.h"
#include "exec/onednn/winograd_cost.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {

#ifdef HONE_HAS_AVX2
namespace {

constexpr std::int64_t side = 6, points = side * side, produced = 4;

std::int64_t padded(std::int64_t channels) { return panel_count(channels) * panel_columns; }

const WinogradCost& cost() {
  static constexpr WinogradCost of_avx2{2 / 60.0, 7, 0.025, 0.065, points, sizeof(float)},
      of_avx512{1 / 75.0, 6, 0.025, 0.065, points, sizeof(float)};
  return has_avx512() ? of_avx512 : of_avx2;
}

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
    shares = cost().share(tiles, shape.in_channels, shape.out_channels, most, threads());
    count = (tiles + most - 1) / most;
    count = std::min((count + shares.slices - 1) / shares.slices * shares.slices, tiles);
    size = (tiles + count - 1) / count;
    count = (tiles + size - 1) / size;
    shares.slices = std::min(shares.slices, count);
    // One cache line more, so that the planes don't fall on the same places of a cache.
    in_plane = size * shape.in_channels + 16;
    out_plane = size * padded(shape.out_channels) + 16;
  }
  std::int64_t floats() const { return points * (in_plane + out_plane); }
};

double time_of(const WinogradShape& shape, const Blocks& blocks) {
  return cost().time(blocks.tiles, shape.in_channels, shape.out_channels, blocks.most);
}

// The polynomials are evaluated at 0, +-a, +-b and infinity. With a, b = 1, 2, the usual choice, errors are three times as
// large.
constexpr float a1 = 0.707106781F, b1 = 1.41421356F, a2 = 0.5F, b2 = 2.0F, a3 = 0.353553391F, b3 = 2.82842712F;

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

// All rows of `a` by the panels from `first` to before `last`, of `columns` columns in all.
using Multiply = void (*)(const float* a, std::int64_t rows, std::int64_t depth, const float* b, std::int64_t first,
                          std::int64_t last, std::int64_t columns, float* out);

#define HONE_TILES "exec/onednn/winograd_tiles.h"
#include "exec/onednn/tiles_for_both.h"

}  // namespace

bool winograd_fits(const WinogradShape& shape) {
  if (!(shape.block == 16 ? has_avx512() : has_avx2())) return false;
  if (shape.in_channels % shape.block != 0 || shape.out_channels % shape.block != 0) return false;
  // Transformed weights are 4 times as large: for few places, reading them costs what was saved. A gain of less than a quarter
  // isn't worth their memory, either.
  const double direct = static_cast<double>(shape.batch * shape.out_height * shape.out_width) * 9 *
                        static_cast<double>(shape.in_channels * shape.out_channels) * cost().product;
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
  const Multiply products_of = has_avx512() ? for_avx512::multiply : for_avx2::multiply;
  const auto run = shape.block == 16 ? for_avx512::run_block : for_avx2::run_block;
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
        run(shape, blocks, part, products_of, in, transformed, bias, steps, scratch + p * blocks.floats(), out);
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
