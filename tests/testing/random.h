// Random choices that tests of random cases make.
#pragma once

#include <cstdint>

#include "hone/support/random.h"

namespace hone::testing {

inline std::int64_t between(Random& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(high - low + 1)));
}
inline bool chance(Random& random) { return random.below(2) == 0; }

}  // namespace hone::testing
