// Intervals and tests against SciPy's numbers, and their coverage.
#include "hone/metrics/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "hone/support/random.h"
#include "oracle.h"

namespace hone::metrics {
namespace {

Approx nearly(const nlohmann::json& value) { return Approx(value.get<double>()).epsilon(1e-9).margin(1e-9); }

}  // namespace

TEST_CASE("wilson, normal quantiles and McNemar are SciPy's") {
  for (const auto& each : oracle()["wilson"]) {
    const Interval interval = wilson(each[0], each[1]);
    CHECK(interval.low == nearly(each[2][0]));
    CHECK(interval.high == nearly(each[2][1]));
  }
  for (const auto& each : oracle()["normal"]) CHECK(normal_quantile(each[0]) == nearly(each[1]));
  for (const auto& each : oracle()["mcnemar"]) {
    const McNemar p = mcnemar({10000, each[0], each[1]});
    CHECK(p.exact == nearly(each[2]));
    CHECK(p.mid == nearly(each[3]));
  }
  CHECK(mcnemar({10, 0, 0}).exact == 1);
  const auto& quantiles = oracle()["quantile"];
  const auto values = quantiles["values"].get<std::vector<double>>();
  for (std::size_t i = 0; i < quantiles["shares"].size(); ++i) {
    CHECK(quantile(values, quantiles["shares"][i]) == nearly(quantiles["results"][i]));
  }
}

TEST_CASE("Tango's interval of a paired difference") {
  // Held against SciPy, with the likelihood under the difference maximized by search.
  const Interval interval = paired_difference({44, 3, 1});
  CHECK(interval.low == Approx(-0.06130650));
  CHECK(interval.high == Approx(0.16431340));
  CHECK(paired_difference({100, 9, 20}).low == Approx(-0.21638677));
  CHECK(paired_difference({100, 9, 20}).high == Approx(-0.00467775));
  // No difference seen: the bound is that of no success in n trials.
  const Interval none = paired_difference({1000, 0, 0}, 0.9);
  CHECK(none.high == Approx(1.6448536 * 1.6448536 / (1000 + 1.6448536 * 1.6448536)).epsilon(1e-6));
  CHECK(none.low == Approx(-none.high).epsilon(1e-6));
  const Interval all = paired_difference({10, 10, 0});
  CHECK(all.high == Approx(1));
  CHECK(all.low == Approx(0.4449344));
}

TEST_CASE("Tango's interval covers what it says") {
  // 1,000 samples of 300 pairs, 3 % against 1 %: the interval misses the true difference about once in 20.
  Random random(1);
  int missed = 0;
  for (int i = 0; i < 1000; ++i) {
    Discordance counts{300, 0, 0};
    for (int row = 0; row < 300; ++row) {
      const double u = random.uniform();
      counts.first_only += u < 0.03;
      counts.second_only += u >= 0.03 && u < 0.04;
    }
    const Interval interval = paired_difference(counts);
    missed += interval.low > 0.02 || interval.high < 0.02;
  }
  CHECK(missed > 25);
  CHECK(missed < 75);
}

TEST_CASE("rows that it takes to decide") {
  // research: at no observed drop and 2 % disagreement, a margin of 0.5 pp takes about 2,200 rows.
  const Interval interval = paired_difference({1000, 10, 10}, 0.9);
  const auto rows = rows_to_decide(0, interval, 1000, 0.005);
  REQUIRE(rows);
  CHECK(*rows > 2000);
  CHECK(*rows < 2600);
  CHECK_FALSE(rows_to_decide(0.005, interval, 1000, 0.005));
}

TEST_CASE("bootstrap of a mean is close to the normal interval") {
  Random random(2);
  std::vector<double> values(400);
  double sum = 0;
  for (double& value : values) sum += value = random.normal();
  const auto mean = [&](const Weights& weights) {
    double total = 0;
    for (std::size_t i = 0; i < values.size(); ++i) total += weights[i] * values[i];
    return total / static_cast<double>(values.size());
  };
  const auto interval = bootstrap(values.size(), mean, 5);
  REQUIRE(interval);
  const double half = 1.96 / 20;
  CHECK(interval->low == Approx(sum / 400 - half).margin(0.02));
  CHECK(interval->high == Approx(sum / 400 + half).margin(0.02));
  CHECK(bootstrap(values.size(), mean, 5)->low == interval->low);
  CHECK(bootstrap(values.size(), mean, 6)->low != interval->low);
  CHECK_FALSE(bootstrap(
      10, [](const Weights&) { return std::nan(""); }, 1));
  CHECK_FALSE(bootstrap(0, mean, 1));
  CHECK_FALSE(bootstrap(std::size_t{1} << 40, mean, 1));
}

}  // namespace hone::metrics
