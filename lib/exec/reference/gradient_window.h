// Sliding windows, seen as pairs of an output place and an input place, for the gradients of convolution and pooling.
#pragma once

#include <algorithm>

#include "exec/reference/gradient.h"
#include "exec/reference/window.h"

namespace hone::exec {

// The window of a node for known sizes on both sides.
inline Window window_between(const ir::Node& node, const ir::Dims& in, const ir::Dims& out, ir::Dims kernel,
                             bool ceil) {
  Window window(node, in, std::move(kernel), ceil);
  if (out.size() != in.size() || !std::equal(window.out.begin(), window.out.end(), out.begin() + 2)) {
    bad_input("a gradient of shape {} where the windows of an input of shape {} give {}", ir::text(out), ir::text(in),
              ir::text(window.out));
  }
  return window;
}

// Calls f(tap, o, i, n, step): this tap of the kernel pairs n neighbouring output places from o on with the input places
// i, i + step, ...; pairs that lie in the padding are left out. In the order of taps, then of o.
template <typename F>
void for_each_pair(const Window& w, const F& f) {
  const std::size_t last = w.rank - 1;
  const std::int64_t rows = product(w.out, 0, last), taps = w.taps(), stride = w.strides[last];
  ir::Dims place(w.rank);
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    std::int64_t rest = tap;
    for (std::size_t d = w.rank; d-- > 0;) {
      place[d] = rest % w.kernel[d] * w.dilations[d] - w.before[d];
      rest /= w.kernel[d];
    }
    // Outputs [low, high) of the last dimension meet inputs inside.
    const std::int64_t low = std::max<std::int64_t>(0, ceil_div(-place[last], stride));
    const std::int64_t high = std::min(w.out[last], floor_div(w.in[last] - 1 - place[last], stride) + 1);
    if (high <= low) continue;
    for (std::int64_t row = 0; row < rows; ++row) {
      std::int64_t left = row, offset = 0, scale = w.in[last];
      bool inside = true;
      for (std::size_t d = last; d-- > 0;) {
        const std::int64_t i = left % w.out[d] * w.strides[d] + place[d];
        left /= w.out[d];
        inside = inside && i >= 0 && i < w.in[d];
        offset += i * scale;
        scale *= w.in[d];
      }
      if (inside) f(tap, row * w.out[last] + low, offset + low * stride + place[last], high - low, stride);
    }
  }
}

}  // namespace hone::exec
