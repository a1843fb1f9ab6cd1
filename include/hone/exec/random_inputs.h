// Inputs for any model: drawn from its own signature, reproducible.
//
// Floats are standard normal. Integers stay in the range that the graph asks of them: an index into a table of N rows (found
// by following the value to Gather, OneHot and the like) is below N, anything else is 0 or 1, as masks are. Symbolic
// dimensions get sizes, the same for a symbol everywhere; `variation` 0, 1, 2 ... tries other sizes and values.
#pragma once

#include <cstdint>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"

namespace hone::exec {

// Raises unsupported for inputs that are not tensors, sequences or optionals of tensors.
std::vector<ir::NamedDatum> random_inputs(const ir::Model& model, std::uint64_t seed, int variation = 0);

}  // namespace hone::exec
