// Tables, and escaping for the places they go to.
#include "hone/report/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::report {
namespace {

struct Range {
  char32_t first, last;
};

template <std::size_t N>
bool is_in(char32_t point, const std::array<Range, N>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const Range& r) { return point >= r.first && point <= r.last; });
}

// The blocks that matter, after Unicode's East Asian Width (wide and full width) and general category (nonspacing marks).
constexpr std::array wide = {Range{0x1100, 0x115f},   Range{0x2e80, 0x303e},   Range{0x3041, 0x33ff},
                             Range{0x3400, 0x4dbf},   Range{0x4e00, 0x9fff},   Range{0xa000, 0xa4cf},
                             Range{0xac00, 0xd7a3},   Range{0xf900, 0xfaff},   Range{0xfe30, 0xfe6f},
                             Range{0xff00, 0xff60},   Range{0xffe0, 0xffe6},   Range{0x1f300, 0x1f64f},
                             Range{0x1f680, 0x1f6ff}, Range{0x1f900, 0x1f9ff}, Range{0x20000, 0x3fffd}};
constexpr std::array none = {Range{0x300, 0x36f},   Range{0x483, 0x489},   Range{0x591, 0x5bd},   Range{0x610, 0x61a},
                             Range{0x64b, 0x65f},   Range{0x1ab0, 0x1aff}, Range{0x1dc0, 0x1dff}, Range{0x200b, 0x200f},
                             Range{0x20d0, 0x20ff}, Range{0xfe00, 0xfe0f}, Range{0xfe20, 0xfe2f}};

std::string padded(const std::string& text, std::size_t width, Align align) {
  const std::string space(width - std::min(width, display_width(text)), ' ');
  return align == Align::left ? text + space : space + text;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto point = decode_utf8(text, at);
    if (!point) ++at;
    width += !point ? 1 : is_in(*point, none) ? 0 : is_in(*point, wide) ? 2 : 1;
  }
  return width;
}

void Table::add(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::size_t Table::columns() const {
  std::size_t count = header_.size();
  for (const auto& row : rows_) count = std::max(count, row.size());
  return count;
}

std::string Table::text(std::string_view indent) const {
  std::vector<std::size_t> widths(columns(), 0);
  const auto measure = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  };
  measure(header_);
  for (const auto& row : rows_) measure(row);
  std::string result;
  const auto line = [&](const std::vector<std::string>& row) {
    std::string text(indent);
    for (std::size_t i = 0; i < row.size(); ++i) text += (i ? "  " : "") + padded(row[i], widths[i], align(i));
    text.erase(text.find_last_not_of(' ') + 1);
    result += text + '\n';
  };
  if (!header_.empty()) {
    line(header_);
    std::vector<std::string> rule;
    for (const std::size_t width : widths) rule.emplace_back(width, '-');
    line(rule);
  }
  for (const auto& row : rows_) line(row);
  return result;
}

std::string Table::markdown() const {
  const std::size_t count = columns();
  if (count == 0) return {};
  std::string result;
  const auto line = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < count; ++i) result += "| " + escape_markdown(i < row.size() ? row[i] : "") + ' ';
    result += "|\n";
  };
  line(header_);
  for (std::size_t i = 0; i < count; ++i) result += align(i) == Align::left ? "|:---" : "|---:";
  result += "|\n";
  for (const auto& row : rows_) line(row);
  return result;
}

std::string escape_markdown(std::string_view text) {
  std::string result;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      // An @ would call people, a # link issues, a colon pair make an emoji.
      case '@':
        result += "&#64;";
        break;
      case '\\':
      case '`':
      case '*':
      case '_':
      case '[':
      case ']':
      case '|':
      case '~':
      case '#':
      case '!':
        result += '\\';
        result += c;
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string escape_xml(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const auto point = decode_utf8(text, at);
    if (!point) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at++]));
      continue;
    }
    const bool allowed =
        *point == '\t' || *point == '\n' || (*point >= 0x20 && *point != 0x7f && *point != 0xfffe && *point != 0xffff);
    if (*point == '&')
      result += "&amp;";
    else if (*point == '<')
      result += "&lt;";
    else if (*point == '>')
      result += "&gt;";
    else if (*point == '"')
      result += "&quot;";
    else if (*point == '\'')
      result += "&apos;";
    else if (*point == '\n')
      result += "&#10;";
    else if (*point == '\t')
      result += "&#9;";
    else if (!allowed)
      result += fmt::format("\\x{:02x}", static_cast<unsigned>(*point));
    else
      result += text.substr(start, at - start);
  }
  return result;
}

}  // namespace hone::report
