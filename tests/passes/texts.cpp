// Runs the text tests beside this file: NAME.txt holds cases for the pass NAME, or for level 2 where there is no such pass.
// They are written as text_cases.h says; "=> unchanged: reason" is for what the pass leaves as it is. Headers that are not
// given have ir_version 8 and opset 17, or that of "(opset 9)" after the title. Expected and found are compared as ONNX
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
#include "sources.h"
#include "text_cases.h"

namespace hone {
namespace {

// "(opset 9)" in a title.
int opset_of(const testing::TextCase& each) {
  const std::size_t option = each.title.find("(opset ");
  return option == std::string::npos ? 17 : std::stoi(each.title.substr(option + 7));
}

TEST_CASE("text tests of passes") {
  for (const auto& path : testing::text_case_files("tests/passes")) {
    const std::string name = path.stem();
    const bool is_pass = std::any_of(passes::list().begin(), passes::list().end(),
                                     [&](const rewrite::Pass& pass) { return pass.name == name; });
    const auto pipeline = is_pass ? rewrite::parse_pipeline(name, passes::list()) : passes::pipeline(2);
    const std::vector<testing::TextCase> cases = testing::read_text_cases(path);
    INFO(name);
    CHECK_FALSE(cases.empty());
    for (const testing::TextCase& each : cases) {
      INFO(name << ": " << each.title);
      const int opset = opset_of(each);
      const ir::Model before = testing::parse_case(each.before, 8, opset);
      ir::Model model = before.clone();
      std::vector<rewrite::Refusal> refusals;
      rewrite::PipelineOptions options;
      options.verify_ir = true;
      options.refusals = &refusals;
      const auto result = rewrite::run_pipeline(model, pipeline, options);
      if (!each.verdict.empty()) {
        CHECK(each.verdict == "unchanged");
        CHECK(result.status == rewrite::Status::unchanged);
        CHECK(onnx::to_text(model) == onnx::to_text(before));
        std::string reasons;
        for (const rewrite::Refusal& refusal : refusals) reasons += std::string(refusal.reason) + "\n";
        if (!each.reason.empty()) CHECK_THAT(reasons, Catch::Contains(each.reason));
        continue;
      }
      if (each.asks()) {
        FAIL_CHECK("result: " << name << '|' << each.title << '|' << onnx::to_text(model) << "|end");
        continue;
      }
      CHECK(onnx::to_text(model) == onnx::to_text(testing::parse_case(each.after, 8, opset)));
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

// A second conversion finds nothing that the first one could have known.
TEST_CASE("what bodies and sequences hold is inferred again when it gets better known") {
  for (const char* text : {
           R"(<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
g (float[n,1] x) => (float[?,?] y) <int64[2] s = {3,-1}> { t = local.F (x) y = Reshape (t, s) }
<domain: "local", opset_import: ["" : 17]>
F (q) => (r) { c = Constant <value_ints: ints = [3, 2]> () i = Identity (c) r = Expand (q, i) })",
           R"(<ir_version: 8, opset_import: ["" : 17]>
g (float[2,1,1] x, bool b) => (float[?] y) <int64[1] z = {0}, float[2] w = {1,2}> {
  t = If (b) <then_branch = a () => (float[?] u) { d = Shape (x) e = Gather (d, z) u = ConstantOfShape (e) },
              else_branch = o () => (float[?] v) { v = Identity (w) }>
  y = Squeeze (t)
})",
           R"(<ir_version: 9, opset_import: ["" : 19]>
g (float[1,1] w) => (float[?] y) <bool c = {0}, int64 last = {-1}, int64[1] one = {1}, float[1] k = {1}> {
  t = If (c) <then_branch = a () => (float[?,?] u) { u = MatMul (w, w) },
              else_branch = o () => (float[?] v) { d = Constant <value = float[1] {1}> () v = Identity (d) }>
  s = SequenceConstruct (t)
  e = SequenceAt (s, last)
  x = Expand (e, one)
  y = Sub (x, k)
})"}) {
    INFO(text);
    for (const int level : {1, 2}) {
      ir::Model model = onnx::read_text(text);
      rewrite::run_pipeline(model, passes::pipeline(level));
      const std::string bytes = onnx::to_bytes(model);
      ir::Model again = onnx::read(File::from_memory(bytes, "again"));
      CHECK(rewrite::run_pipeline(again, passes::pipeline(level)).status == rewrite::Status::unchanged);
      CHECK((onnx::to_bytes(again) == bytes));
    }
  }
}

// What a Gradient names is used, though no edge of the graph says so.
TEST_CASE("a model with Gradient stays as it is") {
  ir::Model model = onnx::read_text(R"(<ir_version: 8, opset_import: ["" : 17, "ai.onnx.preview.training" : 1]>
g (float x) => (float d) {
  h = Identity (x)
  y = Mul (h, h)
  d = ai.onnx.preview.training.Gradient <xs = ["h"], y = "y"> (x)
})");
  const std::string before = onnx::to_bytes(model);
  CHECK(rewrite::run_pipeline(model, passes::pipeline(2)).status == rewrite::Status::unchanged);
  CHECK((onnx::to_bytes(model) == before));
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
