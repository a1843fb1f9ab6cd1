// Products of activations and weights of 8 bits on AVX2, exact.
//
// vpmaddubsw multiplies bytes and adds pairs of products in 16 bits, where they saturate: 255 * (127 + 127) does not fit. So
// weights are packed such that no sum of 16 bits can, whatever the activations are: 255 times the positive weights of a sum,
// and 255 times the negative ones, must fit, which they do up to 128. The better weights do, the fewer instructions it takes.
//
// Panels of 16 columns are packed in windows of 16 depths: four quads, of which each lane (half a quad of a column) has 8
// products. A window is
//   once           the 8 products of each lane fit 16 bits: one addition of pairs (vpmaddwd) for all four quads;
//   twice          four of them fit: one for two quads each;
//   twice_but_two  so do they without up to two weights of each column. These are multiplied as words, by activations that
//                  are picked from the 16 (vpshufb);
//   once_cut       eight of them fit without up to four weights of each column, or parts of them, which are multiplied as
//                  bytes in the same way;
//   all_but_two    two of them fit without up to two weights of each column: one addition for each quad.
// What is none of these, and the depths that fill no window, are quads with one addition each; weights of which pairs don't
// fit are cut in two, and the rest is another quad at the same place. Windows of one kind lie together.
//
// Rows of activations are read through pointers and offsets, so that a convolution needs no matrix of patches. Zero points go
// into the addend of a column. All of it runs only where has_avx2() says so. Not here: sums that pass 32 bits wrap.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "exec/onednn/tile.h"
#include "hone/support/buffer.h"
#include "hone/support/threads.h"

namespace hone::exec::onednn {

inline constexpr std::int64_t window_depth = 16;

class BytePanels {
 public:
  static constexpr std::int64_t width = panel_columns;
  enum Kind { once, twice, twice_but_two, once_cut, all_but_two, quads, kinds };
  // The first depth of a window or quad in a segment.
  struct Place {
    std::int32_t segment, depth;
  };
  struct Panel {
    std::span<const std::int8_t> weights;
    std::array<std::span<const Place>, kinds> places;
  };

  BytePanels() = default;
  // The depth is made of `segments` runs of `length`. `at(segment, place, column)` is an element less its zero point, in
  // [-128, 127].
  template <typename F>
  BytePanels(std::int64_t segments, std::int64_t length, std::int64_t columns, F&& at);

  std::int64_t count() const { return panel_count(columns_); }
  // The time it takes, about, over that of quads of which none is cut: words take 1.2.
  double work() const;
  Panel panel(std::int64_t index) const;
  std::size_t places(Kind kind) const;

 private:
  using Quad = std::array<std::int8_t, 64>;     // 16 columns of 4 depths
  using Window = std::array<std::int8_t, 256>;  // of four quads
  struct Builder {
    std::array<std::vector<std::int8_t>, kinds> weights;
    std::array<std::vector<Place>, kinds> places;
    void add(Place place, const Window& window);
    void add(Place place, Quad quad);
    void put(Kind kind, Place place, std::span<const std::int8_t> values);
  };
  void join(const std::vector<Builder>& panels);

  std::int64_t columns_ = 0, quads_ = 0;  // of a panel
  std::unique_ptr<Buffer> buffer_;
  std::vector<std::size_t> begins_;  // of panels in the buffer, and its end
  std::vector<Place> places_;
  std::vector<std::array<std::size_t, kinds + 1>> ends_;  // of each panel's places by kind, the first being their begin
};

// Words are quicker than bytes that take more work than this.
inline constexpr double most_byte_work = 1.2;

// sums[row][column] of 16 columns, for `count` rows: row r begins at rows[r], its segments `offsets` bytes further on.
void multiply_rows(const std::uint8_t* const* rows, std::int64_t count, std::span<const std::int64_t> offsets,
                   const BytePanels::Panel& panel, std::int32_t* sums);

template <typename F>
BytePanels::BytePanels(std::int64_t segments, std::int64_t length, std::int64_t columns, F&& at)
    : columns_(columns), quads_(segments * ((length + 3) / 4)) {
  std::vector<Builder> panels(static_cast<std::size_t>(count()));
  const std::int64_t grain = std::max<std::int64_t>(1, (1 << 15) / (segments * length));
  parallel_for(count(), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t first = panel * panel_columns, width = std::min(panel_columns, columns - first);
      Builder& builder = panels[static_cast<std::size_t>(panel)];
      // `depth` places from `from` on, as quads.
      const auto fill = [&](std::int64_t s, std::int64_t from, std::int64_t depth, std::int8_t* to) {
        for (std::int64_t k = 0; k < depth; ++k) {
          for (std::int64_t c = 0; c < width; ++c)
            to[k / 4 * 64 + c * 4 + k % 4] = static_cast<std::int8_t>(at(s, from + k, first + c));
        }
      };
      for (std::int64_t s = 0; s < segments; ++s) {
        std::int64_t k = 0;
        for (; k + window_depth <= length; k += window_depth) {
          Window window{};
          fill(s, k, window_depth, window.data());
          builder.add(Place{static_cast<std::int32_t>(s), static_cast<std::int32_t>(k)}, window);
        }
        for (; k < length; k += 4) {
          Quad quad{};
          fill(s, k, std::min<std::int64_t>(4, length - k), quad.data());
          builder.add(Place{static_cast<std::int32_t>(s), static_cast<std::int32_t>(k)}, quad);
        }
      }
    }
  });
  join(panels);
}

}  // namespace hone::exec::onednn
