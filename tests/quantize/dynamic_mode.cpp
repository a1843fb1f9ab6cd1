// Dynamic quantization: the pattern that ONNX Runtime takes for DynamicQuantizeMatMul, and its numbers.
#include <catch2/catch.hpp>
#include <cmath>

#include "hone/onnx/check.h"
#include "hone/quantize/quantize.h"
#include "hone/support/error.h"
#include "text_model.h"

namespace hone::quantize {
namespace {

using Catch::Matchers::Contains;

ir::Model dynamic(const std::string& text, const ir::Dims& input, QuantizeOptions options = {}) {
  options.mode = Mode::dynamic;
  ir::Model model = testing::text_model(text);
  testing::draw_weights(model);
  const ir::Model before = model.clone();
  quantize(model, nullptr, {}, options, silent());
  onnx::check(model);
  const auto expected = testing::output_of(before, testing::drawn(input)),
             found = testing::output_of(model, testing::drawn(input));
  REQUIRE(expected.size() == found.size());
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    signal += std::pow(expected[i], 2);
    noise += std::pow(expected[i] - found[i], 2);
  }
  CHECK(noise < 0.01 * signal);
  return model;
}

}  // namespace

TEST_CASE("MatMul and Gemm, either way round, with any leading dimensions") {
  for (const char* node : {"y = MatMul(x, w)", "y = Gemm(x, w)", "y = Gemm(x, w, b)", "y = Gemm<transB=1>(x, wt, b)"}) {
    const ir::Model model = dynamic(
        std::string("g (float[N,6] x) => (float[N,4] y) <float[6,4] w, float[4,6] wt, float[4] b> { ") + node + " }",
        {3, 6});
    CHECK(testing::count_nodes(model, "MatMulInteger") == 1);
    CHECK(testing::count_nodes(model, "Gemm") + testing::count_nodes(model, "MatMul") == 0);
    const ir::Tensor& weight = *ir::constant(testing::find_node(model, "MatMulInteger")->input(1));
    CHECK(weight.type() == ir::ElementType::int8);
    CHECK(weight.dims() == ir::Dims{6, 4});
    CHECK(model.graph->outputs()[0]->name() == "y");
  }
  dynamic("g (float[N,M,3,6] x) => (float[N,M,3,4] y) <float[6,4] w, float[4] b> { m = MatMul(x, w) y = Add(m, b) }",
          {2, 2, 3, 6});
  const ir::Model tensor =
      dynamic("g (float[N,6] x) => (float[N,4] y) <float[6,4] w> { y = MatMul(x, w) }", {3, 6}, {.per_channel = false});
  CHECK(ir::constant(testing::find_node(tensor, "MatMulInteger")->input(3))->rank() == 0);
}

TEST_CASE("products of one value share its DynamicQuantizeLinear") {
  const ir::Model model =
      dynamic(R"(g (float[N,5,6] x) => (float[N,5,4] y) <float[6,4] wq, float[6,4] wk, float[6,4] wv>
    { q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv) s = Add(q, k) y = Add(s, v) })",
              {2, 5, 6});
  CHECK(testing::count_nodes(model, "DynamicQuantizeLinear") == 1);
  CHECK(testing::count_nodes(model, "MatMulInteger") == 3);
}

TEST_CASE("convolutions stay, and a model of nothing else is refused") {
  const ir::Model model = dynamic(
      "g (float[N,3,4,4] x) => (float[N,2] y) <float[4,3,1,1] w, float[2,64] h> "
      "{ c = Conv(x, w) f = Flatten(c) y = Gemm<transB=1>(f, h) }",
      {2, 3, 4, 4});
  CHECK(testing::count_nodes(model, "Conv") == 1);
  CHECK(testing::count_nodes(model, "MatMulInteger") == 1);
  CHECK_THROWS_WITH(
      dynamic("g (float[N,3,4,4] x) => (float[N,4,4,4] y) <float[4,3,1,1] w> { y = Conv(x, w) }", {2, 3, 4, 4}),
      Contains("ConvInteger is slower"));
}

}  // namespace hone::quantize
