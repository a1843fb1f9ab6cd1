// Which element types an operator takes and gives, as its schema says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "hone/ir/element_type.h"

namespace hone::onnx {

// Whether input (or output) `index` of the operator at that version of its domain may be a tensor of `type`. False where
// ONNX does not know the operator or has no such parameter.
bool accepts(std::string_view op_type, std::string_view domain, std::int64_t version, bool output, std::size_t index,
             ir::ElementType type);

}  // namespace hone::onnx
