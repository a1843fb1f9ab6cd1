// Operators that ONNX Runtime has beside ONNX's.
#pragma once

#include <string_view>

#include "hone/onnx/schema.h"

namespace hone::onnx {

// What a node of the operator must have; null for operators that are not known. Inputs have no names, and lists of inputs,
// outputs and attributes are open at the end.
const Schema* find_microsoft_schema(std::string_view op_type, std::string_view domain);

}  // namespace hone::onnx
