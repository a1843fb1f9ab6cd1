// JSON lines: one object a line, the same keys in each; a value is a number, a boolean, text, or nested lists of numbers
// of one shape.
//
// Refused: nulls, objects in objects, keys that are missing, new or repeated, lists whose shape changes, numbers too
// large for a double, and a last line that is cut short.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>

#include "data/readers.h"
#include "hone/data/bytes.h"
#include "hone/ir/dimension.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"

namespace hone::data {
namespace {

using ir::ElementType;
using nlohmann::json;

constexpr std::size_t longest_line = 64 << 20;
// Tensors of eight dimensions are rare; this bounds nesting, not use.
constexpr std::size_t most_dimensions = 32;

enum class Kind { unknown, boolean, number, text };

const char* words(Kind kind) {
  switch (kind) {
    case Kind::boolean:
      return "booleans";
    case Kind::number:
      return "numbers";
    case Kind::text:
      return "text";
    case Kind::unknown:
      break;
  }
  return "nothing";
}

struct Key {
  std::string name;
  Kind kind = Kind::unknown;
  bool integers = true;
  ir::Dims dims;  // of one row
  std::vector<std::int64_t> ints;
  std::vector<double> numbers;  // used once a number is no integer
  std::vector<std::string> texts;
  std::uint64_t last_row = 0;

  void add(double value) {
    if (integers) {
      integers = false;
      numbers.assign(ints.begin(), ints.end());
      ints = {};
    }
    numbers.push_back(value);
  }
  void add(std::int64_t value) {
    if (integers) {
      ints.push_back(value);
    } else {
      numbers.push_back(static_cast<double>(value));
    }
  }
};

// Receives the parts of one line.
class Row final : public nlohmann::json_sax<json> {
 public:
  Row(std::vector<Key>& keys, std::unordered_map<std::string, std::size_t>& places) : keys_(keys), places_(places) {}

  void begin(std::uint64_t row) {
    row_ = row;
    seen_ = 0;
    inside_ = false;
    key_ = nullptr;
    open_.clear();
  }
  void finish() {
    if (seen_ == keys_.size()) return;
    for (const Key& key : keys_) {
      if (key.last_row != row_) bad_input("key {} is missing", hone::quote(key.name));
    }
  }

  bool start_object(std::size_t) override {
    if (inside_) bad_input("{}: an object inside an object", where());
    inside_ = true;
    return true;
  }
  bool end_object() override { return true; }
  bool key(std::string& name) override {
    const auto [place, is_new] = places_.try_emplace(name, keys_.size());
    if (is_new) {
      if (row_ > 1) bad_input("key {} is not in the first line", hone::quote(name));
      keys_.emplace_back().name = name;
    }
    key_ = &keys_[place->second];
    if (key_->last_row == row_) bad_input("key {} is there twice", hone::quote(name));
    key_->last_row = row_;
    depth_dims_.clear();
    leaf_depth_ = -1;
    ++seen_;
    return true;
  }
  bool start_array(std::size_t) override {
    need_key();
    if (open_.size() == most_dimensions) bad_input("{}: lists nested {} deep", where(), most_dimensions);
    count_element();
    if (leaf_depth_ != -1 && open_.size() >= static_cast<std::size_t>(leaf_depth_)) mixed();
    open_.push_back(0);
    return true;
  }
  bool end_array() override {
    const std::size_t depth = open_.size() - 1;
    // The first list closed at a depth fixes the dimension there.
    if (depth_dims_.size() <= depth) depth_dims_.resize(depth + 1, -1);
    if (depth_dims_[depth] == -1) depth_dims_[depth] = open_[depth];
    if (depth_dims_[depth] != open_[depth]) {
      bad_input("{}: lists of {} and of {} values side by side", where(), depth_dims_[depth], open_[depth]);
    }
    open_.pop_back();
    if (open_.empty()) value_ends();
    return true;
  }
  bool null() override { bad_input("{}: null, where a value is needed (a .csv or .npz can hold NaN)", where()); }
  bool boolean(bool value) override {
    return scalar(Kind::boolean, [&] { key_->add(std::int64_t{value}); });
  }
  bool number_integer(std::int64_t value) override {
    return scalar(Kind::number, [&] { key_->add(value); });
  }
  bool number_unsigned(std::uint64_t value) override {
    if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return number_integer(static_cast<std::int64_t>(value));
    }
    return number_float(static_cast<double>(value), {});
  }
  bool number_float(double value, const std::string&) override {
    return scalar(Kind::number, [&] { key_->add(value); });
  }
  bool string(std::string& value) override {
    return scalar(Kind::text, [&] { key_->texts.push_back(std::move(value)); });
  }
  bool binary(json::binary_t&) override { return false; }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    // nlohmann's message repeats the line it knows, always 1; what follows the last ": " or "; " says what is wrong.
    const std::string_view message = error.what();
    const std::size_t colon = message.find(" - ");
    bad_input("character {}: {}", position,
              printable(colon == std::string_view::npos ? message : message.substr(colon + 3)));
  }

 private:
  std::string where() const { return key_ ? "key " + hone::quote(key_->name) : std::string("the line"); }
  void need_key() const {
    if (!key_) bad_input("not an object: every line must be {{\"name\": value, ...}}");
  }
  [[noreturn]] void mixed() const { bad_input("{}: values and lists side by side", where()); }
  void count_element() {
    if (!open_.empty()) ++open_.back();
  }
  template <typename Add>
  bool scalar(Kind kind, Add&& add) {
    need_key();
    count_element();
    if (key_->kind == Kind::unknown) key_->kind = kind;
    if (key_->kind != kind) bad_input("{}: {} among {}", where(), words(kind), words(key_->kind));
    // All scalars lie at the depth of the first.
    const auto depth = static_cast<std::ptrdiff_t>(open_.size());
    if (leaf_depth_ == -1) leaf_depth_ = depth;
    if (leaf_depth_ != depth || depth_dims_.size() > open_.size()) mixed();
    add();
    if (open_.empty()) value_ends();
    return true;
  }
  // A whole value has been read: its shape is that of the first line.
  void value_ends() {
    ir::Dims dims(depth_dims_.begin(), depth_dims_.end());
    if (row_ == 1) key_->dims = dims;
    if (key_->dims != dims) {
      bad_input("{}: shape {}, in the first line {}", where(), ir::text(dims), ir::text(key_->dims));
    }
    depth_dims_.clear();
    leaf_depth_ = -1;
  }

  std::vector<Key>& keys_;
  std::unordered_map<std::string, std::size_t>& places_;
  std::uint64_t row_ = 0;
  std::size_t seen_ = 0;
  bool inside_ = false;
  Key* key_ = nullptr;
  std::vector<std::int64_t> open_;        // elements so far of each list that is open
  std::vector<std::int64_t> depth_dims_;  // dimension at each depth of this value, -1: not known yet
  std::ptrdiff_t leaf_depth_ = -1;
};

// Lines of the file, without their ends.
class Lines {
 public:
  explicit Lines(const std::shared_ptr<const File>& file) : bytes_(open_bytes(file)), window_(1 << 18) {}

  bool next(std::string& line) {
    line.clear();
    for (bool any = false;; any = true) {
      if (at_ == end_) {
        at_ = 0;
        end_ = bytes_->read(std::as_writable_bytes(std::span(window_)));
        if (end_ == 0) return any || !line.empty();
      }
      const auto* const start = window_.data() + at_;
      const auto* const stop = window_.data() + end_;
      const auto* const found = std::find(start, stop, '\n');
      line.append(start, found);
      if (line.size() > longest_line) bad_input("a line of more than {} bytes", longest_line);
      at_ += static_cast<std::size_t>(found - start);
      if (found != stop) {
        ++at_;
        return true;
      }
    }
  }

 private:
  std::unique_ptr<ByteReader> bytes_;
  std::vector<char> window_;
  std::size_t at_ = 0, end_ = 0;
};

ir::Tensor to_tensor(Key& key, std::int64_t rows) {
  ir::Dims dims{rows};
  dims.insert(dims.end(), key.dims.begin(), key.dims.end());
  if (key.kind == Kind::text) return ir::Tensor::strings(dims, std::move(key.texts));
  if (key.kind == Kind::boolean) {
    ir::Tensor result = ir::Tensor::allocate(ElementType::boolean, dims);
    const auto out = result.mutable_bytes();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(key.ints[i]);
    return result;
  }
  return key.integers ? ir::Tensor::of<std::int64_t>(dims, key.ints) : ir::Tensor::of<double>(dims, key.numbers);
}

}  // namespace

std::vector<Array> read_jsonl(const std::shared_ptr<const File>& file) {
  std::vector<Key> keys;
  std::unordered_map<std::string, std::size_t> places;
  Row row(keys, places);
  Lines lines(file);
  std::string line;
  std::int64_t rows = 0;
  for (std::uint64_t number = 1; lines.next(line); ++number) {
    if (number % 4096 == 0) check_interrupt();
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    in_context([&] { return fmt::format("line {}", number); },
               [&] {
                 row.begin(static_cast<std::uint64_t>(++rows));
                 if (!json::sax_parse(line, &row)) bad_input("not a JSON object");
                 row.finish();
               });
  }
  std::vector<Array> arrays;
  for (Key& key : keys) {
    arrays.push_back({key.name, to_tensor(key, rows), key.kind == Kind::number, "key " + hone::quote(key.name)});
  }
  return arrays;
}

}  // namespace hone::data
