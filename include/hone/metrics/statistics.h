// Intervals and tests for comparing two models on the same rows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hone::metrics {

struct Interval {
  double low = 0, high = 0;
  double confidence = 0.95;  // that the true value lies between; beyond each end, half of the rest
  std::string method;        // "Wilson", "Tango", "bootstrap"
};

// The standard normal distribution.
double normal_quantile(double probability);
double normal_cumulative(double z);

// Of a share of `successes` in `trials` (Wilson's score interval, no continuity correction).
Interval wilson(std::int64_t successes, std::int64_t trials, double confidence = 0.95);

// Rows on which two models differ: `first_only` are right under the first alone, `second_only` under the second alone.
struct Discordance {
  std::int64_t rows = 0, first_only = 0, second_only = 0;
};

// Two-sided p of McNemar's test that both models are right equally often: exact binomial, and mid-p (less conservative;
// Fagerland, Lydersen, Laake 2013).
struct McNemar {
  double exact = 1, mid = 1;
};
McNemar mcnemar(const Discordance& counts);

// Of (share right under first) - (share right under second): Tango's score interval (1998), which stays honest where few
// rows or none differ. Its one-sided bounds at level c are its ends at confidence 2c - 1.
Interval paired_difference(const Discordance& counts, double confidence = 0.95);

// How many rows it takes until the interval of a paired difference, as wide as this one for these rows and shrinking with
// the square root, no longer holds `margin`. Nullopt when no number would do (the difference is the margin).
std::optional<std::int64_t> rows_to_decide(double difference, const Interval& interval, std::int64_t rows,
                                           double margin);

// Weights that a resampling of `rows` rows with replacement gives them; row r was drawn weights[r] times.
using Weights = std::vector<std::uint32_t>;
// Percentile bootstrap of a statistic of the rows. Resamples: 2,000, or down to 200 where rows are many; nullopt where even
// those would take too long (`work`: of the statistic, in units of one pass over the rows). NaN results (a class that no
// drawn row has) are left out; nullopt when more than half are. Depends on seed and rows, not on threads.
std::optional<Interval> bootstrap(std::size_t rows, const std::function<double(const Weights&)>& statistic,
                                  std::uint64_t seed, double confidence = 0.95, std::size_t work = 1);

// As NumPy's default: linear between the two nearest of the sorted values. `share` in [0, 1].
double quantile(std::span<const double> sorted, double share);

}  // namespace hone::metrics
