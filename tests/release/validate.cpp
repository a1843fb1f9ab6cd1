// Validation by hand-made models whose answers are known, and what its report says.
#include "hone/release/validate.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "hone/release/validation_report.h"
#include "hone/support/error.h"
#include "text_model.h"

namespace hone::release {
namespace {

using Catch::Matchers::Contains;
using ir::Tensor;

// Answers x itself: the class is the largest column.
const char* const kIdentity = "g (float[N,2] x) => (float[N,2] y) { y = Identity(x) }";
// Always class 0.
const char* const kFirst = R"(g (float[N,2] x) => (float[N,2] y) <float[2,2] w = {0, 0, 0, 0}, float[2] b = {1, 0}>
  { y = Gemm(x, w, b) })";

// Rows of class 0, 1, 1, 0; the scores say 0, 1, 0, 0.
data::Dataset samples(bool labelled = true) {
  std::vector<data::Array> arrays;
  arrays.push_back({"x", Tensor::of<float>({4, 2}, {5, 0, 0, 5, 5, 0, 5, 0})});
  if (!labelled) return data::Dataset::of(std::move(arrays));
  arrays.push_back({"y", Tensor::vector<std::int64_t>({0, 1, 1, 0})});
  return data::Dataset::of(std::move(arrays), {.label = "y"});
}

Validation run(const char* model_text, const char* baseline_text, const data::Dataset* data, ValidateOptions options) {
  options.latency_runs = 0;
  ir::Model model = testing::text_model(model_text);
  std::optional<ir::Model> baseline;
  if (baseline_text) baseline = testing::text_model(baseline_text);
  return validate(model, baseline ? &*baseline : nullptr, data, {}, options, silent());
}

}  // namespace

TEST_CASE("a model alone") {
  const data::Dataset data = samples();
  const Validation result = run(kIdentity, nullptr, &data, {.gates = {"accuracy >= 70%", "accuracy >= 80%"}});
  CHECK(result.rows == 4);
  CHECK(result.output == "y");
  CHECK(result.model.evaluation->compute({"accuracy"}).value == 0.75);
  CHECK(result.model.cost.nodes == 1);
  CHECK(result.model.size > 0);
  CHECK(result.verdicts[0].outcome == metrics::Outcome::pass);
  CHECK(result.verdicts[1].outcome == metrics::Outcome::fail);
}

TEST_CASE("numbers don't depend on the batch size, nor on a batch that the model insists on") {
  const data::Dataset data = samples();
  for (const std::int64_t batch : {1, 3, 4, 100}) {
    const Validation result = run(kIdentity, kFirst, &data, {.gates = {}, .batch = batch});
    CHECK(result.model.evaluation->compute({"accuracy"}).value == 0.75);
    CHECK(result.baseline->evaluation->compute({"accuracy"}).value == 0.5);
    CHECK(result.comparisons[0].elements() == 8);
  }
  const Validation fixed = run("g (float[3,2] x) => (float[3,2] y) { y = Identity(x) }", nullptr, &data, {});
  CHECK(fixed.model.evaluation->rows() == 4);
  CHECK(fixed.model.evaluation->compute({"accuracy"}).value == 0.75);
}

TEST_CASE("against a baseline") {
  const data::Dataset data = samples();
  const Validation result =
      run(kFirst, kIdentity, &data, {.gates = {"accuracy drop <= 30pp", "negative_flips <= 0%", "agreement >= 99%"}});
  CHECK(result.verdicts[0].outcome == metrics::Outcome::pass);  // 0.75 -> 0.5
  CHECK(result.verdicts[1].outcome == metrics::Outcome::fail);
  CHECK(result.verdicts[2].outcome == metrics::Outcome::fail);
  const metrics::Flips flips = metrics::flips(*result.baseline->evaluation, *result.model.evaluation);
  CHECK(flips.negative == 1);
  CHECK(flips.positive == 0);
}

TEST_CASE("a gate that can't be evaluated fails") {
  const data::Dataset unlabelled = samples(false);
  const Validation result =
      run(kIdentity, nullptr, &unlabelled, {.gates = {"accuracy >= 1%", "size drop >= 1%", "nodes <= 1"}});
  CHECK_FALSE(result.model.evaluation.has_value());
  CHECK(result.verdicts[0].outcome == metrics::Outcome::not_evaluated);
  CHECK(result.verdicts[1].outcome == metrics::Outcome::not_evaluated);
  CHECK(result.verdicts[2].outcome == metrics::Outcome::pass);
  CHECK(metrics::exit_code(result.verdicts) == 1);
  // Costs need no data at all.
  CHECK(run(kIdentity, nullptr, nullptr, {.gates = {"size <= 1MB"}}).verdicts[0].outcome == metrics::Outcome::pass);
}

TEST_CASE("too few rows to decide, with a confidence") {
  const data::Dataset data = samples();
  const Validation result = run(kIdentity, nullptr, &data, {.gates = {"accuracy >= 70%"}, .confidence = 0.95});
  CHECK(result.verdicts[0].outcome == metrics::Outcome::inconclusive);
  CHECK(metrics::exit_code(result.verdicts) == 5);
}

TEST_CASE("outputs by name, and what doesn't fit") {
  const data::Dataset data = samples();
  const char* const two = "g (float[N,2] x) => (float[N,2] a, float[N,2] b) { a = Neg(x) b = Identity(x) }";
  CHECK(run(two, nullptr, &data, {.gates = {}, .output = "b"}).model.evaluation->compute({"accuracy"}).value == 0.75);
  CHECK(run(two, nullptr, &data, {}).output == "a");
  CHECK_THROWS_WITH(run(two, nullptr, &data, {.gates = {}, .output = "c"}), Contains("has no output 'c'"));
  CHECK_THROWS_WITH(run(two, kIdentity, &data, {}), Contains("2 outputs and the baseline 1"));
  CHECK_THROWS_WITH(run(kIdentity, nullptr, &data, {.gates = {"accuracy drop <= 0.5%"}}), Contains("pp"));
  CHECK_THROWS_AS(run("g (float[N,3] x) => (float[N,3] y) { y = Identity(x) }", nullptr, &data, {}), Error);
  std::vector<data::Array> arrays;
  arrays.push_back({"x", Tensor::of<float>({1, 2}, {1, 0})});
  arrays.push_back({"y", Tensor::vector<std::int64_t>({2})});
  const data::Dataset wrong = data::Dataset::of(std::move(arrays), {.label = "y"});
  CHECK_THROWS_WITH(run(kIdentity, nullptr, &wrong, {}), Contains("label 2 is none of the 2 classes"));
}

TEST_CASE("latencies are taken in turn") {
  ir::Model model = testing::text_model(kIdentity), baseline = testing::text_model(kFirst);
  const data::Dataset data = samples();
  const Validation result =
      validate(model, &baseline, &data, {}, {.gates = {"latency <= 10s"}, .latency_runs = 4}, silent());
  CHECK(result.model.latency.size() == 4);
  CHECK(result.baseline->latency.size() == 4);
  CHECK(result.verdicts[0].outcome == metrics::Outcome::pass);
}

TEST_CASE("the report of a validation") {
  const data::Dataset data = samples();
  const report::Report report =
      report_of(run(kFirst, kIdentity, &data, {.gates = {"accuracy drop <= 30pp", "accuracy >= 90%"}}), 0);
  const nlohmann::json json = nlohmann::json::parse(report.json_text());
  CHECK(json["schema"] == "hone.report/1");
  CHECK(json["command"] == "validate");
  CHECK(json["outcome"] == "fail");
  CHECK(json["exit_code"] == 1);
  CHECK(json["passed"] == false);
  CHECK(json["rows"] == 4);
  CHECK(json["output"] == "y");
  const auto metric = [&](const char* name) {
    for (const auto& each : json["metrics"]) {
      if (each["name"] == name) return each;
    }
    FAIL(name);
    return nlohmann::json();
  };
  CHECK(metric("accuracy")["value"] == 0.5);
  CHECK(metric("accuracy")["baseline"] == 0.75);
  CHECK(metric("accuracy")["change"] == -0.25);
  CHECK(metric("accuracy")["interval"]["method"] == "Wilson");
  CHECK(metric("accuracy")["change_interval"]["method"] == "Tango");
  CHECK(metric("accuracy")["rows"] == 4);
  CHECK(metric("nodes")["value"] == 1);
  CHECK(metric("brier")["unit"] == "number");  // not in the table, but here
  CHECK(json["confusion"]["counts"] == nlohmann::json::parse("[[2,0],[2,0]]"));
  CHECK(json["flips"]["negative"] == 1);
  CHECK(json["flips"]["mcnemar_exact_p"] == 1);
  CHECK(json["comparisons"][0]["output"] == "y");
  CHECK(json["gates"].size() == 2);
  CHECK(json["model"]["evaluation"]["metrics"]["accuracy"]["value"] == 0.5);
  CHECK(json["baseline"]["evaluation"]["metrics"]["accuracy"]["value"] == 0.75);
  const std::string text = report::text(report);
  CHECK_THAT(text, Contains("accuracy") && Contains("FAIL  accuracy >= 90%") && Contains("1 of 2 gates passed"));
  CHECK_THAT(text, !Contains("brier"));
  CHECK_THAT(report::junit(report), Contains("tests=\"2\" failures=\"1\""));
}

TEST_CASE("the report of a regression") {
  std::vector<data::Array> arrays;
  arrays.push_back({"x", Tensor::of<float>({3, 1}, {1, 2, 3})});
  arrays.push_back({"y", Tensor::of<float>({3, 1}, {1, 2, 5})});
  const data::Dataset data = data::Dataset::of(std::move(arrays), {.label = "y"});
  const Validation result =
      run("g (float[N,1] x) => (float[N,1] y) { y = Identity(x) }", nullptr, &data, {.gates = {"mae <= 1"}});
  const nlohmann::json json = nlohmann::json::parse(report_of(result, 0).json_text());
  CHECK(json["outcome"] == "pass");
  CHECK_FALSE(json.contains("confusion"));
  CHECK(json["model"]["evaluation"]["task"] == "regression");
}

}  // namespace hone::release
