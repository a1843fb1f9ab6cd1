// 3 x 3 convolutions of 8-bit codes by Winograd's F(2 x 2, 3 x 3) in integers, on AVX2: tiles of 4 x 4 codes give 2 x 2 sums
// with 16 products instead of 36. Exact: transformed weights are kept times 4 (2 in each dimension), so that nothing is
// rounded, and four times a sum fits 32 bits; what wraps on the way wraps back.
//
// Codes lie with their channels innermost, and are 16-bit words less their zero point once transformed. Not handled:
// strides, dilations, groups, channels that don't fill blocks of 16, so many of them that sums could pass 30 bits, images so
// small that reading 4 times the weights costs what was saved.
#pragma once

#include <cstdint>

#include "exec/onednn/integer_core.h"
#include "exec/onednn/winograd.h"
#include "exec/onednn/winograd_cost.h"

namespace hone::exec::onednn {

class IntegerWinograd {
 public:
  // Whether four times a sum fits 32 bits. `largest`: of the sizes of weights less their zero points.
  static bool is_exact(std::int64_t in_channels, std::int64_t largest);
  // Whether it can run, and is expected to be faster than a direct convolution.
  static bool fits(const WinogradShape& shape, std::int64_t largest);

  // `at(channel, input channel, tap)`: a weight less its zero point.
  template <typename F>
  static IntegerPanels weights(std::int64_t in_channels, std::int64_t out_channels, F&& at) {
    IntegerPanels panels(points, in_channels, out_channels);
    panels.fill([&](std::int64_t point, std::int64_t in, std::int64_t out) {
      const std::int64_t y = point / side, x = point % side;
      std::int32_t sum = 0;
      for (std::int64_t r = 0; r < 3; ++r) {
        for (std::int64_t c = 0; c < 3; ++c) {
          if (const std::int32_t by = matrix[y][r] * matrix[x][c]; by != 0) sum += by * at(out, in, 3 * r + c);
        }
      }
      return sum;
    });
    return panels;
  }

  explicit IntegerWinograd(const WinogradShape& shape);
  IntegerWinograd() = default;
  std::uint64_t scratch_bytes() const;

  // `image`: codes with channels innermost, as is `out`, of which a place is `step` bytes.
  void run(const std::byte* image, ir::ElementType type, std::int32_t zero, const IntegerPanels& weights,
           const Requantization& by, std::byte* scratch, std::byte* out, std::int64_t step) const;

 private:
  static constexpr std::int64_t side = 4, points = side * side, produced = 2;
  static constexpr std::int32_t matrix[side][3] = {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}};  // times 2
  // Tiles that are transformed, multiplied and transformed back together: a rectangle.
  struct Block {
    std::int64_t image, row, column, rows, columns;
  };
  Block block(std::int64_t index) const;
  std::uint64_t part_bytes() const;  // of a thread's memory
  std::int64_t tiles() const { return shape_.batch * tiles_high_ * tiles_wide_; }
  double time() const;  // about, of a run on one thread, in nanoseconds
  // Words and sums of a point. One cache line more, so that those of all points don't fall on the same places of a cache.
  std::int64_t plane() const { return block_rows_ * block_columns_ * shape_.in_channels + 32; }
  std::int64_t sums_plane() const { return block_rows_ * block_columns_ * panel_columns + 16; }
  template <bool Signed>
  void take(const Block& block, const std::byte* image, std::int32_t zero, std::int16_t* words) const;
  void give(const Block& block, const std::int32_t* sums, const Requantization& by, std::int64_t first,
            std::int32_t* lines, std::byte* out, std::int64_t step) const;

  WinogradShape shape_;
  std::int64_t tiles_high_ = 0, tiles_wide_ = 0, block_rows_ = 0, block_columns_ = 0, blocks_high_ = 0,
               blocks_wide_ = 0;
  WinogradCost::Shares shares_;  // of the blocks and panels
};

}  // namespace hone::exec::onednn
