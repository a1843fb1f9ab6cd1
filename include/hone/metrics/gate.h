// Gates: conditions that a model has to meet to pass on, written METRIC [QUANTITY] OP VALUE.
//
//   accuracy >= 95%          recall[class=3] >= 0.9       f1[macro] >= 0.9      size <= 200KB
//   accuracy drop <= 0.5pp   size ratio <= 25%            loss rise <= 2%rel    latency[p95] <= 5ms
//
// drop is how much smaller than the baseline's a value is, rise how much larger, change either way, ratio value / baseline.
// Thresholds of these are never negative, and what can only be a mistake is refused: a percentage that could be of the
// metric or of its baseline (say pp or %rel), a drop of something that should be low, a share above 1.
//
// A gate that can't be evaluated (NaN, no baseline, a class without rows) fails. With a confidence, a gate on samples
// passes when its one-sided bound at that confidence does, fails when the opposite bound does, and is inconclusive
// otherwise; without one it judges the value itself. See docs/gates.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hone/metrics/compare.h"
#include "hone/metrics/evaluation.h"

namespace hone::metrics {

enum class Unit { share, number, bytes, count, seconds, decibel };
enum class Better { higher, lower, neither };

struct MetricInfo {
  const char* name;
  Unit unit;
  Better better;
  bool against_baseline;  // is itself a comparison with the baseline
  const char* help;
};
// All that gates may name.
std::span<const MetricInfo> known_metrics();

// A metric with what was chosen in brackets.
struct MetricName {
  const MetricInfo* info = nullptr;
  Average average = Average::automatic;
  std::string label;       // class=
  std::int64_t k = 5;      // of topk_accuracy
  std::string output;      // output=, for comparisons of outputs
  std::string percentile;  // of latency: p50 (also without), p90, p95, p99, min, mean

  std::string text() const;  // "recall[class=3]"
};
// Raises usage, with the nearest name for an unknown one.
MetricName parse_metric(std::string_view text);

enum class Quantity { value, drop, rise, change, ratio };
enum class Operator { greater_equal, greater, less_equal, less, equal, not_equal };

struct Gate {
  std::string text;  // as the user wrote it
  MetricName metric;
  Quantity quantity = Quantity::value;
  Operator op = Operator::greater_equal;
  double threshold = 0;   // shares as fractions, bytes, seconds
  bool relative = false;  // drop, rise and change as shares of the baseline
};
Gate parse_gate(std::string_view text);

// What was measured of a model and, where there is one, of its baseline. Pointers must outlive it.
class Measurements {
 public:
  // Numbers of the model itself: "size", "parameters", "macs", "nodes", "memory", "sparsity".
  void set(const std::string& metric, double value) { values_[metric] = value; }
  void set_baseline(const std::string& metric, double value) { baselines_[metric] = value; }
  // Same rows for both. `classes`: names for class=, which may be empty.
  void set_evaluation(const Evaluation* now, const Evaluation* before, std::vector<std::string> classes = {});
  void set_comparisons(std::vector<OutputComparison> outputs) { comparisons_ = std::move(outputs); }
  // Seconds of runs, taken in turn if there is a baseline.
  void set_latency(std::vector<double> now, std::vector<double> before = {});
  void set_seed(std::uint64_t seed) { seed_ = seed; }

 private:
  friend struct Judge;
  std::map<std::string, double> values_, baselines_;
  const Evaluation* now_ = nullptr;
  const Evaluation* before_ = nullptr;
  std::vector<std::string> classes_;
  std::vector<OutputComparison> comparisons_;
  std::vector<double> latency_, baseline_latency_;
  std::uint64_t seed_ = 0;
};

enum class Outcome { pass, fail, inconclusive, not_evaluated };
const char* name(Outcome outcome);  // "pass", "fail", "inconclusive", "not evaluated"

struct Verdict {
  Gate gate;
  Outcome outcome = Outcome::not_evaluated;
  std::optional<double> value;              // of the quantity that the gate is about
  std::optional<double> now, before;        // of the metric
  std::optional<Interval> interval;         // of the quantity
  std::int64_t rows = 0;                    // 0: no samples
  std::optional<std::int64_t> rows_needed;  // to decide an inconclusive one, roughly
  std::string sentence;                     // all of this for people, starting with the gate's text
};

// `confidence`: one-sided, such as 0.95; raises usage outside of (0.5, 1).
Verdict judge(const Gate& gate, const Measurements& measurements, std::optional<double> confidence = std::nullopt);
std::vector<Verdict> judge(const std::vector<Gate>& gates, const Measurements& measurements,
                           std::optional<double> confidence = std::nullopt);

// Of all gates: 1 if any failed or was not evaluated, else 5 if any is inconclusive, else 0.
int exit_code(std::span<const Verdict> verdicts);

// "97.12 %", "0.31 pp", "198 KB", "1.94 ms".
std::string format_value(double value, Unit unit, int digits = 2);

}  // namespace hone::metrics
