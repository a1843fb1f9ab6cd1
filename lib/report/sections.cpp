// Tables of a report.
#include "report/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "hone/support/text.h"

namespace hone::report {
namespace {

using metrics::format_value;
using metrics::Unit;
using Json = nlohmann::ordered_json;

double number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : std::nan("");
}

// Differences of shares are in percentage points, those of sizes in percent of the baseline.
std::string change_text(const Row& row) {
  const double difference = row.value - *row.baseline;
  const char* const sign = difference > 0 ? "+" : "";
  switch (row.unit) {
    case Unit::share:
      return fmt::format("{}{:.2f} pp", sign, 100 * difference);
    case Unit::bytes:
    case Unit::count:
    case Unit::seconds:
      if (*row.baseline == 0) return difference == 0 ? "0.0 %" : "";
      return fmt::format("{}{:.1f} %", sign, 100 * difference / *row.baseline);
    case Unit::decibel:
      return fmt::format("{}{:.2f} dB", sign, difference);
    case Unit::number:
      return fmt::format("{}{:.3g}", sign, difference);
  }
  return "";
}

std::string interval_text(const Row& row) {
  if (!row.interval) return "";
  return fmt::format("{} to {}", format_value(row.interval->low, row.unit), format_value(row.interval->high, row.unit));
}

std::optional<Section> metric_section(const Report& report) {
  std::vector<Row> rows;
  for (const Row& row : report.rows()) {
    if (row.in_table) rows.push_back(row);
  }
  if (rows.empty()) return std::nullopt;
  const auto any = [&](auto&& has) { return std::any_of(rows.begin(), rows.end(), has); };
  const bool baseline = any([](const Row& row) { return row.baseline.has_value(); });
  const bool intervals = any([](const Row& row) { return row.interval.has_value(); });
  const bool notes = any([](const Row& row) { return !row.note.empty(); });
  std::vector<std::string> header = {"metric", "value"};
  if (intervals) {
    double confidence = 0.95;
    for (const Row& row : rows) confidence = row.interval ? row.interval->confidence : confidence;
    header.push_back(fmt::format("{:.4g} % interval", 100 * confidence));
  }
  if (baseline) header.insert(header.end(), {"baseline", "change"});
  if (notes) header.emplace_back("note");
  std::vector<Align> alignment(header.size(), Align::right);
  alignment[0] = Align::left;
  if (notes) alignment.back() = Align::left;
  Section section{"", Table(header, alignment)};
  for (const Row& row : rows) {
    std::vector<std::string> cells = {row.name, format_value(row.value, row.unit)};
    if (intervals) cells.push_back(interval_text(row));
    if (baseline) {
      cells.push_back(row.baseline ? format_value(*row.baseline, row.unit) : "");
      cells.push_back(row.baseline ? change_text(row) : "");
    }
    if (notes) cells.push_back(row.note);
    section.table.add(std::move(cells));
  }
  return section;
}

std::optional<Section> latency_section(const Report& report) {
  const auto found = report.json().find("latency");
  if (found == report.json().end()) return std::nullopt;
  Section section{"Latency", Table({"", "runs", "median", "p90", "p99", "min", ""},
                                   {Align::left, Align::right, Align::right, Align::right, Align::right, Align::right,
                                    Align::left})};
  for (const auto& [name, latency] : found->items()) {
    const auto time = [&, &latency = latency](const char* key) {
      return format_value(number(latency, key), Unit::seconds);
    };
    section.table.add({name, fmt::format("{}", latency.value("runs", 0)), time("p50"), time("p90"), time("p99"),
                       time("min"), latency.value("unstable", false) ? "unstable: the machine is busy" : ""});
  }
  return section;
}

std::optional<Section> comparison_section(const Report& report) {
  const auto found = report.json().find("comparisons");
  if (found == report.json().end()) return std::nullopt;
  Section section{"Outputs against the baseline", Table({"output", "max |a-b|", "mean |a-b|", "max / max |a|", "cosine",
                                                         "SQNR", "same argmax", "NaN"})};
  for (const Json& output : *found) {
    const bool mismatch = number(output, "mismatches") > 0;
    const auto value = [&](const char* key, Unit unit = Unit::number) {
      const double v = number(output, key);
      return std::isnan(v) ? std::string("-") : format_value(v, unit);
    };
    // No number stands for infinity in JSON.
    const auto largest = [&](const char* key) { return mismatch ? std::string("infinity") : value(key); };
    section.table.add({output.value("output", ""), largest("max_abs_diff"), value("mean_abs_diff"),
                       largest("max_rel_diff"), value("cosine"), value("sqnr", Unit::decibel),
                       value("agreement", Unit::share), fmt::format("{}", output.value("nans", 0))});
  }
  return section;
}

std::optional<Section> confusion_section(const Report& report) {
  const auto found = report.json().find("confusion");
  constexpr std::size_t most_classes = 20;  // that fit a terminal of 120 columns
  if (found == report.json().end() || (*found)["counts"].size() > most_classes || (*found)["counts"].empty()) {
    return std::nullopt;
  }
  const auto name = [&](std::size_t i) {
    if (found->contains("names")) return (*found)["names"][i].get<std::string>();
    return fmt::format("{}", (*found)["classes"][i].get<std::int64_t>());
  };
  std::vector<std::string> header = {"true \\ answer"};
  for (std::size_t i = 0; i < (*found)["counts"].size(); ++i) header.push_back(name(i));
  Section section{"Confusion", Table(header)};
  for (std::size_t i = 0; i < (*found)["counts"].size(); ++i) {
    std::vector<std::string> cells = {name(i)};
    for (const Json& count : (*found)["counts"][i]) {
      cells.push_back(count == 0 ? "." : fmt::format("{}", count.get<std::int64_t>()));
    }
    section.table.add(std::move(cells));
  }
  return section;
}

}  // namespace

std::vector<Section> sections(const Report& report) {
  std::vector<Section> result;
  for (auto make : {metric_section, comparison_section, latency_section, confusion_section}) {
    if (auto section = make(report)) result.push_back(std::move(*section));
  }
  return result;
}

std::string headline(const Report& report) {
  const Json& json = report.json();
  if (const auto error = json.find("error"); error != json.end()) return "error: " + error->value("message", "");
  const auto& verdicts = report.verdicts();
  if (verdicts.empty()) return json.value("outcome", "");
  const auto count = [&](metrics::Outcome outcome) {
    return std::count_if(verdicts.begin(), verdicts.end(),
                         [&](const auto& verdict) { return verdict.outcome == outcome; });
  };
  std::string result = fmt::format("{} of {} gates passed", count(metrics::Outcome::pass), verdicts.size());
  for (const auto outcome : {metrics::Outcome::fail, metrics::Outcome::not_evaluated, metrics::Outcome::inconclusive}) {
    if (count(outcome) > 0) result += fmt::format(", {} {}", count(outcome), metrics::name(outcome));
  }
  return result;
}

}  // namespace hone::report
