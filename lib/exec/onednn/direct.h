// Convolutions on AVX2 or AVX-512 over panels (exec/onednn/panels.h), and of each channel alone. Nothing is planned or generated for a
// shape: a new width costs what a known one does.
//
// Channels that fill blocks of 8 are read and written in such blocks (nChw8c), others row-major; a single place is both. Not
// handled: groups other than of one channel in and out, three dimensions of space.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/fuse.h"

namespace hone::exec::onednn {

struct DirectShape {
  std::int64_t batch = 1, in_channels = 0, out_channels = 0;
  std::int64_t height = 1, width = 1;                // of the input
  std::int64_t kernel_height = 1, kernel_width = 1;  // of the window
  std::int64_t stride_height = 1, stride_width = 1, dilation_height = 1, dilation_width = 1;
  std::int64_t top = 0, left = 0;              // pads
  std::int64_t out_height = 1, out_width = 1;  // which says what the other pads are

  bool reads_blocks() const { return in_channels % 8 == 0; }
  bool writes_blocks() const { return out_channels % 8 == 0; }
};

// Where what is read and written lies. A step that adds finds in `held` what is to be added, laid out as the result; it may be
// the result itself where direct_keeps_sums() does not say so.
struct DirectRun {
  const float* in = nullptr;
  const float* weights = nullptr;  // packed
  const float* bias = nullptr;     // or null
  const std::vector<FusedStep>* steps = nullptr;
  const float* held = nullptr;
  float* scratch = nullptr;
  float* out = nullptr;
};

// All channels: weights [out_channels, in_channels, kernel_height, kernel_width], row-major.
std::uint64_t direct_weight_bytes(const DirectShape& shape);
void direct_weights(const DirectShape& shape, const float* weights, float* packed);
std::uint64_t direct_scratch_bytes(const DirectShape& shape);
bool direct_keeps_sums(const DirectShape& shape);
void direct_convolution(const DirectShape& shape, const DirectRun& run);

// Each channel alone: weights [channels, 1, kernel_height, kernel_width], channels in blocks of 8.
std::uint64_t depthwise_weight_bytes(const DirectShape& shape);
void depthwise_weights(const DirectShape& shape, const float* weights, float* packed);
void depthwise_convolution(const DirectShape& shape, const DirectRun& run);

}  // namespace hone::exec::onednn
