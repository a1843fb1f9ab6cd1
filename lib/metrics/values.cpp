// The metrics of an evaluation, as numbers and with intervals.
//
// Each metric is prepared once (sorting, mostly) and computed for any weights of the rows: once with weights of 1 for its
// value, and for each resampling of a bootstrap.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "hone/metrics/evaluation.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "metrics/undefined.h"

namespace hone::metrics {
namespace {

double weight(const Weights& weights, std::size_t row) { return weights.empty() ? 1.0 : weights[row]; }

// One class against the rest.
struct Counts {
  double hit = 0, answered = 0, support = 0;

  Value precision() const { return ratio(hit, answered, "no row was answered so"); }
  Value recall() const { return ratio(hit, support, "no row has this label"); }
  Value f1() const { return ratio(2 * hit, answered + support, "no row has this label or answer"); }
  Value value(const std::string& metric) const {
    return metric == "precision" ? precision() : metric == "recall" ? recall() : f1();
  }
  bool occurs() const { return answered > 0 || support > 0; }

 private:
  static Value ratio(double above, double below, const char* note) {
    Value result;
    result.undefined = below == 0;
    result.value = below == 0 ? 0 : above / below;
    if (result.undefined) result.note = note;
    return result;
  }
};

// Average of what defined classes give.
template <typename Each>  // std::optional<std::pair<value, weight>>(class)
Value average(std::int64_t classes, bool weighted, Each&& each) {
  double sum = 0, weights = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    const auto item = each(c);
    if (!item) continue;
    const double w = weighted ? item->second : 1;
    sum += w * item->first;
    weights += w;
  }
  Value result;
  result.undefined = weights == 0;
  result.value = weights == 0 ? 0 : sum / weights;
  if (result.undefined) result.note = "no class has rows";
  return result;
}

// Area under the ROC curve and average precision, from rows in falling order of their scores.
struct Ranking {
  std::vector<std::uint32_t> order;
  std::vector<char> positive, ends_tie;  // by place in the order

  Value compute(bool area, const Weights& weights) const {
    double positives = 0, negatives = 0, result = 0, tie_positives = 0, tie_negatives = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const double w = weight(weights, order[i]);
      (positive[i] ? tie_positives : tie_negatives) += w;
      if (!ends_tie[i]) continue;
      if (area) {
        result += tie_negatives * (positives + tie_positives / 2);
      } else if (tie_positives > 0) {
        const double hits = positives + tie_positives;
        result += tie_positives * hits / (hits + negatives + tie_negatives);
      }
      positives += tie_positives;
      negatives += tie_negatives;
      tie_positives = tie_negatives = 0;
    }
    Value value;
    value.undefined = positives == 0 || (area && negatives == 0);
    value.value = value.undefined ? undefined : area ? result / positives / negatives : result / positives;
    if (value.undefined) value.note = "rows of one class only";
    return value;
  }
  double positives(const Weights& weights) const {
    double sum = 0;
    for (std::size_t i = 0; i < order.size(); ++i) sum += positive[i] ? weight(weights, order[i]) : 0;
    return sum;
  }
};

Ranking rank(std::size_t rows, const std::function<float(std::size_t)>& score,
             const std::function<bool(std::size_t)>& is_positive) {
  Ranking ranking;
  ranking.order.resize(rows);
  std::iota(ranking.order.begin(), ranking.order.end(), 0u);
  std::vector<float> scores(rows);
  for (std::size_t row = 0; row < rows; ++row) scores[row] = score(row);
  std::stable_sort(ranking.order.begin(), ranking.order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return scores[a] > scores[b]; });
  ranking.positive.resize(rows);
  ranking.ends_tie.resize(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    ranking.positive[i] = is_positive(ranking.order[i]);
    ranking.ends_tie[i] = i + 1 == rows || scores[ranking.order[i]] != scores[ranking.order[i + 1]];
  }
  return ranking;
}

bool is_one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* each) { return name == each; });
}

constexpr int calibration_bins = 15;  // the number in Guo et al. 2017, and torchmetrics' default

int bin_of(float confidence) {
  return std::clamp(static_cast<int>(std::ceil(confidence * calibration_bins)) - 1, 0, calibration_bins - 1);
}

}  // namespace

std::vector<std::string> Evaluation::metrics() const {
  if (form_.task == Task::regression) return {"loss", "mse", "rmse", "mae", "r2", "max_error"};
  std::vector<std::string> names = {"accuracy", "balanced_accuracy", "precision", "recall", "f1", "mcc"};
  if (form_.scores == Scores::answers) return names;
  for (const char* more : {"loss", "brier", "ece", "auc", "average_precision"}) names.emplace_back(more);
  if (form_.task == Task::classification) names.emplace_back("topk_accuracy");
  return names;
}

Average Evaluation::average_of(const Metric& metric) const {
  if (metric.average != Average::automatic) return metric.average;
  return form_.task == Task::binary || (form_.scores != Scores::answers && classes_ == 2) ? Average::binary
                                                                                          : Average::macro;
}

Evaluation::Prepared Evaluation::prepare_mean(const std::vector<float>& values) const {
  return {[&values](const Weights& weights) {
            double sum = 0, total = 0;
            for (std::size_t row = 0; row < values.size(); ++row) {
              const double w = weight(weights, row);
              if (w == 0) continue;
              sum += w * values[row];
              total += w;
            }
            Value result;
            result.value = total == 0 ? undefined : sum / total;
            return result;
          },
          1};
}

Evaluation::Prepared Evaluation::prepare_counts(const Metric& metric) const {
  const Average how = average_of(metric);
  const auto classes = classes_;
  auto label = metric.label;
  if (!label && how == Average::binary) label = 1;
  const auto compute = [this, metric, how, classes, label](const Weights& weights) {
    std::vector<Counts> counts(static_cast<std::size_t>(classes));
    double hits = 0, total = 0, nowhere = 0;
    const auto count = [&](std::int64_t truth, std::int64_t answer, double w) {
      total += w;
      counts[static_cast<std::size_t>(truth)].support += w;
      if (answer < 0) {
        nowhere += w;
        return;
      }
      counts[static_cast<std::size_t>(answer)].answered += w;
      if (truth != answer) return;
      counts[static_cast<std::size_t>(truth)].hit += w;
      hits += w;
    };
    if (weights.empty()) {
      for (const auto& [cell, number] : confusion_) count(cell.first, cell.second, static_cast<double>(number));
    } else {
      for (std::size_t row = 0; row < rows_; ++row) {
        if (weights[row] != 0) count(truths_[row], answers_[row], weights[row]);
      }
    }
    Value result;
    if (metric.name == "accuracy") {
      result.value = total == 0 ? undefined : hits / total;
    } else if (metric.name == "balanced_accuracy") {
      result = average(classes, false, [&](std::int64_t c) -> std::optional<std::pair<double, double>> {
        const Counts& each = counts[static_cast<std::size_t>(c)];
        if (each.support == 0) return std::nullopt;
        return std::pair(each.recall().value, 1.0);
      });
    } else if (metric.name == "mcc") {
      double both = 0, of_truths = 0, of_answers = nowhere * nowhere;
      for (const Counts& each : counts) {
        both += each.support * each.answered;
        of_truths += each.support * each.support;
        of_answers += each.answered * each.answered;
      }
      const double below = (total * total - of_answers) * (total * total - of_truths);
      result.undefined = below == 0;
      result.value = below == 0 ? 0 : (hits * total - both) / std::sqrt(below);
      if (below == 0) result.note = "one class only";
    } else if (label) {
      const bool exists = *label >= 0 && *label < classes;
      result = (exists ? counts[static_cast<std::size_t>(*label)] : Counts{}).value(metric.name);
    } else if (how == Average::micro) {
      Counts all{hits, total - nowhere, total};
      result = all.value(metric.name);
    } else {
      result =
          average(classes, how == Average::weighted, [&](std::int64_t c) -> std::optional<std::pair<double, double>> {
            const Counts& each = counts[static_cast<std::size_t>(c)];
            if (!each.occurs()) return std::nullopt;
            return std::pair(each.value(metric.name).value, each.support);
          });
    }
    return result;
  };
  return {compute, 1 + static_cast<std::size_t>(classes) / std::max<std::size_t>(rows_, 1)};
}

Evaluation::Prepared Evaluation::prepare_ranking(const Metric& metric) const {
  const bool area = metric.name == "auc";
  const Average how = average_of(metric);
  if (too_many_probabilities_) {
    return {[](const Weights&) {
              Value result;
              result.value = undefined;
              result.undefined = true;
              result.note = "too many scores to keep";
              return result;
            },
            1};
  }
  if (how == Average::micro) usage_error("{} has no micro average", metric.name);
  const bool one_column = form_.task == Task::binary;
  const auto classes = static_cast<std::size_t>(one_column ? 1 : classes_);
  const auto of_class = [&](std::size_t c) {
    const auto truth = static_cast<std::int32_t>(one_column ? 1 : c);
    return rank(
        rows_, [&](std::size_t row) { return probabilities_[row * classes + (one_column ? 0 : c)]; },
        [&](std::size_t row) { return truths_[row] == truth; });
  };
  auto label = metric.label;
  if (!label && how == Average::binary) label = 1;
  if (label) {
    if (*label < 0 || *label >= classes_) usage_error("{}: no class {}", metric.name, *label);
    // Class 0 of one column: the same pairs, the other way round.
    if (one_column && *label == 0) {
      auto ranking = rank(
          rows_, [&](std::size_t row) { return -probabilities_[row]; },
          [&](std::size_t row) { return truths_[row] == 0; });
      return {[ranking = std::move(ranking), area](const Weights& weights) { return ranking.compute(area, weights); },
              2};
    }
    auto ranking = of_class(static_cast<std::size_t>(*label));
    return {[ranking = std::move(ranking), area](const Weights& weights) { return ranking.compute(area, weights); }, 2};
  }
  std::vector<Ranking> rankings;
  for (std::size_t c = 0; c < classes; ++c) rankings.push_back(of_class(c));
  const auto compute = [rankings = std::move(rankings), area, how](const Weights& weights) {
    std::size_t without = 0;
    Value result = average(static_cast<std::int64_t>(rankings.size()), how == Average::weighted,
                           [&](std::int64_t c) -> std::optional<std::pair<double, double>> {
                             const Value each = rankings[static_cast<std::size_t>(c)].compute(area, weights);
                             if (each.undefined) {
                               ++without;
                               return std::nullopt;
                             }
                             return std::pair(each.value, rankings[static_cast<std::size_t>(c)].positives(weights));
                           });
    if (result.undefined) result.value = undefined;
    if (without > 0) result.note = fmt::format("{} classes have no rows, or all, and are left out", without);
    return result;
  };
  return {compute, 2 * classes};
}

Evaluation::Prepared Evaluation::prepare_regression(const Metric& metric) const {
  const std::string name = metric.name == "loss" ? "mse" : metric.name;
  const auto compute = [this, name](const Weights& weights) {
    // Averages over the columns of an answer, each weighing the same.
    double sum = 0, largest = 0;
    bool constant = false, has_nan = false;
    for (std::size_t column = 0; column < width_; ++column) {
      double total = 0, errors = 0, mean = 0;
      for (std::size_t row = 0; row < rows_; ++row) {
        const double w = weight(weights, row);
        if (w == 0) continue;
        const double target = targets_[row * width_ + column];
        const double error = static_cast<double>(predictions_[row * width_ + column]) - target;
        has_nan |= std::isnan(error);
        errors += w * (name == "mae" ? std::abs(error) : error * error);
        largest = std::max(largest, std::abs(error));
        total += w;
        mean += w * target;
      }
      if (total == 0) return Value{undefined, 0, true, "no rows"};
      mean /= total;
      if (name == "r2") {
        double spread = 0;
        for (std::size_t row = 0; row < rows_; ++row) {
          const double distance = targets_[row * width_ + column] - mean;
          spread += weight(weights, row) * distance * distance;
        }
        constant |= spread == 0;
        sum += spread == 0 ? (errors == 0 ? 1.0 : 0.0) : 1 - errors / spread;
      } else {
        sum += name == "rmse" ? std::sqrt(errors / total) : errors / total;
      }
    }
    Value result;
    result.value = has_nan ? undefined : name == "max_error" ? largest : sum / static_cast<double>(width_);
    result.undefined = constant;
    if (constant) result.note = "the labels of a column are all the same";
    return result;
  };
  return {compute, std::max<std::size_t>(width_, 1)};
}

Evaluation::Prepared Evaluation::prepare(const Metric& metric) const {
  const auto known = metrics();
  if (std::find(known.begin(), known.end(), metric.name) == known.end()) {
    usage_error("{} is no metric of {}{}; there are {}", quote(metric.name), name(form_.task),
                form_.scores == Scores::answers ? " without scores" : "", join(known, ", "));
  }
  if (form_.task == Task::regression) return prepare_regression(metric);
  if (metric.name == "loss") return prepare_mean(losses_);
  if (metric.name == "brier") return prepare_mean(brier_);
  if (is_one_of(metric.name, {"auc", "average_precision"})) return prepare_ranking(metric);
  if (metric.name == "topk_accuracy") {
    return {[this, k = metric.k](const Weights& weights) {
              double hits = 0, total = 0;
              for (std::size_t row = 0; row < rows_; ++row) {
                const double w = weight(weights, row);
                hits += ranks_[row] < k ? w : 0;
                total += w;
              }
              Value result;
              result.value = total == 0 ? undefined : hits / total;
              return result;
            },
            1};
  }
  if (metric.name == "ece") {
    return {[this](const Weights& weights) {
              std::vector<double> gaps(calibration_bins, 0);
              double total = 0;
              bool has_nan = false;
              for (std::size_t row = 0; row < rows_; ++row) {
                const double w = weight(weights, row);
                if (w == 0) continue;
                has_nan |= std::isnan(confidences_[row]);
                if (has_nan) break;
                gaps[static_cast<std::size_t>(bin_of(confidences_[row]))] +=
                    w * ((truths_[row] == answers_[row]) - static_cast<double>(confidences_[row]));
                total += w;
              }
              double sum = 0;
              for (const double gap : gaps) sum += std::abs(gap);
              Value result;
              result.value = has_nan || total == 0 ? undefined : sum / total;
              return result;
            },
            1};
  }
  return prepare_counts(metric);
}

Value Evaluation::compute(const Metric& metric, const Weights& weights) const {
  Value result = prepare(metric).compute(weights);
  result.rows = rows();
  if (rows_ == 0) {
    result.value = undefined;
    result.undefined = true;
    result.note = "no rows";
  } else if (std::isnan(result.value) && result.note.empty()) {
    result.note = nan_rows_ > 0 ? fmt::format("{} rows have NaN outputs", nan_rows_) : "not a number";
  }
  return result;
}

std::optional<Interval> Evaluation::interval(const Metric& metric, std::uint64_t seed, double confidence) const {
  if (rows_ == 0) return std::nullopt;
  const auto shares = [&](double rows) -> std::optional<Interval> {
    const Value value = compute(metric);
    if (rows <= 0) return std::nullopt;
    return wilson(std::llround(value.value * rows), std::llround(rows), confidence);
  };
  if (is_one_of(metric.name, {"accuracy", "topk_accuracy"})) return shares(static_cast<double>(rows_));
  if (is_one_of(metric.name, {"precision", "recall"})) {
    auto label = metric.label;
    if (!label && average_of(metric) == Average::binary) label = 1;
    if (label) {
      double rows = 0;
      for (const auto& [cell, count] : confusion_) {
        if ((metric.name == "recall" ? cell.first : cell.second) == *label) rows += static_cast<double>(count);
      }
      return shares(rows);
    }
    if (average_of(metric) == Average::micro) return shares(static_cast<double>(rows_));
  }
  const Prepared prepared = prepare(metric);
  return bootstrap(
      rows_, [&](const Weights& weights) { return prepared.compute(weights).value; }, seed, confidence, prepared.work);
}

std::vector<CalibrationBin> Evaluation::calibration() const {
  std::vector<CalibrationBin> bins(calibration_bins);
  if (confidences_.empty()) return {};
  for (std::size_t row = 0; row < rows_; ++row) {
    if (std::isnan(confidences_[row])) continue;
    CalibrationBin& bin = bins[static_cast<std::size_t>(bin_of(confidences_[row]))];
    bin.confidence += confidences_[row];
    bin.accuracy += truths_[row] == answers_[row];
    ++bin.rows;
  }
  for (CalibrationBin& bin : bins) {
    if (bin.rows == 0) continue;
    bin.confidence /= static_cast<double>(bin.rows);
    bin.accuracy /= static_cast<double>(bin.rows);
  }
  return bins;
}

namespace {

void check_same_rows(const Evaluation& before, const Evaluation& now) {
  if (before.rows() != now.rows() || before.form().task != now.form().task ||
      !std::equal(before.truths().begin(), before.truths().end(), now.truths().begin(), now.truths().end())) {
    usage_error("the two models were not evaluated on the same rows for the same task ({} rows, {}; {} rows, {})",
                before.rows(), name(before.form().task), now.rows(), name(now.form().task));
  }
}

}  // namespace

Flips flips(const Evaluation& before, const Evaluation& now) {
  check_same_rows(before, now);
  Flips result;
  result.rows = now.rows();
  for (std::size_t row = 0; row < now.answers_.size(); ++row) {
    const bool was_right = before.answers_[row] == before.truths_[row];
    const bool is_right = now.answers_[row] == now.truths_[row];
    result.changed += before.answers_[row] != now.answers_[row];
    result.negative += was_right && !is_right;
    result.positive += !was_right && is_right;
  }
  return result;
}

Change compare(const Evaluation& before, const Evaluation& now, const Metric& metric, std::uint64_t seed,
               double confidence) {
  check_same_rows(before, now);
  Change change;
  change.before = before.compute(metric);
  change.now = now.compute(metric);
  change.difference = change.now.value - change.before.value;
  if (now.rows() == 0) return change;
  if (metric.name == "accuracy") {
    const Flips counts = flips(before, now);
    change.interval = paired_difference({counts.rows, counts.positive, counts.negative}, confidence);
    return change;
  }
  change.interval = paired_interval(
      before, now, metric, [](double a, double b) { return b - a; }, seed, confidence);
  return change;
}

std::optional<Interval> paired_interval(const Evaluation& before, const Evaluation& now, const Metric& metric,
                                        const std::function<double(double, double)>& combine, std::uint64_t seed,
                                        double confidence) {
  check_same_rows(before, now);
  const auto prepared_before = before.prepare(metric), prepared_now = now.prepare(metric);
  return bootstrap(
      now.rows_,
      [&](const Weights& weights) {
        return combine(prepared_before.compute(weights).value, prepared_now.compute(weights).value);
      },
      seed, confidence, prepared_before.work + prepared_now.work);
}

}  // namespace hone::metrics
