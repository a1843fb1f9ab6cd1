// Conversion of opsets: cases as text (opset/NAME.txt, written as text_cases.h says), and what must survive. A title ends
// with the opsets, "(13 -> 12)"; "=> unsupported: reason" is for what can't be converted. Every converted case is run,
// before and after, on random inputs.
#include "hone/passes/convert_opset.h"

#include <catch2/catch.hpp>
#include <cstdio>

#include "hone/onnx/check.h"
#include "hone/onnx/ir_version.h"
#include "hone/onnx/read.h"
#include "hone/onnx/schema.h"
#include "hone/onnx/write.h"
#include "hone/rewrite/verify.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "text_cases.h"

namespace hone {
namespace {

// Nothing but the operators of the model's opset.
void check_valid(const ir::Model& model) {
  for (const onnx::Problem& problem : onnx::lint(model)) {
    INFO(problem.rule << ' ' << problem.node << ' ' << problem.message);
    CHECK_FALSE(problem.error);
  }
  onnx::check(model);
  ir::verify(*model.graph);
}

TEST_CASE("text tests of opset conversion") {
  for (const auto& path : testing::text_case_files("tests/passes/opset")) {
    const std::vector<testing::TextCase> cases = testing::read_text_cases(path);
    CHECK_FALSE(cases.empty());
    for (const testing::TextCase& each : cases) {
      INFO(path.stem().string() << ": " << each.title);
      int from = 0, to = 0;
      REQUIRE(std::sscanf(each.title.c_str() + each.title.rfind('('), "(%d -> %d)", &from, &to) == 2);
      const ir::Model before = testing::parse_case(each.before, 14, from);
      ir::Model model = before.clone();
      std::string reason;
      try {
        passes::convert_opset(model, to);
      } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::unsupported);
        reason = error.message();
      }
      if (!each.verdict.empty()) {
        CHECK(each.verdict == "unsupported");
        CHECK_THAT(reason, Catch::Contains(each.reason));
        continue;
      }
      CHECK(reason.empty());
      if (!reason.empty()) continue;
      if (each.asks()) {
        FAIL_CHECK("result: " << each.title << '|' << onnx::to_text(model) << "|end");
      } else if (!trim(each.after).empty()) {
        CHECK(onnx::to_text(model) == onnx::to_text(testing::parse_case(each.after, 14, to)));
      }
      check_valid(model);
      const auto check = rewrite::verify_equal(before, model);
      INFO(check.reason);
      CHECK(check.verdict == rewrite::VerifyResult::Verdict::equal);
      for (const auto& difference : check.differences) FAIL_CHECK(difference.output << ": " << difference.detail);
    }
  }
}

// The graph of which every part that is easily lost is there.
constexpr const char* full = R"(<ir_version: 10, opset_import: ["": 17, "own": 1], metadata_props: ["k": "v"]>
agraph (float[2, 3] x) => (float[2] y) <float[3] scale = {1, 2, 3}>
{
  a = own.twice <factor = 2.0> (x)
  b = Mul(a, scale)
  y = ReduceMean <axes = [1], keepdims = 0> (b)
}
<domain: "own", opset_import: ["": 17]>
twice <factor> (x) => (y)
{
  f = Constant <value_float: float = @factor> ()
  axes = Constant <value_ints = [0]> ()
  s = ReduceMax <axes = [1], keepdims = 1> (x)
  d = Sub (x, s)
  m = Mul (d, f)
  y = Add (m, x)
}
)";

TEST_CASE("functions are converted and stay called") {
  const ir::Model before = onnx::read_text(full);
  ir::Model model = before.clone();
  passes::convert_opset(model, 21);
  CHECK(model.opset() == 21);
  CHECK(model.ir_version == 10);
  REQUIRE(model.functions.size() == 1);
  CHECK(model.functions[0]->opsets[0].version == 21);
  CHECK(model.graph->first()->is("own", "twice"));
  // ReduceMax takes its axes as an input, which in a function is a Constant.
  bool found = false;
  for (const ir::Node& node : model.functions[0]->body->nodes()) {
    if (node.is("ReduceMax")) found = node.input(1) && node.input(1)->producer() && !node.has_attribute("axes");
  }
  CHECK(found);
  CHECK(*model.find_metadata("k") == "v");
  check_valid(model);
  CHECK(rewrite::verify_equal(before, model).verdict == rewrite::VerifyResult::Verdict::equal);
  passes::convert_opset(model, 13);
  CHECK(model.functions[0]->opsets[0].version == 13);
  check_valid(model);
  CHECK(rewrite::verify_equal(before, model).verdict == rewrite::VerifyResult::Verdict::equal);
}

TEST_CASE("names and metadata stay in a conversion of opsets") {
  ir::Model model = onnx::read_text(full);
  // doc_string (field 6 of a node), and one of a graph (10).
  const std::string node_doc = "\x32\x04node", graph_doc = "\x52\x05graph";
  ir::Node& reduce = *model.graph->last();
  reduce.set_name("mean");
  reduce.set_rest(node_doc);
  model.graph->set_rest(graph_doc);
  passes::convert_opset(model, 24);
  CHECK(model.ir_version == 12);
  CHECK(model.graph->rest() == graph_doc);
  CHECK(model.graph->last()->name() == "mean");
  CHECK(model.graph->last()->rest() == node_doc);
  CHECK(model.graph->outputs()[0]->name() == "y");
  CHECK(model.graph->find("b"));
  CHECK(model.graph->find("scale"));
}

TEST_CASE("the same opset changes nothing, and others have to exist") {
  ir::Model model = onnx::read_text(full);
  const std::string bytes = onnx::to_bytes(model);
  passes::convert_opset(model, 17);
  CHECK(onnx::to_bytes(model) == bytes);
  CHECK_THROWS_WITH(passes::convert_opset(model, 99), Catch::Contains("opset 99 does not exist"));
  CHECK_THROWS_WITH(passes::convert_opset(model, 0), Catch::Contains("opset 0 does not exist"));
}

TEST_CASE("every operator that can't be converted is named") {
  ir::Model model = onnx::read_text(R"(<ir_version: 10, opset_import: ["": 20]>
    g (float[1, 1, 4, 4] x, float[1, 2, 2, 2] grid, uint8[4] i) => (float[1, 1, 2, 2] a, uint8[4] b)
    { a = GridSample(x, grid) b = BitwiseNot(i) })");
  try {
    passes::convert_opset(model, 15);
    FAIL("nothing was raised");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK_THAT(error.message(), Catch::Contains("GridSample (16)") && Catch::Contains("BitwiseNot (18)") &&
                                    Catch::Contains("the operator came with opset 18"));
  }
}

TEST_CASE("inputs of weights go where an ir_version before 4 wanted them") {
  ir::Model model = onnx::read_text(R"(<ir_version: 3, opset_import: ["": 8]>
    g (float[2] x, float[2] w = {1, 2}) => (float[2] y) { y = Add(x, w) })");
  REQUIRE(model.graph->inputs().size() == 2);
  passes::convert_opset(model, 13);
  CHECK(model.ir_version == 7);
  CHECK(model.graph->inputs().size() == 1);
}

// A new version of ONNX brings operators that changed: each has to be looked at, and then this number.
TEST_CASE("the operators are those that the rules were made for") { CHECK(onnx::latest_opset() == 28); }

}  // namespace
}  // namespace hone
