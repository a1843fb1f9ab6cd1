// Writing ONNX: one sequential stream; weights go from file to file without passing through memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "hone/ir/model.h"
#include "hone/support/output.h"

namespace hone::onnx {

enum class ExternalData {
  keep,      // as each tensor was; new tensors inside the file. Where the file would pass 2 GiB: as `external`
  inline_,   // all inside; over 2 GiB is an error
  external,  // tensors of at least `external_threshold` bytes beside the file
};

struct WriteOptions {
  ExternalData external_data = ExternalData::keep;
  std::uint64_t external_threshold = 1024;
  std::string external_location;  // file name beside the model; "" is MODEL.data
  std::uint64_t shard_size = 0;   // start a new external file after this many bytes; 0: one file
  std::uint64_t external_alignment = 4096;
};

// To a file (format by extension: .onnxtxt is text), or "-" for stdout. External data is written and synced first, under
// a name that holds its digest or one that exists nowhere yet, and the model is renamed into place last.
void write(const ir::Model& model, const std::string& path, const WriteOptions& options = {});
// Into one stream; a model that needs external files or passes 2 GiB raises unsupported.
void write(const ir::Model& model, Output& output, const WriteOptions& options = {});
std::string to_bytes(const ir::Model& model);
std::string to_text(const ir::Model& model);
// Bytes the model will have in one file, weights included; what size gates and `hone inspect` use.
std::uint64_t serialized_size(const ir::Model& model);

}  // namespace hone::onnx
