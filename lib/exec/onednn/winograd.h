// 3 x 3 convolutions of stride 1 by Winograd's F(4 x 4, 3 x 3), on AVX2 or AVX-512: tiles of 6 x 6 inputs give 4 x 4 outputs with
// a quarter of the multiplications, 1.5 to 2.5 times as fast as oneDNN's direct code.
//
// Input and output are in blocks of 8 channels (nChw8c), or of 16, as oneDNN has them on AVX-512. Each output is computed alone, always in the same order: results
// don't depend on threads or the batch. Errors are about 5 times those of a direct sum, some 1e-6 of the largest output.
// Not handled: strides, dilations, groups, channels that don't fill blocks, other kernels and ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "exec/fuse.h"
#include "hone/exec/kernel.h"

namespace hone::exec::onednn {

struct WinogradShape {
  std::int64_t batch = 1, in_channels = 0, out_channels = 0;
  std::int64_t height = 0, width = 0;          // of the input
  std::int64_t top = 0, left = 0;              // pads
  std::int64_t out_height = 0, out_width = 0;  // which says what the other pads are
  std::int64_t block = 8;                      // of channels in memory: 8, or 16 where there is AVX-512
};

// Whether it can run here, and is expected to be faster than a direct convolution.
bool winograd_fits(const WinogradShape& shape);

// Bytes of transformed weights, and of memory for a run.
std::uint64_t winograd_weight_bytes(const WinogradShape& shape);
std::uint64_t winograd_scratch_bytes(const WinogradShape& shape);

// From weights [out_channels, in_channels, 3, 3], row-major.
void winograd_weights(const WinogradShape& shape, const float* weights, float* transformed);

// `bias` of out_channels, or null. A step that adds finds in `out` what is to be added.
void winograd(const WinogradShape& shape, const float* in, const float* transformed, const float* bias,
              const std::vector<FusedStep>& steps, float* scratch, float* out);

}  // namespace hone::exec::onednn
