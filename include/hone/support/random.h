// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11).
//
// A number depends on (seed, stream, index) alone, so results don't depend on thread counts or on order. Draws take 1
// (bits), 2 (bits64, uniform), 4 (normal) or at least 2 (below) positions.
#pragma once

#include <array>
#include <cstdint>

namespace hone {

std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter_high, std::uint64_t counter_low);

class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  std::uint32_t bits();                      // 32 random bits
  std::uint64_t bits64();                    // two of them, the first on top
  double uniform();                          // [0, 1), 53 bits
  double normal();                           // mean 0, variance 1 (Box-Muller)
  std::uint64_t below(std::uint64_t bound);  // [0, bound), unbiased; bound > 0

  std::uint64_t position() const { return position_; }
  void seek(std::uint64_t position) { position_ = position; }  // to resume

 private:
  std::uint64_t seed_, stream_;
  std::uint64_t position_ = 0;  // 32-bit numbers drawn
  // The last block of four numbers, so that each is computed once.
  std::array<std::uint32_t, 4> block_{};
  std::uint64_t block_index_ = 0;
  bool block_known_ = false;
};

}  // namespace hone
