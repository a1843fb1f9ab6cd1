// Winograd's algorithm gives the sums of the direct convolution, the same to the bit however it is handed out to threads, and
// is taken where it pays.
#include "exec/onednn/winograd.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "apart.h"
#include "exec/onednn/avx2.h"
#include "hone/support/threads.h"
#include "random.h"

namespace hone::exec::onednn {
namespace {

using hone::testing::between;

// Where channel c of place (y, x) of image n lies, in blocks of channels.
std::size_t at(std::int64_t block, std::int64_t channels, std::int64_t height, std::int64_t width, std::int64_t n,
               std::int64_t c, std::int64_t y, std::int64_t x) {
  return static_cast<std::size_t>((((n * channels / block + c / block) * height + y) * width + x) * block + c % block);
}

std::vector<float> direct(const WinogradShape& s, const std::vector<float>& in, const std::vector<float>& weights,
                          const std::vector<float>& bias) {
  std::vector<float> out(static_cast<std::size_t>(s.batch * s.out_channels * s.out_height * s.out_width));
  for (std::int64_t n = 0; n < s.batch; ++n) {
    for (std::int64_t o = 0; o < s.out_channels; ++o) {
      for (std::int64_t y = 0; y < s.out_height; ++y) {
        for (std::int64_t x = 0; x < s.out_width; ++x) {
          double sum = static_cast<double>(bias[static_cast<std::size_t>(o)]);
          for (std::int64_t i = 0; i < s.in_channels; ++i) {
            for (std::int64_t tap = 0; tap < 9; ++tap) {
              const std::int64_t r = y + tap / 3 - s.top, c = x + tap % 3 - s.left;
              if (r < 0 || r >= s.height || c < 0 || c >= s.width) continue;
              sum += static_cast<double>(in[at(s.block, s.in_channels, s.height, s.width, n, i, r, c)]) *
                     static_cast<double>(weights[static_cast<std::size_t>((o * s.in_channels + i) * 9 + tap)]);
            }
          }
          out[at(s.block, s.out_channels, s.out_height, s.out_width, n, o, y, x)] = static_cast<float>(sum);
        }
      }
    }
  }
  return out;
}

std::vector<float> by_winograd(const WinogradShape& s, const std::vector<float>& in, const std::vector<float>& weights,
                               const std::vector<float>& bias, int count) {
  set_threads(count);
  std::vector<float> transformed(winograd_weight_bytes(s) / sizeof(float)),
      scratch(winograd_scratch_bytes(s) / sizeof(float)),
      out(static_cast<std::size_t>(s.batch * s.out_channels * s.out_height * s.out_width));
  winograd_weights(s, weights.data(), transformed.data());
  winograd(s, in.data(), transformed.data(), bias.data(), {}, scratch.data(), out.data());
  return out;
}

std::vector<float> drawn(Random& random, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& each : values) each = static_cast<float>(random.normal());
  return values;
}

}  // namespace

TEST_CASE("Winograd: the sums of the direct convolution, on any number of threads") {
  if (!has_avx2()) return;
  Random random(1);
  const int before = threads();
  for (int round = 0; round < 24; ++round) {
    WinogradShape s;
    // A few tiles of many channels, whose panels are handed out; many tiles of a few; anything.
    const bool few_tiles = round % 3 == 0, many_tiles = round % 3 == 1;
    s.batch = many_tiles ? 3 : between(random, 1, 2);
    s.block = has_avx512() && round % 2 == 1 ? 16 : 8;
    s.in_channels = s.block * (few_tiles ? between(random, 8, 12) : between(random, 1, 3));
    s.out_channels = s.block * (few_tiles ? between(random, 9, 17) : between(random, 1, 5));
    s.height = few_tiles ? between(random, 3, 8) : between(random, 3, 24);
    s.width = few_tiles ? between(random, 3, 8) : between(random, 3, 24);
    s.top = between(random, 0, 2);
    s.left = between(random, 0, 2);
    s.out_height = s.height + s.top + between(random, 0, 2) - 2;
    s.out_width = s.width + s.left + between(random, 0, 2) - 2;
    const std::vector<float> in = drawn(random, s.batch * s.in_channels * s.height * s.width),
                             weights = drawn(random, s.in_channels * s.out_channels * 9),
                             bias = drawn(random, s.out_channels);
    INFO("round " << round << ": " << s.batch << " images, " << s.in_channels << " to " << s.out_channels
                  << " channels, " << s.height << " x " << s.width);
    const std::vector<float> alone = by_winograd(s, in, weights, bias, 1), expected = direct(s, in, weights, bias);
    // Sums of 9 products a channel, each of a deviation of 1.
    const double size = std::sqrt(9.0 * static_cast<double>(s.in_channels));
    double worst = 0;
    for (std::size_t i = 0; i < alone.size(); ++i) worst = std::max(worst, hone::testing::apart(alone[i], expected[i]));
    CHECK(worst < 1e-5 * size);
    for (const int count : {2, 3, 7}) CHECK(by_winograd(s, in, weights, bias, count) == alone);
  }
  set_threads(before);
}

TEST_CASE("Winograd: panels handed out to threads give what one thread gives") {
  if (!has_avx2()) return;
  Random random(2);
  // Work enough for threads that come late.
  const WinogradShape s{1, 320, 328, 7, 8, 1, 1, 7, 8};
  const std::vector<float> in = drawn(random, s.in_channels * s.height * s.width),
                           weights = drawn(random, s.in_channels * s.out_channels * 9),
                           bias = drawn(random, s.out_channels);
  const int before = threads();
  const std::vector<float> alone = by_winograd(s, in, weights, bias, 1);
  for (const int count : {2, 3, 7}) CHECK(by_winograd(s, in, weights, bias, count) == alone);
  set_threads(before);
}

TEST_CASE("Winograd: where it pays for the larger weights") {
  if (!has_only_avx2()) return;
  const auto fits = [](std::int64_t channels, std::int64_t size) {
    return winograd_fits({1, channels, channels, size, size, 1, 1, size, size});
  };
  CHECK(fits(16, 32));
  CHECK(fits(64, 8));
  CHECK(fits(512, 14));
  CHECK(!fits(512, 7));
  CHECK(!fits(256, 4));
  CHECK(!fits(12, 32));
}

}  // namespace hone::exec::onednn
