// Floating-point (or integer) operations of a node for the shapes it ran on, a multiply-add counting as two.
//
// Counted: convolutions, matrix products, recurrent layers, attention; what works element by element or over windows, as one
// a element read or written. Not counted (0): what only moves data, control flow, and operators of other domains.
#pragma once

#include <span>

#include "hone/ir/graph.h"

namespace hone::exec {

// Null: an empty slot, or no tensor.
double flops(const ir::Node& node, std::span<const ir::Dims* const> inputs, std::span<const ir::Dims* const> outputs);

}  // namespace hone::exec
