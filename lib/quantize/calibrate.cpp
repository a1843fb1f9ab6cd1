#include "quantize/calibrate.h"

#include <algorithm>
#include <cmath>

#include "hone/exec/session.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"

namespace hone::quantize {
namespace {

// Minimum and maximum of a block, NaN poisoning both. Four lanes, so that the compiler uses vector instructions.
Extent extent_of(const float* values, std::int64_t count) {
  float low[8], high[8];
  std::fill_n(low, 8, 0.0f);
  std::fill_n(high, 8, 0.0f);
  float sum = 0;  // NaN or infinite if any value is
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int k = 0; k < 8; ++k) {
      const float v = values[i + k];
      low[k] = v < low[k] ? v : low[k];
      high[k] = v > high[k] ? v : high[k];
    }
    float zero = 0;
    for (int k = 0; k < 8; ++k) zero += values[i + k] * 0.0f;
    sum += zero;
  }
  for (; i < count; ++i) {
    low[0] = std::min(low[0], values[i]);
    high[0] = std::max(high[0], values[i]);
    sum += values[i] * 0.0f;
  }
  Extent extent{*std::min_element(low, low + 8), *std::max_element(high, high + 8)};
  if (sum != 0.0f) extent.max = NAN;
  return extent;
}

}  // namespace

std::unordered_map<std::string, Extent> calibrate(const ir::Model& model, const data::Feed& feed,
                                                  const std::vector<std::string>& names, std::int64_t batch,
                                                  Observer& observer) {
  std::unordered_map<std::string, Extent> extents;
  const auto see = [&](std::string_view name, const ir::Tensor& tensor) {
    const Extent seen = extent_of(tensor.data<float>().data(), tensor.element_count());
    if (std::isnan(seen.max)) {
      bad_input("value {} is not finite for some of the calibration data: its range can't be told", quote(name));
    }
    Extent& extent = extents[std::string(name)];
    extent.min = std::min(extent.min, seen.min);
    extent.max = std::max(extent.max, seen.max);
  };
  // Graph inputs are no values the executor makes.
  std::vector<std::string> made;
  std::vector<std::string> given;
  for (const std::string& name : names) {
    const ir::Value* value = model.graph->find(name);
    (value && value->is_graph_input() ? given : made).push_back(name);
  }
  exec::Session session(model);
  session.observe(made, see);
  const std::int64_t size = feed.fixed_batch().value_or(batch);
  const auto all = data::batches(feed.data().rows(), size, feed.fixed_batch().has_value());
  std::int64_t done = 0;
  for (const data::Batch& each : all) {
    check_interrupt();
    const std::vector<ir::NamedDatum> inputs = feed.read(each.rows);
    for (const ir::NamedDatum& input : inputs) {
      if (std::find(given.begin(), given.end(), input.name) != given.end()) see(input.name, *input.datum.tensor());
    }
    session.run_shared(inputs);
    done += static_cast<std::int64_t>(each.count);
    observer.progress("calibrating", static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(feed.data().rows()),
                      "");
  }
  return extents;
}

}  // namespace hone::quantize
