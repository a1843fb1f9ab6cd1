// What a command did and found, once: as JSON for machines, as tables for people, and in the forms that build servers read.
//
// The JSON is of schema "hone.report/1" (docs/reports.md): keys are added to it, never changed. NaN and infinities, which
// JSON lacks, are null.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hone/metrics/compare.h"
#include "hone/metrics/evaluation.h"
#include "hone/metrics/gate.h"
#include "hone/metrics/latency.h"
#include "hone/support/error.h"

namespace hone::report {

// A number about the model, with that of the baseline (or of the model before) where there is one.
struct Row {
  std::string name;
  metrics::Unit unit = metrics::Unit::number;
  double value = 0;
  std::optional<double> baseline = {};
  std::optional<metrics::Interval> interval = {};         // of the value
  std::optional<metrics::Interval> change_interval = {};  // of value - baseline
  std::int64_t rows = 0;                                  // of data it was measured on; 0: not measured on data
  std::string note = {};
  bool in_table = true;  // false: only in the JSON
};

class Report {
 public:
  explicit Report(std::string_view command);  // "validate"
  ~Report();
  Report(Report&&) noexcept;
  Report& operator=(Report&&) noexcept;

  // The whole document, for sections of a command's own.
  nlohmann::ordered_json& json();
  const nlohmann::ordered_json& json() const;

  // A file that was read or written: its role ("model", "baseline", "data"), and what is known of it.
  void add_input(std::string_view role, std::string_view path, std::optional<std::uint64_t> bytes = {},
                 std::string_view sha256 = {});
  void add_output(std::string_view role, std::string_view path, std::optional<std::uint64_t> bytes = {},
                  std::string_view sha256 = {});
  void set_option(std::string_view name, std::string_view value);  // as given on the command line
  void warn(std::string_view text);

  void add(const Row& row);
  // "rows, batch, label ..." of the data set.
  void set_data(std::string_view source, std::int64_t rows, std::string_view label = {},
                std::span<const std::string> classes = {});
  void set_confusion(const metrics::Evaluation& evaluation, std::span<const std::string> classes = {});
  void add_comparison(const metrics::OutputComparison& output);
  void set_latency(std::string_view of, const metrics::Latency& latency);  // "model", "baseline"
  void set_flips(const metrics::Flips& flips, const metrics::McNemar& test);
  void add(std::span<const metrics::Verdict> verdicts);
  // The command ended with this; the outcome follows from it ("done", "fail", "inconclusive", "error").
  void set_exit_code(int code);
  void set_error(const Error& error);  // and the exit code

  const std::vector<Row>& rows() const;
  const std::vector<metrics::Verdict>& verdicts() const;

  // Indented by two, with a newline at the end. Keys in the order of docs/reports.md.
  std::string json_text() const;
  // As json_text(). "-" is standard output; a path is written whole or not at all.
  void write(const std::string& path) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct TextStyle {
  bool color = false;
};

// Tables for a terminal: rows, latency, comparisons, confusion where there are few classes, gates, warnings.
std::string text(const Report& report, TextStyle style = {});
// For a step summary or comment, cut to `limit` bytes with a word about it: GitHub drops summaries above 1 MiB whole, and
// refuses comments above 64 KiB.
std::string markdown(const Report& report, std::size_t limit = 60'000);
// A test suite with one test case a gate; a command that failed is one with an error.
std::string junit(const Report& report);
// Workflow commands of GitHub, one line each: ::error for gates that failed, ::warning for inconclusive ones and warnings.
// At most 10 of each kind are shown, so that the tenth says how many more there are.
std::string github_annotations(const Report& report);

// Where a report goes, and in which form.
enum class Form { json, junit, markdown, github };
struct Target {
  Form form = Form::json;
  std::string path;  // "-": standard output
};
// "FORM=FILE" with json, junit, markdown or github; "FILE" alone: JUnit for .xml, Markdown for .md, else JSON. Raises usage
// without a file.
Target parse_target(std::string_view text);
std::string render(const Report& report, Form form);

}  // namespace hone::report
