// Products of 8-bit integers on AVX2, exact, in two ways:
//
// Bytes: activations of 8 bits by weights of 8 bits, four products at a time (vpmaddubsw, vpmaddwd). Pairs of products pass
// 16 bits where both weights are large and of one sign (2 * 255 * 127 does not fit), and saturate. Such weights are cut in
// two when they are packed; what is cut off is a second, short list of places, multiplied like the first. Zero points of
// activations go into the addend of a column. (oneDNN's kernels for CPUs without VNNI saturate for u8 by s8, and drop a bit
// of the weights for s8 by s8.)
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

#include "hone/exec/kernel.h"
#include "hone/support/buffer.h"

namespace hone::exec::onednn {

inline constexpr std::string_view integer_kernel_name = "integer:avx2";
inline constexpr std::int64_t panel_columns = 16, tile_rows = 6;

// A matrix [depth, columns] less its zero points, in panels. The depth is made of `segments` runs, padded to pairs each.
class IntegerPanels {
 public:
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
  std::int64_t pairs() const { return pairs_; }  // of one segment
  std::int64_t depth() const { return segments_ * 2 * pairs_; }
  std::int64_t count() const { return (columns_ + panel_columns - 1) / panel_columns; }
  const std::int16_t* panel(std::int64_t index) const { return data_ + index * panel_columns * depth(); }

 private:
  std::int64_t segments_ = 0, length_ = 0, pairs_ = 0, columns_ = 0;
  std::unique_ptr<Buffer> buffer_;
  std::int16_t* data_ = nullptr;
};

// As IntegerPanels, of bytes: segments are padded to whole quads.
class BytePanels {
 public:
  // Weights cut off: `quad` of `segment`.
  struct Place {
    std::int32_t segment, quad;
  };
  // Of 8 columns: 32 bytes of `weights` for each place.
  struct Rest {
    const std::int8_t* weights = nullptr;
    std::span<const Place> places;
  };
  struct Panel {
    const std::int8_t* weights = nullptr;
    std::int64_t quads = 0;  // of one segment
    Rest left, right;
  };

  BytePanels() = default;
  // `at(segment, place, column)` is an element less its zero point, in [-128, 127].
  template <typename F>
  BytePanels(std::int64_t segments, std::int64_t length, std::int64_t columns, F&& at)
      : BytePanels(segments, length, columns) {
    std::array<std::int8_t, 4 * panel_columns> quad;
    for (std::int64_t p = 0; p < count(); ++p) {
      const std::int64_t first = p * panel_columns, width = std::min(panel_columns, columns - first);
      for (std::int64_t s = 0; s < segments; ++s) {
        for (std::int64_t q = 0; q < quads_; ++q) {
          quad.fill(0);
          for (std::int64_t c = 0; c < width; ++c) {
            for (std::int64_t k = 4 * q; k < std::min(4 * q + 4, length); ++k)
              quad[static_cast<std::size_t>(4 * c + k - 4 * q)] = static_cast<std::int8_t>(at(s, k, first + c));
          }
          put(p, s, q, quad);
        }
      }
      close();
    }
  }
  std::int64_t count() const { return (columns_ + panel_columns - 1) / panel_columns; }
  std::int64_t depth() const { return segments_ * quads_ * 4; }
  // How much the second list adds to the work of the first.
  double rest() const {
    return static_cast<double>(more_[0].places.size() + more_[1].places.size()) /
           (2.0 * static_cast<double>(std::max<std::int64_t>(1, count() * segments_ * quads_)));
  }
  Panel panel(std::int64_t index) const {
    const auto rest = [&](const More& half) {
      const auto at = static_cast<std::size_t>(index);
      const std::size_t from = half.ends[at];
      return Rest{half.weights.data() + 32 * from, std::span(half.places).subspan(from, half.ends[at + 1] - from)};
    };
    return {weights() + index * panel_columns * depth(), quads_, rest(more_[0]), rest(more_[1])};
  }
  // Of all weights of a column.
  std::int32_t sum(std::int64_t column) const { return sums_[static_cast<std::size_t>(column)]; }

 private:
  BytePanels(std::int64_t segments, std::int64_t length, std::int64_t columns);
  void put(std::int64_t panel, std::int64_t segment, std::int64_t quad, std::array<std::int8_t, 4 * panel_columns>& by);
  void close() {
    for (More& half : more_) half.ends.push_back(half.places.size());
  }
  std::int8_t* weights() const { return reinterpret_cast<std::int8_t*>(buffer_->data()); }

  std::int64_t segments_ = 0, quads_ = 0, columns_ = 0;
  std::unique_ptr<Buffer> buffer_;
  struct More {
    std::vector<std::int8_t> weights;
    std::vector<Place> places;
    std::vector<std::size_t> ends = {0};  // of each panel's places
  };
  std::array<More, 2> more_;  // left and right halves of panels
  std::vector<std::int32_t> sums_;
};

// Words are quicker than bytes with more than this cut off.
inline constexpr double largest_rest = 0.33;

// As multiply_tile(), of unsigned bytes.
void multiply_bytes(const std::uint8_t* const* rows, std::int64_t count, std::span<const std::int64_t> offsets,
                    const BytePanels::Panel& panel, std::int32_t* sums);

// to[i] = from[i] as a byte without sign: codes of int8 are moved up by 128, and so is their zero point.
void to_bytes(const std::byte* from, ir::ElementType type, std::int64_t count, std::uint8_t* to);
inline std::int32_t byte_zero(ir::ElementType type, std::int32_t zero) {
  return type == ir::ElementType::int8 ? zero + 128 : zero;
}

// Brings the next panel into the cache while the rows of this one are computed, a part with each tile of rows: a panel comes
// from memory as fast as its first rows alone would need it a few times over.
class Prefetch {
 public:
  Prefetch(const void* panel, std::int64_t size, std::int64_t rows)
      : at_(static_cast<const char*>(panel)),
        end_(panel ? at_ + size : at_),
        step_(size / ((rows + tile_rows - 1) / tile_rows) + 64) {}
  void advance() {
    const char* const last = end_ - at_ < step_ ? end_ : at_ + step_;
    for (; at_ < last; at_ += 64) __builtin_prefetch(at_, 0, 2);
  }

 private:
  const char *at_, *end_;
  std::int64_t step_;
};

using IntegerTile = std::array<std::int32_t, tile_rows * panel_columns>;

// sums[row][column], for `count` rows (1 to 6): row r begins at rows[r], its segments `offsets` elements further on.
void multiply_tile(const std::int16_t* const* rows, std::int64_t count, std::span<const std::int64_t> offsets,
                   std::int64_t pairs, const std::int16_t* panel, std::int32_t* sums);

// sums[c] over taps for 16 channels that lie beside each other: a convolution of each channel by its own kernel. Tap t is
// offsets[t] elements from `at`; `weights` hold pairs of taps by channel, in the order in which unpacking 16-bit lanes puts
// them (0 to 3 and 8 to 11, then 4 to 7 and 12 to 15).
void multiply_taps(const std::int16_t* at, std::span<const std::int64_t> offsets, const std::int16_t* weights,
                   std::int32_t* sums);

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
// Rows of sums, 16 columns apart, to `columns` (at most 16) elements of each row of `to`, `step` bytes apart. `first` is the
// first column of the panel.
void finish_tile(const std::int32_t* sums, std::int64_t rows, std::int64_t columns, const Requantization& by,
                 std::int64_t first, std::byte* to, std::int64_t step);

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
