// Reading ONNX: the wire format is walked so that weight bytes stay in the file. No protobuf message is ever built.
//
// Accepts ModelProto (.onnx) and ONNX text (.onnxtxt; a constant declared without a value is one of zeros). Keeps every field: what the IR does not model travels in `rest`.
// Nodes that are not in topological order are sorted, with a warning. Everything of research section "bad and odd
// inputs" ends as bad_input (or io), with one sentence that says what the file really is when it is something else
// (HTML, a Git LFS pointer, zip, gzip, HDF5, TFLite, safetensors, PyTorch ...).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"
#include "hone/support/file.h"
#include "hone/support/observer.h"

namespace hone::onnx {

struct Problem;

struct ReadOptions {
  // The folder external data is resolved in; "" is the folder of the model. Needed for a model from stdin that has any.
  std::string external_root;
  // raw_data of at most this many bytes is read at once; larger stays in the file. Small ones are what shape arithmetic
  // looks at, and a slice costs more memory than they do.
  std::uint64_t load_below = 256;
  // Subgraphs, types and sequences nested deeper are refused. Real models stay below 10.
  int max_nesting = 64;
  Observer* observer = nullptr;  // warnings; null: none
  // What is wrong with the graph (names, cycles, missing types) goes here, and reading goes on with what is left, where
  // that makes sense; null: the first problem is raised. See lint_file() in check.h.
  std::vector<Problem>* problems = nullptr;
};

ir::Model read(const std::string& path, const ReadOptions& options = {});  // "-" is stdin
ir::Model read(std::shared_ptr<const File> file, const ReadOptions& options = {});
ir::Model read_text(std::string_view text, const std::string& name = "text");

// One serialized TensorProto, SequenceProto, OptionalProto or MapProto, as test data sets hold them; `type` says which
// (kind unknown: a TensorProto is tried).
ir::Datum read_datum(const std::string& path, const ir::Type& type);
std::string write_datum(const ir::Datum& datum, const std::string& name);  // the serialized proto

}  // namespace hone::onnx
