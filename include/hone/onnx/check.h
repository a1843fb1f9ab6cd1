// Is it valid ONNX? check() stops at the first problem; lint() reports all, including what ONNX's checker misses.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "hone/ir/model.h"
#include "hone/onnx/read.h"

namespace hone::onnx {

struct Problem {
  std::string rule;   // stable identifier: "duplicate-output", "missing-input" ...
  bool error = true;  // false: a warning
  std::string node;   // as "node 'conv1' (Conv)", perhaps with the function around it; "" where it is about the model
  std::string message;
};

bool has_errors(std::span<const Problem> problems);

// Operators or domains that this build does not know are warnings: they may be what a runtime brings along.
std::vector<Problem> lint(const ir::Model& model);
// The same for a file ("-": stdin), with all that reading it finds wrong (tensors, names, cycles, types). Where nothing is
// an error, ONNX's own checker has the last word. A file that can't be read at all is one problem, "unreadable"; raises io
// where there is no such file.
std::vector<Problem> lint_file(const std::string& path, ReadOptions options = {});

// Raises bad_input with the first error of lint() that is not about weights, then of ONNX's own checker on the model
// without its weights. Looks at no weights.
void check(const ir::Model& model);

// All rules, with a line about each; for reports.
struct Rule {
  const char* id;
  const char* help;
};
std::span<const Rule> rules();

}  // namespace hone::onnx
