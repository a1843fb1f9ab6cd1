// Quantizing while running, for the operators that multiply the result.
#pragma once

#include "exec/reference/elements.h"

namespace hone::exec {

// Codes in scratch memory with the scale and zero point that their own range asks for.
struct Dynamic {
  Array codes, zero;  // uint8; one zero point
  float scale = 1;
};
Dynamic quantize_dynamically(Context& context, const float* from, const ir::Dims& dims);

}  // namespace hone::exec
