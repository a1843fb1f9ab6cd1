#include "hone/surgery/batch.h"

#include "helpers.h"

namespace hone {
namespace {

using testing::parse;
using testing::run;

surgery::BatchResult change(ir::Model& model, const ir::Dimension& batch = ir::Dimension::symbol("n")) {
  surgery::BatchResult result = surgery::set_batch(model, batch);
  ir::verify(*model.graph);
  return result;
}

std::string refusal(const std::string& text, int opset = 17) {
  ir::Model model = parse(text, opset);
  try {
    change(model);
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing raised";
}

// Attention as exporters write it for a batch of one: heads are split off and put back by constants.
const char* const kAttention = R"(
g (float[1,3,4] x) => (float[1,3,4] y) <
  float[4,4] w = {0.1, 0.2, 0.3, 0.4, -0.1, 0.5, -0.2, 0.3, 0.7, -0.4, 0.2, 0.1, 0.3, 0.3, -0.6, 0.2},
  int64[4] split = {1, 3, 2, 2}, int64[3] join = {1, 3, 4}> {
  q = MatMul(x, w)
  r = Reshape(q, split)
  t = Transpose<perm = [0, 2, 1, 3]>(r)
  u = Transpose<perm = [0, 1, 3, 2]>(t)
  s = MatMul(t, u)
  p = Softmax(s)
  o = MatMul(p, t)
  b = Transpose<perm = [0, 2, 1, 3]>(o)
  y = Reshape(b, join)
})";

}  // namespace

TEST_CASE("a baked batch becomes dynamic") {
  ir::Model model = parse(kAttention);
  const ir::Model original = model.clone();
  const auto result = change(model);
  CHECK(result.changes.size() == 2);
  CHECK(result.changes[0].before == "[1,3,2,2]");
  CHECK(result.changes[0].after == "[-1,3,2,2]");
  CHECK(result.runs == 2);
  CHECK(result.sizes == std::vector<std::int64_t>{2, 3});
  CHECK(ir::text(model.graph->inputs()[0]->type()) == "float[n,3,4]");
  // By hand: two samples at once are the two alone.
  std::vector<float> both(24);
  for (std::size_t i = 0; i < both.size(); ++i) both[i] = 0.1F * static_cast<float>(i) - 1;
  const auto together = run(model, {{"x", ir::Tensor::of<float>({2, 3, 4}, both)}})["y"].to_floats();
  const std::vector<float> second(both.begin() + 12, both.end());
  const auto alone = run(original, {{"x", ir::Tensor::of<float>({1, 3, 4}, second)}})["y"].to_floats();
  for (std::size_t i = 0; i < 12; ++i) CHECK(together[12 + i] == Approx(alone[i]));
}

TEST_CASE("a baked batch becomes another number") {
  ir::Model model = parse(kAttention);
  CHECK(change(model, 5).changes.size() == 2);
  CHECK(ir::text(model.graph->inputs()[0]->type()) == "float[5,3,4]");
}

TEST_CASE("the batch merged with what follows it, and taken apart again") {
  ir::Model model = parse(R"(
g (float[2,3,4] x) => (float[2,3,4] y) <float[4,4] w = {1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1},
  int64[2] flat = {6, 4}, int64[3] apart = {2, 3, -1}> {
  f = Reshape(x, flat)  m = MatMul(f, w)  y = Reshape(m, apart)
})");
  const auto result = change(model);
  REQUIRE(result.changes.size() == 2);
  CHECK(result.changes[0].after == "[-1,4]");
  CHECK(result.changes[1].after == "[-1,3,4]");
  CHECK(result.sizes == std::vector<std::int64_t>{3, 4});
}

TEST_CASE("targets that leave -1 to another dimension copy the batch") {
  ir::Model model = parse(R"(
g (float[1,n,4] x) => (float[1,n,2,2] y) <int64[4] split = {1, -1, 2, 2}> { y = Reshape(x, split) })");
  const auto result = change(model, ir::Dimension::symbol("batch"));
  REQUIRE(result.changes.size() == 1);
  CHECK(result.changes[0].after == "[0,-1,2,2]");
}

TEST_CASE("what is the same for every sample is repeated") {
  ir::Model model = parse(R"(
g (float[1,3,2] x) => (float[1,4,2] y) <float[1,1,2] token = {5, 7}> { y = Concat<axis = 1>(token, x) })");
  CHECK(change(model).changes.size() == 1);
  const auto y = run(model, {{"x", ir::Tensor::zeros(ir::ElementType::float32, {2, 3, 2})}})["y"];
  CHECK(y.dims() == ir::Dims{2, 4, 2});
  CHECK(y.to_floats()[8] == 5);

  model = parse(R"(
g (float[2,1,2] x) => (float[2,1,1,3] y) <float[1,3,2] w = {1,2,3,4,5,6}, float[1,3,3] r = {1,0,0,0,1,0,0,0,1},
  float[1,1,3] state = {0.1, 0.2, 0.3}> { y = RNN<hidden_size = 3>(x, w, r, , , state) })");
  // The batch is the second dimension here; the first inputs are the steps.
  CHECK_THROWS_WITH(change(model), Catch::Contains("RNN") || Catch::Contains("differs"));
  model = parse(R"(
g (float[1,2,2] x) => (float[2,1,1,3] y) <float[1,3,2] w = {1,2,3,4,5,6}, float[1,3,3] r = {1,0,0,0,1,0,0,0,1},
  float[1,1,3] state = {0.1, 0.2, 0.3}> {
  t = Transpose<perm = [1, 0, 2]>(x)  y = RNN<hidden_size = 3>(t, w, r, , , state) })");
  CHECK(change(model).changes.size() == 1);
}

TEST_CASE("constants with a row for each sample are cut to one, if the rows are equal") {
  ir::Model model = parse("g (float[2,2] x) => (float[2,2] y) <float[2,2] c = {1, 2, 1, 2}> { y = Add(x, c) }");
  CHECK(change(model).changes.size() == 1);
  CHECK_THAT(refusal("g (float[2,2] x) => (float[2,2] y) <float[2,2] c = {1, 2, 3, 4}> { y = Add(x, c) }"),
             Catch::Contains("'c' has different values"));
}

TEST_CASE("sizes of Resize follow") {
  ir::Model model = parse(R"(
g (float[1,1,2,2] x) => (float[1,1,4,4] y) <int64[4] sizes = {1, 1, 4, 4}> { y = Resize<mode = "nearest">(x, , , sizes) })");
  CHECK(change(model).changes.size() == 1);
  CHECK(run(model, {{"x", ir::Tensor::zeros(ir::ElementType::float32, {3, 1, 2, 2})}})["y"].dims() ==
        ir::Dims{3, 1, 4, 4});
}

TEST_CASE("more than one place: the right one is found by running") {
  ir::Model model = parse(R"(
g (float[1,4] x) => (float[1,2] y) <int64[3] apart = {1, 1, 4}, int64[1] zero = {0}, float[4,2] w = {1,2,3,4,5,6,7,8}> {
  r = Reshape(x, apart)  m = MatMul(r, w)  s = Softmax<axis = 0>(m)  y = Squeeze(s, zero)
})");
  // Softmax over the first dimension mixes samples unless the batch is the second, and Squeeze would take it away.
  const auto result = change(model);
  CHECK(result.changes[0].after == "[1,-1,4]");
  CHECK(result.runs == 2);
}

TEST_CASE("what mixes samples is refused") {
  CHECK_THAT(refusal("g (float[1,4] x) => (float[4] y) { y = ReduceMean<axes = [0], keepdims = 0>(x) }"),
             Catch::Contains("(ReduceMean)") && Catch::Contains("takes the batch away"));
  CHECK_THAT(refusal("g (float[2,4] x) => (float[2,4] y) { y = Softmax<axis = 0>(x) }"),
             Catch::Contains("sample by sample"));
  CHECK_THAT(refusal("g (float[2,4] x) => (float[4,4] y) { y = Concat<axis = 0>(x, x) }"),
             Catch::Contains("along the batch"));
  CHECK_THAT(refusal("g (float[2,4] x, float[3,4] y) => (float[2,4] z) { z = Relu(x) }"),
             Catch::Contains("not both the batch"));
  CHECK_THAT(refusal("g (float x) => (float y) { y = Relu(x) }"), Catch::Contains("no first dimension"));
}

TEST_CASE("a batch that is dynamic already is set") {
  ir::Model model = parse("g (float[n,4] x) => (float[n,4] y) { y = Relu(x) }");
  CHECK(change(model, 3).changes.empty());
  CHECK(ir::text(model.graph->inputs()[0]->type()) == "float[3,4]");
}

}  // namespace hone
