// Random models with what it takes to run them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"

namespace hone::fuzz {

struct Generated {
  std::string bytes;  // the model as a file
  // Sets of inputs: the first with the sizes the model was built with; others have other values, and other sizes where
  // dimensions have names, which the model need not take.
  std::vector<std::vector<ir::NamedDatum>> inputs;
};

// The same seed gives the same model and inputs.
Generated generate(std::uint64_t seed);

}  // namespace hone::fuzz
