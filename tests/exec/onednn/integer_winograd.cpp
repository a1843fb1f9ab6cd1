// Winograd's algorithm on integers gives the sums of the direct convolution, at all borders and with the largest codes and
// weights.
#include "exec/onednn/integer_winograd.h"

#include <catch2/catch.hpp>

#include "exec/onednn/avx2.h"
#include "hone/support/threads.h"
#include "random.h"

namespace hone::exec::onednn {
namespace {

using hone::testing::between;

std::vector<std::int32_t> sums_of(const WinogradShape& shape, ir::ElementType type, std::int32_t zero,
                                  const IntegerPanels& weights, const std::vector<std::byte>& image) {
  const IntegerWinograd winograd(shape);
  Buffer scratch(winograd.scratch_bytes());
  std::vector<std::int32_t> sums(
      static_cast<std::size_t>(shape.batch * shape.out_height * shape.out_width * shape.out_channels), -1);
  winograd.run(image.data(), type, zero, weights, Requantization(), scratch.data(),
               reinterpret_cast<std::byte*>(sums.data()), shape.out_channels * 4);
  return sums;
}

void check(const WinogradShape& shape, bool is_signed, std::int32_t zero, const std::vector<std::int16_t>& weights,
           const std::vector<std::byte>& image) {
  const std::int64_t in = shape.in_channels, out = shape.out_channels;
  const auto weight = [&](std::int64_t o, std::int64_t i, std::int64_t tap) {
    return std::int32_t{weights[static_cast<std::size_t>((o * in + i) * 9 + tap)]};
  };
  const IntegerPanels packed = IntegerWinograd::weights(in, out, weight);
  const std::vector<std::int32_t> sums =
      sums_of(shape, is_signed ? ir::ElementType::int8 : ir::ElementType::uint8, zero, packed, image);
  const std::int32_t* got = sums.data();
  for (std::int64_t n = 0; n < shape.batch; ++n) {
    for (std::int64_t y = 0; y < shape.out_height; ++y) {
      for (std::int64_t x = 0; x < shape.out_width; ++x) {
        for (std::int64_t o = 0; o < out; ++o) {
          std::int32_t expected = 0;
          for (std::int64_t tap = 0; tap < 9; ++tap) {
            const std::int64_t r = y + tap / 3 - shape.top, c = x + tap % 3 - shape.left;
            if (r < 0 || r >= shape.height || c < 0 || c >= shape.width) continue;
            const std::byte* codes = image.data() + ((n * shape.height + r) * shape.width + c) * in;
            for (std::int64_t i = 0; i < in; ++i) {
              const auto code = static_cast<std::int32_t>(codes[i]);
              expected += ((is_signed && code > 127 ? code - 256 : code) - zero) * weight(o, i, tap);
            }
          }
          REQUIRE(*got++ == expected);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("integer Winograd: the sums of the direct convolution") {
  if (!has_avx2()) return;
  Random random(1);
  const int before = threads();
  for (int round = 0; round < 30; ++round) {
    set_threads(1 + round % 3);
    WinogradShape shape;
    shape.batch = between(random, 1, 2);
    shape.in_channels = 16 * between(random, 1, 3);
    shape.out_channels = between(random, 1, 40);
    shape.height = between(random, 3, 20);
    // Wider than a block of tiles, now and then.
    shape.width = round % 10 == 0 ? 150 : between(random, 3, 20);
    shape.top = between(random, 0, 2);
    shape.left = between(random, 0, 2);
    shape.out_height = shape.height + shape.top + between(random, 0, 2) - 2;
    shape.out_width = shape.width + shape.left + between(random, 0, 2) - 2;
    const bool is_signed = between(random, 0, 1) == 1, extreme = round % 3 == 0;
    const auto zero = static_cast<std::int32_t>(extreme ? 255 * between(random, 0, 1) : between(random, 0, 255)) -
                      (is_signed ? 128 : 0);
    std::vector<std::int16_t> weights(static_cast<std::size_t>(shape.in_channels * shape.out_channels * 9));
    const auto one = static_cast<std::int16_t>(between(random, 0, 1) == 0 ? 255 : -255);
    for (std::int16_t& each : weights) each = extreme ? one : static_cast<std::int16_t>(between(random, -128, 127));
    std::vector<std::byte> image(
        static_cast<std::size_t>(shape.batch * shape.height * shape.width * shape.in_channels));
    const auto far = static_cast<std::byte>(zero > 0 ? (is_signed ? -128 : 0) : (is_signed ? 127 : 255));
    for (std::byte& each : image) each = extreme ? far : static_cast<std::byte>(between(random, 0, 255));
    check(shape, is_signed, zero, weights, image);
  }
  set_threads(before);
}

TEST_CASE("integer Winograd: panels handed out to threads give what one thread gives") {
  if (!has_avx2()) return;
  // Work enough for threads that come late.
  const WinogradShape shape{1, 256, 200, 10, 9, 1, 1, 10, 9};
  Random random(3);
  std::vector<std::byte> image(static_cast<std::size_t>(shape.in_channels * shape.height * shape.width));
  for (std::byte& each : image) each = static_cast<std::byte>(random.below(256));
  std::vector<std::int8_t> weights(static_cast<std::size_t>(shape.in_channels * shape.out_channels * 9));
  for (std::int8_t& each : weights) each = static_cast<std::int8_t>(random.below(256));
  const auto weight = [&](std::int64_t o, std::int64_t i, std::int64_t tap) {
    return std::int32_t{weights[static_cast<std::size_t>((o * shape.in_channels + i) * 9 + tap)]};
  };
  const IntegerPanels packed = IntegerWinograd::weights(shape.in_channels, shape.out_channels, weight);
  const auto sums_on = [&](int count) {
    set_threads(count);
    return sums_of(shape, ir::ElementType::uint8, 7, packed, image);
  };
  const int before = threads();
  const std::vector<std::int32_t> alone = sums_on(1);
  for (const int count : {2, 3, 7}) CHECK(sums_on(count) == alone);
  set_threads(before);
}

TEST_CASE("integer Winograd: not where sums could pass 30 bits, nor where it takes longer") {
  CHECK(IntegerWinograd::is_exact(1824, 127));
  CHECK(!IntegerWinograd::is_exact(1824, 255));
  CHECK(!IntegerWinograd::is_exact(1840, 128));
  if (!has_avx2()) return;
  const auto fits = [](std::int64_t channels, std::int64_t size) {
    return IntegerWinograd::fits({1, channels, channels, size, size, 1, 1, size, size}, 127);
  };
  CHECK(fits(16, 32));
  CHECK(fits(64, 8));
  CHECK(fits(256, 14));
  CHECK(!fits(512, 7));
  CHECK(!fits(72, 14));
}

}  // namespace hone::exec::onednn
