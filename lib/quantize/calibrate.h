// Ranges of values on real data, seen while the executor runs: a minimum and a maximum for each, nothing else is kept.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "hone/data/feed.h"
#include "hone/quantize/quantize.h"

namespace hone::quantize {

struct Extent {
  float min = 0, max = 0;  // with 0 inside
};

// Names must be values of the main graph. Raises bad_input for a value that gets NaN or infinite, naming it.
std::unordered_map<std::string, Extent> calibrate(const ir::Model& model, const data::Feed& feed,
                                                  const std::vector<std::string>& names, std::int64_t batch,
                                                  Observer& observer);

}  // namespace hone::quantize
