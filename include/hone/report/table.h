// Tables of text for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hone::report {

// Columns that a terminal takes: wide characters of East Asia and emoji count two, marks on letters none.
std::size_t display_width(std::string_view text);

enum class Align { left, right };

class Table {
 public:
  // Without a header no line is drawn. Columns beyond `alignment` are aligned right.
  explicit Table(std::vector<std::string> header = {}, std::vector<Align> alignment = {Align::left})
      : header_(std::move(header)), alignment_(std::move(alignment)) {}

  // Cells are made printable: no control characters, one line. Missing ones are empty.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }

  // Two spaces between columns; each line starts with `indent`, and has no blanks at its end.
  std::string text(std::string_view indent = "") const;
  std::string markdown() const;

 private:
  std::size_t columns() const;
  Align align(std::size_t column) const { return column < alignment_.size() ? alignment_[column] : Align::right; }

  std::vector<std::string> header_;
  std::vector<Align> alignment_;
  std::vector<std::vector<std::string>> rows_;
};

// Text for a cell or sentence of Markdown that shows as it is: markup, HTML and line ends escaped.
std::string escape_markdown(std::string_view text);
// For XML 1.0, in content or attributes: what XML can't hold at all becomes an escape such as \x1b.
std::string escape_xml(std::string_view text);

}  // namespace hone::report
