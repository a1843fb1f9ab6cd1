// The form of a report, told by its name or by the file's.
#include <array>
#include <utility>

#include "hone/report/report.h"
#include "hone/support/text.h"

namespace hone::report {
namespace {

constexpr std::array<std::pair<std::string_view, Form>, 4> kForms{
    {{"json", Form::json}, {"junit", Form::junit}, {"markdown", Form::markdown}, {"github", Form::github}}};

}  // namespace

Target parse_target(std::string_view text) {
  Target target{Form::json, std::string(text)};
  const std::size_t equals = text.find('=');
  bool named = false;
  for (const auto& [name, form] : kForms) {
    if (equals == std::string_view::npos || text.substr(0, equals) != name) continue;
    target = {form, std::string(text.substr(equals + 1))};
    named = true;
  }
  if (target.path.empty()) usage_error("--report {} names no file: give FILE or FORM=FILE", quote(text));
  if (!named && target.path.ends_with(".xml")) target.form = Form::junit;
  if (!named && target.path.ends_with(".md")) target.form = Form::markdown;
  return target;
}

std::string render(const Report& report, Form form) {
  switch (form) {
    case Form::json:
      return report.json_text();
    case Form::junit:
      return junit(report);
    case Form::markdown:
      return markdown(report);
    case Form::github:
      return github_annotations(report);
  }
  return "";
}

}  // namespace hone::report
