// hone validate: metrics on labelled data, comparison with a baseline, gates.
#include <fmt/core.h>

#include <cmath>

#include "common.h"
#include "data_options.h"
#include "hone/metrics/latency.h"
#include "hone/release/validate.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::tools {
namespace {

struct Options {
  ModelIn file;
  std::string against, task, scores;
  DataOptions data;
  release::ValidateOptions validate;
  double confidence = 0;
};

// JSON has no NaN and no infinity.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json describe(const metrics::Interval& interval) {
  return {{"low", number(interval.low)}, {"high", number(interval.high)}, {"confidence", interval.confidence},
          {"method", interval.method}};
}

const std::vector<std::string>& headline_metrics(metrics::Task task) {
  static const std::vector<std::string> classification{"accuracy", "precision", "recall", "f1", "loss"};
  static const std::vector<std::string> regression{"mse", "mae", "r2"};
  return task == metrics::Task::regression ? regression : classification;
}

Json describe(const metrics::Evaluation& evaluation, const std::vector<std::string>& classes, std::uint64_t seed) {
  Json result{{"task", metrics::name(evaluation.form().task)}, {"rows", evaluation.rows()}};
  Json values = Json::object();
  for (const std::string& name : evaluation.metrics()) {
    const metrics::Metric metric{name};
    const metrics::Value value = evaluation.compute(metric);
    Json entry{{"value", number(value.value)}};
    if (value.undefined) entry["undefined"] = value.note;
    if (const auto interval = evaluation.interval(metric, seed)) entry["interval"] = describe(*interval);
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

Json describe(const release::Subject& subject, const std::vector<std::string>& classes, std::uint64_t seed) {
  Json result{{"size", subject.size},
              {"parameters", subject.cost.parameters},
              {"nonzero_parameters", subject.cost.nonzero_parameters},
              {"nodes", subject.cost.nodes},
              {"macs", subject.cost.macs},
              {"macs_complete", subject.cost.complete},
              {"memory", subject.memory}};
  if (!subject.latency.empty()) {
    const metrics::Latency latency = metrics::summarize(subject.latency);
    result["latency"] = {{"runs", latency.runs}, {"median", latency.p50}, {"p90", latency.p90}, {"p95", latency.p95},
                         {"min", latency.min}, {"mean", latency.mean}, {"unstable", latency.unstable()}};
  }
  if (subject.evaluation) result["evaluation"] = describe(*subject.evaluation, classes, seed);
  return result;
}

Json describe(const metrics::Verdict& verdict) {
  Json result{{"gate", verdict.gate.text}, {"outcome", metrics::name(verdict.outcome)}, {"sentence", verdict.sentence},
              {"threshold", verdict.gate.threshold}};
  if (verdict.value) result["value"] = number(*verdict.value);
  if (verdict.now) result["now"] = number(*verdict.now);
  if (verdict.before) result["before"] = number(*verdict.before);
  if (verdict.interval) result["interval"] = describe(*verdict.interval);
  if (verdict.rows_needed) result["rows_needed"] = *verdict.rows_needed;
  return result;
}

void row(const std::string& name, const std::string& now, const std::string& before, bool with_baseline) {
  if (with_baseline) {
    fmt::print("{:<22} {:>14} {:>14}\n", name, now, before);
  } else {
    fmt::print("{:<22} {:>14}\n", name, now);
  }
}

void print(const release::Validation& validation) {
  const bool both = validation.baseline.has_value();
  row("", "model", "baseline", both);
  const auto line = [&](const std::string& name, auto&& format) {
    row(name, format(validation.model), both ? format(*validation.baseline) : "", both);
  };
  if (validation.model.evaluation) {
    line("rows", [&](const release::Subject& subject) { return std::to_string(subject.evaluation->rows()); });
    for (const std::string& name : headline_metrics(validation.model.evaluation->form().task)) {
      line(name, [&](const release::Subject& subject) {
        const metrics::Value value = subject.evaluation->compute({name});
        const bool share = name != "loss" && name != "mse" && name != "mae" && name != "r2";
        return share ? fmt::format("{:.2f} %", value.value * 100) : fmt::format("{:.4g}", value.value);
      });
    }
  }
  line("size", [](const release::Subject& subject) { return human_bytes(subject.size); });
  line("parameters", [](const release::Subject& subject) { return std::to_string(subject.cost.parameters); });
  line("zero parameters", [](const release::Subject& subject) {
    return subject.cost.parameters == 0 ? "-"
                                        : fmt::format("{:.1f} %", 100.0 - 100.0 * static_cast<double>(subject.cost.nonzero_parameters) /
                                                                              static_cast<double>(subject.cost.parameters));
  });
  line("multiply-accumulates", [](const release::Subject& subject) {
    return fmt::format("{}{:.4g} M", subject.cost.complete ? "" : ">= ", subject.cost.macs / 1e6);
  });
  if (!validation.model.latency.empty()) {
    line("latency (median)", [](const release::Subject& subject) {
      return metrics::format_value(metrics::summarize(subject.latency).p50, metrics::Unit::seconds);
    });
  }
  for (const metrics::OutputComparison& comparison : validation.comparisons) {
    if (comparison.elements() == 0) continue;
    std::string text = fmt::format("output {}: max |a-b| {:.3g} ({:.3g} of the largest value)", hone::quoted(comparison.name()),
                                   comparison.max_abs(), comparison.max_rel());
    if (comparison.rows() > 0) text += fmt::format(", same answer on {:.2f} %", comparison.agreement() * 100);
    fmt::print("{}\n", text);
  }
  for (const metrics::Verdict& verdict : validation.verdicts) {
    fmt::print("[{}] {}\n", metrics::name(verdict.outcome), verdict.sentence);
  }
}

void run(Options& options, Common& common) {
  common.apply();
  if (!options.data.label.empty() && !options.data.given()) usage_error("--label needs --data FILE");
  if (options.confidence > 0) options.validate.confidence = options.confidence;
  if (!options.task.empty()) {
    options.validate.task = options.task == "regression" ? metrics::Task::regression
                            : options.task == "binary"   ? metrics::Task::binary
                                                         : metrics::Task::classification;
  }
  if (!options.scores.empty()) {
    options.validate.scores = options.scores == "logits"    ? metrics::Scores::logits
                              : options.scores == "answers" ? metrics::Scores::answers
                                                            : metrics::Scores::probabilities;
  }
  options.validate.seed = common.seed();
  for (const std::string& gate : options.validate.gates) metrics::parse_gate(gate);  // before anything is read
  ir::Model model = options.file.read(common);
  std::optional<ir::Model> baseline;
  if (!options.against.empty()) {
    onnx::ReadOptions read;
    read.observer = &common.observer();
    baseline = onnx::read(options.against, read);
  }
  std::optional<data::Dataset> data;
  if (options.data.given()) data = options.data.open();
  const release::Validation validation = in_context([&] { return "validating " + options.file.input; }, [&] {
    return release::validate(model, baseline ? &*baseline : nullptr, data ? &*data : nullptr, options.data.feed(),
                             options.validate, common.observer());
  });
  if (!common.quiet()) print(validation);
  if (common.quiet()) {
    for (const metrics::Verdict& verdict : validation.verdicts) {
      if (verdict.outcome != metrics::Outcome::pass) common.observer().message(Level::warning, verdict.sentence);
    }
  }
  Json gates = Json::array(), comparisons = Json::array();
  for (const metrics::Verdict& verdict : validation.verdicts) gates.push_back(describe(verdict));
  for (const metrics::OutputComparison& each : validation.comparisons) {
    comparisons.push_back({{"output", each.name()}, {"elements", each.elements()}, {"max_abs", number(each.max_abs())},
                           {"mean_abs", number(each.mean_abs())}, {"max_rel", number(each.max_rel())},
                           {"cosine", number(each.cosine())}, {"sqnr", number(each.sqnr())},
                           {"agreement", number(each.agreement())}});
  }
  Json report{{"model_file", options.file.input},
              {"rows", validation.rows},
              {"output", validation.output},
              {"model", describe(validation.model, validation.classes, common.seed())}};
  if (validation.baseline) {
    report["baseline_file"] = options.against;
    report["baseline"] = describe(*validation.baseline, validation.classes, common.seed());
    report["comparisons"] = std::move(comparisons);
    if (validation.model.evaluation && validation.model.evaluation->form().task != metrics::Task::regression) {
      const metrics::Flips flips = metrics::flips(*validation.baseline->evaluation, *validation.model.evaluation);
      report["flips"] = {{"changed", flips.changed}, {"negative", flips.negative}, {"positive", flips.positive}};
    }
  }
  report["gates"] = std::move(gates);
  const int code = metrics::exit_code(validation.verdicts);
  report["passed"] = code == 0;
  common.write_report("validate", std::move(report));
  common.set_exit_code(code);
}

}  // namespace

void add_validate(CLI::App& hone, Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *hone.add_subcommand("validate", "measure a model on labelled data, compare it, judge it by gates");
  options->file.add_to(command);
  options->data.add_to(command, false);
  command.add_option("--against", options->against, "the model to compare with")->type_name("BASE");
  command.add_option("--gate", options->validate.gates, "a condition such as 'accuracy drop <= 0.5pp'; exit 1 when one fails")
      ->type_name("EXPR");
  command.add_option("--confidence", options->confidence, "judge by intervals of this one-sided confidence; exit 5 when undecided")
      ->type_name("C");
  command.add_option("--output", options->validate.output, "the output that holds the answers")->type_name("NAME");
  command.add_option("--task", options->task, "what the labels are")
      ->check(CLI::IsMember({"classification", "binary", "regression"}));
  command.add_option("--scores", options->scores, "what the outputs are")
      ->check(CLI::IsMember({"probabilities", "logits", "answers"}));
  command.add_option("--batch-size", options->validate.batch, "samples run at once")->check(CLI::PositiveNumber)->capture_default_str();
  command.add_option("--latency-runs", options->validate.latency_runs, "timed runs of one sample; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  common.add_to(command);
  command.footer(
      "Example: hone validate small.onnx --against trained.onnx --data test.npz --label y \\\n"
      "           --gate 'accuracy drop <= 0.5pp' --gate 'size <= 200KB'");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
