// Cases of a rewrite as text, for texts.cpp and convert_opset.cpp:
//
//   # a remark
//   == title                        the title may hold options in parentheses, which the test reads
//   g (float[2] a) => (float[2] y) { ... }        the graph before, in ONNX text
//   =>                              followed by the graph after, or
//   => verdict: reason              where there is none
//
// "?" for the graph after asks for what comes out, and fails with it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hone/ir/model.h"

namespace hone::testing {

struct TextCase {
  std::string title, before, after;
  std::string verdict, reason;  // both empty where there is a graph after

  bool asks() const;
};

std::vector<TextCase> read_text_cases(const std::filesystem::path& path);

// The .txt files of a folder of the checkout, "tests/passes", by name.
std::vector<std::filesystem::path> text_case_files(const std::string& folder);

// A graph that does not start with "<" gets a header with this ir_version and opset.
ir::Model parse_case(const std::string& text, int ir_version, int opset);

}  // namespace hone::testing
