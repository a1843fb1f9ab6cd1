// The largest or the mean of windows, of 8 channels at once (nChw8c), on AVX2. Nothing is planned for a shape.
#pragma once

#include <cstdint>

namespace hone::exec::onednn {

struct PoolShape {
  std::int64_t blocks = 0;  // of 8 channels, of all images
  std::int64_t height = 1, width = 1, kernel_height = 1, kernel_width = 1;
  std::int64_t stride_height = 1, stride_width = 1, dilation_height = 1, dilation_width = 1;
  std::int64_t top = 0, left = 0, out_height = 1, out_width = 1;
  bool largest = false, counts_pads = false;
};

// Only where has_avx2() says so.
void pool_blocks(const PoolShape& shape, const float* in, float* out);

}  // namespace hone::exec::onednn
