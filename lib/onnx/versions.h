// Versions of the format and of operator sets that this build knows.
#pragma once

#include <cstdint>
#include <string>

#include "hone/ir/graph.h"

namespace hone::onnx {

constexpr std::int64_t newest_ir_version = 14;  // of ONNX 1.23; a test holds it against ONNX's own

// Both raise unsupported for one somewhat newer than this build knows, bad_input for one that can't be.
void check_ir_version(std::int64_t version);
void check_opset_version(const std::string& domain, std::int64_t version);

void check_sparse(const ir::SparseTensor& sparse);  // raises bad_input

}  // namespace hone::onnx
