// What Winograd's algorithm costs, roughly, and how that is shared between threads: for exec/onednn/winograd.h and
// integer_winograd.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "exec/onednn/tile.h"

namespace hone::exec::onednn {

struct WinogradCost {
  // Nanoseconds on one thread, measured on Zen 3: for a multiplication and addition, for a channel of a tile to be transformed,
  // and for a byte of the weights to be read where they fit into the caches of a core and where they don't.
  double product, transform, near, far;
  std::int64_t points;         // of a tile
  std::int64_t element_bytes;  // of the transformed weights

  // The weights are read once for each block of up to `most` tiles.
  double time(std::int64_t tiles, std::int64_t in_channels, std::int64_t out_channels, std::int64_t most) const {
    const auto in = static_cast<double>(in_channels), out = static_cast<double>(out_channels);
    const double products = static_cast<double>(points) * in * out,
                 bytes = products * static_cast<double>(element_bytes);
    const auto readings = static_cast<double>((tiles + most - 1) / most);
    return static_cast<double>(tiles) * (products * product + (in + out) * transform) +
           readings * bytes * (bytes > 1.5e6 ? far : near);
  }

  // Each slice of the tiles takes each group of the panels of output channels. A group reads its own part of the weights only,
  // but transforms all inputs.
  struct Shares {
    std::int64_t slices = 1, groups = 1;
    std::int64_t count() const { return slices * groups; }
  };
  Shares share(std::int64_t tiles, std::int64_t in_channels, std::int64_t out_channels, std::int64_t most,
               std::int64_t threads) const {
    const std::int64_t panels = panel_count(out_channels);
    Shares best;
    double least = 0;
    for (std::int64_t groups = 1; groups <= std::min(threads, panels); ++groups) {
      const std::int64_t slices = std::min(threads / groups, tiles);
      const double own =
          time((tiles + slices - 1) / slices, in_channels, (panels + groups - 1) / groups * panel_columns, most);
      if (groups > 1 && own >= least) continue;
      least = own;
      best = {slices, groups};
    }
    return best;
  }
};

}  // namespace hone::exec::onednn
