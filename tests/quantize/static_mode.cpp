// Where Q and DQ go, row by row of docs/quantize.md, and the numbers in them.
#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "hone/onnx/check.h"
#include "hone/onnx/write.h"
#include "hone/quantize/quantize.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"
#include "text_model.h"

namespace hone::quantize {
namespace {

using Catch::Matchers::Contains;
using ir::Tensor;

data::Dataset samples(const ir::Dims& row, std::int64_t rows = 8, std::uint64_t seed = 5) {
  ir::Dims dims{rows};
  dims.insert(dims.end(), row.begin(), row.end());
  std::vector<data::Array> arrays;
  arrays.push_back({"x", testing::drawn(dims, seed)});
  return data::Dataset::of(std::move(arrays));
}

struct Quantized {
  ir::Model model;
  QuantizeResult result;

  const ir::Node& node(std::string_view op, std::size_t which = 0) const {
    const ir::Node* found = testing::find_node(model, op, which);
    if (!found) throw std::runtime_error("no node " + std::string(op));
    return *found;
  }
  std::string decision(std::string_view op) const {
    for (const NodeDecision& each : result.nodes) {
      if (each.op_type == op) return each.kernel_or_reason;
    }
    return "";
  }
};

Quantized quantized(const std::string& text, const ir::Dims& row, const QuantizeOptions& options = {}, int opset = 17) {
  ir::Model model = testing::text_model(text, opset);
  testing::draw_weights(model);
  const data::Dataset data = samples(row);
  const ir::Model before = model.clone();
  QuantizeResult result = quantize(model, &data, {}, options, silent());
  onnx::check(model);
  // Whatever the placement, numbers stay near.
  ir::Dims dims{4};
  dims.insert(dims.end(), row.begin(), row.end());
  const auto expected = testing::output_of(before, testing::drawn(dims)),
             found = testing::output_of(model, testing::drawn(dims));
  REQUIRE(expected.size() == found.size());
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    signal += std::pow(expected[i], 2);
    noise += std::pow(expected[i] - found[i], 2);
  }
  CHECK(noise < 0.03 * signal);
  return {std::move(model), std::move(result)};
}

bool is_pair(const ir::Value* value) {  // behind a DequantizeLinear of a QuantizeLinear
  const ir::Node* dequantize = value->producer();
  return dequantize && dequantize->is("DequantizeLinear") && dequantize->input(0)->producer() &&
         dequantize->input(0)->producer()->is("QuantizeLinear");
}
bool goes_to_integers(const ir::Node& node) {
  const ir::Use* use = node.output(0)->only_use();
  return use && use->node->is("QuantizeLinear");
}
const ir::Tensor& constant_of(const ir::Node& node, std::size_t slot) {
  return *ir::constant(node.input(slot)->producer()->input(0));
}
std::vector<float> scales_of(const ir::Value* value) { return ir::constant(value->producer()->input(1))->to_floats(); }
std::int64_t zero_of(const ir::Value* value) { return ir::constant(value->producer()->input(2))->to_ints()[0]; }

const std::string kConv =
    "g (float[N,3,8,8] x) => (float[N,4,6,6] y) <float[4,3,3,3] w, float[4] b, float low = {0}, float six = {6}> ";
const ir::Dims kImage{3, 8, 8};
// A second convolution behind `middle`, which makes m of [N,4,6,6] from c.
std::string between(const std::string& middle) {
  return "g (float[N,3,8,8] x) => (float[N,2,6,6] y) <float[4,3,3,3] w, float[2,4,1,1] w2, float[4] b, float[4,4,1,1] "
         "w3, float[2,8,1,1] w8> "
         "{ c = Conv(x, w, b) " +
         middle + " y = Conv(m, w2) }";
}

}  // namespace

TEST_CASE("Conv: pairs around it, int8 by channel, an int32 bias of both scales") {
  const Quantized each = quantized(kConv + "{ y = Conv(x, w, b) }", kImage);
  const ir::Node& conv = each.node("Conv");
  CHECK(each.decision("Conv") == "QLinearConv");
  CHECK(is_pair(conv.input(0)));
  CHECK(goes_to_integers(conv));
  CHECK(constant_of(conv, 1).type() == ir::ElementType::int8);
  CHECK(conv.input(1)->producer()->int_or("axis", -9) == 0);
  CHECK(constant_of(conv, 2).type() == ir::ElementType::int32);
  const auto weights = scales_of(conv.input(1)), biases = scales_of(conv.input(2));
  const float input = scales_of(conv.input(0))[0];
  REQUIRE(weights.size() == 4);
  for (std::size_t c = 0; c < 4; ++c) CHECK(biases[c] == input * weights[c]);
  CHECK(each.model.graph->outputs()[0]->name() == "y");
}

TEST_CASE("a channel's scale is its largest weight over 127") {
  ir::Model model = testing::text_model(kConv + "{ y = Conv(x, w) }");
  testing::draw_weights(model);
  std::vector<float> weights = model.graph->find("w")->initializer()->to_floats();
  std::fill(weights.begin(), weights.begin() + 27, 0.0F);  // a channel of zeros has scale 1
  model.graph->set_initializer(*model.graph->find("w"), Tensor::of<float>({4, 3, 3, 3}, weights));
  const data::Dataset data = samples(kImage);
  ir::Model by_tensor = model.clone(), reduced = model.clone();
  quantize(model, &data, {}, {}, silent());
  const ir::Node& conv = *testing::find_node(model, "Conv");
  const auto scales = scales_of(conv.input(1));
  const auto integers = constant_of(conv, 1).to_ints();
  CHECK(scales[0] == 1);
  for (std::size_t c = 1; c < 4; ++c) {
    float largest = 0;
    for (std::size_t i = 0; i < 27; ++i) largest = std::max(largest, std::abs(weights[c * 27 + i]));
    CHECK(scales[c] == largest / 127);
    for (std::size_t i = 0; i < 27; ++i) CHECK(integers[c * 27 + i] == std::nearbyint(weights[c * 27 + i] / scales[c]));
  }
  quantize(by_tensor, &data, {}, {.per_channel = false}, silent());
  CHECK(scales_of(testing::find_node(by_tensor, "Conv")->input(1)).size() == 1);
  quantize(reduced, &data, {}, {.reduce_range = true}, silent());
  for (const std::int64_t integer : constant_of(*testing::find_node(reduced, "Conv"), 1).to_ints())
    CHECK(std::abs(integer) <= 64);
}

TEST_CASE("Relu and Clip from 0 are absorbed: the Q is behind them, with zero point 0") {
  const Quantized relu = quantized(kConv + "{ c = Conv(x, w, b) y = Relu(c) }", kImage);
  CHECK_FALSE(goes_to_integers(relu.node("Conv")));
  CHECK(goes_to_integers(relu.node("Relu")));
  CHECK(zero_of(relu.node("QuantizeLinear", 1).output(0)) == 0);
  const Quantized clip = quantized(kConv + "{ c = Conv(x, w, b) y = Clip(c, low, six) }", kImage);
  CHECK_FALSE(goes_to_integers(clip.node("Conv")));
  CHECK(goes_to_integers(clip.node("Clip")));
  CHECK(zero_of(clip.node("QuantizeLinear", 1).output(0)) == 0);
  CHECK(scales_of(clip.node("QuantizeLinear", 1).output(0))[0] <= 6.0F / 255);
}

TEST_CASE("a Clip from elsewhere, or a Relu that is not alone, is not absorbed") {
  const Quantized clip = quantized(
      "g (float[N,3,8,8] x) => (float[N,4,6,6] y) <float[4,3,3,3] w, float low = {-1}, float six = {6}> "
      "{ c = Conv(x, w) y = Clip(c, low, six) }",
      kImage);
  CHECK(goes_to_integers(clip.node("Conv")));
  const Quantized shared = quantized(kConv + "{ c = Conv(x, w, b) r = Relu(c) y = Sub(r, c) }", kImage);
  CHECK(goes_to_integers(shared.node("Conv")));
  CHECK_FALSE(goes_to_integers(shared.node("Relu")));
}

TEST_CASE("other activations: the Q is right behind the convolution") {
  for (const char* activation : {"LeakyRelu", "Sigmoid", "HardSigmoid", "Tanh", "HardSwish"}) {
    const Quantized each = quantized(kConv + "{ c = Conv(x, w, b) y = " + activation + "(c) }", kImage);
    CHECK(goes_to_integers(each.node("Conv")));
    CHECK(is_pair(each.node(activation).input(0)));
    CHECK_FALSE(goes_to_integers(each.node(activation)));  // nobody behind wants integers
  }
}

TEST_CASE("SiLU between convolutions: Sigmoid and Mul on integers") {
  const Quantized each = quantized(between("s = Sigmoid(c) m = Mul(c, s)"), kImage);
  CHECK(goes_to_integers(each.node("Conv")));
  CHECK(goes_to_integers(each.node("Sigmoid")));
  CHECK(goes_to_integers(each.node("Mul")));
  CHECK(is_pair(each.node("Mul").input(0)));
  CHECK(is_pair(each.node("Mul").input(1)));
  CHECK(each.decision("Sigmoid") == "QLinearSigmoid");
}

TEST_CASE("clusters: Add, Mul, Concat, pools, LeakyRelu join between integers") {
  for (const char* middle : {"d = Conv(c, w3) m = Add(c, d)", "d = Conv(c, w3) m = Mul(c, d)", "m = LeakyRelu(c)",
                             "m = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(c)"}) {
    const Quantized each = quantized(between(middle), kImage);
    for (const char* op : {"Add", "Mul", "LeakyRelu", "AveragePool"}) {
      if (!testing::find_node(each.model, op)) continue;
      CHECK(each.decision(op) == "QLinear" + std::string(op));
      CHECK(goes_to_integers(each.node(op)));
      for (std::size_t i = 0; i < each.node(op).input_count(); ++i) CHECK(is_pair(each.node(op).input(i)));
    }
  }
  const Quantized concat = quantized(
      "g (float[N,3,8,8] x) => (float[N,2,6,6] y) <float[4,3,3,3] w, float[4,4,1,1] w3, float[2,8,1,1] w8> "
      "{ c = Conv(x, w) d = Conv(c, w3) m = Concat<axis=1>(c, d) y = Conv(m, w8) }",
      kImage);
  CHECK(concat.decision("Concat") == "QLinearConcat");
  const Quantized residual = quantized(between("d = Conv(c, w3) a = Add(c, d) m = Relu(a)"), kImage);
  CHECK(goes_to_integers(residual.node("Relu")));
  CHECK_FALSE(goes_to_integers(residual.node("Add")));
  const Quantized pooled = quantized(
      "g (float[N,3,8,8] x) => (float[N,2] y) <float[4,3,3,3] w, float[2,4] h> "
      "{ c = Conv(x, w) p = GlobalAveragePool(c) f = Flatten(p) y = Gemm<transB=1>(f, h) }",
      kImage);
  CHECK(pooled.decision("GlobalAveragePool") == "QLinearGlobalAveragePool");
  CHECK(pooled.decision("Flatten") == "Flatten on integers");
}

TEST_CASE("what is alone, or has a float or constant operand, stays float") {
  // Nobody behind the Add wants integers.
  const Quantized last = quantized(
      "g (float[N,3,8,8] x) => (float[N,4,6,6] y) <float[4,3,3,3] w, float[4,4,1,1] w3> "
      "{ c = Conv(x, w) d = Conv(c, w3) y = Add(c, d) }",
      kImage);
  CHECK_FALSE(goes_to_integers(last.node("Add")));
  CHECK(last.decision("Add").empty());
  const Quantized mixed = quantized(between("e = Softplus(c) m = Mul(c, e)"), kImage);
  CHECK_FALSE(is_pair(mixed.node("Mul").input(1)));
  const Quantized constant = quantized(
      "g (float[N,3,8,8] x) => (float[N,2,6,6] y) <float[4,3,3,3] w, float[2,4,1,1] w2, float[1,4,6,6] k> "
      "{ c = Conv(x, w) m = Mul(c, k) y = Conv(m, w2) }",
      kImage);
  CHECK_FALSE(is_pair(constant.node("Mul").input(1)));
  const Quantized tanh = quantized(between("m = Tanh(c)"), kImage);  // has no integer kernel
  CHECK(tanh.decision("Tanh").empty());
  CHECK(goes_to_integers(tanh.node("Tanh")));  // for the convolution behind it
}

TEST_CASE("movers have the same parameters on both sides") {
  const Quantized each = quantized(
      "g (float[N,3,8,8] x) => (float[N,2,3,3] y) <float[4,3,3,3] w, float[2,4,1,1] w2> "
      "{ c = Conv(x, w) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(c) y = Conv(m, w2) }",
      kImage);
  const ir::Node& pool = each.node("MaxPool");
  CHECK(each.decision("MaxPool") == "MaxPool on integers");
  const ir::Node &in = *pool.input(0)->producer(), &out = *pool.output(0)->only_use()->node;
  CHECK(in.input(1) == out.input(1));
  CHECK(in.input(2) == out.input(2));
  // Before opset 12 there is no such kernel... nor quantization by channel before 13; with indices in use neither.
  const Quantized indices = quantized(
      "g (float[N,3,8,8] x) => (float[N,2,3,3] y) <float[4,3,3,3] w, float[2,4,1,1] w2, float k = {0.0001}> "
      "{ c = Conv(x, w) m, i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(c) j = Cast<to=1>(i) l = Mul(j, k) n = "
      "Add(m, l) y = Conv(n, w2) }",
      kImage);
  CHECK_FALSE(goes_to_integers(indices.node("MaxPool")));
}

TEST_CASE("Gemm: int8 by column, an int32 bias, a float output") {
  for (const bool transposed : {false, true}) {
    const Quantized each =
        quantized(std::string("g (float[N,6] x) => (float[N,4] y) <float[") + (transposed ? "4,6" : "6,4") +
                      "] w, float[4] b> { y = Gemm<transB=" + (transposed ? "1" : "0") + ">(x, w, b) }",
                  {6});
    const ir::Node& gemm = each.node("Gemm");
    CHECK(each.decision("Gemm") == "QGemm");
    CHECK(is_pair(gemm.input(0)));
    CHECK_FALSE(goes_to_integers(gemm));
    CHECK(gemm.input(1)->producer()->int_or("axis", -9) == (transposed ? 0 : 1));
    CHECK(constant_of(gemm, 2).type() == ir::ElementType::int32);
  }
}

TEST_CASE("Gemm with what its kernel doesn't do stays float, with a reason") {
  const char* const wrong[][2] = {{"Gemm<alpha=2.0>(x, w, b)", "alpha and beta"},
                                  {"Gemm<beta=0.5>(x, w, b)", "alpha and beta"},
                                  {"Gemm(x, w, wide)", "bias is not one constant"}};
  for (const auto& [gemm, reason] : wrong) {
    CHECK_THROWS_WITH(
        quantized(std::string("g (float[4,6] x) => (float[4,4] y) <float[6,4] w, float[4] b, float[4,4] wide> { y = ") +
                      gemm + " }",
                  {6}, {.simplify = false}),
        Contains(reason));
  }
}

TEST_CASE("MatMul: a float output; a bias behind it gets the rank that keeps ONNX Runtime from making a float Gemm") {
  const Quantized plain =
      quantized("g (float[N,5,6] x) => (float[N,5,4] y) <float[6,4] w> { y = MatMul(x, w) }", {5, 6});
  CHECK(plain.decision("MatMul") == "MatMulIntegerToFloat");
  CHECK(is_pair(plain.node("MatMul").input(0)));
  CHECK_FALSE(goes_to_integers(plain.node("MatMul")));
  CHECK(plain.node("MatMul").input(1)->producer()->int_or("axis", -9) == 1);
  for (const char* add : {"Add(m, b)", "Add(b, m)"}) {
    const Quantized biased = quantized(
        std::string("g (float[4,5,6] x) => (float[4,5,4] y) <float[6,4] w, float[4] b> { m = MatMul(x, w) y = ") + add +
            " }",
        {5, 6});
    const ir::Node& sum = biased.node("Add");
    const std::size_t slot = sum.input(0)->initializer() ? 0 : 1;
    CHECK(sum.input(slot)->initializer()->dims() == ir::Dims{1, 1, 4});
  }
}

TEST_CASE("a bias that would pass int32 raises the scale of its channel") {
  ir::Model model = testing::text_model(
      "g (float[N,2] x) => (float[N,2] y) <float[2,2] w = {1, 1, 1, 1}, float[2] b = {1e6, 1e-3}> "
      "{ y = Gemm(x, w, b) }");
  std::vector<data::Array> arrays;
  arrays.push_back({"x", Tensor::of<float>({1, 2}, {1e-3F, -1e-3F})});
  const data::Dataset data = data::Dataset::of(std::move(arrays));
  quantize(model, &data, {}, {}, silent());
  const ir::Node& gemm = *testing::find_node(model, "Gemm");
  const auto weights = scales_of(gemm.input(1)), biases = scales_of(gemm.input(2));
  const auto integers = constant_of(gemm, 2).to_ints();
  const float input = scales_of(gemm.input(0))[0];
  CHECK(weights[0] > 1.0F / 127);
  CHECK(weights[1] == 1.0F / 127);
  for (std::size_t c = 0; c < 2; ++c) {
    CHECK(biases[c] == input * weights[c]);
    CHECK(std::abs(integers[c]) <= 2147483647);
  }
  CHECK(static_cast<double>(integers[0]) * biases[0] == Approx(1e6).epsilon(1e-6));
}

TEST_CASE("bytes depend neither on threads nor on the batch") {
  const std::string text = between("d = Conv(c, w3) a = Add(c, d) m = Relu(a)");
  const data::Dataset data = samples(kImage, 13);
  std::string first;
  for (const int threads : {1, 2}) {
    for (const std::int64_t batch : {1, 4, 16}) {
      set_threads(threads);
      ir::Model model = testing::text_model(text);
      testing::draw_weights(model);
      quantize(model, &data, {}, {.batch = batch}, silent());
      const std::string bytes = onnx::to_bytes(model);
      if (first.empty()) first = bytes;
      CHECK(bytes == first);
    }
  }
  set_threads(0);
}

TEST_CASE("a model with a fixed batch sees every row, and no row twice as another") {
  std::vector<float> values(5 * 2, 0.5F);
  values[8] = 40;  // the last row
  std::vector<data::Array> arrays;
  arrays.push_back({"x", Tensor::of<float>({5, 2}, values)});
  const data::Dataset data = data::Dataset::of(std::move(arrays));
  ir::Model model =
      testing::text_model("g (float[2,2] x) => (float[2,2] y) <float[2,2] w = {1, 2, 3, 4}> { y = MatMul(x, w) }");
  const QuantizeResult result = quantize(model, &data, {}, {}, silent());
  CHECK(result.ranges[0].max == 40);
  CHECK(result.samples == 5);
}

TEST_CASE("a BatchNormalization is folded first, unless it must not be") {
  const std::string text =
      "g (float[N,3,8,8] x) => (float[N,4,6,6] y) <float[4,3,3,3] w, float[4] s, float[4] b, float[4] m, float[4] v> "
      "{ c = Conv(x, w) n = BatchNormalization(c, s, b, m, v) y = Relu(n) }";
  const Quantized folded = quantized(text, kImage);
  CHECK(testing::count_nodes(folded.model, "BatchNormalization") == 0);
  CHECK(goes_to_integers(folded.node("Relu")));
  const Quantized kept = quantized(text, kImage, {.simplify = false});
  CHECK(goes_to_integers(kept.node("Conv")));
}

TEST_CASE("a weight and a bias that several nodes share") {
  const Quantized each = quantized(
      "g (float[N,3,8,8] x) => (float[N,3,8,8] y) <float[3,3,1,1] w, float[3] b> "
      "{ c = Conv(x, w, b) d = Conv(c, w, b) y = Add(c, d) }",
      kImage);
  CHECK(testing::count_nodes(each.model, "Conv") == 2);
  CHECK(constant_of(each.node("Conv", 1), 1).type() == ir::ElementType::int8);
  std::set<std::string> names;  // ONNX Runtime refuses a model with two nodes of one name
  for (const ir::Node& node : each.model.graph->nodes())
    CHECK((node.name().empty() || names.insert(node.name()).second));
}

TEST_CASE("choosing nodes") {
  const std::string text =
      "g (float[N,3,8,8] x) => (float[N,2] y) <float[4,3,3,3] w, float[2,144] h> "
      "{ [first] c = Conv(x, w) f = Flatten(c) [last] y = Gemm<transB=1>(f, h) }";
  const Quantized conv = quantized(text, kImage, {.operators = {"Conv"}});
  CHECK(conv.decision("Gemm") == "excluded by operator");
  CHECK(conv.node("Gemm").input(1)->initializer() != nullptr);
  const Quantized named = quantized(text, kImage, {.exclude = "^first$"});
  CHECK(named.decision("Conv") == "excluded by name");
  CHECK_THROWS_WITH(quantized(text, kImage, {.operators = {"Relu"}}), Contains("Conv, Gemm and MatMul"));
  CHECK_THROWS_WITH(quantized(text, kImage, {.include = "nobody"}), Contains("excluded by name"));
  CHECK_THROWS_WITH(quantized(text, kImage, {.include = "["}), Contains("not a regular expression"));
}

TEST_CASE("what is refused") {
  const data::Dataset data = samples({6});
  const std::string text = "g (float[N,6] x) => (float[N,4] y) <float[6,4] w> { y = MatMul(x, w) }";
  ir::Model model = testing::text_model(text);
  testing::draw_weights(model);
  ir::Model without = model.clone(), twice = model.clone(), nan = model.clone(), none = model.clone();
  CHECK_THROWS_WITH(quantize(without, nullptr, {}, {}, silent()), Contains("--data") && Contains("dynamic"));
  quantize(twice, &data, {}, {}, silent());
  CHECK_THROWS_WITH(quantize(twice, &data, {}, {}, silent()), Contains("quantized already"));
  ir::Model damaged = testing::text_model(
      "g (float[N,6] x) => (float[N,6] y) <float s = {0}, uint8 z = {0}> { q = QuantizeLinear(x, s, z) y = "
      "DequantizeLinear(q, s, z) }");
  CHECK_THROWS_WITH(quantize(damaged, &data, {}, {}, silent()), Contains("scale is 0"));
  std::vector<data::Array> arrays;
  arrays.push_back({"x", Tensor::of<float>({1, 6}, {1, 2, NAN, 4, 5, 6})});
  const data::Dataset bad = data::Dataset::of(std::move(arrays));
  CHECK_THROWS_WITH(quantize(nan, &bad, {}, {}, silent()), Contains("'x'") && Contains("not finite"));
  const data::Dataset nothing = data.select({});
  CHECK_THROWS_WITH(quantize(none, &nothing, {}, {}, silent()), Contains("no rows"));

  ir::Model half = testing::text_model("g (float16[N,6] x) => (float16[N,4] y) <float16[6,4] w> { y = MatMul(x, w) }");
  CHECK_THROWS_WITH(quantize(half, &data, {}, {}, silent()), Contains("float16"));
  ir::Model old = testing::text_model(text, 11);
  testing::draw_weights(old);
  quantize(old, &data, {}, {}, silent());  // raised, since DequantizeLinear by channel came with 13
  CHECK(old.opset() == 13);
  ir::Model product = testing::text_model("g (float[N,6,6] x) => (float[N,6,6] y) { y = MatMul(x, x) }");
  const data::Dataset squares = samples({6, 6});
  CHECK_THROWS_WITH(quantize(product, &squares, {}, {}, silent()), Contains("not constant"));
  ir::Model infinite = testing::text_model("g (float[N,1] x) => (float[N,1] y) <float[1,1] w> { y = MatMul(x, w) }");
  infinite.graph->set_initializer(*infinite.graph->find("w"), Tensor::of<float>({1, 1}, {INFINITY}));
  const data::Dataset ones = samples({1});
  CHECK_THROWS_WITH(quantize(infinite, &ones, {}, {}, silent()), Contains("weight"));
}

}  // namespace hone::quantize
