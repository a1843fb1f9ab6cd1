// Named arrays with one row a sample, one of which may be the label.
//
// Opened from .npz, .npy, .csv, .tsv, .jsonl and IDX files (each but .npz also as .gz), told apart by content. docs/data.md
// says what each may hold. Arrays of an .npz that is not compressed, of .npy and of IDX stay in the file: a batch reads
// its own rows. Text files become columns in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hone/ir/tensor.h"
#include "hone/support/file.h"

namespace hone::data {

struct Array {
  std::string name;
  ir::Tensor values;        // the first dimension counts rows
  bool from_text = false;   // numbers that had no type, only digits: they may be rounded to the type a model wants
  std::string origin = {};  // for messages: "column 'age'", "array 'x'"
};

struct DatasetOptions {
  std::string label = {};                 // array or column, or a file that holds one array; empty: no label
  std::vector<std::string> classes = {};  // for labels that are text: their order is the index. Empty: sorted by bytes
  std::string rows = {};                  // a selection, see parse_rows(); empty: all
};

class Dataset {
 public:
  // Each source is FILE, "-" or NAME=FILE (which names the array of a file that holds one without a name). Several files
  // are joined side by side. Raises usage for a missing label (with the nearest name), io, and bad_input naming the place.
  static Dataset open(const std::vector<std::string>& sources, const DatasetOptions& options = {});
  static Dataset open(const std::string& source, const DatasetOptions& options = {}) {
    return open(std::vector<std::string>{source}, options);
  }
  // `table`: arrays of one number a row are columns that may be joined to the one input of a model.
  static Dataset of(std::vector<Array> arrays, const DatasetOptions& options = {}, bool table = false,
                    std::string source = "data");

  std::int64_t rows() const;
  const std::string& source() const { return shared_->source; }
  bool is_table() const { return shared_->table; }
  // Without the label. Their tensors hold all rows of the files: take() knows which of them belong to this data set.
  const std::vector<Array>& arrays() const { return shared_->arrays; }
  const Array* find(std::string_view name) const;
  const Array* label() const { return shared_->label ? &*shared_->label : nullptr; }
  // Names of the classes when the label was text; the label is their index then (int64).
  const std::vector<std::string>& classes() const { return shared_->classes; }

  // Rows of one of its arrays, in the order asked for, in memory, in the type of the file.
  ir::Tensor take(const Array& array, std::span<const std::int64_t> rows) const;
  ir::Tensor labels(std::span<const std::int64_t> rows) const;  // raises usage without a label
  ir::Tensor labels() const;

  // The row of the file, from 0, that is this one's: for messages.
  std::int64_t source_row(std::int64_t row) const;

  // Some of its rows, in this order. Shares the arrays.
  Dataset select(std::vector<std::int64_t> rows) const;

 private:
  struct Shared {
    std::string source;
    bool table = false;
    std::vector<Array> arrays;
    std::optional<Array> label;
    std::vector<std::string> classes;
    std::int64_t rows = 0;
  };
  std::shared_ptr<const Shared> shared_;
  std::shared_ptr<const std::vector<std::int64_t>> selected_;  // null: all
};

// The rows of `tensor`, whatever it is; reads runs of neighbours at once.
ir::Tensor take_rows(const ir::Tensor& tensor, std::span<const std::int64_t> rows);

// "0:1000", "1000:", ":-100" (negative counts from the end), "7", several with commas; of `count` rows. Raises usage.
std::vector<std::int64_t> parse_rows(std::string_view text, std::int64_t count);

// 0 ... count-1 in an order that depends on seed and epoch alone.
std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed, std::uint64_t epoch = 0);

// Two disjoint parts, rows in their old order; the second holds `fraction` of them, rounded, at least one row in each
// part. Where the label is a class, every class is split in this proportion (the largest remainders get the rows that
// rounding leaves over).
std::pair<Dataset, Dataset> hold_out(const Dataset& data, double fraction, std::uint64_t seed);

}  // namespace hone::data
