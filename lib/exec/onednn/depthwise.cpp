// Convolutions of each channel alone, 8 channels in a vector, 8 places of a row at once.
#include <algorithm>
#include <cstring>

#include "exec/onednn/avx2_tail.h"
#include "exec/onednn/direct.h"
#include "exec/onednn/taps.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {

std::uint64_t depthwise_weight_bytes(const DirectShape& shape) {
  return static_cast<std::uint64_t>(shape.in_channels * shape.kernel_height * shape.kernel_width) * sizeof(float);
}

void depthwise_weights(const DirectShape& shape, const float* weights, float* packed) {
  const std::int64_t taps = shape.kernel_height * shape.kernel_width;
  for (std::int64_t c = 0; c < shape.in_channels; ++c) {
    for (std::int64_t t = 0; t < taps; ++t) packed[(c / 8 * taps + t) * 8 + c % 8] = weights[c * taps + t];
  }
}

#ifdef HONE_HAS_AVX2
namespace {

using namespace avx2;

struct Row {
  const float* plane;
  std::int64_t origin;  // of output place 0's window in the plane; where that begins in the pads, before it
  const float* weights;
  Taps rows;
  std::int64_t kernel_width, in_row, step, tap;  // floats: input row to row, place to place of the output, tap to tap
};

// Not inline, so that the sums themselves stay in registers.
HONE_AVX2 __attribute__((noinline)) void finish(const std::vector<FusedStep>& steps, float* values, int count,
                                                const float* held, float* to) {
  for (const FusedStep& step : steps) {
    if (step.kind != FusedStep::Kind::add) {
      apply_step(step, values, count);
      continue;
    }
    for (int i = 0; i < count; ++i) store(values + i * lanes, load(values + i * lanes) + load(held + i * lanes));
  }
  for (int i = 0; i < count; ++i) store(to + i * lanes, load(values + i * lanes));
}

template <int Places>
HONE_AVX2_INLINE void places(const Row& row, std::int64_t first, Taps taps, Vector bias,
                             const std::vector<FusedStep>* steps, const float* held, float* out) {
  Vector sum[Places];
#pragma GCC unroll 8
  for (int p = 0; p < Places; ++p) sum[p] = bias;
  const std::int64_t step = row.step;
  for (std::int64_t y = row.rows.first; y < row.rows.last; ++y) {
    const float* in = row.plane + (row.origin + y * row.in_row + first * step + taps.first * row.tap);
    const float* w = row.weights + (y * row.kernel_width + taps.first) * lanes;
    for (std::int64_t x = taps.first; x < taps.last; ++x, in += row.tap, w += lanes) {
      const Vector weight = load(w);
#pragma GCC unroll 8
      for (int p = 0; p < Places; ++p) sum[p] = fused(load(in + p * step), weight, sum[p]);
    }
  }
  float* to = out + first * lanes;
  if (steps) {
    float values[Places * lanes];
#pragma GCC unroll 8
    for (int p = 0; p < Places; ++p) store(values + p * lanes, sum[p]);
    return finish(*steps, values, Places, held ? held + first * lanes : nullptr, to);
  }
#pragma GCC unroll 8
  for (int p = 0; p < Places; ++p) store(to + p * lanes, sum[p]);
}

// `count` places, from 1 to Most.
template <int Most>
HONE_AVX2_INLINE void rest(std::int64_t count, const Row& row, std::int64_t first, Taps taps, Vector bias,
                           const std::vector<FusedStep>* steps, const float* held, float* out) {
  if constexpr (Most > 1) {
    if (count < Most) return rest<Most - 1>(count, row, first, taps, bias, steps, held, out);
  }
  places<Most>(row, first, taps, bias, steps, held, out);
}

// A row of the output, of 8 channels.
HONE_AVX2 void output_row(const DirectShape& shape, const Row& row, const float* bias,
                          const std::vector<FusedStep>* steps, const float* held, float* out) {
  const Vector start = bias ? load(bias) : all(0.0F);
  const std::int64_t width = shape.out_width, span = (shape.kernel_width - 1) * shape.dilation_width;
  const Taps whole{0, shape.kernel_width};
  // Places from `inside` to `beyond` have their whole window in the image.
  const std::int64_t inside = std::min(width, (shape.left + shape.stride_width - 1) / shape.stride_width);
  const std::int64_t room = shape.width - 1 - span + shape.left;
  const std::int64_t beyond = room < 0 ? inside : std::clamp(room / shape.stride_width + 1, inside, width);
  const auto border = [&](std::int64_t x) {
    return taps_inside(x * shape.stride_width - shape.left, shape.width, shape.kernel_width, shape.dilation_width);
  };
  std::int64_t x = 0;
  for (; x < inside; ++x) places<1>(row, x, border(x), start, steps, held, out);
  for (; x + 8 <= beyond; x += 8) places<8>(row, x, whole, start, steps, held, out);
  if (x < beyond) rest<7>(beyond - x, row, x, whole, start, steps, held, out);
  x = std::max(x, beyond);
  for (; x < width; ++x) places<1>(row, x, border(x), start, steps, held, out);
}

}  // namespace

void depthwise_convolution(const DirectShape& shape, const DirectRun& run) {
  const std::int64_t blocks = shape.in_channels / lanes, rows = shape.batch * blocks * shape.out_height;
  const std::int64_t in_plane = shape.height * shape.width * lanes, out_row = shape.out_width * lanes;
  const std::int64_t taps = shape.kernel_height * shape.kernel_width;
  const std::vector<FusedStep>* steps = run.steps && !run.steps->empty() ? run.steps : nullptr;
  // Some 20 products of all lanes a nanosecond.
  const double seconds = static_cast<double>(rows * shape.out_width * (taps + 2)) * 0.2e-9;
  const std::int64_t parts = worthwhile_threads(seconds);
  parallel_for(rows, (rows - 1) / parts + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t y = r % shape.out_height, plane = r / shape.out_height, block = plane % blocks;
      const std::int64_t start = y * shape.stride_height - shape.top;
      Row row{};
      row.rows = taps_inside(start, shape.height, shape.kernel_height, shape.dilation_height);
      row.kernel_width = shape.kernel_width;
      row.in_row = shape.dilation_height * shape.width * lanes;
      row.step = shape.stride_width * lanes;
      row.tap = shape.dilation_width * lanes;
      row.plane = run.in + plane * in_plane;
      row.origin = (start * shape.width - shape.left) * lanes;
      row.weights = run.weights + block * taps * lanes;
      output_row(shape, row, run.bias ? run.bias + block * lanes : nullptr, steps,
                 run.held ? run.held + r * out_row : nullptr, run.out + r * out_row);
    }
  });
}

#else
void depthwise_convolution(const DirectShape&, const DirectRun&) {}
#endif

}  // namespace hone::exec::onednn
