// From rows of a data set to the inputs of a model.
//
// Which array is for which input:
//  1. the one named by FeedOptions::arrays, else the one of the same name;
//  2. one input and one array: they match whatever their names;
//  3. one input and a table (CSV, JSONL): all columns, in the order of the file, side by side.
//
// Shapes: the dimensions of a row have to be those of the input without its first one, apart from dimensions of 1, or the
// input takes rows of one dimension with as many elements. Nothing is transposed unless Preprocess says so.
//
// Types: a conversion that would change a value is an error that names the row, except for numbers from text files and
// where FeedOptions::round allows float rounding. Scaled or normalized numbers are computed in double and rounded once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hone/data/dataset.h"
#include "hone/data/preprocess.h"
#include "hone/ir/datum.h"
#include "hone/ir/graph.h"
#include "hone/ir/type.h"

namespace hone::data {

struct ModelInput {
  std::string name;
  ir::Type type;
};

// Those that the caller has to give: no initializer.
std::vector<ModelInput> model_inputs(const ir::Graph& graph);

struct FeedOptions {
  std::map<std::string, std::string> arrays = {};     // input to array
  std::map<std::string, Preprocess> preprocess = {};  // by input; "" is for every input of a float type
  bool round = false;                                 // float64 to float32 and the like
};

class Feed {
 public:
  // Raises bad_input, saying what was found and what is expected, where arrays and inputs don't match.
  Feed(Dataset data, std::vector<ModelInput> inputs, FeedOptions options = {});

  const Dataset& data() const { return data_; }
  const std::vector<ModelInput>& inputs() const { return inputs_; }
  // The batch size that the inputs insist on.
  std::optional<std::int64_t> fixed_batch() const { return fixed_batch_; }
  // Inputs in order, for these rows of the data set. May be called from several threads.
  std::vector<ir::NamedDatum> read(std::span<const std::int64_t> rows) const;

 private:
  struct Source {
    std::vector<const Array*> arrays;  // several: columns side by side
    Preprocess preprocess;
    ir::ElementType type = ir::ElementType::undefined;  // that the input wants
    ir::Dims row;                                       // of one row, as the input wants it
    std::size_t channel_axis = 0;                       // of a row in the data
  };
  Source match(const ModelInput& input, const FeedOptions& options) const;
  ir::Tensor read(const Source& source, std::span<const std::int64_t> rows) const;

  Dataset data_;
  std::vector<ModelInput> inputs_;
  std::vector<Source> sources_;
  bool round_ = false;
  std::optional<std::int64_t> fixed_batch_;
};

struct Batch {
  std::vector<std::int64_t> rows;
  std::size_t count = 0;  // of them to be used; the others repeat the last one, to fill a fixed batch
};

// Cuts an order of rows into batches. `fill`: every batch has exactly `size` rows.
std::vector<Batch> batches(std::span<const std::int64_t> order, std::int64_t size, bool fill = false);
std::vector<Batch> batches(std::int64_t rows, std::int64_t size, bool fill = false);

}  // namespace hone::data
