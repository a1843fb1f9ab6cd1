// Philox 4x32-10, and the distributions over it.
//
// normal() uses the math library, so its last bit may differ between CPUs of other instruction sets.
#include "hone/support/random.h"

#include <cmath>
#include <numbers>

namespace hone {
namespace {

// Of the paper: two multipliers that mix well, and the golden ratio and the square root of 3 less 1 as key increments.
constexpr std::uint64_t multiplier0 = 0xD2511F53, multiplier1 = 0xCD9E8D57;
constexpr std::uint32_t increment0 = 0x9E3779B9, increment1 = 0xBB67AE85;

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

}  // namespace

std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter_high, std::uint64_t counter_low) {
  std::array<std::uint32_t, 4> c = {low(counter_low), high(counter_low), low(counter_high), high(counter_high)};
  std::uint32_t key0 = low(key), key1 = high(key);
  for (int round = 0; round < 10; ++round, key0 += increment0, key1 += increment1) {
    const std::uint64_t product0 = multiplier0 * c[0], product1 = multiplier1 * c[2];
    c = {high(product1) ^ c[1] ^ key0, low(product1), high(product0) ^ c[3] ^ key1, low(product0)};
  }
  return c;
}

std::uint32_t Random::bits() {
  const std::uint64_t wanted = position_ / 4;
  if (!block_known_ || wanted != block_index_) {
    block_ = philox(seed_, stream_, wanted);
    block_index_ = wanted;
    block_known_ = true;
  }
  return block_[position_++ % 4];
}

std::uint64_t Random::bits64() {
  const std::uint64_t upper = bits();
  return upper << 32 | bits();
}

double Random::uniform() { return static_cast<double>(bits64() >> 11) * 0x1p-53; }

double Random::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));  // 1 - [0, 1) is never 0
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::uint64_t Random::below(std::uint64_t bound) {
  // The last, incomplete run of residues is drawn again.
  const std::uint64_t incomplete = (0 - bound) % bound;  // 2^64 mod bound
  for (;;) {
    const std::uint64_t drawn = bits64();
    if (drawn >= incomplete) return drawn % bound;
  }
}

}  // namespace hone
