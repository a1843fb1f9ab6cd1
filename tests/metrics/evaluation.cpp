// Metrics against scikit-learn's numbers (oracle.json), and their edges.
#include "hone/metrics/evaluation.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "error_message.h"
#include "hone/support/threads.h"
#include "oracle.h"

namespace hone::metrics {
namespace {

using Catch::Matchers::Contains;
using ir::Tensor;
using nlohmann::json;
using testing::error_message;
using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

Approx near(const json& value) { return Approx(value.get<double>()).epsilon(1e-6).margin(1e-7); }

Evaluation evaluate(Form form, const Tensor& outputs, const Tensor& labels) {
  Evaluation result(form);
  result.add(outputs, labels);
  return result;
}

double value(const Evaluation& evaluation, const Metric& metric) { return evaluation.compute(metric).value; }

// The four-class data of the oracle, added in parts and merged.
Evaluation multiclass(Scores scores) {
  const json& data = oracle()["multiclass"];
  const auto truth = data["truth"].get<Ints>();
  const auto values = data[scores == Scores::logits ? "logits" : "probabilities"].get<Floats>();
  const std::int64_t rows = static_cast<std::int64_t>(truth.size()), classes = data["classes"];
  Evaluation parts[2] = {Evaluation({Task::classification, scores}), Evaluation({Task::classification, scores})};
  for (std::int64_t row = 0; row < rows; row += 8) {
    const Floats some(values.begin() + row * classes, values.begin() + (row + 8) * classes);
    parts[row >= rows / 2].add(Tensor::of<float>({8, classes}, some),
                               Tensor::vector<std::int64_t>(Ints(truth.begin() + row, truth.begin() + row + 8)));
  }
  parts[0].merge(parts[1]);
  return parts[0];
}

}  // namespace

TEST_CASE("metrics of a classifier are scikit-learn's") {
  const Scores scores = GENERATE(Scores::logits, Scores::probabilities);
  CAPTURE(name(scores));
  const json& expected = oracle()["multiclass"];
  const Evaluation evaluation = multiclass(scores);
  for (const char* name : {"accuracy", "balanced_accuracy", "mcc", "loss", "brier"}) {
    CAPTURE(name);
    CHECK(value(evaluation, {name}) == near(expected[name]));
  }
  const std::pair<const char*, Average> averages[] = {
      {"micro", Average::micro}, {"macro", Average::macro}, {"weighted", Average::weighted}};
  const char* const names[] = {"precision", "recall", "f1"};
  for (int i = 0; i < 3; ++i) {
    CAPTURE(names[i]);
    for (const auto& [text, average] : averages) {
      CHECK(value(evaluation, {names[i], average}) == near(expected["averages"][text][i]));
    }
    CHECK(value(evaluation, {names[i]}) == near(expected["averages"]["macro"][i]));
    for (std::int64_t c = 0; c < 5; ++c) {
      CHECK(value(evaluation, {names[i], Average::automatic, c}) == near(expected["per_class"][i][c]));
    }
  }
  for (std::int64_t k = 1; k <= 4; ++k) {
    CHECK(value(evaluation, {"topk_accuracy", {}, {}, k}) == near(expected["top"][k - 1]));
  }
  CHECK(value(evaluation, {"auc"}) == near(expected["auc_macro"]));
  CHECK(value(evaluation, {"auc", Average::weighted}) == near(expected["auc_weighted"]));
  CHECK(value(evaluation, {"average_precision"}) == near(expected["average_precision_macro"]));
  for (std::int64_t t = 0; t < 5; ++t) {
    for (std::int64_t p = 0; p < 5; ++p) {
      const auto cell = evaluation.confusion().find({t, p});
      CHECK((cell == evaluation.confusion().end() ? 0 : cell->second) == expected["confusion"][t][p]);
    }
  }
  CHECK(evaluation.compute({"recall", {}, 3}).undefined);
}

TEST_CASE("metrics of a binary classifier are scikit-learn's") {
  const json& expected = oracle()["binary"];
  const auto scores = expected["probabilities"].get<Floats>();
  const auto truth = expected["truth"].get<Ints>();
  const auto rows = static_cast<std::int64_t>(truth.size());
  const Evaluation evaluation = evaluate({Task::binary, Scores::probabilities}, Tensor::of<float>({rows, 1}, scores),
                                         Tensor::vector<std::int64_t>(truth));
  for (const char* name :
       {"accuracy", "precision", "recall", "f1", "mcc", "auc", "average_precision", "loss", "brier"}) {
    CAPTURE(name);
    CHECK(value(evaluation, {name}) == near(expected[name]));
  }
  CHECK(value(evaluation, {"recall", {}, 0}) == near(expected["recall_0"]));
  CHECK(value(evaluation, {"average_precision", {}, 0}) == near(expected["average_precision_0"]));
  CHECK(value(evaluation, {"auc", {}, 0}) == near(expected["auc"]));

  // Two columns, and logits, say the same.
  Floats two, logits;
  for (const float p : scores) {
    two.push_back(1 - p);
    two.push_back(p);
    logits.push_back(std::log(p / (1 - p)));
  }
  const Evaluation columns = evaluate({Task::classification, Scores::probabilities}, Tensor::of<float>({rows, 2}, two),
                                      Tensor::vector<std::int64_t>(truth));
  for (const char* name : {"precision", "recall", "f1", "auc", "loss", "brier"}) {
    CAPTURE(name);
    CHECK(value(columns, {name}) == near(expected[name]));
  }
  const Evaluation raw =
      evaluate({Task::binary, Scores::logits}, Tensor::vector<float>(logits), Tensor::vector<std::int64_t>(truth));
  for (const char* name : {"precision", "recall", "auc", "average_precision", "brier"}) {
    CAPTURE(name);
    CHECK(value(raw, {name}) == near(expected[name]));
  }
}

TEST_CASE("metrics of regression are scikit-learn's") {
  const json& expected = oracle()["regression"];
  const Evaluation evaluation =
      evaluate({Task::regression}, Tensor::of<float>({40, 2}, expected["prediction"].get<Floats>()),
               Tensor::of<float>({40, 2}, expected["target"].get<Floats>()));
  for (const char* name : {"mse", "rmse", "mae", "r2", "max_error"}) {
    CAPTURE(name);
    CHECK(value(evaluation, {name}) == near(expected[name]));
  }
  CHECK(value(evaluation, {"loss"}) == value(evaluation, {"mse"}));
  const Evaluation constant =
      evaluate({Task::regression}, Tensor::vector<float>({1, 2}), Tensor::vector<float>({3, 3}));
  CHECK(constant.compute({"r2"}).undefined);
  CHECK(value(constant, {"r2"}) == 0);
}

TEST_CASE("extreme scores") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  const Evaluation evaluation = evaluate({Task::classification, Scores::logits},
                                         Tensor::of<float>({4, 2}, {1e30f, 0, 0, 1e30f, inf, 1, -inf, -inf}),
                                         Tensor::vector<std::int64_t>({0, 0, 0, 0}));
  CHECK(value(evaluation, {"accuracy"}) == 0.75);
  CHECK(value(evaluation, {"loss"}) == Approx((0 + 1e30 + 0 + std::log(2.0)) / 4));

  Evaluation with_nan({Task::classification, Scores::logits});
  with_nan.add(Tensor::of<float>({2, 2}, {nan, 1, 0, 1}), Tensor::vector<std::int64_t>({1, 1}));
  CHECK(with_nan.rows_with_nan() == 1);
  CHECK(value(with_nan, {"accuracy"}) == 0.5);
  CHECK(value(with_nan, {"topk_accuracy", {}, {}, 2}) == 0.5);
  CHECK(std::isnan(value(with_nan, {"loss"})));
  CHECK_THAT(with_nan.compute({"loss"}).note, Contains("1 rows have NaN"));
  CHECK(std::isnan(value(with_nan, {"ece"})));

  const Evaluation zero = evaluate({Task::classification, Scores::probabilities}, Tensor::of<float>({1, 2}, {1, 0}),
                                   Tensor::vector<std::int64_t>({1}));
  CHECK(value(zero, {"loss"}) == Approx(-std::log(1.1920929e-07)));
}

TEST_CASE("no rows, and one class only") {
  const Evaluation none({Task::classification, Scores::logits});
  CHECK(std::isnan(none.compute({"accuracy"}).value));
  CHECK_FALSE(none.interval({"accuracy"}, 1));
  const Evaluation one = evaluate({Task::binary, Scores::probabilities}, Tensor::vector<float>({0.1f, 0.2f}),
                                  Tensor::vector<std::int64_t>({0, 0}));
  CHECK(one.compute({"auc"}).undefined);
  CHECK(std::isnan(value(one, {"auc"})));
  CHECK(one.compute({"precision"}).undefined);
  CHECK(value(one, {"precision"}) == 0);
  CHECK(value(one, {"mcc"}) == 0);
}

TEST_CASE("expected calibration error") {
  // Bins are closed above: 0.6 belongs to (8/15, 9/15], 0.9 to (13/15, 14/15].
  const Evaluation evaluation =
      evaluate({Task::binary, Scores::probabilities}, Tensor::vector<float>({0.9f, 0.9f, 0.6f, 0.4f}),
               Tensor::vector<std::int64_t>({1, 0, 1, 0}));
  CHECK(value(evaluation, {"ece"}) == Approx((std::abs(1 - 1.8) + std::abs(2 - 1.2)) / 4));
  const auto bins = evaluation.calibration();
  CHECK(bins.size() == 15);
  CHECK(bins[13].rows == 2);
  CHECK(bins[13].accuracy == 0.5);
}

TEST_CASE("layouts of outputs and labels") {
  const Form form{Task::classification, Scores::logits};
  const Tensor scores = Tensor::of<float>({2, 2}, {0, 1, 1, 0});
  const auto accuracy = [&](const Tensor& outputs, const Tensor& labels) {
    return value(evaluate(form, outputs, labels), {"accuracy"});
  };
  CHECK(accuracy(scores, Tensor::vector<std::int64_t>({1, 0})) == 1);
  CHECK(accuracy(scores, Tensor::of<std::int32_t>({2, 1}, {1, 1})) == 0.5);
  CHECK(accuracy(scores, Tensor::vector<float>({1, 0})) == 1);
  CHECK(accuracy(scores, Tensor::of<float>({2, 2}, {0, 1, 0, 1})) == 0.5);
  CHECK(accuracy(Tensor::of<float>({2, 2, 1, 1}, {0, 1, 1, 0}), Tensor::vector<std::int64_t>({1, 0})) == 1);
  // Positions: classes second, and last.
  CHECK(accuracy(Tensor::of<float>({1, 2, 3}, {0, 0, 0, 1, 1, -1}), Tensor::of<std::int64_t>({1, 3}, {1, 1, 0})) == 1);
  CHECK(accuracy(Tensor::of<float>({1, 3, 2}, {0, 1, 0, 1, 0, -1}), Tensor::of<std::int64_t>({1, 3}, {1, 1, 0})) == 1);
  // Padding is left out.
  CHECK(evaluate(form, scores, Tensor::vector<std::int64_t>({1, -100})).rows() == 1);

  CHECK_THAT(error_message([&] {
               accuracy(scores, Tensor::vector<std::int64_t>({0, 2}));
             }),
             Contains("row 2: label 2"));
  CHECK_THAT(error_message([&] {
               accuracy(scores, Tensor::vector<std::int64_t>({-1, 1}));
             }),
             Contains("row 1: label -1"));
  CHECK_THAT(error_message([&] {
               accuracy(scores, Tensor::vector<float>({0.5f, 1}));
             }),
             Contains("label 0.5 is no class"));
  CHECK_THAT(error_message([&] {
               accuracy(scores, Tensor::of<float>({2, 2}, {0, 1, 1, 1}));
             }),
             Contains("row 2: the labels"));
  CHECK_THAT(error_message([&] { accuracy(scores, Tensor::vector<std::int64_t>({0, 1, 1})); }), Contains("don't fit"));
  CHECK_THAT(error_message(
                 [&] {
                   (void)evaluate(form, scores, Tensor::vector<std::int64_t>({1, 0})).compute({"mse"});
                 },
                 ErrorKind::usage),
             Contains("'mse' is no metric of classification"));

  const Evaluation answers = evaluate({Task::classification, Scores::answers}, Tensor::vector<std::int64_t>({3, 1}),
                                      Tensor::vector<std::int64_t>({3, 0}));
  CHECK(value(answers, {"accuracy"}) == 0.5);
  CHECK(answers.class_count() == 4);
}

TEST_CASE("the form that data suggest") {
  const Tensor classes = Tensor::vector<std::int64_t>({1, 0});
  const auto guess = [](const Tensor& outputs, const Tensor& labels) {
    const Form form = guess_form(outputs, labels);
    return std::string(name(form.task)) + ", " + name(form.scores);
  };
  CHECK(guess(Tensor::of<float>({2, 2}, {3, 1, 0, 1}), classes) == "classification, logits");
  CHECK(guess(Tensor::of<float>({2, 2}, {0.25f, 0.75f, 1, 0}), classes) == "classification, probabilities");
  CHECK(guess(Tensor::of<float>({2, 2}, {0, 1, 1, 0}), Tensor::of<float>({2, 2}, {0, 1, 1, 0})) ==
        "classification, probabilities");
  CHECK(guess(Tensor::of<float>({2, 2}, {0, 1, 1, 0}), Tensor::of<float>({2, 2}, {0.5f, 1, 1, 0})).substr(0, 10) ==
        "regression");
  CHECK(guess(Tensor::of<float>({2, 1}, {0.2f, 0.7f}), classes) == "binary classification, probabilities");
  CHECK(guess(Tensor::vector<float>({-2, 0.7f}), classes) == "binary classification, logits");
  CHECK(guess(Tensor::vector<float>({-2, 0.7f}), Tensor::vector<float>({1.5f, 2})).substr(0, 10) == "regression");
  CHECK(guess(classes, classes) == "classification, answers");
}

TEST_CASE("intervals hold the value and don't depend on threads") {
  const Evaluation evaluation = multiclass(Scores::logits);
  for (const char* name : {"accuracy", "f1", "auc", "loss", "mcc", "ece"}) {
    CAPTURE(name);
    const auto interval = evaluation.interval({name}, 3);
    REQUIRE(interval);
    const double v = value(evaluation, {name});
    // The calibration error of a resample lies above that of the data, the more the fewer the rows.
    if (std::string(name) != "ece") CHECK(interval->low < v);
    CHECK(v < interval->high);
    const int before = threads();
    set_threads(1);
    CHECK(evaluation.interval({name}, 3)->low == interval->low);
    set_threads(before);
  }
  CHECK(evaluation.interval({"accuracy"}, 3)->method == "Wilson");
  CHECK(evaluation.interval({"recall", {}, 0}, 3)->method == "Wilson");
}

TEST_CASE("two models on the same rows") {
  const Form form{Task::classification, Scores::answers};
  const Tensor labels = Tensor::vector<std::int64_t>({0, 1, 1, 0, 2});
  const Evaluation before = evaluate(form, Tensor::vector<std::int64_t>({0, 1, 0, 1, 1}), labels);
  const Evaluation now = evaluate(form, Tensor::vector<std::int64_t>({0, 0, 1, 2, 1}), labels);
  const Flips counts = flips(before, now);
  CHECK(counts.changed == 3);
  CHECK(counts.negative == 1);
  CHECK(counts.positive == 1);
  const Change change = compare(before, now, {"accuracy"}, 1);
  CHECK(change.difference == 0);
  CHECK(change.interval->method == "Tango");
  CHECK(change.interval->low < 0);
  CHECK(compare(before, before, {"f1"}, 1).interval->high == 0);
  const Evaluation other = evaluate(form, labels, Tensor::vector<std::int64_t>({0, 1, 1, 0, 1}));
  CHECK_THAT(error_message([&] { compare(before, other, {"accuracy"}, 1); }, ErrorKind::usage), Contains("same rows"));
}

}  // namespace hone::metrics
