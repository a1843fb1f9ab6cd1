// CSV as RFC 4180 has it: a header, commas (or tabs), quotes doubled inside quoted fields, LF or CRLF, a BOM allowed.
//
// The file is read twice: once to see what each column holds (integers, numbers, booleans, else text), once to fill
// arrays of that type. libcsv of the distribution was not used: unmaintained since 2013, and it has no bound on a field.
//
// Refused: rows of another length than the header, empty fields where the others are numbers (hone doesn't guess missing
// values; `nan` says so plainly), quotes in the middle of a field.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include "data/readers.h"
#include "hone/data/bytes.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "hone/support/threads.h"

namespace hone::data {
namespace {

using ir::ElementType;

// Bounds of what one line can make us hold. Wide tables of genomics have some 50,000 columns.
constexpr std::size_t longest_field = 1 << 20, longest_row = 64 << 20, most_columns = 1 << 20;

class CsvReader {
 public:
  CsvReader(const std::shared_ptr<const File>& file, char separator)
      : bytes_(open_bytes(file)), window_(1 << 18), separator_(separator) {
    static constexpr std::string_view bom = "\xef\xbb\xbf";
    fill();
    if (std::string_view(window_.data(), end_).starts_with(bom)) at_ = bom.size();
  }

  std::uint64_t line() const { return first_line_; }  // of the row, from 1

  // The next row; false at the end. The views hold until the next call.
  bool next(std::vector<std::string_view>& fields) {
    text_.clear();
    ends_.clear();
    first_line_ = line_;
    if (peek() == end_of_file) return false;
    for (bool more = true; more;) {
      if (ends_.size() == most_columns) bad_input("line {}: more than {} columns", first_line_, most_columns);
      more = peek() == '"' ? quoted_field() : plain_field();
      ends_.push_back(text_.size());
    }
    fields.clear();
    std::size_t start = 0;
    for (const std::size_t end : ends_) {
      fields.push_back(std::string_view(text_).substr(start, end - start));
      start = end;
    }
    return true;
  }

  // Only line ends follow.
  bool only_blank_lines_left() {
    while (peek() == '\n' || peek() == '\r') get();
    return peek() == end_of_file;
  }

 private:
  static constexpr int end_of_file = -1;

  bool fill() {
    at_ = 0;
    end_ = bytes_->read(std::as_writable_bytes(std::span(window_)));
    return end_ > 0;
  }
  int peek() {
    if (at_ == end_ && !fill()) return end_of_file;
    return static_cast<unsigned char>(window_[at_]);
  }
  int get() {
    const int c = peek();
    if (c != end_of_file) ++at_;
    if (c == '\n') ++line_;
    return c;
  }
  void append(int c) {
    const std::size_t start = ends_.empty() ? 0 : ends_.back();
    if (text_.size() - start == longest_field) {
      bad_input("line {}: a field of more than {} bytes", first_line_, longest_field);
    }
    if (text_.size() == longest_row) bad_input("line {}: a row of more than {} bytes", first_line_, longest_row);
    text_ += static_cast<char>(c);
  }
  // Takes the separator or the end of the line; true if another field follows.
  bool end_field(int c) {
    if (c == separator_) return true;
    if (c == '\r' && peek() == '\n') get();
    return false;
  }
  bool is_end(int c) {
    return c == separator_ || c == '\n' || c == end_of_file || (c == '\r' && (peek() == '\n' || peek() == end_of_file));
  }
  bool plain_field() {
    for (;;) {
      const int c = get();
      if (is_end(c)) return end_field(c);
      if (c == '"') bad_input("line {}, column {}: a quote inside a field that is not quoted", line_, ends_.size() + 1);
      append(c);
    }
  }
  bool quoted_field() {
    get();
    for (;;) {
      const int c = get();
      if (c == end_of_file) {
        bad_input("line {}, column {}: the quote is never closed", first_line_, ends_.size() + 1);
      }
      if (c == '"') {
        if (peek() != '"') break;
        get();
      }
      append(c);
    }
    const int c = get();
    if (!is_end(c)) bad_input("line {}, column {}: text after the closing quote", line_, ends_.size() + 1);
    return end_field(c);
  }

  std::unique_ptr<ByteReader> bytes_;
  std::vector<char> window_;
  std::size_t at_ = 0, end_ = 0;
  char separator_;
  std::string text_;               // the fields of the row, unquoted, one after the other
  std::vector<std::size_t> ends_;  // of each field in text_
  std::uint64_t line_ = 1, first_line_ = 1;
};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// Numbers may have blanks around them and a plus in front.
std::string_view digits(std::string_view text) {
  text = trimmed(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  return text;
}

std::optional<bool> parse_boolean(std::string_view text) {
  text = trimmed(text);
  for (const char* word : {"true", "True", "TRUE"}) {
    if (text == word) return true;
  }
  for (const char* word : {"false", "False", "FALSE"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

struct Column {
  std::string name;
  bool integers = true, numbers = true, booleans = true;
  std::uint64_t empty_row = 0, empty_line = 0;  // the first empty field; row 0: none
  std::string first_text;                       // the first that is no number, and its row
  std::uint64_t first_text_row = 0;

  void look_at(std::string_view field, std::uint64_t row, std::uint64_t line) {
    if (trimmed(field).empty()) {
      if (empty_row == 0) empty_row = row, empty_line = line;
      return;
    }
    if (integers && !parse_int64(digits(field))) integers = false;
    if (numbers && !integers && !parse_double(digits(field))) {
      numbers = false;
      first_text = field.substr(0, 40);
      first_text_row = row;
    }
    if (booleans && !parse_boolean(field)) booleans = false;
  }
  ElementType type(std::uint64_t rows) const {
    if (rows == 0) return ElementType::string;
    return integers   ? ElementType::int64
           : numbers  ? ElementType::float64
           : booleans ? ElementType::boolean
                      : ElementType::string;
  }
};

std::vector<Column> read_names(CsvReader& reader, char separator) {
  std::vector<std::string_view> fields;
  if (!reader.next(fields)) bad_input("the file is empty");
  std::vector<Column> columns(fields.size());
  bool any_word = false;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    columns[i].name = fields[i];
    if (trimmed(fields[i]).empty()) {
      bad_input("column {} has no name in the first line (an index that pandas wrote? to_csv(index=False))", i + 1);
    }
    any_word |= !parse_double(digits(fields[i]));
  }
  if (!any_word) bad_input("the first line must name the columns, and holds only numbers: add a header");
  if (columns.size() == 1) {
    for (const char other : {';', '\t', ','}) {
      if (other != separator && columns[0].name.find(other) != std::string::npos) {
        bad_input("the first line has one column, {}: values are separated by {} in this kind of file",
                  quote(columns[0].name), separator == ',' ? "commas" : "tabs");
      }
    }
  }
  std::vector<std::string_view> sorted;
  for (const Column& column : columns) sorted.push_back(column.name);
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) bad_input("two columns are called {}", quote(*twice));
  return columns;
}

// Calls f(row from 1, line, fields) for each row after the header.
template <typename F>
void for_each_row(CsvReader& reader, std::size_t columns, F&& f) {
  std::vector<std::string_view> fields;
  for (std::uint64_t row = 1; reader.next(fields); ++row) {
    if (row % 4096 == 0) check_interrupt();
    if (fields.size() == 1 && fields[0].empty()) {
      if (reader.only_blank_lines_left()) return;
      if (columns > 1) bad_input("line {}: a blank line between rows", reader.line());
      fields[0] = {};
    }
    if (fields.size() != columns) {
      bad_input("row {} (line {}) has {} fields, the header {}", row, reader.line(), fields.size(), columns);
    }
    f(row, reader.line(), fields);
  }
}

}  // namespace

std::vector<Array> read_csv(const std::shared_ptr<const File>& file, char separator) {
  std::vector<Column> columns;
  std::uint64_t rows = 0;
  {
    CsvReader reader(file, separator);
    columns = read_names(reader, separator);
    for_each_row(reader, columns.size(), [&](std::uint64_t row, std::uint64_t line, const auto& fields) {
      for (std::size_t i = 0; i < fields.size(); ++i) columns[i].look_at(fields[i], row, line);
      rows = row;
    });
  }

  const ir::Dims dims{static_cast<std::int64_t>(rows)};
  std::vector<ir::Tensor> tensors;
  std::vector<std::vector<std::string>> texts(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const ElementType type = columns[i].type(rows);
    if (type == ElementType::string) {
      require_memory(rows * sizeof(std::string), "text of a table");
      texts[i].reserve(rows);
      tensors.emplace_back();
      continue;
    }
    if (columns[i].empty_row != 0) {
      bad_input("row {} (line {}), column {}: empty, where the other values are {} (write nan for a missing number)",
                columns[i].empty_row, columns[i].empty_line, quote(columns[i].name),
                type == ElementType::boolean ? "booleans" : "numbers");
    }
    tensors.push_back(ir::Tensor::allocate(type, dims));
  }

  // Views of the tensors' memory: taking them anew for each field would cost more than parsing it.
  std::vector<std::byte*> memory;
  for (ir::Tensor& tensor : tensors) {
    memory.push_back(tensor.type() == ElementType::undefined ? nullptr : tensor.mutable_bytes().data());
  }
  CsvReader reader(file, separator);
  (void)read_names(reader, separator);
  std::uint64_t filled = 0;
  for_each_row(reader, columns.size(), [&](std::uint64_t row, std::uint64_t, const auto& fields) {
    if (row > rows) bad_input("the file grew while it was read");
    filled = row;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      switch (tensors[i].type()) {
        case ElementType::int64:
          reinterpret_cast<std::int64_t*>(memory[i])[row - 1] = parse_int64(digits(fields[i])).value_or(0);
          break;
        case ElementType::float64:
          reinterpret_cast<double*>(memory[i])[row - 1] = parse_double(digits(fields[i])).value_or(std::nan(""));
          break;
        case ElementType::boolean:
          memory[i][row - 1] = std::byte{parse_boolean(fields[i]).value_or(false)};
          break;
        default:
          texts[i].emplace_back(fields[i]);
      }
    }
  });
  if (filled != rows) bad_input("the file changed while it was read");

  std::vector<Array> arrays;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const bool is_text = tensors[i].type() == ElementType::undefined;
    std::string origin = "column " + quote(columns[i].name);
    if (is_text && columns[i].first_text_row != 0) {
      origin += fmt::format(" (row {}: {})", columns[i].first_text_row, quote(columns[i].first_text));
    }
    arrays.push_back({columns[i].name, is_text ? ir::Tensor::strings(dims, std::move(texts[i])) : std::move(tensors[i]),
                      true, std::move(origin)});
  }
  return arrays;
}

}  // namespace hone::data
