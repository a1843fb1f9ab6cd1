// Reading serialized messages that were made here.
#pragma once

#include <memory>
#include <string>

#include "hone/ir/model.h"
#include "hone/onnx/read.h"

namespace hone::onnx {

// A FunctionProto.
std::unique_ptr<ir::Function> read_function(std::string wire);
// A ModelProto, as read() reads it; errors don't say where it is from.
ir::Model read_model(std::string wire, const std::string& name, const ReadOptions& options);

}  // namespace hone::onnx
