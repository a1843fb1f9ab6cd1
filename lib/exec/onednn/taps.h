// What of a window lies in an image.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hone::exec::onednn {

// Of one dimension: taps from `first` to before `last`.
struct Taps {
  std::int64_t first = 0, last = 0;
  std::int64_t count() const { return last - first; }
};

// Of `kernel` taps `dilation` apart, the first at `start`, which is before the image where it is negative.
inline Taps taps_inside(std::int64_t start, std::int64_t size, std::int64_t kernel, std::int64_t dilation) {
  const std::int64_t first = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  const std::int64_t last = start >= size ? 0 : std::min(kernel, (size - 1 - start) / dilation + 1);
  return {first, std::max(first, last)};
}

}  // namespace hone::exec::onednn
