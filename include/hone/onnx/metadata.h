// What a model says about itself and does not compute: doc strings, metadata_props, quantization annotations. Most of it
// lives in the `rest` of the IR's objects, as serialized fields.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "hone/ir/model.h"

namespace hone::onnx {

struct MetadataFilter {
  bool doc_strings = false;       // drop those of graphs, nodes, values, functions, attributes and tensors
  bool model_doc_string = false;  // drop that of the model
  // Keys of metadata_props to drop: of the model ...
  std::function<bool(std::string_view key)> model_key;
  // ... and of graphs, nodes, values, functions and tensors.
  std::function<bool(std::string_view key)> inner_key;
};

struct MetadataRemoved {
  std::uint64_t doc_strings = 0, entries = 0, bytes = 0;
  std::map<std::string, std::uint64_t> keys;  // entries by key
};

MetadataRemoved remove_metadata(ir::Model& model, const MetadataFilter& filter);

// Whether an exporter wrote a metadata_props entry of this key for debugging: PyTorch's (stack traces with source lines and
// paths, scopes, FX nodes) and its rewriter's.
bool is_debug_key(std::string_view key);

// The quantization annotations of a graph, serialized, with the tensor names that `rename` gives; one that has a name
// without a new one (nullopt) is left out.
using Renaming = std::function<std::optional<std::string>(std::string_view name)>;
std::string annotations(const ir::Graph& graph, const Renaming& rename);
// Puts these in place of those the graph has.
void set_annotations(ir::Graph& graph, const std::string& serialized);
// Drops training_info, whose graphs refer to values and initializers by name.
void drop_training_info(ir::Model& model);

}  // namespace hone::onnx
