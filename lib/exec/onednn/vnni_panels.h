// Products of activations and weights of 8 bits on AVX-512 with VNNI, exact: an instruction adds four products of u8 by s8 to 32
// bits.
//
// Weights lie in panels of up to 64 columns, by quads of depths. Tiles of 6 rows stay in registers until they are finished, so that
// no sums are written. Rows of activations are read through pointers and offsets, so that a convolution needs no matrix of
// patches; up to 3 bytes are read behind a segment. Zero points go into the addend of a column.
//
// All of it runs only where has_vnni_panels() says so. Not here: sums that pass 32 bits wrap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "exec/onednn/integer_core.h"
#include "hone/support/buffer.h"
#include "hone/support/threads.h"

namespace hone::exec::onednn {

bool has_vnni_panels();
inline constexpr std::string_view vnni_kernel_name = "integer:vnni";

class VnniPanels {
 public:
  static constexpr std::int64_t width = 64;
  struct Panel {
    std::span<const std::int8_t> weights;
    std::int64_t quads = 0;    // of one segment
    std::int64_t vectors = 0;  // of 16 columns
  };

  VnniPanels() = default;
  // The depth is made of `segments` runs of `length`. `at(segment, place, column)` is an element less its zero point, in
  // [-128, 127].
  template <typename F>
  VnniPanels(std::int64_t segments, std::int64_t length, std::int64_t columns, F&& at);

  std::int64_t count() const { return (columns_ + width - 1) / width; }
  Panel panel(std::int64_t index) const {
    const std::int64_t vectors = std::min(width / panel_columns, panel_count(columns_) - index * width / panel_columns);
    return {{data() + index * width * depth(), static_cast<std::size_t>(vectors * panel_columns * depth())},
            quads_,
            vectors};
  }

 private:
  std::int64_t depth() const { return segments_ * quads_ * 4; }
  std::int8_t* data() const { return reinterpret_cast<std::int8_t*>(buffer_->data()); }

  std::int64_t segments_ = 0, quads_ = 0, columns_ = 0;
  std::unique_ptr<Buffer> buffer_;
};

// As multiply_and_finish() of integer_core.h.
void multiply_and_finish(const std::uint8_t* const* rows, std::int64_t count, std::span<const std::int64_t> offsets,
                         const VnniPanels::Panel& panel, const Requantization& by, std::int64_t first,
                         std::int64_t columns, std::byte* to, std::int64_t step);

template <typename F>
VnniPanels::VnniPanels(std::int64_t segments, std::int64_t length, std::int64_t columns, F&& at)
    : segments_(segments), quads_((length + 3) / 4), columns_(columns) {
  buffer_ = std::make_unique<Buffer>(static_cast<std::size_t>(panel_count(columns) * panel_columns * depth()));
  const std::int64_t grain = std::max<std::int64_t>(1, (1 << 15) / (segments * length * width));
  parallel_for(count(), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int64_t first = p * width, padded = panel(p).vectors * panel_columns;
      std::int8_t* to = data() + first * depth();
      for (std::int64_t s = 0; s < segments; ++s) {
        for (std::int64_t k = 0; k < 4 * quads_; k += 4) {
          for (std::int64_t c = first; c < first + padded; ++c) {
            for (std::int64_t i = k; i < k + 4; ++i)
              *to++ = i < length && c < columns ? static_cast<std::int8_t>(at(s, i, c)) : std::int8_t{0};
          }
        }
      }
    }
  });
}

}  // namespace hone::exec::onednn
