// Differences of outputs, and statistics of run times.
#include "hone/metrics/compare.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "hone/metrics/latency.h"
#include "hone/support/error.h"

namespace hone::metrics {
namespace {

using ir::Tensor;

OutputComparison compare(const Tensor& a, const Tensor& b, std::int64_t rows = -1) {
  OutputComparison result("y");
  result.add(a, b, rows);
  return result;
}

const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");

}  // namespace

TEST_CASE("differences of outputs") {
  const auto result = compare(Tensor::of<float>({2, 2}, {1, -4, 0, 2}), Tensor::of<float>({2, 2}, {1, -3, 0.5f, 0}));
  CHECK(result.elements() == 4);
  CHECK(result.different() == 3);
  CHECK(result.max_abs() == 2);
  CHECK(result.mean_abs() == Approx(3.5 / 4));
  CHECK(result.max_rel() == 0.5);
  CHECK(result.least_relative() == inf);  // 0 against 0.5
  CHECK(result.cosine() == Approx(13 / std::sqrt(21 * 10.25)));
  CHECK(result.sqnr() == Approx(10 * std::log10(21 / 5.25)));
  CHECK(result.rows() == 2);
  CHECK(result.agreement() == 0.5);

  const auto same = compare(Tensor::vector<float>({0, -0.0f}), Tensor::vector<float>({-0.0f, 0}));
  CHECK(same.different() == 0);
  CHECK(same.sqnr() == inf);
  CHECK(same.cosine() == 1);
  CHECK(std::isnan(same.agreement()));
}

TEST_CASE("NaN and infinity match only themselves") {
  const auto same = compare(Tensor::vector<float>({nan, inf, -inf, 1}), Tensor::vector<float>({nan, inf, -inf, 1}));
  CHECK(same.mismatches() == 0);
  CHECK(same.max_abs() == 0);
  CHECK(same.nans() == 1);
  for (const auto& [a, b] : {std::pair{nan, 1.0f}, {1.0f, nan}, {inf, -inf}, {inf, 1.0f}, {1.0f, -inf}, {nan, inf}}) {
    const auto result = compare(Tensor::vector<float>({a}), Tensor::vector<float>({b}));
    CHECK(result.mismatches() == 1);
    CHECK(result.max_abs() == inf);
    CHECK(result.max_rel() == inf);
    CHECK(result.sqnr() == -inf);
  }
}

TEST_CASE("outputs of other types, parts and shapes") {
  CHECK(compare(Tensor::strings({2}, {"a", "b"}), Tensor::strings({2}, {"a", "c"})).mismatches() == 1);
  CHECK(compare(Tensor::vector<std::int64_t>({1, 5}), Tensor::vector<std::int64_t>({1, 7})).max_abs() == 2);
  CHECK(compare(Tensor::of<float>({2, 1}, {1, 1}), Tensor::of<float>({2, 1}, {1, 9}), 1).max_abs() == 0);
  CHECK_THROWS_AS(compare(Tensor::vector<float>({1}), Tensor::vector<float>({1, 2})), Error);
  CHECK_THROWS_AS(compare(Tensor::vector<float>({1}), Tensor::strings({1}, {"a"})), Error);

  OutputComparison parts("y");
  parts.merge(compare(Tensor::of<float>({1, 2}, {1, -4}), Tensor::of<float>({1, 2}, {1, -3})));
  parts.merge(compare(Tensor::of<float>({1, 2}, {0, 2}), Tensor::of<float>({1, 2}, {0.5f, 0})));
  CHECK(parts.max_abs() == 2);
  CHECK(parts.agreement() == 0.5);
}

TEST_CASE("statistics of run times") {
  std::vector<double> times;
  for (int i = 1; i <= 100; ++i) times.push_back(i / 1000.0);
  times.push_back(5);
  const Latency latency = summarize(times);
  CHECK(latency.runs == 101);
  CHECK(latency.p50 == Approx(0.051));
  CHECK(latency.p90 == Approx(0.091));
  CHECK(latency.min == 0.001);
  CHECK(latency.outliers == 1);
  CHECK(latency.unstable());
  CHECK_FALSE(summarize(std::vector<double>(10, 0.001)).unstable());
  CHECK(std::isnan(summarize({}).p50));

  std::vector<double> first, second;
  for (int i = 0; i < 50; ++i) {
    const double drift = 1 + 0.02 * i;  // the machine gets slower: the ratio doesn't
    first.push_back(drift);
    second.push_back(1.1 * drift);
  }
  const LatencyRatio ratio = latency_ratio(first, second, 1);
  CHECK(ratio.ratio == Approx(1.1));
  REQUIRE(ratio.interval);
  CHECK(ratio.interval->low == Approx(1.1));
  CHECK(ratio.interval->high == Approx(1.1));
  const auto interval = median_interval(first, 1);
  REQUIRE(interval);
  CHECK(interval->low < 1.49);
  CHECK(interval->high > 1.49);
  CHECK_FALSE(latency_ratio({}, second, 1).interval);

  std::string order;
  const Timings timings = time_in_turn([&] { order += 'a'; }, [&] { order += 'b'; }, 1, 4);
  CHECK(order == "ababbaabba");
  CHECK(timings.first.size() == 4);
  CHECK(timings.second.size() == 4);
}

}  // namespace hone::metrics
