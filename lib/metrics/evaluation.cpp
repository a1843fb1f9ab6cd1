// Taking in outputs and labels: which axis holds the classes, what each row was and what the model made of it.
#include "hone/metrics/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hone/ir/dimension.h"
#include "hone/support/error.h"
#include "metrics/undefined.h"

namespace hone::metrics {
namespace {

using ir::ElementType;
using ir::Tensor;

// Probabilities are kept for ranking metrics up to 128 MiB: 50,000 rows of 671 classes.
constexpr std::size_t most_probabilities = std::size_t{1} << 25;
// Class numbers index arrays; the largest classifiers have some 10^5.
constexpr std::int64_t most_classes = std::int64_t{1} << 24;
constexpr float epsilon = std::numeric_limits<float>::epsilon();

bool is_class_type(ElementType type) { return ir::is_integer(type) || type == ElementType::boolean; }

// Without dimensions of 1 at the end, down to `rank`.
ir::Dims stripped(ir::Dims dims, std::size_t rank) {
  while (dims.size() > rank && dims.back() == 1) dims.pop_back();
  return dims;
}

ir::Dims without(ir::Dims dims, std::size_t axis) {
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
  return dims;
}

// The axis of the classes when outputs have one more dimension than labels: the second (ONNX's SoftmaxCrossEntropyLoss)
// or else the last.
std::optional<std::size_t> class_axis(const ir::Dims& outputs, const ir::Dims& labels) {
  if (outputs.size() < 2) return std::nullopt;
  for (const std::size_t axis : {std::size_t{1}, outputs.size() - 1}) {
    if (stripped(without(outputs, axis), 1) == stripped(labels, 1)) return axis;
  }
  return std::nullopt;
}

bool is_whole(float value) { return std::trunc(value) == value; }

std::vector<std::int64_t> class_numbers(const Tensor& labels, std::int64_t first_row, std::int64_t per_row) {
  if (is_class_type(labels.type())) return labels.to_ints();
  if (labels.is_string()) bad_input("labels are text, where numbers of classes are needed");
  std::vector<std::int64_t> result;
  for (const double value : labels.to_doubles()) {
    if (!(std::trunc(value) == value && std::abs(value) < static_cast<double>(most_classes))) {
      bad_input("row {}: label {} is no class (a whole number from 0)",
                first_row + static_cast<std::int64_t>(result.size()) / std::max<std::int64_t>(per_row, 1) + 1, value);
    }
    result.push_back(static_cast<std::int64_t>(value));
  }
  return result;
}

}  // namespace

const char* name(Task task) {
  switch (task) {
    case Task::classification:
      return "classification";
    case Task::binary:
      return "binary classification";
    case Task::regression:
      return "regression";
  }
  return "";
}

const char* name(Scores scores) {
  switch (scores) {
    case Scores::probabilities:
      return "probabilities";
    case Scores::logits:
      return "logits";
    case Scores::answers:
      return "answers";
  }
  return "";
}

Form guess_form(const Tensor& outputs, const Tensor& labels) {
  Form form;
  const ir::Dims& dims = outputs.dims();
  const bool same_count = outputs.element_count() == labels.element_count();
  std::vector<float> answers;
  if (!is_class_type(outputs.type())) answers = outputs.to_floats();
  const bool labels_are_whole = is_class_type(labels.type()) || [&] {
    const auto values = labels.to_floats();
    return std::all_of(values.begin(), values.end(), is_whole);
  }();
  if (is_class_type(outputs.type()) && same_count && is_class_type(labels.type())) {
    form.scores = Scores::answers;  // a node such as ArgMax made the answer
    return form;
  }
  const bool one_hot = dims.size() == 2 && dims[1] > 1 && dims == labels.dims() && labels_are_whole && [&] {
    const auto values = labels.to_floats();
    for (std::size_t row = 0; row < values.size(); row += static_cast<std::size_t>(dims[1])) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row);
      if (std::count(begin, begin + dims[1], 1.0f) != 1 || std::count(begin, begin + dims[1], 0.0f) != dims[1] - 1)
        return false;
    }
    return true;
  }();
  const auto axis = one_hot ? std::optional<std::size_t>(1) : class_axis(dims, labels.dims());
  if (labels_are_whole && axis && dims[*axis] > 1) {
    form.task = Task::classification;
    // Softmax gives values in [0, 1] that sum to 1; logits don't, but for chance.
    std::size_t inner = 1;
    for (std::size_t d = *axis + 1; d < dims.size(); ++d) inner *= static_cast<std::size_t>(dims[d]);
    const auto classes = static_cast<std::size_t>(dims[*axis]);
    form.scores = Scores::probabilities;
    for (std::size_t at = 0; at < answers.size(); ++at) {
      if (at / inner % classes != 0) continue;
      double sum = 0;
      bool inside = true;
      for (std::size_t c = 0; c < classes; ++c) {
        sum += answers[at + c * inner];
        inside &= answers[at + c * inner] >= 0;
      }
      if (!inside || !(std::abs(sum - 1) < 1e-3)) form.scores = Scores::logits;  // 1,000 classes in float16 err by 5e-4
    }
    return form;
  }
  const auto values = labels.is_string() ? std::vector<float>{} : labels.to_floats();
  const bool labels_are_binary = std::all_of(values.begin(), values.end(), [](float v) { return v == 0 || v == 1; });
  if (same_count && labels_are_binary && stripped(dims, 1).size() == 1) {
    form.task = Task::binary;
    const bool inside = std::all_of(answers.begin(), answers.end(), [](float v) { return v >= 0 && v <= 1; });
    form.scores = inside ? Scores::probabilities : Scores::logits;
    return form;
  }
  form.task = Task::regression;
  return form;
}

void Evaluation::add(const Tensor& outputs, const Tensor& labels, std::int64_t first_row) {
  const auto mismatch = [&](const char* wanted) {
    bad_input("outputs {} and labels {} don't fit for {}: {}", ir::text(outputs.dims()), ir::text(labels.dims()),
              name(form_.task), wanted);
  };
  if (outputs.is_string()) unsupported("outputs that are text");
  if (outputs.dims().empty() || labels.dims().empty() || outputs.dims()[0] != labels.dims()[0]) {
    mismatch("both need a row a sample");
  }
  const std::int64_t samples = outputs.dims()[0];
  if (samples == 0) return;

  if (form_.task == Task::regression) {
    if (outputs.element_count() != labels.element_count()) mismatch("a label for each output is needed");
    if (labels.is_string()) bad_input("labels are text, where numbers are needed");
    const auto width = static_cast<std::size_t>(outputs.element_count() / samples);
    if (width_ != 0 && width_ != width) mismatch("rows of another width than before");
    width_ = width;
    const auto predictions = outputs.to_floats(), targets = labels.to_floats();
    for (std::size_t i = 0; i < predictions.size(); i += width) {
      const auto begin = predictions.begin() + static_cast<std::ptrdiff_t>(i);
      nan_rows_ +=
          std::any_of(begin, begin + static_cast<std::ptrdiff_t>(width), [](float v) { return std::isnan(v); });
    }
    predictions_.insert(predictions_.end(), predictions.begin(), predictions.end());
    targets_.insert(targets_.end(), targets.begin(), targets.end());
    rows_ += static_cast<std::size_t>(samples);
    return;
  }

  std::vector<std::int64_t> truths;
  std::optional<std::size_t> axis;
  const bool one_column = form_.task == Task::binary || form_.scores == Scores::answers;
  if (one_column) {
    if (outputs.element_count() != labels.element_count()) mismatch("one output for each label is needed");
  } else if (outputs.dims().size() == 2 && outputs.dims() == labels.dims() && outputs.dims()[1] > 1) {
    axis = 1;  // one-hot
    const auto values = labels.to_floats();
    const auto classes = static_cast<std::size_t>(outputs.dims()[1]);
    for (std::size_t row = 0; row < values.size(); row += classes) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row);
      const auto end = begin + static_cast<std::ptrdiff_t>(classes);
      const auto one = std::find(begin, end, 1.0f);
      if (one == end || std::count(begin, end, 0.0f) + 1 != end - begin) {
        bad_input("row {}: the labels have the shape of the outputs, but are not one 1 among zeros",
                  first_row + static_cast<std::int64_t>(row / classes) + 1);
      }
      truths.push_back(one - begin);
    }
  } else {
    axis = class_axis(outputs.dims(), labels.dims());
    if (!axis) mismatch("a column of scores for each class, and a class number as label, are needed");
  }
  const std::int64_t per_sample = labels.element_count() / samples;
  if (truths.empty()) truths = class_numbers(labels, first_row, per_sample);

  std::size_t classes = form_.task == Task::binary ? 2 : axis ? static_cast<std::size_t>(outputs.dims()[*axis]) : 0;
  if (classes != 0 && classes_ != 0 && static_cast<std::int64_t>(classes) != classes_) {
    mismatch("another number of classes than before");
  }
  if (classes != 0) classes_ = static_cast<std::int64_t>(classes);
  std::size_t inner = 1;  // positions of a sample behind the class axis
  for (std::size_t d = axis.value_or(outputs.dims().size()) + 1; d < outputs.dims().size(); ++d) {
    inner *= static_cast<std::size_t>(outputs.dims()[d]);
  }
  const std::vector<float> scores = form_.scores == Scores::answers ? std::vector<float>{} : outputs.to_floats();
  const std::vector<std::int64_t> answers =
      form_.scores == Scores::answers ? class_numbers(outputs, first_row, per_sample) : std::vector<std::int64_t>{};
  for (std::size_t i = 0; i < truths.size(); ++i) {
    const std::int64_t truth = truths[i];
    if (truth == form_.ignored_label) continue;
    if (truth < 0 || truth >= (classes == 0 ? most_classes : static_cast<std::int64_t>(classes))) {
      const std::int64_t row = first_row + static_cast<std::int64_t>(i) / std::max<std::int64_t>(per_sample, 1);
      bad_input("row {}: label {} is none of the {} classes, which are counted from 0", row + 1, truth,
                classes == 0 ? static_cast<std::size_t>(most_classes) : classes);
    }
    const auto truth32 = static_cast<std::int32_t>(truth);
    if (form_.scores == Scores::answers) {
      if (answers[i] < 0 || answers[i] >= most_classes) bad_input("output {} is no class", answers[i]);
      classes_ = std::max({classes_, truth + 1, answers[i] + 1});
      add_row(truth32, static_cast<std::int32_t>(answers[i]));
    } else if (form_.task == Task::binary) {
      add_binary(scores[i], truth32);
    } else {
      add_scores(&scores[i / inner * classes * inner + i % inner], inner, truth32);
    }
  }
}

void Evaluation::add_row(std::int32_t truth, std::int32_t answer) {
  truths_.push_back(truth);
  answers_.push_back(answer);
  ++confusion_[{truth, answer}];
  ++rows_;
}

// The scores of a row lie `stride` apart.
void Evaluation::add_scores(const float* scores, std::size_t stride, std::int32_t truth) {
  const auto classes = static_cast<std::size_t>(classes_);
  std::int32_t answer = 0, rank = 0;
  bool has_nan = false;
  float largest = -std::numeric_limits<float>::infinity();
  const float true_score = scores[static_cast<std::size_t>(truth) * stride];
  for (std::size_t c = 0; c < classes; ++c) {
    const float score = scores[c * stride];
    has_nan |= std::isnan(score);
    if (score > largest) {
      largest = score;
      answer = static_cast<std::int32_t>(c);
    }
    rank += score > true_score || (score == true_score && static_cast<std::int32_t>(c) > truth);
  }
  if (has_nan) answer = -1, ++nan_rows_;
  add_row(truth, answer);
  ranks_.push_back(has_nan ? std::numeric_limits<std::int32_t>::max() : rank);
  const bool logits = form_.scores == Scores::logits;
  // Where a logit is infinite, all others have probability 0.
  double sum = 0;
  for (std::size_t c = 0; logits && c < classes; ++c) {
    const float score = scores[c * stride];
    sum += score == largest ? 1 : std::exp(static_cast<double>(score) - largest);
  }
  const auto probability = [&](std::size_t c) {
    const float score = scores[c * stride];
    if (!logits) return static_cast<double>(score);
    return score == largest ? 1 / sum : std::exp(static_cast<double>(score) - largest) / sum;
  };
  double brier = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    const double error = probability(c) - (static_cast<std::int32_t>(c) == truth);
    brier += error * error;
  }
  const double of_truth = probability(static_cast<std::size_t>(truth));
  double loss = undefined;
  if (has_nan) {
    brier = undefined;
  } else if (logits) {
    loss = true_score == largest ? std::log(sum) : std::log(sum) - (static_cast<double>(true_score) - largest);
  } else {
    loss = -std::log(std::clamp(of_truth, double{epsilon}, 1 - double{epsilon}));
  }
  losses_.push_back(static_cast<float>(loss));
  brier_.push_back(static_cast<float>(classes == 2 ? brier / 2 : brier));
  confidences_.push_back(static_cast<float>(has_nan ? undefined : probability(static_cast<std::size_t>(answer))));
  if (probabilities_.size() + classes > most_probabilities) {
    too_many_probabilities_ = true;
    probabilities_ = {};
  }
  for (std::size_t c = 0; !too_many_probabilities_ && c < classes; ++c) {
    probabilities_.push_back(static_cast<float>(probability(c)));
  }
}

void Evaluation::add_binary(float score, std::int32_t truth) {
  const bool has_nan = std::isnan(score);
  nan_rows_ += has_nan;
  const bool logits = form_.scores == Scores::logits;
  const double z = score;
  const double p = logits ? 1 / (1 + std::exp(-z)) : z;
  const std::int32_t answer = has_nan ? -1 : logits ? z > 0 : p > 0.5;
  add_row(truth, answer);
  // log(1 + exp(-m)), m the margin of the true class; without overflow.
  const double margin = truth == 1 ? z : -z;
  const double loss = logits ? std::max(-margin, 0.0) + std::log1p(std::exp(-std::abs(margin)))
                             : -std::log(std::clamp(truth == 1 ? p : 1 - p, double{epsilon}, 1 - double{epsilon}));
  losses_.push_back(static_cast<float>(has_nan ? z : loss));
  brier_.push_back(static_cast<float>((p - truth) * (p - truth)));
  confidences_.push_back(static_cast<float>(std::max(p, 1 - p)));
  ranks_.push_back(has_nan ? std::numeric_limits<std::int32_t>::max() : answer != truth);
  if (probabilities_.size() == most_probabilities) {
    too_many_probabilities_ = true;
    probabilities_ = {};
  }
  if (!too_many_probabilities_) probabilities_.push_back(static_cast<float>(logits ? z : p));
}

void Evaluation::merge(const Evaluation& other) {
  if (other.rows_ == 0) return;
  if (rows_ == 0) {
    *this = other;
    return;
  }
  if (form_.task != other.form_.task || form_.scores != other.form_.scores || width_ != other.width_ ||
      (form_.scores != Scores::answers && classes_ != other.classes_)) {
    fail(ErrorKind::internal, "merging evaluations of different kinds");
  }
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  append(truths_, other.truths_);
  append(answers_, other.answers_);
  append(ranks_, other.ranks_);
  append(losses_, other.losses_);
  append(confidences_, other.confidences_);
  append(brier_, other.brier_);
  append(targets_, other.targets_);
  append(predictions_, other.predictions_);
  too_many_probabilities_ |=
      other.too_many_probabilities_ || probabilities_.size() + other.probabilities_.size() > most_probabilities;
  if (too_many_probabilities_) {
    probabilities_ = {};
  } else {
    append(probabilities_, other.probabilities_);
  }
  for (const auto& [cell, count] : other.confusion_) confusion_[cell] += count;
  rows_ += other.rows_;
  nan_rows_ += other.nan_rows_;
  classes_ = std::max(classes_, other.classes_);
}

std::vector<std::int64_t> Evaluation::classes_seen() const {
  std::vector<std::int64_t> classes;
  for (const auto& [cell, count] : confusion_) {
    classes.push_back(cell.first);
    if (cell.second >= 0) classes.push_back(cell.second);
  }
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  return classes;
}

}  // namespace hone::metrics
