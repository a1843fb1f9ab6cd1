// The report as a document.
#include "hone/report/report.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "hone/support/output.h"
#include "hone/support/version.h"

namespace hone::report {
namespace {

using Json = nlohmann::ordered_json;

const char* unit_name(metrics::Unit unit) {
  switch (unit) {
    case metrics::Unit::share:
      return "share";
    case metrics::Unit::number:
      return "number";
    case metrics::Unit::bytes:
      return "bytes";
    case metrics::Unit::count:
      return "count";
    case metrics::Unit::seconds:
      return "seconds";
    case metrics::Unit::decibel:
      return "dB";
  }
  return "";
}

// Counts as integers: 1e+06 is no number of nodes.
Json number(double value, metrics::Unit unit = metrics::Unit::number) {
  constexpr double exact = 9007199254740992.0;  // 2^53
  const bool counts = unit == metrics::Unit::bytes || unit == metrics::Unit::count;
  if (counts && std::trunc(value) == value && std::abs(value) < exact) return static_cast<std::int64_t>(value);
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json interval(const metrics::Interval& from) {
  return {{"low", number(from.low)},
          {"high", number(from.high)},
          {"confidence", number(from.confidence)},
          {"method", from.method}};
}

Json file_entry(std::string_view role, std::string_view path, std::optional<std::uint64_t> bytes,
                std::string_view sha256) {
  Json entry = {{"role", role}, {"path", path}};
  if (bytes) entry["bytes"] = *bytes;
  if (!sha256.empty()) entry["sha256"] = sha256;
  return entry;
}

const char* operator_name(metrics::Operator op) {
  switch (op) {
    case metrics::Operator::greater_equal:
      return ">=";
    case metrics::Operator::greater:
      return ">";
    case metrics::Operator::less_equal:
      return "<=";
    case metrics::Operator::less:
      return "<";
    case metrics::Operator::equal:
      return "==";
    case metrics::Operator::not_equal:
      return "!=";
  }
  return "";
}

const char* quantity_name(metrics::Quantity quantity) {
  switch (quantity) {
    case metrics::Quantity::value:
      return "value";
    case metrics::Quantity::drop:
      return "drop";
    case metrics::Quantity::rise:
      return "rise";
    case metrics::Quantity::change:
      return "change";
    case metrics::Quantity::ratio:
      return "ratio";
  }
  return "";
}

}  // namespace

struct Report::State {
  Json document;
  std::vector<Row> rows;
  std::vector<metrics::Verdict> verdicts;
};

Report::Report(std::string_view command) : state_(std::make_unique<State>()) {
  state_->document = {
      {"schema", "hone.report/1"}, {"hone", version()}, {"command", command}, {"outcome", "done"}, {"exit_code", 0}};
}
Report::~Report() = default;
Report::Report(Report&&) noexcept = default;
Report& Report::operator=(Report&&) noexcept = default;

Json& Report::json() { return state_->document; }
const Json& Report::json() const { return state_->document; }
const std::vector<Row>& Report::rows() const { return state_->rows; }
const std::vector<metrics::Verdict>& Report::verdicts() const { return state_->verdicts; }

void Report::add_input(std::string_view role, std::string_view path, std::optional<std::uint64_t> bytes,
                       std::string_view sha256) {
  json()["inputs"].push_back(file_entry(role, path, bytes, sha256));
}

void Report::add_output(std::string_view role, std::string_view path, std::optional<std::uint64_t> bytes,
                        std::string_view sha256) {
  json()["outputs"].push_back(file_entry(role, path, bytes, sha256));
}

void Report::set_option(std::string_view name, std::string_view value) { json()["options"][std::string(name)] = value; }

void Report::warn(std::string_view text) { json()["warnings"].push_back(text); }

void Report::add(const Row& row) {
  Json entry = {{"name", row.name}, {"unit", unit_name(row.unit)}, {"value", number(row.value, row.unit)}};
  if (row.interval) entry["interval"] = interval(*row.interval);
  if (row.baseline) {
    entry["baseline"] = number(*row.baseline, row.unit);
    entry["change"] = number(row.value - *row.baseline, row.unit);
  }
  if (row.change_interval) entry["change_interval"] = interval(*row.change_interval);
  if (row.rows > 0) entry["rows"] = row.rows;
  if (!row.note.empty()) entry["note"] = row.note;
  json()["metrics"].push_back(std::move(entry));
  state_->rows.push_back(row);
}

void Report::set_data(std::string_view source, std::int64_t rows, std::string_view label,
                      std::span<const std::string> classes) {
  Json data = {{"source", source}, {"rows", rows}};
  if (!label.empty()) data["label"] = label;
  if (!classes.empty()) data["classes"] = std::vector<std::string>(classes.begin(), classes.end());
  json()["data"] = std::move(data);
}

void Report::set_confusion(const metrics::Evaluation& evaluation, std::span<const std::string> classes) {
  const std::vector<std::int64_t> seen = evaluation.classes_seen();
  Json names = Json::array(), counts = Json::array();
  for (const std::int64_t truth : seen) {
    const auto index = static_cast<std::size_t>(truth);
    if (index < classes.size()) names.push_back(classes[index]);
    Json row = Json::array();
    for (const std::int64_t answer : seen) {
      const auto cell = evaluation.confusion().find({truth, answer});
      row.push_back(cell == evaluation.confusion().end() ? 0 : cell->second);
    }
    counts.push_back(std::move(row));
  }
  json()["confusion"] = {{"classes", seen}, {"counts", std::move(counts)}};
  if (names.size() == seen.size() && !names.empty()) json()["confusion"]["names"] = std::move(names);
}

void Report::add_comparison(const metrics::OutputComparison& output) {
  json()["comparisons"].push_back({{"output", output.name()},
                                   {"elements", output.elements()},
                                   {"different", output.different()},
                                   {"mismatches", output.mismatches()},
                                   {"nans", output.nans()},
                                   {"max_abs_diff", number(output.max_abs())},
                                   {"mean_abs_diff", number(output.mean_abs())},
                                   {"max_rel_diff", number(output.max_rel())},
                                   {"least_absolute_tolerance", number(output.least_absolute())},
                                   {"least_relative_tolerance", number(output.least_relative())},
                                   {"cosine", number(output.cosine())},
                                   {"sqnr", number(output.sqnr())},
                                   {"rows", output.rows()},
                                   {"agreement", number(output.agreement())}});
}

void Report::set_latency(std::string_view of, const metrics::Latency& latency) {
  json()["latency"][std::string(of)] = {{"runs", latency.runs},         {"min", number(latency.min)},
                                        {"mean", number(latency.mean)}, {"p50", number(latency.p50)},
                                        {"p90", number(latency.p90)},   {"p95", number(latency.p95)},
                                        {"p99", number(latency.p99)},   {"deviation", number(latency.deviation)},
                                        {"outliers", latency.outliers}, {"unstable", latency.unstable()}};
}

void Report::set_flips(const metrics::Flips& flips, const metrics::McNemar& test) {
  json()["flips"] = {{"rows", flips.rows},
                     {"changed", flips.changed},
                     {"negative", flips.negative},
                     {"positive", flips.positive},
                     {"mcnemar_exact_p", number(test.exact)},
                     {"mcnemar_mid_p", number(test.mid)}};
}

void Report::add(std::span<const metrics::Verdict> verdicts) {
  int code = json()["exit_code"];
  for (const metrics::Verdict& verdict : verdicts) {
    const metrics::Gate& gate = verdict.gate;
    const auto optional = [](const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); };
    Json entry = {{"gate", gate.text},
                  {"metric", gate.metric.text()},
                  {"quantity", quantity_name(gate.quantity)},
                  {"operator", operator_name(gate.op)},
                  {"threshold", number(gate.threshold)},
                  {"relative", gate.relative},
                  {"outcome", metrics::name(verdict.outcome)},
                  {"value", optional(verdict.value)},
                  {"now", optional(verdict.now)}};
    if (verdict.before) entry["baseline"] = number(*verdict.before);
    if (verdict.interval) entry["interval"] = interval(*verdict.interval);
    if (verdict.rows > 0) entry["rows"] = verdict.rows;
    if (verdict.rows_needed) entry["rows_needed"] = *verdict.rows_needed;
    entry["sentence"] = verdict.sentence;
    json()["gates"].push_back(std::move(entry));
    state_->verdicts.push_back(verdict);
  }
  if (code == 0 || code == 1 || code == 5) set_exit_code(metrics::exit_code(state_->verdicts));
}

void Report::set_exit_code(int code) {
  const bool passed = code == 0 && !state_->verdicts.empty();
  json()["exit_code"] = code;
  json()["outcome"] = passed ? "pass" : code == 0 ? "done" : code == 1 ? "fail" : code == 5 ? "inconclusive" : "error";
}

void Report::set_error(const Error& error) {
  set_exit_code(exit_code(error.kind()));
  json()["error"] = {{"kind", kind_name(error.kind())}, {"message", error.message()}};
}

std::string Report::json_text() const {
  // Names from files may not be UTF-8, which JSON has to be.
  return json().dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void Report::write(const std::string& path) const { write_file(path, json_text()); }

}  // namespace hone::report
