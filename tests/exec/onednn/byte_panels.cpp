// Weights of every size in byte panels: sums are exact with the activations that come closest to saturation, whichever way a
// window is packed.
#include "exec/onednn/byte_panels.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "exec/onednn/avx2.h"
#include "hone/support/random.h"

namespace hone::exec::onednn {
namespace {

struct BytePanelCase {
  std::int64_t segments, length, columns;
  std::vector<std::int8_t> weights;  // [segment][place][column]
  std::int8_t at(std::int64_t s, std::int64_t k, std::int64_t c) const {
    return weights[static_cast<std::size_t>((s * length + k) * columns + c)];
  }
  BytePanels pack() const {
    return {segments, length, columns, [&](std::int64_t s, std::int64_t k, std::int64_t c) { return at(s, k, c); }};
  }
};

template <typename F>
BytePanelCase make(std::int64_t segments, std::int64_t length, std::int64_t columns, F&& weight) {
  BytePanelCase made{segments, length, columns, {}};
  made.weights.resize(static_cast<std::size_t>(segments * length * columns));
  for (std::int8_t& each : made.weights) each = static_cast<std::int8_t>(weight());
  return made;
}

// Rows of activations: `activation(row, sign of a column's weight)` chooses what comes closest to saturation.
void check(const BytePanelCase& made, const BytePanels& panels, Random& random, bool extreme) {
  const std::int64_t gap = 5, row_size = made.segments * (made.length + gap) + 3;
  std::vector<std::int64_t> offsets;
  for (std::int64_t s = 0; s < made.segments; ++s) offsets.push_back(s * (made.length + gap));
  for (std::int64_t count = 1; count <= tile_rows; ++count) {
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(count * row_size));
    for (std::uint8_t& each : codes) each = static_cast<std::uint8_t>(random.below(256));
    for (std::int64_t r = 0; r < count && extreme; ++r) {
      // All at 255 where the weights of one column have one sign, 0 elsewhere.
      const auto column = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(made.columns)));
      for (std::int64_t s = 0; s < made.segments; ++s) {
        for (std::int64_t k = 0; k < made.length; ++k) {
          codes[static_cast<std::size_t>(r * row_size + offsets[static_cast<std::size_t>(s)] + k)] =
              (made.at(s, k, column) > 0) == (r % 2 == 0) ? 255 : 0;
        }
      }
    }
    std::array<const std::uint8_t*, tile_rows> rows{};
    for (std::int64_t r = 0; r < count; ++r) rows[static_cast<std::size_t>(r)] = codes.data() + r * row_size;
    for (std::int64_t p = 0; p < panels.count(); ++p) {
      std::array<std::int32_t, tile_rows * panel_columns> sums;
      sums.fill(-1);
      multiply_rows(rows.data(), count, offsets, panels.panel(p), sums.data());
      for (std::int64_t r = 0; r < tile_rows; ++r) {
        for (std::int64_t c = 0; c < panel_columns; ++c) {
          const std::int64_t column = p * panel_columns + c;
          std::int32_t expected = r < count ? 0 : -1;
          for (std::int64_t s = 0; s < made.segments && r < count && column < made.columns; ++s) {
            for (std::int64_t k = 0; k < made.length; ++k)
              expected +=
                  made.at(s, k, column) * rows[static_cast<std::size_t>(r)][offsets[static_cast<std::size_t>(s)] + k];
          }
          REQUIRE(sums[static_cast<std::size_t>(r * panel_columns + c)] == expected);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("byte panels: sums of weights of all sizes are exact") {
  if (!has_avx2()) return;
  Random random(1);
  std::array<std::size_t, BytePanels::kinds> found{};
  for (int round = 0; round < 120; ++round) {
    const double size = 4 + 4 * static_cast<double>(round % 20);
    const auto segments = 1 + static_cast<std::int64_t>(random.below(3)),
               length = 1 + static_cast<std::int64_t>(random.below(80)),
               columns = 1 + static_cast<std::int64_t>(random.below(40));
    const BytePanelCase made = make(segments, length, columns, [&] {
      return static_cast<int>(std::clamp(std::nearbyint(random.normal() * size), -128.0, 127.0));
    });
    const BytePanels panels = made.pack();
    for (std::size_t kind = 0; kind < found.size(); ++kind)
      found[kind] += panels.places(static_cast<BytePanels::Kind>(kind));
    check(made, panels, random, round % 2 == 0);
  }
  for (const std::size_t each : found) CHECK(each > 0);
}

TEST_CASE("byte panels: sums of extreme weights are exact") {
  if (!has_avx2()) return;
  Random random(2);
  for (const int weight : {127, -128, 64, -64, 65, -65, 16, 17, -17, 33}) {
    const BytePanelCase made = make(2, 37, 19, [&] { return weight; });
    check(made, made.pack(), random, true);
  }
  // Two sizes by chance, so that four in a column are not always enough.
  for (const int other : {0, 1, -127, 40}) {
    const BytePanelCase made = make(1, 64, 24, [&] { return random.below(3) == 0 ? 127 : other; });
    check(made, made.pack(), random, true);
  }
}

TEST_CASE("byte panels: small weights take less work") {
  const auto work = [](int size) {
    Random random(3);
    return make(1, 256, 64,
                [&] { return static_cast<int>(random.below(2 * static_cast<std::uint64_t>(size) + 1)) - size; })
        .pack()
        .work();
  };
  CHECK(work(15) == Approx(0.74));
  CHECK(work(31) <= 0.84);
  CHECK(work(63) < 1.1);
  CHECK(work(127) > 1.2);
}

}  // namespace hone::exec::onednn
