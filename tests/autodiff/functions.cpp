#include <catch2/catch.hpp>

#include "check.h"
#include "hone/autodiff/gradient.h"
#include "hone/onnx/read.h"

using hone::testing::check_gradients;

TEST_CASE("gradients of operators that ONNX defines by others") {
  check_gradients(
      "g (double[2,4,3] x, double[4] s, double[4] b) => (double[2,4,3] y) { y = GroupNormalization <num_groups = 2> "
      "(x, s, b) }",
      {.opset = 21});
  check_gradients("g (double[2,4] x, double[4] s) => (double[2,4] y) { y = RMSNormalization (x, s) }",
                  {.opset = 23, .step = 1e-3, .tolerance = 1e-5});  // computed in float
  check_gradients(
      "g (double[4,3] x) => (double l) <int64[4] t = {0,2,1,2}> { p = LogSoftmax (x) l = "
      "NegativeLogLikelihoodLoss <reduction = \"sum\"> (p, t) }");
}

TEST_CASE("gradients of model-local functions") {
  const std::string text = R"(
<ir_version: 10, opset_import: ["" : 18, "local" : 1]>
g (double[2,3] x, double[3] w) => (double l) <double k = {3}> {
  h = local.Twice <by = 2.5> (x, w)
  m = local.Twice (h, w)
  s = ReduceSum <keepdims = 0> (m)
  l = Mul(s, k)
}
<domain: "local", opset_import: ["" : 18]>
Twice <by: float = 2.0> (a, b) => (c) {
  p = Mul(a, b)
  c = LeakyRelu <alpha: float = @by> (p)
}
)";
  hone::ir::Model model = hone::onnx::read_text(text);
  const std::vector<std::string> names{"x", "w"};
  const std::vector<std::string> gradients = hone::autodiff::gradient(model, "l", names);
  CHECK(!gradients[0].empty());
  CHECK(!gradients[1].empty());
  hone::ir::verify(*model.graph);
  for (const hone::ir::Node& node : model.graph->nodes()) CHECK(node.op_type() != "Twice");
}

TEST_CASE("what has no gradient is named, all of it") {
  const auto model = [](const std::string& body) {
    return hone::onnx::read_text("<ir_version: 10, opset_import: [\"\" : 18, \"odd\" : 1]>\n" + body);
  };
  const std::vector<std::string> x{"x"};
  hone::ir::Model two =
      model("g (float[3] x) => (float l) { [\"first\"] a = odd.Thing (x) [\"second\"] b = Det (a) l = odd.Other (b) }");
  CHECK_THROWS_WITH(
      hone::autodiff::gradient(two, "l", x),
      "no gradient: node 'first' (Thing): the operator has no gradient; node 'second' (Det): the operator has no "
      "gradient; node 'l' (Other): the operator has no gradient");
  hone::ir::Model again = model("g (float[3] x) => (float l) { a = odd.Thing (x) b = Det (a) l = odd.Other (b) }");
  CHECK(hone::autodiff::obstacles(again, "l", x).size() == 3);
  CHECK(again.graph->node_count() == 3);

  hone::ir::Model limit =
      model("g (float[3] x, float m) => (float l) { c = Clip (x, m) l = ReduceSum <keepdims = 0> (c) }");
  CHECK_THROWS_WITH(hone::autodiff::gradient(limit, "l", std::vector<std::string>{"m"}),
                    "no gradient: node 'c' (Clip): no gradient with respect to the lower limit");

  hone::ir::Model branch = model(
      "g (float[3] x, bool b) => (float l) { c = If (b) <then_branch = t () => (float[3] p) { p = Neg(x) }, "
      "else_branch = e () => "
      "(float[3] q) { q = Relu(x) }> l = ReduceSum <keepdims = 0> (c) }");
  CHECK_THROWS_WITH(hone::autodiff::gradient(branch, "l", x),
                    "no gradient: node 'c' (If): the operator has no gradient");

  hone::ir::Model vector = model("g (float[3] x) => (float[3] l) { l = Neg (x) }");
  CHECK_THROWS_WITH(hone::autodiff::gradient(vector, "l", x), "the loss 'l' has shape [3], not one element");
}

TEST_CASE("nothing is made where the loss does not depend on a value") {
  hone::ir::Model model = hone::onnx::read_text(
      "<ir_version: 10, opset_import: [\"\" : 18]> g (float[3] x, float[3] z) => (float l) { a = Neg(z) l = ReduceSum "
      "<keepdims = 0> (x) }");
  const auto gradients = hone::autodiff::gradient(model, "l", std::vector<std::string>{"z", "x"});
  CHECK(gradients[0].empty());
  CHECK(!gradients[1].empty());
}
