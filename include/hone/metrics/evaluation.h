// What a model answered on labelled rows, and the metrics of it.
//
// Conventions are those of scikit-learn 1.9: averages over the classes that occur in labels or answers, 0 where a
// denominator is 0 (and Value::undefined set), ties at AUC half, at top-k to the higher index, step-wise average
// precision, probabilities clipped at float epsilon for the loss. Logits go through softmax in double. Equal scores: the
// first class is the answer (as NumPy's argmax). The expected calibration error, which scikit-learn lacks, has 15 bins of
// equal width, each open below and closed above, over the probability of the answer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hone/ir/tensor.h"
#include "hone/metrics/statistics.h"

namespace hone::metrics {

enum class Task { classification, binary, regression };
// What the outputs of a classifier are. `answers`: class numbers, without scores.
enum class Scores { probabilities, logits, answers };

struct Form {
  Task task = Task::classification;
  Scores scores = Scores::logits;
  // Rows with this label are left out (PyTorch's convention for padding).
  std::int64_t ignored_label = -100;
};

const char* name(Task task);
const char* name(Scores scores);

// The form that outputs and labels of some rows suggest; reasons are in the source. For callers without a better source.
Form guess_form(const ir::Tensor& outputs, const ir::Tensor& labels);

enum class Average { automatic, binary, micro, macro, weighted };

// A metric of an evaluation: "f1", with what was chosen in brackets.
struct Metric {
  std::string name = {};
  Average average = Average::automatic;    // precision, recall, f1, auc, average_precision
  std::optional<std::int64_t> label = {};  // one class alone, for the same metrics
  std::int64_t k = 5;                      // topk_accuracy
};

struct Value {
  double value = 0;
  std::int64_t rows = 0;   // that went into it
  bool undefined = false;  // a denominator was 0: value is 0 by convention, or NaN where there is none
  std::string note;        // why it is undefined, or NaN
};

struct CalibrationBin {
  double confidence = 0, accuracy = 0;  // means
  std::int64_t rows = 0;
};

struct Flips;

class Evaluation {
 public:
  explicit Evaluation(Form form) : form_(form) {}

  // Outputs [N, C] with labels [N], [N, 1] or one-hot [N, C]; binary outputs [N] or [N, 1]; also outputs [N, C, ...] or
  // [N, ..., C] with labels [N, ...]: each position is a row then. Regression: both of as many elements. Raises bad_input
  // for other shapes, and labels that are no class, naming the row (counted from first_row).
  void add(const ir::Tensor& outputs, const ir::Tensor& labels, std::int64_t first_row = 0);
  // Appends the rows of another part.
  void merge(const Evaluation& other);

  const Form& form() const { return form_; }
  std::int64_t rows() const { return static_cast<std::int64_t>(rows_); }
  std::int64_t class_count() const { return classes_; }  // columns of the scores, or the largest number seen + 1
  std::int64_t rows_with_nan() const { return nan_rows_; }

  // Raises usage for a metric that this task doesn't have. `weights`: of a resampling; empty: every row once.
  Value compute(const Metric& metric, const Weights& weights = {}) const;
  // Of compute(metric): Wilson's for shares of rows, bootstrap for others.
  std::optional<Interval> interval(const Metric& metric, std::uint64_t seed, double confidence = 0.95) const;
  // The names compute() takes for this task.
  std::vector<std::string> metrics() const;

  // By true class and answer; classes that occur.
  const std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t>& confusion() const { return confusion_; }
  std::vector<std::int64_t> classes_seen() const;
  std::vector<CalibrationBin> calibration() const;

  std::span<const std::int32_t> truths() const { return truths_; }
  std::span<const std::int32_t> answers() const { return answers_; }

 private:
  friend std::optional<Interval> paired_interval(const Evaluation& before, const Evaluation& now, const Metric& metric,
                                                 const std::function<double(double, double)>& combine,
                                                 std::uint64_t seed, double confidence);
  friend Flips flips(const Evaluation& before, const Evaluation& now);
  // A metric made ready to be computed for many resamplings.
  struct Prepared {
    std::function<Value(const Weights&)> compute;
    std::size_t work = 1;  // of one computation, in passes over the rows
  };
  Prepared prepare(const Metric& metric) const;
  Prepared prepare_counts(const Metric& metric) const;
  Prepared prepare_ranking(const Metric& metric) const;
  Prepared prepare_mean(const std::vector<float>& values) const;
  Prepared prepare_regression(const Metric& metric) const;
  Average average_of(const Metric& metric) const;

  void add_scores(const float* scores, std::size_t stride, std::int32_t truth);
  void add_binary(float score, std::int32_t truth);
  void add_row(std::int32_t truth, std::int32_t answer);

  Form form_;
  std::size_t rows_ = 0;
  std::int64_t classes_ = 0, nan_rows_ = 0;
  // One entry a row. An answer of -1: the scores held NaN.
  std::vector<std::int32_t> truths_, answers_;
  std::vector<std::int32_t> ranks_;  // classes scored above the true one
  std::vector<float> losses_, confidences_, brier_;
  std::vector<float> probabilities_;  // rows x classes, or of class 1 alone; none once they are too many
  bool too_many_probabilities_ = false;
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> confusion_;
  // Regression: rows x width.
  std::size_t width_ = 0;
  std::vector<float> targets_, predictions_;
};

// Two models on the same rows.
struct Flips {
  std::int64_t rows = 0;
  std::int64_t changed = 0;   // another answer
  std::int64_t negative = 0;  // right before, wrong now
  std::int64_t positive = 0;  // wrong before, right now
};
Flips flips(const Evaluation& before, const Evaluation& now);

// compute(now) - compute(before), and its interval over the rows both have: Tango's for accuracy, paired bootstrap for
// others. Raises usage if they don't have the same rows.
struct Change {
  Value before, now;
  double difference = 0;
  std::optional<Interval> interval;
};
Change compare(const Evaluation& before, const Evaluation& now, const Metric& metric, std::uint64_t seed,
               double confidence = 0.95);
// Of any function of the metric before and now (a ratio, say), by paired bootstrap.
std::optional<Interval> paired_interval(const Evaluation& before, const Evaluation& now, const Metric& metric,
                                        const std::function<double(double before, double now)>& combine,
                                        std::uint64_t seed, double confidence = 0.95);

}  // namespace hone::metrics
