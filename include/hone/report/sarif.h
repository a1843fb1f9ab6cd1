// Findings of onnx::lint_file() as SARIF 2.1.0, which code hosts and editors read.
//
// A model has no lines, so every finding is on line 1 of the file (GitHub shows none without a line), with the node as a
// logical location and a fingerprint of rule, node and message that tells it from the others there.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "hone/onnx/check.h"

namespace hone::report {

// GitHub takes 25,000 results of a run, and 10 MB compressed: results are some 600 bytes each, of which a tenth remains.
constexpr std::size_t most_sarif_results = 25'000;

// Indented by two, with a newline at the end. `path` is that of the model; relative ones stay relative, as hosts want them.
// Errors come before warnings; of more than `limit` problems the first are written, and a notification says so.
std::string sarif(std::string_view path, std::span<const onnx::Problem> problems,
                  std::size_t limit = most_sarif_results);

}  // namespace hone::report
