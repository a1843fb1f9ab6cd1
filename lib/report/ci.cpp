// What build servers read: JUnit XML, Markdown, GitHub's workflow commands.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hone/support/error.h"
#include "hone/support/text.h"
#include "report/sections.h"

namespace hone::report {
namespace {

using metrics::Outcome;
using metrics::Verdict;

std::string title(const Report& report) { return "hone " + report.json().value("command", ""); }

// The error that ended the command, or nothing.
std::string error_of(const Report& report) {
  const auto error = report.json().find("error");
  return error == report.json().end() ? std::string() : error->value("message", "");
}

// Values of workflow commands.
std::string escape_command(std::string_view text, bool property) {
  std::string result;
  for (const char c : text) {
    const bool special = c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ','));
    result += special ? fmt::format("%{:02X}", static_cast<unsigned char>(c)) : std::string(1, c);
  }
  return result;
}

// The longest prefix of at most `size` bytes that ends with a line.
std::string_view whole_lines(std::string_view text, std::size_t size) {
  if (text.size() <= size) return text;
  const std::size_t end = text.rfind('\n', size);
  return text.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

}  // namespace

std::string junit(const Report& report) {
  const auto& verdicts = report.verdicts();
  const std::string error = error_of(report);
  const auto count = [&](std::initializer_list<Outcome> outcomes) {
    return std::count_if(verdicts.begin(), verdicts.end(), [&](const Verdict& verdict) {
      return std::find(outcomes.begin(), outcomes.end(), verdict.outcome) != outcomes.end();
    });
  };
  const auto failures = count({Outcome::fail, Outcome::inconclusive});
  const auto errors = count({Outcome::not_evaluated}) + !error.empty();
  const auto tests = static_cast<std::ptrdiff_t>(verdicts.size()) + !error.empty();
  const std::string suite = escape_xml(title(report));
  std::string result = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  const std::string counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\"", tests, failures, errors);
  result += fmt::format("<testsuites {}>\n  <testsuite name=\"{}\" {} skipped=\"0\">\n", counts, suite, counts);
  if (!report.rows().empty()) {
    result += "    <properties>\n";
    for (const Row& row : report.rows()) {
      result += fmt::format("      <property name=\"{}\" value=\"{}\"/>\n", escape_xml(row.name), row.value);
    }
    result += "    </properties>\n";
  }
  for (const Verdict& verdict : verdicts) {
    result += fmt::format("    <testcase classname=\"{}\" name=\"{}\"", suite, escape_xml(verdict.gate.text));
    if (verdict.outcome == Outcome::pass) {
      result += fmt::format(">\n      <system-out>{}</system-out>\n    </testcase>\n", escape_xml(verdict.sentence));
      continue;
    }
    const char* const element = verdict.outcome == Outcome::not_evaluated ? "error" : "failure";
    result += fmt::format(">\n      <{} type=\"{}\" message=\"{}\"/>\n    </testcase>\n", element,
                          metrics::name(verdict.outcome), escape_xml(verdict.sentence));
  }
  if (!error.empty()) {
    result += fmt::format(
        "    <testcase classname=\"{}\" name=\"command\">\n      <error type=\"{}\" message=\"{}\"/>\n    "
        "</testcase>\n",
        suite, escape_xml(report.json()["error"].value("kind", "")), escape_xml(error));
  }
  return result + "  </testsuite>\n</testsuites>\n";
}

std::string markdown(const Report& report, std::size_t limit) {
  std::string result = fmt::format("### {}: {}\n", escape_markdown(title(report)), escape_markdown(headline(report)));
  if (!report.verdicts().empty()) {
    Table gates({"", "gate"}, {Align::left, Align::left});
    for (const Verdict& verdict : report.verdicts()) {
      const char* const mark = verdict.outcome == Outcome::pass           ? "✅"
                               : verdict.outcome == Outcome::inconclusive ? "❔"
                                                                          : "❌";
      gates.add({mark, verdict.sentence});
    }
    result += '\n' + gates.markdown();
  }
  for (const Section& section : sections(report)) {
    result += '\n';
    if (!section.title.empty()) result += "#### " + escape_markdown(section.title) + "\n\n";
    result += section.table.markdown();
  }
  if (const auto warnings = report.json().find("warnings"); warnings != report.json().end()) {
    result += '\n';
    for (const auto& warning : *warnings) result += "- ⚠️ " + escape_markdown(warning.get<std::string>()) + '\n';
  }
  constexpr std::string_view cut = "\n(cut: too long)\n";
  if (result.size() <= limit) return result;
  return std::string(whole_lines(result, limit - std::min(limit, cut.size()))) + std::string(cut.substr(0, limit));
}

std::string github_annotations(const Report& report) {
  std::string result;
  const auto add_all = [&](const char* kind, const std::vector<std::string>& messages) {
    constexpr std::size_t most = 10;  // of a kind in one step; GitHub drops the rest without a word
    const std::size_t shown = messages.size() <= most ? messages.size() : most - 1;
    for (std::size_t i = 0; i < shown; ++i) {
      result += fmt::format("::{} title={}::{}\n", kind, escape_command(title(report), true),
                            escape_command(messages[i], false));
    }
    if (shown < messages.size()) {
      result += fmt::format("::{} title={}::and {} more\n", kind, escape_command(title(report), true),
                            messages.size() - shown);
    }
  };
  std::vector<std::string> errors, warnings;
  if (const std::string error = error_of(report); !error.empty()) errors.push_back(error);
  for (const Verdict& verdict : report.verdicts()) {
    if (verdict.outcome == Outcome::inconclusive) warnings.push_back(verdict.sentence);
    if (verdict.outcome == Outcome::fail || verdict.outcome == Outcome::not_evaluated)
      errors.push_back(verdict.sentence);
  }
  if (const auto found = report.json().find("warnings"); found != report.json().end()) {
    for (const auto& warning : *found) warnings.push_back(warning.get<std::string>());
  }
  add_all("error", errors);
  add_all("warning", warnings);
  return result;
}

}  // namespace hone::report
