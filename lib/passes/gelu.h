// Gelu as exporters spell it out.
#pragma once

#include <optional>

#include "hone/ir/graph.h"

namespace hone::passes {

struct Gelu {
  ir::Value* x;
  bool by_tanh;
};

// `last` is the product 0.5 * x * (1 + erf(x / sqrt 2)), or that with tanh(sqrt(2/pi) (x + 0.044715 x^3)), in any order of
// the factors. Values in between are seen by nobody else; constants are off by no more than float16 rounds.
std::optional<Gelu> spelled_out_gelu(const ir::Node& last);

// factor * b where one operand is a number; the other operand, or null.
ir::Value* scaled_by(const ir::Node* mul, double number);
// Whether the value is the number as float16 or better rounds it.
bool close_to(const ir::Value* value, double number);

}  // namespace hone::passes
