// Judging gates: the quantity from the measurements, its interval, the verdict and the sentence.
#include "hone/metrics/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "hone/metrics/latency.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "metrics/undefined.h"

namespace hone::metrics {

void Measurements::set_evaluation(const Evaluation* now, const Evaluation* before, std::vector<std::string> classes) {
  now_ = now;
  before_ = before;
  classes_ = std::move(classes);
}

void Measurements::set_latency(std::vector<double> now, std::vector<double> before) {
  latency_ = std::move(now);
  baseline_latency_ = std::move(before);
}

const char* name(Outcome outcome) {
  switch (outcome) {
    case Outcome::pass:
      return "pass";
    case Outcome::fail:
      return "fail";
    case Outcome::inconclusive:
      return "inconclusive";
    case Outcome::not_evaluated:
      return "not evaluated";
  }
  return "";
}

std::string format_value(double value, Unit unit, int digits) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "infinity" : "-infinity";
  switch (unit) {
    case Unit::share:
      return fmt::format("{:.{}f} %", 100 * value, digits);
    case Unit::bytes:
      return value < 0 ? fmt::format("{:.0f} bytes", value) : human_bytes(static_cast<std::uint64_t>(value));
    case Unit::count: {
      // Thousands apart, as people count.
      std::string text = fmt::format("{:.0f}", value);
      for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3) {
        text.insert(static_cast<std::size_t>(at), ",");
      }
      return text;
    }
    case Unit::seconds:
      if (std::abs(value) < 1e-3) return fmt::format("{:.{}f} us", 1e6 * value, digits);
      if (std::abs(value) < 1) return fmt::format("{:.{}f} ms", 1e3 * value, digits);
      return fmt::format("{:.{}f} s", value, digits);
    case Unit::decibel:
      return fmt::format("{:.{}f} dB", value, digits);
    case Unit::number:
      return fmt::format("{:.{}g}", value, digits + 2);
  }
  return "";
}

namespace {

bool holds(Operator op, double value, double threshold) {
  switch (op) {
    case Operator::greater_equal:
      return value >= threshold;
    case Operator::greater:
      return value > threshold;
    case Operator::less_equal:
      return value <= threshold;
    case Operator::less:
      return value < threshold;
    case Operator::equal:
      return value == threshold;
    case Operator::not_equal:
      return value != threshold;
  }
  return false;
}

bool is_difference(Quantity quantity) {
  return quantity == Quantity::drop || quantity == Quantity::rise || quantity == Quantity::change;
}

// The quantity that a gate is about, from the metric before and now.
double quantity_of(const Gate& gate, double before, double now) {
  const double scale = gate.relative ? std::abs(before) : 1;
  switch (gate.quantity) {
    case Quantity::value:
      return now;
    case Quantity::drop:
      return (before - now) / scale;
    case Quantity::rise:
      return (now - before) / scale;
    case Quantity::change:
      return std::abs(now - before) / scale;
    case Quantity::ratio:
      return now / before;
  }
  return undefined;
}

}  // namespace

// Finds what a gate needs in the measurements.
struct Judge {
  const Gate& gate;
  const Measurements& all;
  double confidence;  // two-sided, of the intervals
  Verdict verdict{};
  std::string reason{};                      // why it can't be evaluated
  std::optional<Interval> raw_difference{};  // now - before, for a change

  std::string metric() const { return gate.metric.info->name; }

  void find() {
    const std::string name = metric();
    if (name == "latency") return find_latency();
    if (gate.metric.info->against_baseline) return find_comparison();
    const auto value = all.values_.find(name), baseline = all.baselines_.find(name);
    if (value != all.values_.end()) {
      verdict.now = value->second;
      if (baseline != all.baselines_.end()) verdict.before = baseline->second;
      return;
    }
    if (gate.metric.info->unit == Unit::bytes || gate.metric.info->unit == Unit::count || name == "sparsity") {
      reason = "it was not measured";
      return;
    }
    find_metric();
  }

 private:
  void find_latency() {
    if (all.latency_.empty()) {
      reason = "no run was timed";
      return;
    }
    const auto pick = [&](const std::vector<double>& times) {
      const Latency latency = summarize(times);
      const std::string& which = gate.metric.percentile;
      return which == "p90"    ? latency.p90
             : which == "p95"  ? latency.p95
             : which == "p99"  ? latency.p99
             : which == "min"  ? latency.min
             : which == "mean" ? latency.mean
                               : latency.p50;
    };
    verdict.now = pick(all.latency_);
    if (!all.baseline_latency_.empty()) verdict.before = pick(all.baseline_latency_);
    verdict.rows = static_cast<std::int64_t>(all.latency_.size());
    const bool median = gate.metric.percentile.empty() || gate.metric.percentile == "p50";
    if (!median) return;
    if (gate.quantity == Quantity::value) {
      verdict.interval = median_interval(all.latency_, all.seed_, confidence);
      return;
    }
    if (!verdict.before) return;
    const auto ratio = latency_ratio(all.baseline_latency_, all.latency_, all.seed_, confidence).interval;
    if (!ratio) return;
    // Differences from the ratio, which is what runs in turn measure well.
    const double scale = gate.relative ? 1 : *verdict.before;
    const double low = (ratio->low - 1) * scale, high = (ratio->high - 1) * scale;
    verdict.interval = *ratio;
    switch (gate.quantity) {
      case Quantity::rise:
        verdict.interval->low = low, verdict.interval->high = high;
        break;
      case Quantity::drop:
        verdict.interval->low = -high, verdict.interval->high = -low;
        break;
      case Quantity::change:
        raw_difference = Interval{low, high, ratio->confidence, ratio->method};
        verdict.interval.reset();
        break;
      case Quantity::value:
      case Quantity::ratio:
        break;
    }
  }

  void find_comparison() {
    const std::string name = metric();
    if (name.find("flips") != std::string::npos) {
      if (!all.now_ || !all.before_) {
        reason = "there is no baseline on the same rows (--against, --data and --label)";
        return;
      }
      const Flips counts = flips(*all.before_, *all.now_);
      const std::int64_t count = name == "flips"            ? counts.changed
                                 : name == "negative_flips" ? counts.negative
                                                            : counts.positive;
      if (counts.rows == 0) {
        reason = "there are no rows";
        return;
      }
      verdict.rows = counts.rows;
      verdict.now = static_cast<double>(count) / static_cast<double>(counts.rows);
      verdict.interval = wilson(count, counts.rows, confidence);
      return;
    }
    if (all.comparisons_.empty()) {
      reason = "the outputs were not compared with a baseline's (--against)";
      return;
    }
    // The worst of the outputs, unless one is named.
    const bool worst_is_high = gate.metric.info->better == Better::lower;
    for (const OutputComparison& output : all.comparisons_) {
      if (!gate.metric.output.empty() && output.name() != gate.metric.output) continue;
      const double value = name == "max_abs_diff"    ? output.max_abs()
                           : name == "mean_abs_diff" ? output.mean_abs()
                           : name == "max_rel_diff"  ? output.max_rel()
                           : name == "cosine"        ? output.cosine()
                           : name == "sqnr"          ? output.sqnr()
                                                     : output.agreement();
      if (name == "mean_abs_diff" && output.mismatches() > 0) {
        verdict.now = std::numeric_limits<double>::infinity();
        continue;
      }
      if (!verdict.now || std::isnan(value) || (worst_is_high ? value > *verdict.now : value < *verdict.now)) {
        verdict.now = value;
        if (name == "agreement" && output.rows() > 0) {
          verdict.rows = output.rows();
          verdict.interval =
              wilson(std::llround(value * static_cast<double>(output.rows())), output.rows(), confidence);
        }
      }
    }
    if (!verdict.now) reason = fmt::format("the model has no output {}", quote(gate.metric.output));
  }

  std::optional<std::int64_t> class_index() const {
    const std::string& label = gate.metric.label;
    const auto found = std::find(all.classes_.begin(), all.classes_.end(), label);
    if (found != all.classes_.end()) return found - all.classes_.begin();
    const auto number = parse_int64(label);
    return number && *number >= 0 && *number < all.now_->class_count() ? number : std::nullopt;
  }

  void find_metric() {
    if (!all.now_) {
      reason = "it needs labelled data (--data and --label)";
      return;
    }
    Metric wanted{metric(), gate.metric.average, std::nullopt, gate.metric.k};
    if (!gate.metric.label.empty()) {
      wanted.label = class_index();
      if (!wanted.label) {
        reason = fmt::format("the data have no class {}", quote(gate.metric.label));
        return;
      }
    }
    try {
      find_metric(wanted);
    } catch (const Error& error) {
      // The metric is known, but not to this task.
      if (error.kind() != ErrorKind::usage) throw;
      reason = error.message();
    }
  }

  void find_metric(const Metric& wanted) {
    const Value now = all.now_->compute(wanted);
    verdict.rows = now.rows;
    verdict.now = now.value;
    if (now.undefined || std::isnan(now.value)) {
      reason = now.note;
      return;
    }
    if (gate.quantity == Quantity::value) {
      verdict.interval = all.now_->interval(wanted, all.seed_, confidence);
      if (verdict.interval && verdict.interval->low == verdict.interval->high && is_share()) {
        // Every row alike: the bootstrap can't see beyond them.
        verdict.interval = wilson(std::llround(now.value * static_cast<double>(now.rows)), now.rows, confidence);
      }
      return;
    }
    if (!all.before_) return;
    const Value before = all.before_->compute(wanted);
    if (before.undefined || std::isnan(before.value)) {
      reason = "of the baseline: " + before.note;
      return;
    }
    verdict.before = before.value;
    if (gate.relative || gate.quantity == Quantity::ratio) {
      Gate plain = gate;
      if (plain.quantity == Quantity::change) plain.quantity = Quantity::rise;
      verdict.interval = paired_interval(
          *all.before_, *all.now_, wanted,
          [&](double a, double b) { return a == 0 ? undefined : quantity_of(plain, a, b); }, all.seed_, confidence);
    } else {
      auto interval = compare(*all.before_, *all.now_, wanted, all.seed_, confidence).interval;
      if (interval && interval->low == interval->high && is_share()) {
        interval = paired_difference({now.rows, 0, 0}, confidence);
      }
      if (interval && gate.quantity == Quantity::drop) {
        interval = Interval{-interval->high, -interval->low, interval->confidence, interval->method};
      }
      verdict.interval = std::move(interval);
    }
    if (gate.quantity == Quantity::change) {
      raw_difference = std::move(verdict.interval);
      verdict.interval.reset();
    }
  }

  bool is_share() const { return gate.metric.info->unit == Unit::share; }
};

namespace {

// The digits that tell two numbers apart when printed, from 2.
int digits_for(double a, double b, Unit unit) {
  int digits = 2;
  while (a != b && digits < 10 && format_value(a, unit, digits) == format_value(b, unit, digits)) ++digits;
  return digits;
}

class Sentence {
 public:
  Sentence(const Gate& gate, const Verdict& verdict) : gate_(gate), verdict_(verdict) {
    digits_ = verdict.value ? digits_for(*verdict.value, gate.threshold, unit()) : 2;
  }

  // A value of the gate's quantity.
  std::string amount(double value) const {
    if (gate_.quantity == Quantity::ratio) return fmt::format("{:.{}f}", value, digits_ + 1);
    if (is_difference(gate_.quantity) && gate_.relative)
      return fmt::format("{:.{}f} % of the baseline", 100 * value, digits_);
    if (is_difference(gate_.quantity) && gate_.metric.info->unit == Unit::share) {
      return fmt::format("{:.{}f} pp", 100 * value, digits_);
    }
    return format_value(value, gate_.metric.info->unit, digits_);
  }

  std::string text(const std::optional<Interval>& interval, const std::string& reason) const {
    std::string result = verdict_.gate.text + ": ";
    if (verdict_.outcome == Outcome::not_evaluated) return result + "not evaluated, " + reason;
    result += fmt::format("{}, {}", name(verdict_.outcome), amount(*verdict_.value));
    std::vector<std::string> details;
    if (gate_.quantity != Quantity::value) {
      const Unit unit = gate_.metric.info->unit;
      const int digits = digits_for(*verdict_.before, *verdict_.now, unit);
      details.push_back(fmt::format("from {} to {}", format_value(*verdict_.before, unit, digits),
                                    format_value(*verdict_.now, unit, digits)));
    }
    if (interval) {
      details.push_back(fmt::format("{:.4g} % interval {} to {}", 100 * interval->confidence, amount(interval->low),
                                    amount(interval->high)));
    }
    if (verdict_.rows > 0) {
      details.push_back(fmt::format("{} {}", format_value(static_cast<double>(verdict_.rows), Unit::count),
                                    gate_.metric.info->unit == Unit::seconds ? "runs" : "rows"));
    }
    if (!details.empty()) result += fmt::format(" ({})", join(details, "; "));
    if (!reason.empty()) result += "; " + reason;
    if (verdict_.rows_needed) {
      result += fmt::format("; about {} rows would decide",
                            format_value(static_cast<double>(*verdict_.rows_needed), Unit::count));
    }
    return result;
  }

 private:
  Unit unit() const { return gate_.quantity == Quantity::ratio ? Unit::number : gate_.metric.info->unit; }
  const Gate& gate_;
  const Verdict& verdict_;
  int digits_ = 2;
};

// Whether all of an interval meets the condition, none of it, or some.
Outcome outcome_of(Operator op, const Interval& interval, double threshold) {
  const bool wants_high = op == Operator::greater_equal || op == Operator::greater;
  const double worst = wants_high ? interval.low : interval.high, best = wants_high ? interval.high : interval.low;
  if (holds(op, worst, threshold)) return Outcome::pass;
  return holds(op, best, threshold) ? Outcome::inconclusive : Outcome::fail;
}

}  // namespace

Verdict judge(const Gate& gate, const Measurements& measurements, std::optional<double> confidence) {
  if (confidence && !(*confidence > 0.5 && *confidence < 1)) {
    usage_error("a confidence of {}: it must lie between 0.5 and 1, such as 0.95", *confidence);
  }
  // A one-sided bound at c is an end of the interval at 2c - 1.
  Judge judge{gate, measurements, confidence ? 2 * *confidence - 1 : 0.95};
  judge.verdict.gate = gate;
  judge.find();
  Verdict verdict = std::move(judge.verdict);
  std::string reason = judge.reason;
  std::optional<Interval> shown = verdict.interval ? verdict.interval : judge.raw_difference;

  if (reason.empty() && gate.quantity != Quantity::value && !verdict.before)
    reason = "there is no baseline (--against)";
  if (reason.empty() && (!verdict.now || std::isnan(*verdict.now))) reason = "the value is NaN";
  if (reason.empty() && (gate.relative || gate.quantity == Quantity::ratio) && *verdict.before == 0) {
    reason = "the baseline is 0, so that nothing can be relative to it";
  }
  if (!reason.empty()) {
    verdict.outcome = Outcome::not_evaluated;
    verdict.interval.reset();
    verdict.sentence = Sentence(gate, verdict).text(std::nullopt, reason);
    return verdict;
  }
  verdict.value = quantity_of(gate, verdict.before.value_or(0), *verdict.now);
  if (std::isnan(*verdict.value)) {  // two infinities
    verdict.outcome = Outcome::not_evaluated;
    verdict.sentence = Sentence(gate, verdict).text(std::nullopt, "the value is NaN");
    return verdict;
  }

  // 96 % - 95 % is 1 pp, also in binary fractions, which err by some 1e-16 of the numbers they were made of.
  const double size =
      std::max({std::abs(gate.threshold), std::abs(*verdict.now), std::abs(verdict.before.value_or(0))});
  if (std::isfinite(size) && std::abs(*verdict.value - gate.threshold) <= 1e-14 * (gate.relative ? 1 : size)) {
    verdict.value = gate.threshold;
  }
  verdict.outcome = holds(gate.op, *verdict.value, gate.threshold) ? Outcome::pass : Outcome::fail;
  const bool ordered = gate.op != Operator::equal && gate.op != Operator::not_equal;
  if (confidence && verdict.rows > 0 && ordered) {
    if (verdict.interval) {
      verdict.outcome = outcome_of(gate.op, *verdict.interval, gate.threshold);
    } else if (judge.raw_difference) {
      // A change lies within +-t where its signed interval does.
      const Interval& signed_interval = *judge.raw_difference;
      const double low = signed_interval.low, high = signed_interval.high;
      const double least = low <= 0 && high >= 0 ? 0 : std::min(std::abs(low), std::abs(high));
      verdict.outcome = outcome_of(gate.op, {least, std::max(std::abs(low), std::abs(high)), 0, ""}, gate.threshold);
    } else {
      verdict.outcome = Outcome::inconclusive;
      reason = "no interval could be computed";
    }
    if (verdict.outcome == Outcome::inconclusive && verdict.interval && gate.metric.info->unit != Unit::seconds) {
      verdict.rows_needed = rows_to_decide(*verdict.value, *verdict.interval, verdict.rows, gate.threshold);
    }
  }
  verdict.sentence = Sentence(gate, verdict).text(shown, reason);
  return verdict;
}

std::vector<Verdict> judge(const std::vector<Gate>& gates, const Measurements& measurements,
                           std::optional<double> confidence) {
  std::vector<Verdict> verdicts;
  for (const Gate& gate : gates) verdicts.push_back(judge(gate, measurements, confidence));
  return verdicts;
}

int exit_code(std::span<const Verdict> verdicts) {
  const auto any = [&](std::initializer_list<Outcome> outcomes) {
    return std::any_of(verdicts.begin(), verdicts.end(), [&](const Verdict& verdict) {
      return std::find(outcomes.begin(), outcomes.end(), verdict.outcome) != outcomes.end();
    });
  };
  if (any({Outcome::fail, Outcome::not_evaluated})) return 1;
  return any({Outcome::inconclusive}) ? 5 : 0;
}

}  // namespace hone::metrics
