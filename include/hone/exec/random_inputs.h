// Inputs for any model: drawn from its own signature, reproducible.
//
// Floats are standard normal. Integers stay in the range that the graph asks of them: an index into a table of N rows (found
// by following the value to Gather, OneHot and the like) is below N, anything else is 0 or 1, as masks are. Symbolic
// dimensions get sizes, the same for a symbol everywhere; `variation` 0, 1, 2 ... tries other sizes and values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"

namespace hone::exec {

struct RandomInputs {
  std::uint64_t seed = 0;
  int variation = 0;
  std::map<std::string, std::int64_t> sizes;  // of symbolic dimensions, by symbol
  std::map<std::string, ir::Shape> shapes;    // of inputs, in place of what the model declares
};

// Raises unsupported for inputs that are not tensors, sequences or optionals of tensors.
std::vector<ir::NamedDatum> random_inputs(const ir::Model& model, std::uint64_t seed, int variation = 0);
// Raises usage, too, for a symbol or an input that the model does not have.
std::vector<ir::NamedDatum> random_inputs(const ir::Model& model, const RandomInputs& options);

}  // namespace hone::exec
