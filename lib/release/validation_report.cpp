#include "hone/release/validation_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "hone/metrics/latency.h"

namespace hone::release {
namespace {

using Json = nlohmann::ordered_json;
using metrics::Evaluation;
using metrics::Unit;

// JSON has no NaN and no infinity.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json describe(const metrics::Interval& interval) {
  return {{"low", number(interval.low)},
          {"high", number(interval.high)},
          {"confidence", interval.confidence},
          {"method", interval.method}};
}

// Metrics that the table shows.
bool is_headline(metrics::Task task, const std::string& name) {
  static constexpr std::array<std::string_view, 5> classification{"accuracy", "precision", "recall", "f1", "loss"};
  static constexpr std::array<std::string_view, 3> regression{"mse", "mae", "r2"};
  const auto in = [&](const auto& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
  return task == metrics::Task::regression ? in(regression) : in(classification);
}

Unit unit_of(const std::string& metric) {
  for (const metrics::MetricInfo& info : metrics::known_metrics()) {
    if (info.name == metric) return info.unit;
  }
  return Unit::number;
}

// The interval of each metric of one evaluation: bootstrapped once, needed twice.
using Intervals = std::map<std::string, std::optional<metrics::Interval>>;

Intervals intervals_of(const Evaluation& evaluation, std::uint64_t seed) {
  Intervals result;
  for (const std::string& name : evaluation.metrics()) result[name] = evaluation.interval({name}, seed);
  return result;
}

Json describe(const Evaluation& evaluation, const std::vector<std::string>& classes, const Intervals& intervals) {
  Json result{{"task", metrics::name(evaluation.form().task)}, {"rows", evaluation.rows()}};
  Json values = Json::object();
  for (const std::string& name : evaluation.metrics()) {
    const metrics::Metric metric{name};
    const metrics::Value value = evaluation.compute(metric);
    Json entry{{"value", number(value.value)}};
    if (value.undefined) entry["undefined"] = value.note;
    if (const auto& interval = intervals.at(name)) entry["interval"] = describe(*interval);
    values[name] = std::move(entry);
  }
  result["metrics"] = std::move(values);
  if (evaluation.form().task == metrics::Task::regression) return result;
  const auto name_of = [&](std::int64_t label) {
    const auto index = static_cast<std::size_t>(label);
    return label >= 0 && index < classes.size() ? classes[index] : std::to_string(label);
  };
  Json by_class = Json::object();
  for (const std::int64_t label : evaluation.classes_seen()) {
    Json entry = Json::object();
    for (const char* name : {"precision", "recall", "f1"}) {
      metrics::Metric metric{name};
      metric.label = label;
      entry[name] = number(evaluation.compute(metric).value);
    }
    by_class[name_of(label)] = std::move(entry);
  }
  result["classes"] = std::move(by_class);
  Json confusion = Json::array();
  for (const auto& [pair, count] : evaluation.confusion()) {
    confusion.push_back({{"true", name_of(pair.first)}, {"answer", name_of(pair.second)}, {"rows", count}});
  }
  result["confusion"] = std::move(confusion);
  return result;
}

Json describe(const Subject& subject, const std::vector<std::string>& classes, const Intervals& intervals) {
  Json result{{"size", subject.size},
              {"parameters", subject.cost.parameters},
              {"nonzero_parameters", subject.cost.nonzero_parameters},
              {"nodes", subject.cost.nodes},
              {"macs", subject.cost.macs},
              {"macs_complete", subject.cost.complete},
              {"memory", subject.memory}};
  if (!subject.latency.empty()) {
    const metrics::Latency latency = metrics::summarize(subject.latency);
    result["latency"] = {{"runs", latency.runs},
                         {"median", latency.p50},
                         {"p90", latency.p90},
                         {"p95", latency.p95},
                         {"min", latency.min},
                         {"mean", latency.mean},
                         {"unstable", latency.unstable()}};
  }
  if (subject.evaluation) result["evaluation"] = describe(*subject.evaluation, classes, intervals);
  return result;
}

double sparsity(const Subject& subject) {
  return 1 - static_cast<double>(subject.cost.nonzero_parameters) / static_cast<double>(subject.cost.parameters);
}

class Writer {
 public:
  Writer(const Validation& validation, std::uint64_t seed) : validation_(validation), seed_(seed) {}

  report::Report run() {
    Json& json = report_.json();
    json["rows"] = validation_.rows;
    json["output"] = validation_.output;
    if (model().evaluation) intervals_ = intervals_of(*model().evaluation, seed_);
    json["model"] = describe(model(), validation_.classes, intervals_);
    if (baseline()) {
      const auto& evaluation = baseline()->evaluation;
      json["baseline"] =
          describe(*baseline(), validation_.classes, evaluation ? intervals_of(*evaluation, seed_) : Intervals());
    }
    if (model().evaluation) evaluations();
    costs();
    if (!model().latency.empty()) latencies();
    for (const metrics::OutputComparison& each : validation_.comparisons) {
      if (each.elements() > 0) report_.add_comparison(each);
    }
    report_.add(validation_.verdicts);
    report_.json()["passed"] = metrics::exit_code(validation_.verdicts) == 0;
    return std::move(report_);
  }

 private:
  const Subject& model() const { return validation_.model; }
  const Subject* baseline() const { return validation_.baseline ? &*validation_.baseline : nullptr; }

  void evaluations() {
    const Evaluation& now = *model().evaluation;
    const Evaluation* before = baseline() && baseline()->evaluation ? &*baseline()->evaluation : nullptr;
    for (const std::string& name : now.metrics()) {
      const metrics::Metric metric{name};
      const metrics::Value value = now.compute(metric);
      report::Row row{name, unit_of(name), value.value, {}, intervals_.at(name), {}, now.rows(), value.note};
      row.in_table = is_headline(now.form().task, name);
      if (before) {
        // A metric that only one of them has: scores for the one, answers for the other.
        const auto both = before->metrics();
        if (std::find(both.begin(), both.end(), name) != both.end()) {
          const metrics::Change change = metrics::compare(*before, now, metric, seed_);
          row.baseline = change.before.value;
          row.change_interval = change.interval;
        }
      }
      report_.add(row);
    }
    if (now.form().task == metrics::Task::regression) return;
    report_.set_confusion(now, validation_.classes);
    if (!before) return;
    const metrics::Flips flips = metrics::flips(*before, now);
    report_.set_flips(flips, metrics::mcnemar({flips.rows, flips.negative, flips.positive}));
  }

  void costs() {
    const auto add = [&](const char* name, auto&& of) {
      report::Row row{name, unit_of(name), static_cast<double>(of(model()))};
      if (baseline()) row.baseline = static_cast<double>(of(*baseline()));
      return row;
    };
    report_.add(add("size", [](const Subject& subject) { return subject.size; }));
    report_.add(add("parameters", [](const Subject& subject) { return subject.cost.parameters; }));
    if (model().cost.parameters > 0 && (!baseline() || baseline()->cost.parameters > 0)) {
      report_.add(add("sparsity", sparsity));
    }
    report_.add(add("nodes", [](const Subject& subject) { return subject.cost.nodes; }));
    report::Row macs = add("macs", [](const Subject& subject) { return subject.cost.macs; });
    if (!model().cost.complete || (baseline() && !baseline()->cost.complete))
      macs.note = "at least: some shapes are unknown";
    report_.add(macs);
    if (model().memory > 0) report_.add(add("memory", [](const Subject& subject) { return subject.memory; }));
  }

  void latencies() {
    const metrics::Latency now = metrics::summarize(model().latency);
    report::Row row{"latency", Unit::seconds, now.p50, {}, metrics::median_interval(model().latency, seed_)};
    report_.set_latency("model", now);
    if (baseline() && !baseline()->latency.empty()) {
      const metrics::Latency before = metrics::summarize(baseline()->latency);
      row.baseline = before.p50;
      report_.set_latency("baseline", before);
    }
    row.in_table = false;  // latencies have a table of their own
    report_.add(row);
  }

  const Validation& validation_;
  std::uint64_t seed_;
  Intervals intervals_;  // of the model
  report::Report report_{"validate"};
};

}  // namespace

report::Report report_of(const Validation& validation, std::uint64_t seed) { return Writer(validation, seed).run(); }

}  // namespace hone::release
