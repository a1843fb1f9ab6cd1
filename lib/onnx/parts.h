// Reading messages that are less than a model.
#pragma once

#include <memory>
#include <string>

#include "hone/ir/model.h"

namespace hone::onnx {

// A FunctionProto.
std::unique_ptr<ir::Function> read_function(std::string wire);

}  // namespace hone::onnx
