// Where files that tests read lie: tests run in the build folder.
#pragma once

#include <string>

namespace hone::testing {

// The path of a file of this checkout, "tests/onnx/empty.onnx".
std::string source_path(const std::string& name);

}  // namespace hone::testing
