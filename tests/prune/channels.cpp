// Channel pruning on the graphs where other tools remove nothing or too much. A pruned model must compute what the model
// computes with the removed channels unread: an oracle that knows nothing of how channels are followed.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "apart.h"
#include "hone/onnx/check.h"
#include "hone/prune/prune.h"
#include "hone/support/error.h"
#include "text_model.h"

namespace hone::prune {
namespace {

using Catch::Matchers::Contains;

// Which indices of each axis of `before` are left in `after`. All weights differ, so that each says where it comes from.
std::vector<std::set<std::size_t>> kept_indices(const ir::Tensor& before, const ir::Tensor& after) {
  std::map<float, std::size_t> place;
  const auto old = before.to_floats();
  for (std::size_t i = 0; i < old.size(); ++i) place[old[i]] = i;
  std::vector<std::set<std::size_t>> kept(before.rank());
  for (const float value : after.to_floats()) {
    std::size_t index = place.at(value);
    for (std::size_t axis = before.rank(); axis-- > 0;) {
      const auto dim = static_cast<std::size_t>(before.dims()[axis]);
      kept[axis].insert(index % dim);
      index /= dim;
    }
  }
  return kept;
}

// The axis of a weight that its operator sums over; grouped convolutions sum over none that channels come in by.
std::optional<std::size_t> summed_axis(const ir::Node& node) {
  if (node.is("Conv")) return node.int_or("group", 1) == 1 ? std::optional<std::size_t>(1) : std::nullopt;
  if (node.is("ConvTranspose")) return 0;
  if (node.is("Gemm")) return node.int_or("transB", 0) != 0 ? 1 : 0;
  if (node.is("MatMul") && ir::constant(node.input(1))) return 0;
  return std::nullopt;
}

struct Outcome {
  double kept = 1;  // share of the elements of weights
  PruneResult result;
};

std::int64_t elements(const ir::Model& model) {
  std::int64_t count = 0;
  for (const ir::Value* value : model.graph->initializers()) {
    const ir::Tensor& tensor = *value->initializer();
    if (tensor.type() == ir::ElementType::float32 && tensor.rank() > 1) count += tensor.element_count();
  }
  return count;
}

Outcome check(const char* text, const ir::Dims& input, PruneOptions options = {}, int opset = 17) {
  options.structure = Structure::channel;
  ir::Model before = testing::text_model(text, opset);
  testing::draw_weights(before);
  ir::Model after = before.clone();
  Outcome outcome;
  outcome.result = prune(after, options, silent());
  outcome.kept = static_cast<double>(elements(after)) / static_cast<double>(elements(before));
  onnx::check(after);

  for (ir::Node& node : before.graph->nodes()) {
    const auto axis = summed_axis(node);
    if (!axis) continue;
    ir::Value* value = node.input(1);
    const ir::Tensor old = *value->initializer();
    const auto kept = kept_indices(old, *after.graph->find(value->name())->initializer())[*axis];
    std::vector<float> numbers = old.to_floats();
    std::size_t inner = 1;
    for (std::size_t i = *axis + 1; i < old.rank(); ++i) inner *= static_cast<std::size_t>(old.dims()[i]);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (!kept.contains(i / inner % static_cast<std::size_t>(old.dims()[*axis]))) numbers[i] = 0;
    }
    // A copy: the weight may be looked up again for another node.
    value->graph().set_initializer(*value, ir::Tensor::of<float>(old.dims(), numbers));
  }
  const ir::Tensor x = testing::drawn(input);
  const auto expected = testing::output_of(before, x), found = testing::output_of(after, x);
  REQUIRE(expected.size() == found.size());
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, static_cast<double>(std::abs(expected[i])));
    difference = std::max(difference, testing::apart(expected[i], found[i]));
  }
  CHECK(largest > 0);
  CHECK(difference <= 1e-5 * largest);
  return outcome;
}

const LayerResult& layer(const Outcome& outcome, std::string_view weight) {
  for (const LayerResult& each : outcome.result.layers) {
    if (each.weight == weight) return each;
  }
  throw std::runtime_error("no layer " + std::string(weight));
}

}  // namespace

TEST_CASE("MLP") {
  const Outcome outcome =
      check(R"(g (float[N,6] x) => (float[N,3] y) <float[8,6] w1, float[8] b1, float[8,8] w2, float[8] b2,
      float[8,3] w3, float[3] b3>
    { a = Gemm<transB=1>(x, w1, b1) b = Relu(a) c, m = Dropout(b) d = MatMul(c, w2) e = Add(d, b2) f = Tanh(e)
      y = Gemm(f, w3, b3) })",
            {5, 6});
  CHECK(outcome.kept == (24.0 + 16 + 12) / (48 + 64 + 24));
  CHECK(layer(outcome, "w1").channels_after == 4);
  CHECK(layer(outcome, "w3").channels_after == 3);
}

TEST_CASE("Conv, BatchNormalization and Relu, not folded") {
  const Outcome outcome = check(R"(g (float[N,3,8,8] x) => (float[N,4,6,6] y)
    <float[8,3,3,3] w1, float[8] s, float[8] b, float[8] mean, float[8] v, float[4,8,1,1] w2>
    { a = Conv(x, w1) c = BatchNormalization(a, s, b, mean, v) d = Relu(c) y = Conv(d, w2) })",
                                {2, 3, 8, 8});
  CHECK(outcome.kept == 0.5);
}

TEST_CASE("DenseNet: a chain of concatenations") {
  const Outcome outcome = check(R"(g (float[N,3,6,6] x) => (float[N,2,6,6] y)
    <float[8,3,1,1] w0, float[4,8,3,3] w1, float[4,12,3,3] w2, float[2,16,1,1] w3, float[12] s, float[12] b, float[12] m, float[12] v>
    { a = Conv(x, w0) p = Conv<pads=[1,1,1,1]>(a, w1) c1 = Concat<axis=1>(a, p) n = BatchNormalization(c1, s, b, m, v) r = Relu(n)
      q = Conv<pads=[1,1,1,1]>(r, w2) c2 = Concat<axis=1>(c1, q) y = Conv(c2, w3) })",
                                {2, 3, 6, 6});
  CHECK(outcome.kept < 0.4);
}

TEST_CASE("transformer block with decomposed attention and an MLP of erf-Gelu or SiLU") {
  // The residual stream goes through a decomposed LayerNormalization and stays; the MLP's hidden width shrinks.
  const std::string head = R"(g (float[N,4,8] x) => (float[N,4,8] y)
    <float[8,8] wq, float[8,8] wk, float[8,8] wv, float[8,8] wo, float[8,16] w1, float[16] b1, float[16,8] w2, float[8] b2,
     float two = {2}, float one = {1}, float half = {0.5}, float root = {1.4142135}, float scale = {0.35355}, float eps = {0.00001}>
    { q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv) kt = Transpose<perm=[0,2,1]>(k) s0 = MatMul(q, kt) s1 = Mul(s0, scale)
      s = Softmax<axis=-1>(s1) o = MatMul(s, v) p = MatMul(o, wo) r = Add(x, p)
      mu = ReduceMean<axes=[-1]>(r) c = Sub(r, mu) c2 = Pow(c, two) var = ReduceMean<axes=[-1]>(c2) ve = Add(var, eps)
      sd = Sqrt(ve) n = Div(c, sd)
      h0 = MatMul(n, w1) h = Add(h0, b1) )";
  const std::string tail = " z0 = MatMul(g2, w2) z = Add(z0, b2) y = Add(r, z) }";
  const Outcome gelu = check(
      (head + "e0 = Div(h, root) e1 = Erf(e0) e2 = Add(e1, one) g1 = Mul(h, e2) g2 = Mul(g1, half)" + tail).c_str(),
      {2, 4, 8});
  CHECK(layer(gelu, "w1").channels_after == 8);
  CHECK_FALSE(layer(gelu, "wq").skipped.empty());
  CHECK(gelu.kept < 0.8);
  const Outcome silu = check((head + "e0 = Sigmoid(h) g2 = Mul(h, e0)" + tail).c_str(), {2, 4, 8});
  CHECK(layer(silu, "w1").channels_after == 8);
}

TEST_CASE("LSTM: what it reads and makes stays, and says so") {
  const char* const text = R"(g (float[5,N,4] x) => (float[5,N,2] y)
    <int64[1] one = {1}, float[4,6] w0, float[1,32,6] w, float[1,32,8] r, float[8,2] w2>
    { a = MatMul(x, w0) h, hn, cn = LSTM<hidden_size=8>(a, w, r) s = Squeeze(h, one) y = MatMul(s, w2) })";
  ir::Model model = testing::text_model(text);
  testing::draw_weights(model);
  CHECK_THROWS_WITH(prune(model, {.structure = Structure::channel}, silent()), Contains("LSTM"));
}

TEST_CASE("MobileNetV2: inverted residual with a depthwise convolution") {
  const Outcome outcome = check(R"(g (float[N,3,6,6] x) => (float[N,2] y)
    <float[8,3,1,1] w0, float[24,8,1,1] expand, float[24,1,3,3] depthwise, float[24] bias, float[8,24,1,1] project, float[2,8] head,
     float low = {0}, float high = {6}>
    { a = Conv(x, w0) b = Conv(a, expand) b6 = Clip(b, low, high) c = Conv<group=24, pads=[1,1,1,1]>(b6, depthwise, bias)
      c6 = Clip(c, low, high) d = Conv(c6, project) e = Add(a, d) f = GlobalAveragePool(e) g = Flatten(f) y = Gemm<transB=1>(g, head) })",
                                {2, 3, 6, 6});
  CHECK(layer(outcome, "expand").channels_after == 12);
  CHECK(layer(outcome, "w0").channels_after == 4);
  CHECK(layer(outcome, "project").channels_after == 4);
}

TEST_CASE("squeeze and excitation") {
  const Outcome outcome = check(R"(g (float[N,3,6,6] x) => (float[N,2,6,6] y)
    <float[8,3,1,1] w0, float[4,8,1,1] down, float[4] db, float[8,4,1,1] up, float[8] ub, float[2,8,1,1] w1>
    { a = Conv(x, w0) p = GlobalAveragePool(a) d = Conv(p, down, db) r = Relu(d) u = Conv(r, up, ub) s = Sigmoid(u) m = Mul(a, s)
      y = Conv(m, w1) })",
                                {2, 3, 6, 6});
  CHECK(layer(outcome, "w0").channels_after == 4);
  CHECK(layer(outcome, "up").channels_after == 4);
  CHECK(layer(outcome, "down").channels_after == 2);
}

TEST_CASE("a map of one channel over many") {
  // Spatial attention: the product has the channels of its wider operand.
  for (const char* product : {"m = Mul(s, a)", "m = Mul(a, s)"}) {
    const std::string text = std::string(R"(g (float[N,3,6,6] x) => (float[N,2,6,6] y)
      <float[8,3,1,1] w0, float[1,3,1,1] wa, float[2,8,1,1] w1>
      { a = Conv(x, w0) b = Conv(x, wa) s = Sigmoid(b) )") +
                             product + " y = Conv(m, w1) }";
    const Outcome outcome = check(text.c_str(), {2, 3, 6, 6});
    CHECK(layer(outcome, "w0").channels_after == 4);
    CHECK(layer(outcome, "wa").channels_after == 1);
  }
}

TEST_CASE("residuals") {
  const Outcome outcome = check(R"(g (float[N,3,6,6] x) => (float[N,2,6,6] y)
    <float[8,3,1,1] w0, float[6,8,3,3] w1, float[8,6,3,3] w2, float[6,8,3,3] w3, float[8,6,3,3] w4, float[2,8,1,1] w5>
    { a = Conv(x, w0) b = Conv<pads=[1,1,1,1]>(a, w1) c = Relu(b) d = Conv<pads=[1,1,1,1]>(c, w2) e = Add(a, d) f = Relu(e)
      g = Conv<pads=[1,1,1,1]>(f, w3) h = Relu(g) i = Conv<pads=[1,1,1,1]>(h, w4) j = Add(i, f) y = Conv(j, w5) })",
                                {2, 3, 6, 6});
  CHECK(outcome.kept < 0.3);
}

TEST_CASE("channel shuffle: what is split stays, the rest goes") {
  const Outcome outcome = check(R"(g (float[2,3,4,4] x) => (float[2,2,4,4] y)
    <float[8,3,1,1] w0, float[6,8,1,1] w1, float[2,6,1,1] w2, int64[5] split = {2, 2, 4, 4, 4}, int64[4] joined = {2, 8, 4, 4}>
    { a = Conv(x, w0) b = Reshape(a, split) c = Transpose<perm=[0,2,1,3,4]>(b) d = Reshape(c, joined) e = Conv(d, w1) f = Relu(e)
      y = Conv(f, w2) })",
                                {2, 3, 4, 4});
  CHECK_THAT(layer(outcome, "w0").skipped, Contains("split"));
  CHECK(layer(outcome, "w1").channels_after == 3);
}

TEST_CASE("convolution, pooling, Flatten, Gemm") {
  for (const char* flatten : {"f = Flatten(p)", "f = Reshape(p, shape)"}) {
    const std::string text = std::string(R"(g (float[N,3,6,6] x) => (float[N,2] y)
      <float[8,3,3,3] w0, float[2,32] head, float[2] bias, int64[2] shape = {-1, 32}>
      { a = Conv(x, w0) r = Relu(a) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) )") +
                             flatten + " y = Gemm<transB=1>(f, head, bias) }";
    CHECK(check(text.c_str(), {2, 3, 6, 6}).kept == 0.5);
  }
}

TEST_CASE("Inception: branches concatenated") {
  const Outcome outcome = check(R"(g (float[N,3,6,6] x) => (float[N,2,6,6] y)
    <float[4,3,1,1] wa, float[6,3,1,1] wb, float[4,6,3,3] wc, float[2,11,1,1] w>
    { a = Conv(x, wa) b = Conv(x, wb) c = Conv<pads=[1,1,1,1]>(b, wc) d = Concat<axis=1>(a, c, x) y = Conv(d, w) })",
                                {2, 3, 6, 6});
  CHECK(layer(outcome, "wb").channels_after == 3);
  CHECK(layer(outcome, "w").weights_after == 2 * (2 + 2 + 3));
}

TEST_CASE("convolutions, global pooling, Gemm") {
  CHECK(check(R"(g (float[N,3,6,6] x) => (float[N,2] y) <float[8,3,3,3] w0, float[8,8,3,3] w1, float[8,2] head>
    { a = Conv(x, w0) b = Relu(a) c = Conv(b, w1) d = ReduceMean<axes=[2,3], keepdims=0>(c) y = Gemm(d, head) })",
              {2, 3, 6, 6})
            .kept < 0.4);
}

TEST_CASE("weights that others use as they are stay") {
  // The second convolution reads channels that nobody makes: the shared filter can't lose any.
  const Outcome outcome = check(R"(g (float[N,8,4,4] x) => (float[N,2,4,4] y)
    <float[8,8,1,1] w0, float[8,8,1,1] shared, float[2,8,1,1] w2>
    { a = Conv(x, w0) b = Conv(a, shared) c = Conv(x, shared) d = Add(b, c) y = Conv(d, w2) })",
                                {2, 8, 4, 4});
  CHECK(layer(outcome, "w0").channels_after == 8);
  CHECK_THAT(layer(outcome, "w0").skipped, Contains("shared"));
  CHECK(layer(outcome, "shared").channels_after == 4);
  // The same matrix both ways round.
  check(R"(g (float[N,6] x) => (float[N,6] y) <float[6,8] w, float[8,8] w1>
    { a = MatMul(x, w) b = Relu(a) c = MatMul(b, w1) y = Gemm<transB=1>(c, w) })",
        {3, 6});
}

TEST_CASE("Softmax before opset 13 mixes everything from its axis on") {
  CHECK_THROWS_WITH(check(R"(g (float[N,3,4,4] x) => (float[N,2,4,4] y) <float[8,3,1,1] w0, float[2,8,1,1] w1>
    { a = Conv(x, w0) b = Softmax(a) y = Conv(b, w1) })",
                          {2, 3, 4, 4}, {}, 11),
                    Contains("Softmax"));
}

TEST_CASE("floors, multiples, ranking over the model") {
  const char* const text = R"(g (float[N,6] x) => (float[N,3] y) <float[6,16] w1, float[16,10] w2, float[10,3] w3>
    { a = MatMul(x, w1) b = Relu(a) c = MatMul(b, w2) d = Relu(c) y = MatMul(d, w3) })";
  const Outcome rounded = check(text, {2, 6}, {.sparsity = 0.6, .round_to = 4});
  CHECK(layer(rounded, "w1").channels_after == 8);
  CHECK(layer(rounded, "w2").channels_after == 4);
  const Outcome floored = check(text, {2, 6}, {.sparsity = 0.9, .min_channels = 5});
  CHECK(layer(floored, "w1").channels_after == 5);
  CHECK(layer(floored, "w2").channels_after == 5);
  const Outcome global = check(text, {2, 6}, {.sparsity = 0.5, .scope = Scope::global});
  CHECK(layer(global, "w1").channels_after + layer(global, "w2").channels_after == 13);
  const Outcome chosen = check(text, {2, 6}, {.exclude = "^w1$"});
  CHECK(layer(chosen, "w1").skipped == "excluded by name");
  CHECK(layer(chosen, "w2").channels_after == 5);
}

TEST_CASE("channels that are outputs, or that a subgraph reads, stay") {
  ir::Model output = testing::text_model(
      "g (float[N,6] x) => (float[N,8] a, float[N,3] y) <float[6,8] w1, float[8,3] w2> { a = MatMul(x, w1) y = "
      "MatMul(a, w2) }");
  testing::draw_weights(output);
  CHECK_THROWS_WITH(prune(output, {.structure = Structure::channel}, silent()), Contains("graph output"));
  ir::Model captured = testing::text_model(R"(g (float[N,6] x, bool c) => (float[N,3] y) <float[6,8] w1, float[8,3] w2>
    { a = MatMul(x, w1) b = If(c) <then_branch = t () => (float[N,8] p) { p = Relu(a) }, else_branch = e () => (float[N,8] q) { q = Neg(a) }>
      y = MatMul(b, w2) })");
  testing::draw_weights(captured);
  CHECK_THROWS_WITH(prune(captured, {.structure = Structure::channel}, silent()), Contains("subgraph"));
}

}  // namespace hone::prune
