// Runs the text tests beside this file: NAME.txt holds cases for the pass NAME, or for level 2 where there is no such pass.
//
//   == title                        (after the title: options of the case, such as "opset 9")
//   g (float[2] a) => (float[2] y) { ... }        the graph before, in ONNX text
//   =>                              followed by the graph after, or
//   => unchanged: reason            where the pass leaves the graph as it is, and why
//
// "?" for the graph after shows, and fails with, what the pass makes. A graph that does not start with "<" gets a header with ir_version 8 and opset 17. Expected and found are compared as ONNX
// text. Every case that changes something is also run, before and after, on random inputs.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/passes/passes.h"
#include "hone/rewrite/verify.h"
#include "hone/support/file.h"
#include "hone/support/text.h"
#include "sources.h"

namespace hone {
namespace {

struct Case {
  std::string title, before, after, reason;
  int opset = 17;
  bool unchanged = false;
};

std::vector<Case> read_cases(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<Case> cases;
  bool in_after = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("== ")) {
      cases.emplace_back();
      cases.back().title = line.substr(3);
      const std::size_t option = line.find("(opset ");
      if (option != std::string::npos) cases.back().opset = std::stoi(line.substr(option + 7));
      in_after = false;
    } else if (cases.empty() || line.starts_with("#")) {
      continue;
    } else if (line.starts_with("=> unchanged:")) {
      cases.back().unchanged = true;
      cases.back().reason = trim(std::string_view(line).substr(13));
    } else if (line == "=>") {
      in_after = true;
    } else {
      (in_after ? cases.back().after : cases.back().before) += line + "\n";
    }
  }
  return cases;
}

ir::Model parse(const std::string& text, int opset) {
  if (trim(text).starts_with("<")) return onnx::read_text(text);
  return onnx::read_text("<ir_version: 8, opset_import: [\"\": " + std::to_string(opset) + "]>\n" + text);
}

TEST_CASE("text tests of passes") {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(testing::source_path("tests/passes"))) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    const std::string name = path.stem();
    const bool is_pass = std::any_of(passes::list().begin(), passes::list().end(),
                                     [&](const rewrite::Pass& pass) { return pass.name == name; });
    const auto pipeline = is_pass ? rewrite::parse_pipeline(name, passes::list()) : passes::pipeline(2);
    const std::vector<Case> cases = read_cases(path);
    INFO(name);
    CHECK_FALSE(cases.empty());
    for (const Case& each : cases) {
      INFO(name << ": " << each.title);
      const ir::Model before = parse(each.before, each.opset);
      ir::Model model = before.clone();
      std::vector<rewrite::Refusal> refusals;
      rewrite::PipelineOptions options;
      options.verify_ir = true;
      options.refusals = &refusals;
      const auto result = rewrite::run_pipeline(model, pipeline, options);
      if (each.unchanged) {
        CHECK(result.status == rewrite::Status::unchanged);
        CHECK(onnx::to_text(model) == onnx::to_text(before));
        std::string reasons;
        for (const rewrite::Refusal& refusal : refusals) reasons += std::string(refusal.reason) + "\n";
        if (!each.reason.empty()) CHECK_THAT(reasons, Catch::Contains(each.reason));
        continue;
      }
      if (trim(each.after) == "?") {  // a new case: shows what the pass makes of it
        FAIL_CHECK("result: " << name << '|' << each.title << '|' << onnx::to_text(model) << "|end");
        continue;
      }
      CHECK(onnx::to_text(model) == onnx::to_text(parse(each.after, each.opset)));
      rewrite::VerifyOptions verification;
      if (name == "convert-float16" || name == "convert-bfloat16") verification.tolerance = 2e-2;
      const auto check = rewrite::verify_equal(before, model, verification);
      INFO(check.reason);
      CHECK(check.verdict == rewrite::VerifyResult::Verdict::equal);
      for (const auto& difference : check.differences) FAIL_CHECK(difference.output << ": " << difference.detail);

      // Written, read and rewritten again: not one byte moves.
      const std::string bytes = onnx::to_bytes(model);
      ir::Model again = onnx::read(File::from_memory(bytes, name));
      CHECK(rewrite::run_pipeline(again, pipeline).status == rewrite::Status::unchanged);
      CHECK((onnx::to_bytes(again) == bytes));
    }
  }
}

// An output of a branch may be declared without a type, and a Constant's tensor may have a name; neither shows in ONNX text.
TEST_CASE("what moves out of branches and Constant nodes leaves its declarations behind") {
  ir::Model model = onnx::read_text(R"(<ir_version: 8, opset_import: ["" : 17]>
g (float[2] x, bool n) => (float[2] y) <bool c = {1}> {
  t = If (c) <
    then_branch = a () => (u) { m = Not (n) u = If (m) < then_branch = b () => (v) { v = Relu (x) },
                                                      else_branch = d () => (w) { w = Identity (x) } > },
    else_branch = e () => (f) { f = Neg (x) } >
  k = Constant <value = float[1] k0 {2}> ()
  y = Mul (t, k)
})");
  const auto pipeline = passes::pipeline(2);
  CHECK(rewrite::run_pipeline(model, pipeline).status == rewrite::Status::changed);
  const std::string bytes = onnx::to_bytes(model);
  CHECK(bytes.find("k0") == std::string::npos);
  ir::Model again = onnx::read(File::from_memory(bytes, "again"));
  CHECK(rewrite::run_pipeline(again, pipeline).status == rewrite::Status::unchanged);
  CHECK((onnx::to_bytes(again) == bytes));
}

TEST_CASE("every pass has a text test") {
  for (const rewrite::Pass& pass : passes::list()) {
    INFO(pass.name);
    CHECK(std::filesystem::exists(testing::source_path("tests/passes/" + std::string(pass.name) + ".txt")));
  }
}

TEST_CASE("docs/convert.md lists the passes as they are") {
  std::ifstream file(testing::source_path("docs/convert.md"));
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  for (const rewrite::Pass& pass : passes::list()) {
    const std::string level = pass.level == 0 ? "-" : std::to_string(pass.level);
    const std::string row = "| " + std::string(pass.name) + " | " + level + " | " + std::string(pass.help) + " | " +
                            std::string(pass.leaves_alone) + " |\n";
    INFO(row);
    CHECK(page.find(row) != std::string::npos);
  }
}

}  // namespace
}  // namespace hone
