// How fast a model runs, alone or in turns with another model or with ONNX Runtime.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hone/exec/onnxruntime.h"
#include "hone/ir/model.h"
#include "hone/metrics/latency.h"

namespace hone::release {

struct BenchOptions {
  metrics::TurnOptions turns;
  std::uint64_t seed = 0;  // of the intervals
  double confidence = 0.95;
};

struct BenchSide {
  double created = 0;           // seconds to plan a session; of ONNX Runtime, with reading the file
  std::vector<double> seconds;  // of each timed run
  std::uint64_t memory = 0;     // bytes of values that live at once, for the last inputs; 0: not known
  metrics::Latency latency;
  std::optional<metrics::Interval> interval;  // of the median
};

struct Bench {
  BenchSide model;
  std::optional<BenchSide> against;
  // Median of `against` over median of `model`: above 1, the model is faster.
  std::optional<metrics::LatencyRatio> ratio;
};

// What each run is fed with: one set of inputs, or several that take turns.
using InputSets = std::vector<std::vector<ir::NamedDatum>>;

// The other side gets those of the inputs that it has, by name; raises bad_input where it asks for more.
Bench bench(const ir::Model& model, const InputSets& inputs, const BenchOptions& options);
Bench bench(const ir::Model& model, const ir::Model& against, const InputSets& inputs, const BenchOptions& options);
// `file` is the model's: ONNX Runtime reads it itself.
Bench bench_against_onnxruntime(const ir::Model& model, const std::string& file, const std::string& library,
                                const InputSets& inputs, const BenchOptions& options, std::string& version);

}  // namespace hone::release
