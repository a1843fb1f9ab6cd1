#pragma once

#include <vector>

#include "patterns.h"

namespace hone::fuzz {

std::vector<Pattern> movement_patterns();  // what moves elements and computes shapes
std::vector<Pattern> control_patterns();   // If, Loop, functions

}  // namespace hone::fuzz
