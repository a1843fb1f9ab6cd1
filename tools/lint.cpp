// hone validate --lint: every structural problem of a model at once. No data, no baseline, no gates.
#include "lint.h"

#include <fmt/core.h>

#include <algorithm>

#include "hone/onnx/check.h"
#include "hone/report/report.h"
#include "hone/report/sarif.h"
#include "hone/support/error.h"
#include "hone/support/output.h"

namespace hone::tools {
namespace {

std::string count(std::size_t number, const char* what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

}  // namespace

void LintOptions::add_to(Command command) {
  const std::string group = "Lint";
  Option flag = command.add_flag("--lint", lint, "report every structural problem of the model; exit 3 on an error");
  flag.group(group);
  for (const char* other : {"--data", "--label", "--against", "--gate"}) {
    if (command.has_option(other)) flag.excludes(command.option(other));
  }
  command.add_option("--sarif", sarif, "with --lint: write the problems as SARIF 2.1.0 (- for stdout)")
      .type_name("FILE")
      .needs(flag)
      .group(group);
}

void lint(const ModelIn& model, const LintOptions& options, Common& common) {
  if (options.sarif == "-" && common.reports_to_stdout()) {
    usage_error("--sarif and --report can't both go to standard output");
  }
  onnx::ReadOptions read;
  read.external_root = model.external_root;
  read.observer = &common.observer();
  const std::vector<onnx::Problem> problems = onnx::lint_file(model.input, read);
  const auto errors = static_cast<std::size_t>(
      std::count_if(problems.begin(), problems.end(), [](const onnx::Problem& problem) { return problem.error; }));
  const std::size_t warnings = problems.size() - errors;

  // Standard output is for people, unless a machine asked for it.
  if (options.sarif != "-" && !common.reports_to_stdout()) {
    for (const bool error : {true, false}) {
      for (const onnx::Problem& problem : problems) {
        if (problem.error != error || (!error && common.quiet())) continue;
        fmt::print("{}: {}{}{} [{}]\n", error ? "error" : "warning", problem.node, problem.node.empty() ? "" : ": ",
                   problem.message, problem.rule);
      }
    }
    if (!common.quiet()) {
      fmt::print("{}: {}, {}\n", printable(model.input), count(errors, "error"), count(warnings, "warning"));
    }
  }
  if (!options.sarif.empty()) write_file(options.sarif, report::sarif(model.input, problems));

  Json list = Json::array();
  for (const onnx::Problem& problem : problems) {
    Json entry{{"rule", problem.rule}, {"level", problem.error ? "error" : "warning"}};
    if (!problem.node.empty()) entry["node"] = problem.node;
    entry["message"] = problem.message;
    list.push_back(std::move(entry));
  }
  const int code = errors > 0 ? exit_code(ErrorKind::bad_input) : 0;
  report::Report report("validate");
  report.add_input("model", model.input);
  report.json()["errors"] = errors;
  report.json()["warnings_found"] = warnings;
  report.json()["problems"] = std::move(list);
  report.set_exit_code(code);
  common.write_report(report);
  common.set_exit_code(code);
}

}  // namespace hone::tools
