// Is it valid ONNX? check() stops at the first problem; lint() reports all, including what ONNX's checker misses.
#pragma once

#include <string>
#include <vector>

#include "hone/ir/model.h"

namespace hone::onnx {

struct Problem {
  std::string rule;   // stable identifier: "duplicate-output", "missing-input" ...
  bool error = true;  // false: a warning
  std::string node;   // "" where it is about the model
  std::string message;
};

std::vector<Problem> lint(const ir::Model& model);
// Raises bad_input with the first error of lint(), then of ONNX's own checker on the model without its weights.
void check(const ir::Model& model);

}  // namespace hone::onnx
