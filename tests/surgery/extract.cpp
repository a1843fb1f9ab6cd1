#include "hone/surgery/extract.h"

#include "helpers.h"
#include "hone/surgery/merge.h"

namespace hone {
namespace {

using testing::names;
using testing::parse;
using testing::run;

const char* const kModel = R"(
g (float[n,2] a, float[n,2] b) => (float[n,2] y, float[n,2] z) <float[2] c = {1, 2}> {
  s = Add(a, b)
  r = Relu(s)
  y = Mul(r, c)
  z = Neg(r)
})";

ir::Tensor pair(float x, float y) { return ir::Tensor::of<float>({1, 2}, {x, y}); }

}  // namespace

TEST_CASE("the part between two tensors") {
  ir::Model model = parse(kModel);
  surgery::extract(model, {"s"}, {"y"});
  CHECK(names(model.graph->inputs()) == std::vector<std::string>{"s"});
  CHECK(names(model.graph->outputs()) == std::vector<std::string>{"y"});
  CHECK(model.graph->node_count() == 2);
  // Nothing declares the type of s: it is inferred, symbols and all.
  CHECK(ir::text(model.graph->inputs()[0]->type()) == "float[n,2]");
  CHECK(run(model, {{"s", pair(-1, 3)}})["y"].to_floats() == std::vector<float>{0, 6});
  CHECK(onnx::read_text(onnx::to_text(model)).graph->node_count() == 2);
}

TEST_CASE("inputs that are needed stay when none is named") {
  ir::Model model = parse(kModel);
  surgery::extract(model, {}, {"r"});
  CHECK(names(model.graph->inputs()) == std::vector<std::string>{"a", "b"});
  CHECK(model.graph->initializers().empty());
  model = parse(kModel);
  surgery::extract(model, {"r"}, {"z", "y"});
  CHECK(names(model.graph->outputs()) == std::vector<std::string>{"z", "y"});
}

TEST_CASE("a weight may become an input, an input of the model keeps its declaration") {
  ir::Model model = parse(kModel);
  surgery::extract(model, {"c", "b", "a"}, {"y"});
  CHECK(names(model.graph->inputs()) == std::vector<std::string>{"c", "b", "a"});
  CHECK(model.graph->initializers().empty());
  CHECK(ir::text(model.graph->inputs()[0]->type()) == "float[2]");
  CHECK(
      run(model, {{"a", pair(1, 2)}, {"b", pair(0, 0)}, {"c", ir::Tensor::of<float>({2}, {5, 7})}})["y"].to_floats() ==
      std::vector<float>{5, 14});
}

TEST_CASE("what can't be cut is said") {
  const auto message = [](const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) {
    ir::Model model = parse(kModel);
    try {
      surgery::extract(model, inputs, outputs);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
      return error.message();
    }
    return std::string("nothing raised");
  };
  CHECK_THAT(message({"a"}, {"y"}),
             Catch::Contains("do not cut") && Catch::Contains("'b'") && Catch::Contains("(Add)"));
  CHECK_THAT(message({"s", "a"}, {"y"}), Catch::Contains("'a' is not needed"));
  CHECK_THAT(message({"s"}, {"s"}), Catch::Contains("as an input and as an output"));
  CHECK_THAT(message({"s", "s"}, {"y"}), Catch::Contains("twice"));
  CHECK_THAT(message({}, {}), Catch::Contains("no output"));
  ir::Model model =
      parse("g (float[2] hidden_state) => (float[2] y) { logits_out = Relu(hidden_state) y = Neg(logits_out) }");
  CHECK_THROWS_WITH(surgery::extract(model, {}, {"logit_out"}), Catch::Contains("did you mean 'logits_out'?"));
}

TEST_CASE("subgraphs bring along what they use, functions what they call") {
  ir::Model model = onnx::read_text(R"(
<ir_version: 8, opset_import: ["": 17, "local": 1]>
g (bool c, float[2] x, float[2] unused) => (float[2] y, float[2] other) {
  t = Neg(x)
  w = local.twice(t)
  y = If(c) <
    then_branch = a () => (float[2] p) { inner = Add(w, x) p = local.outer(inner) },
    else_branch = b () => (float[2] q) { q = Identity(t) }
  >
  other = local.lone(unused)
}
<domain: "local", opset_import: ["": 17]> twice (v) => (r) { r = Add(v, v) }
<domain: "local", opset_import: ["": 17, "local": 1]> outer (v) => (r) { r = local.twice(v) }
<domain: "local", opset_import: ["": 17]> lone (v) => (r) { r = Relu(v) }
)");
  surgery::extract(model, {"c", "w", "t", "x"}, {"y"});
  CHECK(model.functions.size() == 2);
  CHECK(model.graph->node_count() == 1);
  const auto x = ir::Tensor::of<float>({2}, {1, 2});
  const auto w = ir::Tensor::of<float>({2}, {10, 20});
  CHECK(run(model, {{"c", ir::Tensor::scalar(true)}, {"w", w}, {"t", x}, {"x", x}})["y"].to_floats() ==
        std::vector<float>{22, 44});
  ir::Model again = onnx::read_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (bool c, float[2] x) => (float[2] y) {
  y = If(c) <then_branch = a () => (float[2] p) { inner = Add(x, x) p = Neg(inner) },
             else_branch = b () => (float[2] q) { q = Identity(x) }>
})");
  CHECK_THROWS_WITH(surgery::extract(again, {}, {"inner"}), Catch::Contains("is inside") && Catch::Contains("(If)"));
  CHECK_THROWS_WITH(surgery::extract(again, {"c"}, {"y"}), Catch::Contains("'x'"));
}

TEST_CASE("a default value stays with its input") {
  ir::Model model =
      parse("g (float[2] x, float[2] k) => (float[2] y) <float[2] k = {3, 4}> { t = Add(x, k) y = Neg(t) }");
  surgery::extract(model, {"x"}, {"t"});
  CHECK(names(model.graph->inputs()) == std::vector<std::string>{"k", "x"});
  CHECK(model.graph->inputs()[0]->initializer());
}

TEST_CASE("two parts give the whole") {
  const ir::Model whole = parse(R"(
g (float[n,2] a, float[n,2] mask) => (float[n,2] y, float[n,2] early, float[n,2] r) <float[2] c = {1, 2}> {
  early = Mul(a, c)
  r = Relu(early)
  m = Mul(r, mask)
  y = Add(m, c)
})");
  surgery::Parts parts = surgery::split(whole, {"r"});
  CHECK(names(parts.first.graph->outputs()) == std::vector<std::string>{"r", "early"});
  CHECK(names(parts.first.graph->inputs()) == std::vector<std::string>{"a"});
  CHECK(names(parts.second.graph->inputs()) == std::vector<std::string>{"r", "mask"});
  CHECK(names(parts.second.graph->outputs()) == std::vector<std::string>{"y"});

  surgery::MergeOptions options;
  options.keep_connected = true;
  surgery::merge(parts.first, parts.second, options);
  const std::map<std::string, ir::Tensor> inputs{{"a", pair(1, -2)}, {"mask", pair(1, 0.5F)}};
  auto expected = run(whole, inputs), found = run(parts.first, inputs);
  REQUIRE(found.size() == expected.size());
  for (auto& [name, tensor] : expected) CHECK(ir::equal(found[name], tensor));
}

TEST_CASE("a split that does not separate is refused") {
  const ir::Model residual =
      parse("g (float[2] x) => (float[2] y) { s = Neg(x) t = Relu(s) u = Abs(t) y = Add(u, s) }");
  CHECK_THROWS_WITH(surgery::split(residual, {"t"}), Catch::Contains("also uses 's'"));
  CHECK(surgery::split(residual, {"t", "s"}).second.graph->node_count() == 2);
  CHECK_THROWS_WITH(surgery::split(residual, {"x"}), Catch::Contains("is an input"));
  CHECK_THROWS_WITH(surgery::split(residual, {"y"}), Catch::Contains("nothing is left"));
  // Constant expressions may stand in both parts, random ones not.
  const ir::Model constant = parse(R"(g (float[2] x) => (float[2] y) <float[2] c = {1, 2}> {
    k = Exp(c) t = Add(x, k) y = Mul(t, k) })");
  CHECK(surgery::split(constant, {"t"}).second.graph->node_count() == 2);
  const ir::Model random = parse(R"(g (float[2] x) => (float[2] y) {
    k = RandomNormal<shape = [2]>() t = Add(x, k) y = Mul(t, k) })");
  CHECK_THROWS_WITH(surgery::split(random, {"t"}), Catch::Contains("also uses 'k'"));
}

}  // namespace hone
