// Statistics of run times.
#include "hone/metrics/latency.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "hone/support/threads.h"
#include "metrics/undefined.h"

namespace hone::metrics {
namespace {

std::vector<double> sorted(std::span<const double> values) {
  std::vector<double> result(values.begin(), values.end());
  std::sort(result.begin(), result.end());
  return result;
}

// The median of values in rising order of `order`, each counted as often as it was drawn.
double weighted_median(std::span<const double> values, const std::vector<std::uint32_t>& order,
                       const Weights& weights) {
  std::uint64_t total = 0;
  for (const std::uint32_t weight : weights) total += weight;
  // The two middle ones, which are the same place for an odd count.
  const std::uint64_t lower = (total - 1) / 2, upper = total / 2;
  double result = 0;
  bool has_lower = false;
  std::uint64_t seen = 0;
  for (const std::uint32_t place : order) {
    seen += weights[place];
    if (!has_lower && seen > lower) {
      result = values[place];
      has_lower = true;
    }
    if (seen > upper) return (result + values[place]) / 2;
  }
  return result;
}

std::vector<std::uint32_t> rising_order(std::span<const double> values) {
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return values[a] < values[b]; });
  return order;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Latency summarize(std::span<const double> seconds) {
  Latency result;
  result.runs = seconds.size();
  if (seconds.empty()) {
    result.min = result.mean = result.p50 = result.p90 = result.p95 = result.p99 = result.deviation = undefined;
    return result;
  }
  const std::vector<double> times = sorted(seconds);
  result.min = times.front();
  result.mean = std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size());
  result.p50 = quantile(times, 0.5);
  result.p90 = quantile(times, 0.9);
  result.p95 = quantile(times, 0.95);
  result.p99 = quantile(times, 0.99);
  std::vector<double> distances;
  for (const double time : times) distances.push_back(std::abs(time - result.p50));
  std::sort(distances.begin(), distances.end());
  constexpr double to_deviation = 1.4826;  // of a normal distribution
  result.deviation = to_deviation * quantile(distances, 0.5);
  for (const double distance : distances) result.outliers += distance > 10 * result.deviation;
  return result;
}

std::optional<Interval> median_interval(std::span<const double> seconds, std::uint64_t seed, double confidence) {
  if (seconds.size() < 2) return std::nullopt;
  const auto order = rising_order(seconds);
  return bootstrap(
      seconds.size(), [&](const Weights& weights) { return weighted_median(seconds, order, weights); }, seed,
      confidence);
}

LatencyRatio latency_ratio(std::span<const double> first, std::span<const double> second, std::uint64_t seed,
                           double confidence) {
  const std::size_t pairs = std::min(first.size(), second.size());
  first = first.first(pairs);
  second = second.first(pairs);
  LatencyRatio result;
  if (pairs == 0) {
    result.ratio = undefined;
    return result;
  }
  result.ratio = quantile(sorted(second), 0.5) / quantile(sorted(first), 0.5);
  if (pairs < 2) return result;
  const auto first_order = rising_order(first), second_order = rising_order(second);
  result.interval = bootstrap(
      pairs,
      [&](const Weights& weights) {
        return weighted_median(second, second_order, weights) / weighted_median(first, first_order, weights);
      },
      seed, confidence);
  return result;
}

Timings time_in_turn(const std::function<void()>& first, const std::function<void()>& second, int warm_up, int runs) {
  for (int i = 0; i < warm_up; ++i) {
    first();
    second();
  }
  Timings timings;
  for (int i = 0; i < runs; ++i) {
    check_interrupt();
    if (i % 2 == 0) {
      timings.first.push_back(seconds_of(first));
      timings.second.push_back(seconds_of(second));
    } else {
      timings.second.push_back(seconds_of(second));
      timings.first.push_back(seconds_of(first));
    }
  }
  return timings;
}

Timings time_turns(const std::function<void()>& first, const std::function<void()>& second,
                   const TurnOptions& options) {
  // After a rest caches are cold, threads asleep and clocks low: longer turns, of which more does not count.
  const bool rests = second && options.rest > 0;
  const double turn_seconds = rests ? 0.1 : 0.02;
  constexpr std::size_t most_in_turn = 50, least_runs = 10;
  double longest = 0;
  for (int i = 0; i < std::max(options.warm_up, 1); ++i) {
    check_interrupt();
    longest = seconds_of(first);
    if (second) longest = std::max(longest, seconds_of(second));
  }
  const auto in_turn = static_cast<std::size_t>(
      std::clamp(turn_seconds / std::max(longest, 1e-9), 1.0, static_cast<double>(most_in_turn)));
  const std::size_t dropped = rests ? (in_turn + 1) / 2 : second && in_turn > 1 ? (in_turn + 4) / 5 : 0;
  Timings timings;
  double spent[2] = {0, 0};
  const auto turn = [&](const std::function<void()>& work, std::vector<double>& times, double& sum) {
    if (!work) return;
    if (rests) std::this_thread::sleep_for(std::chrono::duration<double>(options.rest));
    for (std::size_t i = 0; i < in_turn + dropped; ++i) {
      check_interrupt();
      const double seconds = seconds_of(work);
      sum += seconds;
      if (i >= dropped) times.push_back(seconds);
    }
  };
  const auto done = [&] {
    const std::size_t runs = timings.first.size();
    if (options.runs > 0) return runs >= static_cast<std::size_t>(options.runs);
    return runs >= least_runs && spent[0] >= options.seconds && (!second || spent[1] >= options.seconds);
  };
  for (int i = 0; !done(); ++i) {
    if (i % 2 == 0) {
      turn(first, timings.first, spent[0]);
      turn(second, timings.second, spent[1]);
    } else {
      turn(second, timings.second, spent[1]);
      turn(first, timings.first, spent[0]);
    }
  }
  if (options.runs > 0) {
    for (std::vector<double>* times : {&timings.first, &timings.second}) {
      times->resize(std::min(times->size(), static_cast<std::size_t>(options.runs)));
    }
  }
  return timings;
}

}  // namespace hone::metrics
