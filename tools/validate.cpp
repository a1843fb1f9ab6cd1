// hone validate: metrics on labelled data, comparison with a baseline, gates.
#include "hone/release/validate.h"

#include <fmt/core.h>

#include <filesystem>

#include "common.h"
#include "data_options.h"
#include "hone/release/validation_report.h"
#include "hone/support/error.h"
#include "hone/support/sha256.h"
#include "hone/support/text.h"
#include "lint.h"

namespace hone::tools {
namespace {

struct ValidateFlags {
  ModelIn file;
  std::string against, task, scores;
  DataOptions data;
  release::ValidateOptions validate;
  LintOptions lint;
  double confidence = 0;
};

report::Report report_of(const release::Validation& validation, const ValidateFlags& options, const Common& common) {
  report::Report report = release::report_of(validation, common.seed());
  const auto add_input = [&](const char* role, const std::string& path, std::uint64_t bytes) {
    // Hashing reads the whole file: only where somebody will see it. A pipe was read already.
    std::error_code error;
    const bool hashed = common.reports() && std::filesystem::is_regular_file(path, error);
    report.add_input(role, path, bytes, hashed ? sha256(*File::open(path)) : "");
  };
  add_input("model", options.file.input, validation.model.size);
  report.json()["model_file"] = options.file.input;
  if (validation.baseline) {
    add_input("baseline", options.against, validation.baseline->size);
    report.json()["baseline_file"] = options.against;
  }
  if (options.data.given()) {
    report.set_data(join(options.data.sources, ", "), validation.rows, options.data.label, validation.classes);
  }
  if (options.confidence > 0) report.set_option("confidence", fmt::format("{}", options.confidence));
  return report;
}

void run(ValidateFlags& options, Common& common) {
  common.apply();
  if (options.lint.lint) return lint(options.file, options.lint, common);
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
  const release::Validation validation =
      in_context([&] { return "validating " + options.file.input; },
                 [&] {
                   return release::validate(model, baseline ? &*baseline : nullptr, data ? &*data : nullptr,
                                            options.data.feed(), options.validate, common.observer());
                 });
  report::Report report = report_of(validation, options, common);
  if (!common.quiet()) {
    std::FILE* const people = common.reports_to_stdout() ? stderr : stdout;
    fmt::print(people, "{}", report::text(report, {.color = common.color(people)}));
  } else {
    for (const metrics::Verdict& verdict : validation.verdicts) {
      if (verdict.outcome != metrics::Outcome::pass) common.observer().message(Level::warning, verdict.sentence);
    }
  }
  common.write_report(report);
  common.set_exit_code(metrics::exit_code(validation.verdicts));
}

}  // namespace

void add_validate(Command hone, Common& common) {
  auto options = std::make_shared<ValidateFlags>();
  Command command = hone.add_command("validate", "measure a model on labelled data, compare it, judge it by gates");
  options->file.add_to(command);
  options->data.add_to(command, false);
  command.add_option("--against", options->against, "the model to compare with").type_name("BASE");
  command
      .add_option("--gate", options->validate.gates,
                  "a condition such as 'accuracy drop <= 0.5pp'; exit 1 when one fails")
      .type_name("EXPR");
  command
      .add_option("--confidence", options->confidence,
                  "judge by intervals of this one-sided confidence; exit 5 when undecided")
      .type_name("C");
  command.add_option("--output", options->validate.output, "the output that holds the answers").type_name("NAME");
  command.add_option("--task", options->task, "what the labels are").one_of({"classification", "binary", "regression"});
  command.add_option("--scores", options->scores, "what the outputs are")
      .one_of({"probabilities", "logits", "answers"});
  command.add_option("--batch-size", options->validate.batch, "samples run at once").positive().show_default();
  command.add_option("--latency-runs", options->validate.latency_runs, "timed runs of one sample; 0: none")
      .not_negative()
      .show_default();
  options->lint.add_to(command);
  common.add_to(command);
  command.footer(
      "Example: hone validate small.onnx --against trained.onnx --data test.npz --label y \\\n"
      "           --gate 'accuracy drop <= 0.5pp' --gate 'size <= 200KB'\n"
      "         hone validate model.onnx --lint --sarif lint.sarif");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
