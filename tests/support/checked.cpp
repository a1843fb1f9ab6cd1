#include "hone/support/checked.h"

#include <catch2/catch.hpp>
#include <limits>
#include <vector>

using hone::checked_add;
using hone::checked_mul;

namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();

std::optional<std::int64_t> count(const std::vector<std::int64_t>& dims) { return hone::element_count(dims); }

}  // namespace

TEST_CASE("sums and products that don't fit are none") {
  CHECK(checked_add(most - 1, std::int64_t{1}) == most);
  CHECK_FALSE(checked_add(most, std::int64_t{1}));
  CHECK_FALSE(checked_add(least, std::int64_t{-1}));
  CHECK_FALSE(checked_add(~std::uint64_t{0}, std::uint64_t{1}));
  CHECK(checked_mul(std::int64_t{1} << 31, std::int64_t{1} << 31) == std::int64_t{1} << 62);
  CHECK_FALSE(checked_mul(std::int64_t{1} << 32, std::int64_t{1} << 31));
  CHECK_FALSE(checked_mul(least, std::int64_t{-1}));
  CHECK(checked_mul(std::uint64_t{1} << 32, std::uint64_t{1} << 31) == std::uint64_t{1} << 63);
}

TEST_CASE("elements of a shape") {
  CHECK(count({}) == 1);
  CHECK(count({2, 3, 4}) == 24);
  CHECK(count({2, 0, 4}) == 0);
  CHECK(count({most, 1}) == most);
  CHECK_FALSE(count({most, 2}));
  CHECK_FALSE(count({3, -1}));
  CHECK_FALSE(count({0, -1}));
  CHECK_FALSE(count({std::int64_t{1} << 62, 4, 0}));
  CHECK_FALSE(count({0, std::int64_t{1} << 62, 4}));
}
