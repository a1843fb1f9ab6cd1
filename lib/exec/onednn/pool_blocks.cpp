#include "exec/onednn/pool_blocks.h"

#include "exec/onednn/avx2.h"
#include "exec/onednn/taps.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {

#ifdef HONE_HAS_AVX2
namespace {

using namespace avx2;

template <bool Largest>
HONE_AVX2_INLINE Vector joined(Vector a, Vector b) {
  return Largest ? larger(a, b) : a + b;
}

template <bool Largest>
HONE_AVX2 void output_row(const PoolShape& shape, const float* plane, std::int64_t y, float* out) {
  const std::int64_t top = y * shape.stride_height - shape.top;
  const Taps rows = taps_inside(top, shape.height, shape.kernel_height, shape.dilation_height);
  const std::int64_t tap = shape.dilation_width * lanes;
  const Vector none = all(Largest ? -__builtin_inff() : 0.0F);
  for (std::int64_t x = 0; x < shape.out_width; ++x) {
    const std::int64_t start = x * shape.stride_width - shape.left;
    const Taps taps = taps_inside(start, shape.width, shape.kernel_width, shape.dilation_width);
    // In turns, so that none waits for the one before.
    Vector found[4] = {none, none, none, none};
    for (std::int64_t r = rows.first; r < rows.last; ++r) {
      const float* in = plane + ((top + r * shape.dilation_height) * shape.width + start) * lanes + taps.first * tap;
      std::int64_t t = 0;
      for (; t + 4 <= taps.count(); t += 4) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) found[i] = joined<Largest>(found[i], load(in + (t + i) * tap));
      }
      for (; t < taps.count(); ++t) found[0] = joined<Largest>(found[0], load(in + t * tap));
    }
    Vector result = joined<Largest>(joined<Largest>(found[0], found[1]), joined<Largest>(found[2], found[3]));
    if (!Largest) {
      const std::int64_t count =
          shape.counts_pads ? shape.kernel_height * shape.kernel_width : rows.count() * taps.count();
      result = result / all(static_cast<float>(count));
    }
    store(out + x * lanes, result);
  }
}

}  // namespace

void pool_blocks(const PoolShape& shape, const float* in, float* out) {
  const std::int64_t rows = shape.blocks * shape.out_height;
  const double taps = static_cast<double>(shape.kernel_height * shape.kernel_width);
  const std::int64_t parts = worthwhile_threads(static_cast<double>(rows * shape.out_width) * (taps + 4) * 0.3e-9);
  parallel_for(rows, (rows - 1) / parts + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* plane = in + r / shape.out_height * shape.height * shape.width * lanes;
      float* to = out + r * shape.out_width * lanes;
      (shape.largest ? output_row<true> : output_row<false>)(shape, plane, r % shape.out_height, to);
    }
  });
}

#else
void pool_blocks(const PoolShape&, const float*, float*) {}
#endif

}  // namespace hone::exec::onednn
