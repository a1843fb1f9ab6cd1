#include "hone/support/random.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <set>
#include <vector>

using Block = std::array<std::uint32_t, 4>;

// tests/kat_vectors of Random123, lines "philox4x32 10".
TEST_CASE("Philox gives the known answers of its authors") {
  CHECK(hone::philox(0, 0, 0) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(hone::philox(~0ull, ~0ull, ~0ull) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(hone::philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("draws are the blocks in order, and can be resumed anywhere") {
  hone::Random random(7, 3);
  std::vector<std::uint32_t> drawn;
  for (std::uint64_t block = 0; block < 3; ++block) {
    for (const std::uint32_t expected : hone::philox(7, 3, block)) {
      drawn.push_back(random.bits());
      CHECK(drawn.back() == expected);
    }
  }
  CHECK(random.position() == 12);
  for (const std::uint64_t position : {11, 0, 5, 6, 4}) {
    random.seek(position);
    CHECK(random.bits() == drawn[position]);
  }
  CHECK(hone::Random(7, 4).bits() != drawn[0]);
  CHECK(hone::Random(8, 3).bits() != drawn[0]);
}

TEST_CASE("uniform numbers lie in [0, 1) and fill it evenly") {
  hone::Random random(1);
  std::vector<int> bins(10);
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    const double value = random.uniform();
    REQUIRE(value >= 0);
    REQUIRE(value < 1);
    ++bins[static_cast<std::size_t>(value * 10)];
    sum += value;
  }
  for (const int bin : bins) CHECK(std::abs(bin - 10000) < 500);  // 5 standard deviations
  CHECK(std::abs(sum / 100000 - 0.5) < 0.005);
}

TEST_CASE("normal numbers have mean 0, variance 1 and the right tails") {
  hone::Random random(2);
  double sum = 0, squares = 0;
  int beyond_two = 0;
  for (int i = 0; i < 100000; ++i) {
    const double value = random.normal();
    REQUIRE(std::isfinite(value));
    sum += value;
    squares += value * value;
    beyond_two += std::abs(value) > 2;
  }
  CHECK(std::abs(sum / 100000) < 0.016);
  CHECK(std::abs(squares / 100000 - 1) < 0.023);
  CHECK(std::abs(beyond_two / 100000.0 - 0.0455) < 0.0033);
}

TEST_CASE("numbers below a bound are unbiased") {
  hone::Random random(3);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random.below(3));
  CHECK(seen == std::set<std::uint64_t>{0, 1, 2});
  CHECK(random.below(1) == 0);
  // Of 2^64 numbers modulo 3 * 2^62 the lower third would come twice as often.
  const std::uint64_t bound = 3ull << 62;
  int low = 0;
  for (int i = 0; i < 30000; ++i) {
    const std::uint64_t value = random.below(bound);
    REQUIRE(value < bound);
    low += value < bound / 3;
  }
  CHECK(std::abs(low - 10000) < 410);
}
