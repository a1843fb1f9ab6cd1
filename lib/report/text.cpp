// The report for a terminal.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "hone/support/error.h"
#include "report/sections.h"

namespace hone::report {
namespace {

using metrics::Outcome;

// ANSI: green, red, yellow.
const char* color_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::pass:
      return "\x1b[32m";
    case Outcome::inconclusive:
      return "\x1b[33m";
    case Outcome::fail:
    case Outcome::not_evaluated:
      break;
  }
  return "\x1b[31m";
}

const char* mark_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::pass:
      return "PASS";
    case Outcome::inconclusive:
      return "OPEN";
    case Outcome::fail:
    case Outcome::not_evaluated:
      break;
  }
  return "FAIL";
}

}  // namespace

std::string text(const Report& report, TextStyle style) {
  std::string result;
  for (const Section& section : sections(report)) {
    if (!result.empty()) result += '\n';
    if (!section.title.empty()) result += section.title + '\n';
    result += section.table.text();
  }
  if (!report.verdicts().empty()) {
    if (!result.empty()) result += '\n';
    for (const metrics::Verdict& verdict : report.verdicts()) {
      const std::string mark = mark_of(verdict.outcome);
      result += style.color ? color_of(verdict.outcome) + mark + "\x1b[0m" : mark;
      result += "  " + printable(verdict.sentence) + '\n';
    }
    result += headline(report) + '\n';
  }
  if (const auto warnings = report.json().find("warnings"); warnings != report.json().end()) {
    if (!result.empty()) result += '\n';
    for (const auto& warning : *warnings) result += "warning: " + printable(warning.get<std::string>()) + '\n';
  }
  return result;
}

}  // namespace hone::report
