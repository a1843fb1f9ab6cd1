// Products of 8-bit integers on AVX2, exact, in two ways:
//
// Bytes, where the weights are 8 bits wide: byte_panels.h. (oneDNN's kernels for CPUs without VNNI saturate for u8 by s8, and
// drop a bit of the weights for s8 by s8.)
//
// Words: operands less their zero points are 16 bits wide (vpmaddwd). For weights that less their zero points need 9 bits,
// for right-hand factors that change, and for convolutions of each channel by itself.
//
// Rows of the left factor are read through pointers and offsets, so that a convolution needs no matrix of patches. The
// right factor lies in panels of 16 columns.
//
// All of it runs only where has_avx2() says so. Not here: sums that pass 32 bits wrap.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "exec/onednn/byte_panels.h"
#include "hone/exec/kernel.h"
#include "hone/support/buffer.h"

namespace hone::exec::onednn {

inline constexpr std::string_view integer_kernel_name = "integer:avx2";

// A matrix [depth, columns] less its zero points, in panels. The depth is made of `segments` runs, padded to pairs each.
class IntegerPanels {
 public:
  static constexpr std::int64_t width = panel_columns;
  IntegerPanels() = default;
  // In memory of the caller's, of byte_size(), or (null) its own. Contents undefined: fill() them.
  IntegerPanels(std::int64_t segments, std::int64_t length, std::int64_t columns, std::byte* memory = nullptr);

  // `at(segment, place, column)` is an element less its zero point, in [-255, 255].
  template <typename F>
  void fill(F&& at) {
    for (std::int64_t first = 0; first < columns_; first += panel_columns) {
      std::int16_t* to = data_ + first * depth();
      for (std::int64_t s = 0; s < segments_; ++s) {
        for (std::int64_t k = 0; k < 2 * pairs_; k += 2, to += 2 * panel_columns) {
          for (std::int64_t c = 0; c < panel_columns; ++c) {
            const bool inside = first + c < columns_;
            to[2 * c] = inside && k < length_ ? static_cast<std::int16_t>(at(s, k, first + c)) : std::int16_t{0};
            to[2 * c + 1] =
                inside && k + 1 < length_ ? static_cast<std::int16_t>(at(s, k + 1, first + c)) : std::int16_t{0};
          }
        }
      }
    }
  }
  // The panels [begin, end) of one segment from a row-major matrix; `zeros` by column, padded to whole panels.
  void fill_rows(const std::byte* matrix, ir::ElementType type, const std::int16_t* zeros, std::int64_t begin,
                 std::int64_t end);

  static std::uint64_t byte_size(std::int64_t segments, std::int64_t length, std::int64_t columns);
  std::int64_t depth() const { return segments_ * 2 * pairs_; }
  std::int64_t count() const { return (columns_ + panel_columns - 1) / panel_columns; }
  struct Panel {
    std::span<const std::int16_t> weights;
    std::int64_t pairs = 0;  // of one segment
  };
  Panel panel(std::int64_t index) const {
    const auto size = static_cast<std::size_t>(panel_columns * depth());
    return {{data_ + static_cast<std::size_t>(index) * size, size}, pairs_};
  }

 private:
  std::int64_t segments_ = 0, length_ = 0, pairs_ = 0, columns_ = 0;
  std::unique_ptr<Buffer> buffer_;
  std::int16_t* data_ = nullptr;
};

// The seconds that so many products, and results made of them, take on one thread, roughly.
inline double integer_seconds(double products, double results) { return products / 45e9 + results * 0.3e-9; }

// to[i] = from[i] as a byte without sign: codes of int8 are moved up by 128, and so is their zero point.
void to_bytes(const std::byte* from, ir::ElementType type, std::int64_t count, std::uint8_t* to);
inline std::int32_t byte_zero(ir::ElementType type, std::int32_t zero) {
  return type == ir::ElementType::int8 ? zero + 128 : zero;
}

// Brings the next panel into the cache while the rows of this one are computed, a part with so many of them at once: a panel comes
// from memory as fast as its first rows alone would need it a few times over.
class Prefetch {
 public:
  Prefetch(std::span<const std::byte> panel, std::int64_t rows)
      : at_(reinterpret_cast<const char*>(panel.data())),
        end_(at_ + panel.size()),
        step_(static_cast<std::int64_t>(panel.size()) / ((rows + rows_at_once - 1) / rows_at_once) + 64) {}
  void advance() {
    const char* const last = end_ - at_ < step_ ? end_ : at_ + step_;
    for (; at_ < last; at_ += 64) __builtin_prefetch(at_, 0, 2);
  }

 private:
  const char *at_, *end_;
  std::int64_t step_;
};

using RowSums = std::array<std::int32_t, rows_at_once * panel_columns>;

// sums[row][column], for `count` rows: row r begins at rows[r], its segments `offsets` elements further on.
void multiply_rows(const std::int16_t* const* rows, std::int64_t count, std::span<const std::int64_t> offsets,
                   const IntegerPanels::Panel& panel, std::int32_t* sums);

// sums[i][c] over taps for 16 channels that lie beside each other, at `count` places: a convolution of each channel by its own
// kernel. Tap t is offsets[t] elements from the place, that places[i] from `at`; `weights` hold pairs of taps by channel, in
// the order in which unpacking 16-bit lanes puts them (0 to 3 and 8 to 11, then 4 to 7 and 12 to 15).
void multiply_taps(const std::int16_t* at, const std::int64_t* places, std::int64_t count,
                   std::span<const std::int64_t> offsets, const std::int16_t* weights, std::int32_t* sums);

// to[i] = from[i] - zero, for int8 or uint8.
void widen(const std::byte* from, ir::ElementType type, std::int32_t zero, std::int64_t count, std::int16_t* to);

// What becomes of sums: by column, padded to whole panels.
struct Requantization {
  const std::int32_t* addend = nullptr;           // null: none
  const float* factor = nullptr;                  // null: the sums themselves are asked for
  const float* shift = nullptr;                   // of floats; null: none
  std::int32_t zero = 0;                          // of codes
  ir::ElementType type = ir::ElementType::int32;  // int8, uint8: codes; float32; int32
};
// Rows of sums, `apart` from each other, to `columns` (at most 16) elements of each row of `to`, `step` bytes apart. `first` is
// the first column of the panel. 16 sums of each row are read.
void finish_tile(const std::int32_t* sums, std::int64_t rows, std::int64_t columns, const Requantization& by,
                 std::int64_t first, std::byte* to, std::int64_t step, std::int64_t apart = panel_columns);

// Row-major sums of all columns, on several threads; 64 bytes behind them are read. Columns may be in groups, of which each begins
// with a panel in what `by` points to.
void finish_rows(const std::int32_t* sums, std::int64_t rows, std::int64_t groups, std::int64_t columns,
                 const Requantization& by, std::byte* to);

// Sums of `count` rows (at most rows_at_once) by a panel, finished: `first` is the panel's first column in what `by` points to.
template <typename T, typename Panel>
void multiply_and_finish(const T* const* rows, std::int64_t count, std::span<const std::int64_t> offsets,
                         const Panel& panel, const Requantization& by, std::int64_t first, std::int64_t columns,
                         std::byte* to, std::int64_t step) {
  alignas(32) RowSums sums;
  multiply_rows(rows, count, offsets, panel, sums.data());
  finish_tile(sums.data(), count, columns, by, first, to, step);
}

// Scales, zero points and a bias by column, padded with zeros: what a Requantization points to.
struct ColumnValues {
  std::vector<float> factor, shift;
  std::vector<std::int32_t> addend;
};
inline std::size_t whole_panels(std::int64_t columns) {
  return static_cast<std::size_t>((columns + panel_columns - 1) / panel_columns * panel_columns);
}

struct QuantizationStep {
  float scale = 1;
  std::int32_t zero = 0;
};
// The codes of DynamicQuantizeLinear.
QuantizationStep quantize_dynamically(Context& context, const float* from, std::int64_t count, std::uint8_t* to);

// One int8 or uint8 of an array; 0 for an absent input.
std::int32_t zero_point(Context& context, std::size_t index);

}  // namespace hone::exec::onednn
