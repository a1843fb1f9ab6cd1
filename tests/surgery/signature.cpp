#include "hone/surgery/signature.h"

#include "helpers.h"

namespace hone {

using testing::names;
using testing::parse;
using testing::run;

TEST_CASE("renaming follows into subgraphs") {
  ir::Model model = parse(R"(
g (bool c, float[2] x) => (float[2] y) {
  y = If(c) <then_branch = a () => (float[2] p) { image = Neg(x) p = Add(image, x) },
             else_branch = b () => (float[2] q) { q = Identity(x) }>
})");
  surgery::rename(model, {{"x", "image"}, {"y", "result"}});  // the branch has an image of its own
  CHECK(names(model.graph->inputs()) == std::vector<std::string>{"c", "image"});
  const auto x = ir::Tensor::of<float>({2}, {1, 2});
  CHECK(run(model, {{"c", ir::Tensor::scalar(true)}, {"image", x}})["result"].to_floats() == std::vector<float>{0, 0});
  const ir::Model again = onnx::read(File::from_memory(onnx::to_bytes(model), "again.onnx"));
  CHECK(run(again, {{"c", ir::Tensor::scalar(false)}, {"image", x}})["result"].to_floats() == std::vector<float>{1, 2});
}

TEST_CASE("two may trade names, clashes are refused") {
  ir::Model model = parse("g (float[2] a, float[2] b) => (float[2] y) { t = Neg(b) y = Sub(a, t) }");
  surgery::rename(model, {{"a", "b"}, {"b", "a"}});
  CHECK(names(model.graph->inputs()) == std::vector<std::string>{"b", "a"});
  CHECK_THROWS_WITH(surgery::rename(model, {{"a", "t"}}),
                    Catch::Contains("a result of node") && Catch::Contains("(Neg)"));
  CHECK_THROWS_WITH(surgery::rename(model, {{"a", "b"}}), Catch::Contains("an input"));
  CHECK_THROWS_WITH(surgery::rename(model, {{"a", "c"}, {"b", "c"}}), Catch::Contains("can't both"));
  CHECK_THROWS_WITH(surgery::rename(model, {{"c", "d"}}), Catch::Contains("no tensor 'c'"));
}

TEST_CASE("inputs and outputs in another order") {
  ir::Model model = parse(R"(g (float[2] a, float[2] b, float[2] c) => (float[2] x, float[2] y) <float[2] c = {1, 1}> {
    x = Sub(a, b) y = Add(b, c) })");
  surgery::order_inputs(model, {"b"});
  CHECK(names(model.graph->inputs()) == std::vector<std::string>{"b", "a", "c"});
  surgery::order_inputs(model, {"c", "a"});
  CHECK(names(model.graph->inputs()) == std::vector<std::string>{"c", "a", "b"});
  CHECK(model.graph->inputs()[0]->initializer());
  surgery::order_outputs(model, {"y", "x"});
  CHECK(names(model.graph->outputs()) == std::vector<std::string>{"y", "x"});
  auto found = run(model, {{"a", ir::Tensor::of<float>({2}, {5, 6})}, {"b", ir::Tensor::of<float>({2}, {1, 2})}});
  CHECK(found["x"].to_floats() == std::vector<float>{4, 4});
  CHECK(found["y"].to_floats() == std::vector<float>{2, 3});
  CHECK_THROWS_WITH(surgery::order_inputs(model, {"d"}), Catch::Contains("no input 'd'"));
  CHECK_THROWS_WITH(surgery::order_outputs(model, {"x", "x"}), Catch::Contains("twice"));
}

}  // namespace hone
