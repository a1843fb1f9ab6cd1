// Gates: what is read and refused, and every way to a verdict.
#include "hone/metrics/gate.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>

#include "hone/support/error.h"

namespace hone::metrics {
namespace {

using Catch::Matchers::Contains;
using ir::Tensor;
using Ints = std::vector<std::int64_t>;

std::string refusal(const std::string& text) {
  try {
    (void)parse_gate(text);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.message();
  }
  FAIL("no error for " << text);
  return {};
}

// `right` of `rows` rows answered right; the others are of class 1 and answered 0.
Evaluation answers(std::int64_t right, std::int64_t rows, std::int64_t from = 0) {
  Ints truth, answer;
  for (std::int64_t row = 0; row < rows; ++row) {
    truth.push_back(row % 2);
    const bool is_right = (row + rows - from) % rows < right;
    answer.push_back(is_right ? row % 2 : 2);
  }
  Evaluation evaluation({Task::classification, Scores::answers});
  evaluation.add(Tensor::vector<std::int64_t>(answer), Tensor::vector<std::int64_t>(truth));
  return evaluation;
}

struct Scene {
  Evaluation now, before;
  Measurements measurements;

  Scene(Evaluation current, Evaluation baseline) : now(std::move(current)), before(std::move(baseline)) {
    measurements.set_evaluation(&now, &before, {"cat", "dog"});
    measurements.set("size", 198'000);
    measurements.set_baseline("size", 800'000);
    measurements.set("nodes", 12);
  }
  Verdict operator()(const std::string& gate, std::optional<double> confidence = std::nullopt) const {
    return judge(parse_gate(gate), measurements, confidence);
  }
};

}  // namespace

TEST_CASE("gates: what is read") {
  const auto threshold = [](const std::string& text) { return parse_gate(text).threshold; };
  CHECK(threshold("accuracy >= 0.95") == 0.95);
  CHECK(threshold("accuracy>=95%") == 0.95);
  CHECK(threshold("  Accuracy  >  95 % ") == 0.95);
  CHECK(threshold("accuracy drop <= 0.5pp") == 0.005);
  CHECK(threshold("accuracy drop <= 0.005") == 0.005);
  CHECK(threshold("accuracy drop <= 1%rel") == 0.01);
  CHECK(parse_gate("accuracy drop <= 1%rel").relative);
  CHECK(threshold("size <= 200KB") == 200'000);
  CHECK(threshold("size <= 1.5MiB") == 1'572'864);
  CHECK(threshold("size <= 4096") == 4096);
  CHECK(threshold("size drop >= 50%") == 0.5);
  CHECK(threshold("size ratio <= 25%") == 0.25);
  CHECK(threshold("latency ratio <= 1.05x") == 1.05);
  CHECK(threshold("latency[p95] <= 5ms") == 0.005);
  CHECK(threshold("latency rise <= 10%") == 0.1);
  CHECK(threshold("parameters <= 1.2M") == 1'200'000);
  CHECK(threshold("max_abs_diff <= 1e-4") == 1e-4);
  CHECK(threshold("sqnr >= 30dB") == 30);
  CHECK(threshold("mcc >= -0.5") == -0.5);
  CHECK(threshold("loss rise <= 0.02") == 0.02);
  CHECK(parse_gate("accuracy change == 0").quantity == Quantity::change);
  CHECK(parse_gate("f1_score[macro] >= 0.9").metric.text() == "f1[macro]");
  CHECK(parse_gate("recall[class=3] >= 0.9").metric.label == "3");
  CHECK(parse_gate("recall[class='a >= b'] >= 0.9").metric.label == "a >= b");
  CHECK(parse_gate("top5_accuracy >= 90%").metric.k == 5);
  CHECK(parse_gate("topk_accuracy[k=3] >= 90%").metric.text() == "top3_accuracy");
  CHECK(parse_gate("max-abs-diff[output=logits] < 1").metric.output == "logits");
  for (const MetricInfo& info : known_metrics()) CHECK(parse_metric(info.name).info == &info);
}

TEST_CASE("gates: what is refused") {
  CHECK_THAT(refusal("acuracy >= 0.9"), Contains("unknown metric 'acuracy' (did you mean 'accuracy'?)"));
  CHECK_THAT(refusal("zzzzzzzzzzzz >= 0.9"), Contains("there are accuracy, balanced_accuracy"));
  CHECK_THAT(refusal(""), Contains("a gate is METRIC OP VALUE"));
  CHECK_THAT(refusal("accuracy"), Contains("no operator"));
  CHECK_THAT(refusal("accuracy = 0.9"), Contains("no operator"));
  CHECK_THAT(refusal("accuracy => 0.9"), Contains("no operator"));
  CHECK_THAT(refusal("accuracy >="), Contains("no value"));
  CHECK_THAT(refusal("accuracy >= high"), Contains("is no number"));
  CHECK_THAT(refusal("accuracy >= nan"), Contains("is no number"));
  CHECK_THAT(refusal("size <= inf"), Contains("is no number"));
  CHECK_THAT(refusal("accuracy >= 1e999"), Contains("is no number"));
  CHECK_THAT(refusal("accuracy >= 95"), Contains("between 0 and 1: 95%?"));
  CHECK_THAT(refusal("accuracy >= 101%"), Contains("between 0 and 1"));
  CHECK_THAT(refusal("accuracy >= -0.5"), Contains("never below 0"));
  CHECK_THAT(refusal("accuracy >= 95pp"), Contains("pp is for a drop"));
  CHECK_THAT(refusal("accuracy drop <= 0.5%"), Contains("0.5pp for percentage points, 0.5%rel"));
  CHECK_THAT(refusal("accuracy drop <= 0.5"), Contains("would be 50 percentage points: say 0.5pp or 50pp"));
  CHECK_THAT(refusal("accuracy drop <= -0.5pp"), Contains("never below 0 (a rise is the other direction)"));
  CHECK_THAT(refusal("accuracy drop >= 0.5pp"), Contains("demands that accuracy gets worse"));
  CHECK_THAT(refusal("accuracy rise <= 0.5pp"), Contains("forbids accuracy to get better: accuracy drop <="));
  CHECK_THAT(refusal("loss drop <= 0.1"), Contains("loss rise <="));
  CHECK_THAT(refusal("flips drop <= 1pp"), Contains("compares with the baseline already"));
  CHECK_THAT(refusal("accuracy shrink <= 1pp"), Contains("'shrink' after the metric"));
  CHECK_THAT(refusal("latency <= 5"), Contains("a time with its unit"));
  CHECK_THAT(refusal("size <= 5parsecs"), Contains("is no size"));
  CHECK_THAT(refusal("nodes <= 5m"), Contains("k, M or G"));
  CHECK_THAT(refusal("size ratio <= 5MB"), Contains("a ratio has no unit"));
  CHECK_THAT(refusal("accuracy[class=3] >= 0.5"), Contains("recall[class=3]"));
  CHECK_THAT(refusal("recall[class=3 >= 0.5"), Contains("no ']'"));
  CHECK_THAT(refusal("recall[median] >= 0.5"), Contains("takes no [median]"));
  CHECK_THAT(refusal("auc[micro] >= 0.5"), Contains("no average"));
  CHECK_THAT(refusal("recall[class=3,macro] >= 0.5"), Contains("either one class or an average"));
  CHECK_THAT(refusal("size[x] <= 3"), Contains("takes no [x]"));
  CHECK_THAT(refusal("top0_accuracy >= 0.5"), Contains("from 1"));
}

TEST_CASE("gates: values, drops and ratios") {
  const Scene scene(answers(950, 1000), answers(960, 1000));
  CHECK(scene("accuracy >= 0.95").outcome == Outcome::pass);
  CHECK(scene("accuracy > 0.95").outcome == Outcome::fail);
  CHECK(scene("accuracy drop <= 1pp").outcome == Outcome::pass);
  CHECK(scene("accuracy drop < 1pp").outcome == Outcome::fail);
  CHECK(scene("accuracy drop <= 0.5pp").outcome == Outcome::fail);
  CHECK(scene("accuracy drop <= 1%rel").outcome == Outcome::fail);
  CHECK(scene("accuracy rise >= 1pp").outcome == Outcome::fail);
  CHECK(scene("accuracy change <= 2pp").outcome == Outcome::pass);
  CHECK(scene("accuracy ratio >= 0.99").outcome == Outcome::fail);
  CHECK(scene("size <= 200KB").outcome == Outcome::pass);
  CHECK(scene("size ratio <= 0.25").outcome == Outcome::pass);
  CHECK(scene("size drop >= 75%").outcome == Outcome::pass);
  CHECK(scene("nodes == 12").outcome == Outcome::pass);
  CHECK(scene("nodes != 12").outcome == Outcome::fail);
  CHECK(scene("flips <= 1%").outcome == Outcome::pass);
  CHECK(scene("negative_flips <= 0.5%").outcome == Outcome::fail);
  CHECK(scene("recall[class=dog] >= 90%").outcome == Outcome::pass);
  CHECK(scene("recall[class=1] >= 90%").value == scene("recall[class=dog] >= 90%").value);

  CHECK_THAT(scene("accuracy >= 0.95").sentence,
             Contains("accuracy >= 0.95: pass, 95.00 % (95 % interval 93.47 % to 96.19 %; 1,000 rows)"));
  CHECK_THAT(scene("accuracy drop <= 0.5pp").sentence,
             Contains("fail, 1.00 pp (from 96.00 % to 95.00 %; 95 % interval "));
  CHECK_THAT(scene("size <= 200KB").sentence, Contains("size <= 200KB: pass, 198 kB"));
  const Scene exact(answers(999, 1000), answers(999, 1000));
  CHECK(exact("accuracy >= 99.9%").outcome == Outcome::pass);
  CHECK(exact("accuracy > 99.9%").outcome == Outcome::fail);
  // The digits that tell the value and the threshold apart.
  const Scene close(answers(94999, 100000), answers(94999, 100000));
  CHECK_THAT(close("accuracy >= 95%").sentence, Contains("fail, 94.999 %"));
}

TEST_CASE("gates: what can't be evaluated fails") {
  const Scene scene(answers(950, 1000), answers(960, 1000));
  const auto reason = [&](const std::string& gate) {
    const Verdict verdict = scene(gate);
    CHECK(verdict.outcome == Outcome::not_evaluated);
    CHECK_FALSE(verdict.value);
    CHECK(exit_code(std::vector{verdict}) == 1);
    return verdict.sentence;
  };
  CHECK_THAT(reason("recall[class=mouse] >= 0.1"), Contains("the data have no class 'mouse'"));
  CHECK_THAT(reason("recall[class=2] <= 0.1"), Contains("no row has this label"));
  CHECK_THAT(reason("loss <= 1"), Contains("'loss' is no metric of classification without scores"));
  CHECK_THAT(reason("nodes drop >= 1"), Contains("no baseline"));
  CHECK_THAT(reason("macs <= 1M"), Contains("not measured"));
  CHECK_THAT(reason("latency <= 1s"), Contains("no run was timed"));
  CHECK_THAT(reason("max_abs_diff <= 1"), Contains("not compared"));

  Measurements none;
  CHECK_THAT(judge(parse_gate("accuracy >= 0"), none).sentence, Contains("needs labelled data"));
  CHECK_THAT(judge(parse_gate("flips <= 100%"), none).sentence, Contains("no baseline"));
  none.set("sparsity", std::nan(""));
  CHECK(judge(parse_gate("sparsity <= 1"), none).outcome == Outcome::not_evaluated);
  none.set("nodes", 0);
  none.set_baseline("nodes", 0);
  CHECK_THAT(judge(parse_gate("nodes rise <= 1%"), none).sentence, Contains("the baseline is 0"));

  const Evaluation empty({Task::classification, Scores::answers});
  Measurements no_rows;
  no_rows.set_evaluation(&empty, nullptr);
  CHECK(judge(parse_gate("accuracy >= 0"), no_rows).outcome == Outcome::not_evaluated);
}

TEST_CASE("gates: with a confidence") {
  const Scene large(answers(9500, 10000), answers(9520, 10000, 0));
  CHECK(large("accuracy >= 94%", 0.95).outcome == Outcome::pass);
  CHECK(large("accuracy >= 96%", 0.95).outcome == Outcome::fail);
  const Verdict verdict = large("accuracy >= 95%", 0.95);
  CHECK(verdict.outcome == Outcome::inconclusive);
  CHECK(exit_code(std::vector{verdict}) == 5);
  CHECK(large("accuracy drop <= 0.5pp", 0.95).outcome == Outcome::pass);
  CHECK(large("accuracy drop <= 0.1pp", 0.95).outcome == Outcome::fail);
  CHECK(large("size <= 200KB", 0.95).outcome == Outcome::pass);

  const Scene small(answers(95, 100), answers(95, 100));
  const Verdict few = small("accuracy drop <= 0.5pp", 0.95);
  CHECK(few.outcome == Outcome::inconclusive);
  REQUIRE(few.rows_needed);
  CHECK(*few.rows_needed > 200);
  CHECK_THAT(few.sentence, Contains("inconclusive, 0.00 pp") && Contains("rows would decide"));
  // No row differs: the bootstrap sees no spread, but hundred rows are still few.
  CHECK(small("f1 drop <= 0.5pp", 0.95).outcome == Outcome::inconclusive);
  CHECK(small("f1 drop <= 5pp", 0.95).outcome == Outcome::pass);
  CHECK(small("accuracy change <= 0.5pp", 0.95).outcome == Outcome::inconclusive);
  CHECK(small("accuracy change <= 5pp", 0.95).outcome == Outcome::pass);
  CHECK_THROWS_AS(small("accuracy >= 0.9", 0.5), Error);
  CHECK_THROWS_AS(small("accuracy >= 0.9", 1.0), Error);
  CHECK_THROWS_AS(small("accuracy >= 0.9", std::nan("")), Error);

  const std::vector<Verdict> mixed = {few, small("accuracy >= 99%")};
  CHECK(exit_code(mixed) == 1);
  CHECK(exit_code(std::span<const Verdict>()) == 0);
}

TEST_CASE("gates: latency and differences of outputs") {
  Measurements measurements;
  std::vector<double> before, now;
  for (int i = 0; i < 40; ++i) {
    const double noise = 1 + 0.01 * (i % 5);
    before.push_back(0.010 * noise);
    now.push_back(0.005 * noise);
  }
  measurements.set_latency(now, before);
  CHECK(judge(parse_gate("latency <= 6ms"), measurements, 0.95).outcome == Outcome::pass);
  CHECK(judge(parse_gate("latency ratio <= 0.55"), measurements, 0.95).outcome == Outcome::pass);
  CHECK(judge(parse_gate("latency drop >= 40%"), measurements, 0.95).outcome == Outcome::pass);
  CHECK(judge(parse_gate("latency rise <= 1ms"), measurements, 0.95).outcome == Outcome::pass);
  CHECK(judge(parse_gate("latency change <= 1ms"), measurements, 0.95).outcome == Outcome::fail);
  CHECK_THAT(judge(parse_gate("latency[p99] <= 1ms"), measurements).sentence, Contains("fail, 5.20 ms (40 runs)"));

  OutputComparison first("a"), second("b");
  first.add(Tensor::of<float>({1, 2}, {1, 2}), Tensor::of<float>({1, 2}, {1, 2.5}));
  second.add(Tensor::of<float>({1, 2}, {1, 2}), Tensor::of<float>({1, 2}, {1, std::nanf("")}));
  measurements.set_comparisons({first, second});
  CHECK(judge(parse_gate("max_abs_diff[output=a] <= 0.5"), measurements).outcome == Outcome::pass);
  CHECK(judge(parse_gate("max_abs_diff <= 0.5"), measurements).outcome == Outcome::fail);
  CHECK_THAT(judge(parse_gate("max_abs_diff <= 0.5"), measurements).sentence, Contains("infinity"));
  CHECK(judge(parse_gate("mean_abs_diff <= 0.5"), measurements).outcome == Outcome::fail);
  CHECK(judge(parse_gate("agreement[output=a] == 100%"), measurements).outcome == Outcome::pass);
  CHECK_THAT(judge(parse_gate("sqnr[output=c] >= 1"), measurements).sentence, Contains("no output 'c'"));
}

}  // namespace hone::metrics
