// Statistics of run times. Times of a shared machine are noisy: medians, not means; two models are compared by runs taken
// in turn, and by the interval of the ratio of their medians.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "hone/metrics/statistics.h"

namespace hone::metrics {

struct Latency {
  std::size_t runs = 0;
  double min = 0, mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0;  // seconds
  double deviation = 0;      // robust: 1.4826 times the median distance from the median
  std::size_t outliers = 0;  // further than 10 such deviations from the median (hyperfine's bound, 14.826 distances)
  // deviation / p50 above 5 %: not a number to gate on to the percent.
  bool unstable() const { return p50 > 0 && deviation / p50 > 0.05; }
};

Latency summarize(std::span<const double> seconds);
// Of the median.
std::optional<Interval> median_interval(std::span<const double> seconds, std::uint64_t seed, double confidence = 0.95);

struct LatencyRatio {
  double ratio = 0;  // median of the second over median of the first
  std::optional<Interval> interval;
};
// Runs that were taken in turn: pairs are resampled together, so that what slows both down cancels. Of different counts:
// as many as the shorter has.
LatencyRatio latency_ratio(std::span<const double> first, std::span<const double> second, std::uint64_t seed,
                           double confidence = 0.95);

// Times two pieces of work in turn, ABBA ABBA ..., after `warm_up` runs of each that don't count, until each has `runs`.
struct Timings {
  std::vector<double> first, second;
};
Timings time_in_turn(const std::function<void()>& first, const std::function<void()>& second, int warm_up, int runs);

// The same for work that is much shorter than what disturbs it: each turn is several runs (about 20 ms), of which the first
// don't count where there are two pieces of work, since threads of the other still wait busily then.
struct TurnOptions {
  int warm_up = 3;     // runs of each that don't count
  int runs = 0;        // timed runs of each; 0: as many as `seconds` hold, at least 10
  double seconds = 3;  // for each piece of work
  // Seconds before each turn of two, in which threads of the other go to sleep. Turns are 100 ms then, and half a turn more
  // does not count.
  double rest = 0;
};
Timings time_turns(const std::function<void()>& first, const std::function<void()>& second, const TurnOptions& options);

}  // namespace hone::metrics
