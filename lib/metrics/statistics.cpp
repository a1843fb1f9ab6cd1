// Intervals and tests.
#include "hone/metrics/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hone/support/random.h"
#include "hone/support/threads.h"

namespace hone::metrics {
namespace {

// Random numbers apart from those others draw from the same seed.
constexpr std::uint64_t bootstrap_stream = std::uint64_t{0x626f6f74} << 32;

double log_binomial(std::int64_t n, std::int64_t k) {
  const auto x = static_cast<double>(n), y = static_cast<double>(k);
  return std::lgamma(x + 1) - std::lgamma(y + 1) - std::lgamma(x - y + 1);
}

// Tango's score: positive where the observed difference lies above `difference`.
double tango_score(const Discordance& counts, double difference) {
  const auto n = static_cast<double>(counts.rows);
  const auto b = static_cast<double>(counts.first_only), c = static_cast<double>(counts.second_only);
  // The most likely share of second_only, given the difference.
  const double linear = -b - c + (2 * n - b + c) * difference;
  const double constant = -c * difference * (1 - difference);
  const double share = (std::sqrt(std::max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n);
  const double variance = n * (2 * share + difference * (1 - difference));
  const double distance = b - c - n * difference;
  if (variance <= 0) {
    return distance == 0 ? 0 : std::copysign(std::numeric_limits<double>::infinity(), distance);
  }
  return distance / std::sqrt(variance);
}

// Where a falling function crosses `target`, between the two ends.
template <typename F>
double crossing(F&& falling, double target, double low, double high) {
  for (int i = 0; i < 100; ++i) {  // halving: as exact as a double
    const double middle = (low + high) / 2;
    (falling(middle) > target ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

double normal_cumulative(double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; }

double normal_quantile(double probability) {
  if (!(probability > 0)) return -std::numeric_limits<double>::infinity();
  if (!(probability < 1)) return std::numeric_limits<double>::infinity();
  return crossing([](double z) { return -normal_cumulative(z); }, -probability, -40, 40);
}

Interval wilson(std::int64_t successes, std::int64_t trials, double confidence) {
  if (trials <= 0) return {0, 1, confidence, "Wilson"};
  const double z = normal_quantile(0.5 + confidence / 2);
  const auto n = static_cast<double>(trials), x = static_cast<double>(successes);
  const double center = (x + z * z / 2) / (n + z * z);
  const double half = z / (n + z * z) * std::sqrt(x * (n - x) / n + z * z / 4);
  return {successes == 0 ? 0 : std::max(0.0, center - half), successes == trials ? 1 : std::min(1.0, center + half),
          confidence, "Wilson"};
}

McNemar mcnemar(const Discordance& counts) {
  const std::int64_t n = counts.first_only + counts.second_only;
  if (n == 0) return {};
  const std::int64_t least = std::min(counts.first_only, counts.second_only);
  const auto probability = [n](std::int64_t k) {
    return std::exp(log_binomial(n, k) - static_cast<double>(n) * std::log(2.0));
  };
  double tail = 0;
  for (std::int64_t k = 0; k <= least; ++k) tail += probability(k);
  McNemar result;
  result.exact = std::min(1.0, 2 * tail);
  result.mid = counts.first_only == counts.second_only ? 1 - probability(least) / 2 : 2 * tail - probability(least);
  result.mid = std::clamp(result.mid, 0.0, 1.0);
  return result;
}

Interval paired_difference(const Discordance& counts, double confidence) {
  if (counts.rows <= 0) return {-1, 1, confidence, "Tango"};
  const double z = normal_quantile(0.5 + confidence / 2);
  const double observed =
      static_cast<double>(counts.first_only - counts.second_only) / static_cast<double>(counts.rows);
  const auto score = [&](double difference) { return tango_score(counts, difference); };
  return {crossing(score, z, -1, observed), crossing(score, -z, observed, 1), confidence, "Tango"};
}

std::optional<std::int64_t> rows_to_decide(double difference, const Interval& interval, std::int64_t rows,
                                           double margin) {
  const double distance = std::abs(margin - difference);
  const double half = margin >= difference ? interval.high - difference : difference - interval.low;
  constexpr double most = 1e15;
  if (!(distance > 0) || !(half > 0)) return std::nullopt;
  const double needed = std::ceil(static_cast<double>(rows) * (half / distance) * (half / distance));
  return needed < most ? std::optional(static_cast<std::int64_t>(needed)) : std::nullopt;
}

std::optional<Interval> bootstrap(std::size_t rows, const std::function<double(const Weights&)>& statistic,
                                  std::uint64_t seed, double confidence, std::size_t work) {
  if (rows == 0) return std::nullopt;
  // 2,000 resamples hold the ends of a 95 % interval steady to about 3 % of its width, 200 to 10 %. A draw and a pass
  // over a row take some 10 ns: two seconds, twenty at the worst.
  constexpr std::size_t affordable = 200'000'000, most = 2000, least = 200;
  const std::size_t cost = rows * std::max<std::size_t>(work, 1);
  if (cost > 10 * affordable / least) return std::nullopt;
  const std::size_t count = std::clamp(affordable / cost, least, most);
  std::vector<double> values(count);
  parallel_for(static_cast<std::int64_t>(count), 1, [&](std::int64_t begin, std::int64_t end) {
    Weights weights(rows);
    for (std::int64_t i = begin; i < end; ++i) {
      check_interrupt();
      Random random(seed, bootstrap_stream + static_cast<std::uint64_t>(i));
      std::fill(weights.begin(), weights.end(), 0u);
      for (std::size_t draw = 0; draw < rows; ++draw) ++weights[random.below(rows)];
      values[static_cast<std::size_t>(i)] = statistic(weights);
    }
  });
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.size() * 2 < count) return std::nullopt;
  std::sort(values.begin(), values.end());
  const double beyond = (1 - confidence) / 2;
  return Interval{quantile(values, beyond), quantile(values, 1 - beyond), confidence, "bootstrap"};
}

double quantile(std::span<const double> sorted, double share) {
  if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(at));
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double part = at - static_cast<double>(below);
  // Not a + (b - a) * part where both are the same infinity.
  if (sorted[below] == sorted[above] || part == 0) return sorted[below];
  return sorted[below] + (sorted[above] - sorted[below]) * part;
}

}  // namespace hone::metrics
