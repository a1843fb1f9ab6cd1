// TypeProto to ir::Type and back.
#pragma once

#include <string>

#include "hone/ir/type.h"
#include "onnx/wire.h"

namespace hone::onnx {

// Raises bad_input for types nested deeper than `max_nesting`.
ir::Type read_type(wire::Source& source, wire::Range range, int max_nesting);
std::string type_wire(const ir::Type& type);  // a TypeProto; "" for an unknown type

}  // namespace hone::onnx
