// TypeProto to ir::Type and back.
#pragma once

#include <string>
#include <unordered_map>

#include "hone/ir/type.h"
#include "onnx/wire.h"

namespace hone::onnx {

// Dimensions by the text they were parsed from: a model has few different ones, and very many of each.
using DimensionCache = std::unordered_map<std::string, ir::Dimension>;

// Raises bad_input for types nested deeper than `max_nesting`.
ir::Type read_type(wire::Source& source, wire::Range range, int max_nesting, DimensionCache& cache);
std::string type_wire(const ir::Type& type);  // a TypeProto; "" for an unknown type

}  // namespace hone::onnx
