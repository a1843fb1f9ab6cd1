#include "exec/onednn/integer_winograd.h"

#include <algorithm>
#include <limits>

#include "exec/onednn/avx2.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {
namespace {

// A block's transformed codes stay in the second-level cache beside a panel of weights, its sums near the first.
constexpr std::int64_t block_bytes = 192 << 10, most_tiles = 64;

std::int64_t up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

constexpr WinogradCost cost{1 / 45.0, 1.8, 0.01, 0.065, 16, sizeof(std::int16_t)};

// Tiles of a block.
std::int64_t most_at_once(const WinogradShape& shape) {
  return std::clamp<std::int64_t>(block_bytes / (cost.points * cost.element_bytes * shape.in_channels), 6, most_tiles);
}

HONE_AVX2_INLINE void transform_in(const __m256i d[4], __m256i o[4]) {
  o[0] = _mm256_sub_epi16(d[0], d[2]);
  o[1] = _mm256_add_epi16(d[1], d[2]);
  o[2] = _mm256_sub_epi16(d[2], d[1]);
  o[3] = _mm256_sub_epi16(d[1], d[3]);
}
HONE_AVX2_INLINE void transform_out(const __m256i m[4], __m256i o[2]) {
  o[0] = _mm256_add_epi32(_mm256_add_epi32(m[0], m[1]), m[2]);
  o[1] = _mm256_sub_epi32(_mm256_sub_epi32(m[1], m[2]), m[3]);
}

template <bool Signed>
HONE_AVX2_INLINE __m256i words_at(const std::byte* from, __m256i less) {
  const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_sub_epi16(Signed ? _mm256_cvtepi8_epi16(codes) : _mm256_cvtepu8_epi16(codes), less);
}

// 16 channels at a time of a tile into its row of each plane. `rows` and `columns` of it from `top` and `left` on lie in the
// image, of which a row is `row_size` bytes.
template <bool Signed>
HONE_AVX2 void take_tile(const std::byte* image, std::int64_t channels, std::int64_t row_size, std::int64_t top,
                         std::int64_t left, std::int64_t rows, std::int64_t columns, std::int32_t zero,
                         std::int16_t* to, std::int64_t plane) {
  const __m256i less = _mm256_set1_epi16(static_cast<std::int16_t>(zero)), none = _mm256_setzero_si256();
  const bool whole = top == 0 && left == 0 && rows == 4 && columns == 4;
  for (std::int64_t c = 0; c < channels; c += 16, image += 16, to += 16) {
    const auto at = [&](std::int64_t i, std::int64_t j) { return image + i * row_size + j * channels; };
    __m256i middle[4][4];
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < 4; ++i) {
      __m256i d[4];
      if (whole) {
#pragma GCC unroll 4
        for (std::int64_t j = 0; j < 4; ++j) d[j] = words_at<Signed>(at(i, j), less);
      } else {
        for (std::int64_t j = 0; j < 4; ++j)
          d[j] =
              i >= top && i < top + rows && j >= left && j < left + columns ? words_at<Signed>(at(i, j), less) : none;
      }
      transform_in(d, middle[i]);
    }
#pragma GCC unroll 4
    for (std::int64_t j = 0; j < 4; ++j) {
      const __m256i d[4] = {middle[0][j], middle[1][j], middle[2][j], middle[3][j]};
      __m256i o[4];
      transform_in(d, o);
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < 4; ++i)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + (i * 4 + j) * plane), o[i]);
    }
  }
}

// 16 columns of a tile: its sums at each point, `plane` apart, to two places of two lines.
HONE_AVX2 void give_tile(const std::int32_t* sums, std::int64_t plane, std::int32_t* line, std::int32_t* next) {
  for (std::int64_t half = 0; half < 2; ++half, sums += 8, line += 8, next += 8) {
    __m256i middle[2][4];
#pragma GCC unroll 4
    for (std::int64_t j = 0; j < 4; ++j) {
      __m256i m[4], o[2];
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < 4; ++i)
        m[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums + (i * 4 + j) * plane));
      transform_out(m, o);
      middle[0][j] = o[0];
      middle[1][j] = o[1];
    }
#pragma GCC unroll 2
    for (std::int64_t i = 0; i < 2; ++i) {
      __m256i o[2];
      transform_out(middle[i], o);
#pragma GCC unroll 2
      for (std::int64_t j = 0; j < 2; ++j) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>((i == 0 ? line : next) + j * panel_columns),
                            _mm256_srai_epi32(o[j], 2));
      }
    }
  }
}

}  // namespace

bool IntegerWinograd::is_exact(std::int64_t in_channels, std::int64_t largest) {
  return in_channels <= std::numeric_limits<std::int32_t>::max() / (4 * 9 * 255 * (largest + 1));
}

bool IntegerWinograd::fits(const WinogradShape& shape, std::int64_t largest) {
  if (!has_avx2() || shape.in_channels % 16 != 0 || !is_exact(shape.in_channels, largest)) return false;
  const double products = static_cast<double>(shape.batch * shape.out_height * shape.out_width) * 9 *
                          static_cast<double>(shape.in_channels * shape.out_channels);
  // A direct convolution of bytes multiplies 50 to 65 a nanosecond, the more the longer its sums are.
  const double direct = products / (shape.in_channels < 64 ? 50 : 65);
  return direct > 1.1 * IntegerWinograd(shape).time();
}

IntegerWinograd::IntegerWinograd(const WinogradShape& shape) : shape_(shape) {
  tiles_high_ = up(shape.out_height, produced);
  tiles_wide_ = up(shape.out_width, produced);
  const std::int64_t most = most_at_once(shape);
  blocks_wide_ = up(tiles_wide_, most);
  block_columns_ = up(tiles_wide_, blocks_wide_);
  shares_ = cost.share(tiles(), shape.in_channels, shape.out_channels, most, threads());
  // As many blocks as slices at least.
  const std::int64_t wanted = up(shares_.slices, shape.batch * blocks_wide_);
  blocks_high_ =
      std::min(tiles_high_, std::max(wanted, up(tiles_high_, std::max<std::int64_t>(1, most / block_columns_))));
  block_rows_ = up(tiles_high_, blocks_high_);
  blocks_high_ = up(tiles_high_, block_rows_);
  shares_.slices = std::min(shares_.slices, shape.batch * blocks_high_ * blocks_wide_);
}

double IntegerWinograd::time() const {
  return cost.time(tiles(), shape_.in_channels, shape_.out_channels, most_at_once(shape_));
}

IntegerWinograd::Block IntegerWinograd::block(std::int64_t index) const {
  const std::int64_t each = blocks_high_ * blocks_wide_;
  Block result{index / each, index % each / blocks_wide_ * block_rows_, index % blocks_wide_ * block_columns_, 0, 0};
  result.rows = std::min(block_rows_, tiles_high_ - result.row);
  result.columns = std::min(block_columns_, tiles_wide_ - result.column);
  return result;
}

std::uint64_t IntegerWinograd::part_bytes() const {
  const std::int64_t words = points * plane() * 2, sums = points * sums_plane() * 4,
                     lines = 2 * produced * block_columns_ * panel_columns * 4;
  return static_cast<std::uint64_t>(up(words + sums + lines, 64) * 64);
}

std::uint64_t IntegerWinograd::scratch_bytes() const {
  return part_bytes() * static_cast<std::uint64_t>(shares_.count());
}

template <bool Signed>
void IntegerWinograd::take(const Block& block, const std::byte* image, std::int32_t zero, std::int16_t* words) const {
  const std::int64_t row_size = shape_.width * shape_.in_channels;
  for (std::int64_t r = 0; r < block.rows; ++r) {
    for (std::int64_t c = 0; c < block.columns; ++c, words += shape_.in_channels) {
      const std::int64_t y = (block.row + r) * produced - shape_.top, x = (block.column + c) * produced - shape_.left;
      const std::int64_t top = std::max<std::int64_t>(0, -y), left = std::max<std::int64_t>(0, -x);
      take_tile<Signed>(image + y * row_size + x * shape_.in_channels, shape_.in_channels, row_size, top, left,
                        std::min(side, shape_.height - y) - top, std::min(side, shape_.width - x) - left, zero, words,
                        plane());
    }
  }
}

void IntegerWinograd::give(const Block& block, const std::int32_t* sums, const Requantization& by, std::int64_t first,
                           std::int32_t* lines, std::byte* out, std::int64_t step) const {
  const std::int64_t columns = std::min(panel_columns, shape_.out_channels - first);
  std::int32_t* const next = lines + produced * block_columns_ * panel_columns;
  const std::int64_t width = std::min(produced * block.columns, shape_.out_width - produced * block.column);
  for (std::int64_t r = 0; r < block.rows; ++r) {
    for (std::int64_t c = 0; c < block.columns; ++c, sums += panel_columns)
      give_tile(sums, sums_plane(), lines + c * produced * panel_columns, next + c * produced * panel_columns);
    for (std::int64_t i = 0; i < produced; ++i) {
      const std::int64_t y = (block.row + r) * produced + i;
      if (y >= shape_.out_height) break;
      std::byte* to = out + (y * shape_.out_width + block.column * produced) * step;
      finish_tile(i == 0 ? lines : next, width, columns, by, first, to, step);
    }
  }
}

void IntegerWinograd::run(const std::byte* image, ir::ElementType type, std::int32_t zero, const IntegerPanels& weights,
                          const Requantization& by, std::byte* scratch, std::byte* out, std::int64_t step) const {
  const std::int64_t blocks = shape_.batch * blocks_high_ * blocks_wide_;
  const auto [slices, groups] = worthwhile_threads(1e-9 * time()) == 1 ? WinogradCost::Shares() : shares_;
  const std::int64_t in_size = shape_.height * shape_.width * shape_.in_channels,
                     out_size = shape_.out_height * shape_.out_width * step;
  const auto width = static_cast<std::int64_t>(ir::bit_width(by.type) / 8);
  parallel_for(slices * groups, 1, [&, slices = slices, groups = groups](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      std::byte* const own = scratch + static_cast<std::uint64_t>(part) * part_bytes();
      auto* const words = reinterpret_cast<std::int16_t*>(own);
      auto* const sums = reinterpret_cast<std::int32_t*>(own + points * plane() * 2);
      std::int32_t* const lines = sums + points * sums_plane();
      const std::int64_t slice = part / groups, group = part % groups;
      const std::int64_t first_panel = weights.count() * group / groups,
                         last_panel = weights.count() * (group + 1) / groups;
      for (std::int64_t index = blocks * slice / slices; index < blocks * (slice + 1) / slices; ++index) {
        const Block each = block(index);
        const std::byte* from = image + each.image * in_size;
        if (type == ir::ElementType::int8) {
          take<true>(each, from, zero, words);
        } else {
          take<false>(each, from, zero, words);
        }
        const std::int64_t count = each.rows * each.columns, start = 0;
        for (std::int64_t p = first_panel; p < last_panel; ++p) {
          IntegerPanels::Panel panel = weights.panel(p);
          const std::size_t size = panel.weights.size() / points;
          const auto all = panel.weights;
          for (std::int64_t point = 0; point < points; ++point) {
            panel.weights = all.subspan(static_cast<std::size_t>(point) * size, size);
            const std::int16_t* rows[most_tiles];
            for (std::int64_t t = 0; t < count; ++t) rows[t] = words + point * plane() + t * shape_.in_channels;
            multiply_rows(rows, count, {&start, 1}, panel, sums + point * sums_plane());
          }
          const std::int64_t first = p * panel_columns;
          give(each, sums, by, first, lines, out + each.image * out_size + first * width, step);
        }
      }
    }
  });
}

}  // namespace hone::exec::onednn
