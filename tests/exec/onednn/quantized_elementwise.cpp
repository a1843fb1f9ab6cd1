// What stays on integers between convolutions and products.
#include "quantized.h"

namespace hone::exec {
namespace {

using ir::Dims;
using ir::Tensor;
using ir::Value;
using testing::between;
using testing::chance;
using testing::QuantizedModel;
using Step = QuantizedModel::Step;

// A convolution in front, so that what follows meets channels-last memory; or none.
struct CodesCase {
  QuantizedModel m;
  Dims dims;
  std::size_t kernels = 0;

  Value* start(Random& random, const Step& by, bool convolution, std::int64_t channels) {
    dims = {2, channels, 9, 8};
    if (!convolution) return m.dequantize(m.quantize(m.input(QuantizedModel::floats(random, dims)), by), by);
    ir::Node& conv = m.node("Conv", {m.quantized_input(random, {2, 5, 9, 8}, by.is_signed),
                                     m.weights(random, true, {channels, 5, 1, 1}, 0, false)});
    ++kernels;
    return m.dequantize(m.quantize(conv.output(0), by), by);
  }
};

}  // namespace

TEST_CASE("quantized: sums, products and activations stay on integers") {
  Random random(1);
  for (int round = 0; round < 60; ++round) {
    CodesCase c;
    QuantizedModel& m = c.m;
    const bool is_signed = chance(random), both = chance(random);
    const std::int64_t channels = between(random, 1, 40);
    Value* a = c.start(random, m.step(random, 0.0517F, is_signed), chance(random), channels);
    Value* y = nullptr;
    Step by = m.step(random, 0.0973F, is_signed);
    const std::int64_t kind = round % 4;
    if (kind < 2) {
      Value* b = both ? a : c.start(random, m.step(random, 0.0313F, is_signed), chance(random), channels);
      y = m.node(kind == 0 ? "Add" : "Mul", {a, b}).output(0);
      if (chance(random)) {
        by.zero = m.zero(is_signed, is_signed ? -128 : 0);
        y = m.node("Relu", {y}).output(0);
      }
    } else if (kind == 2) {
      y = m.node("Sigmoid", {a}).output(0);
      by.scale = m.constant(Tensor::scalar(1.0F / 128));
    } else {
      ir::Node& leaky = m.node("LeakyRelu", {a});
      leaky.set_attribute("alpha", 0.2F);
      y = leaky.output(0);
    }
    m.graph().add_output(m.quantize(y, by));
    m.compare(fmt::format("round {} channels {} signed {}", round, channels, is_signed), c.kernels + 1);
  }
}

TEST_CASE("quantized: pooling and Concat stay on integers") {
  Random random(2);
  for (int round = 0; round < 60; ++round) {
    CodesCase c;
    QuantizedModel& m = c.m;
    const bool is_signed = chance(random), convolution = chance(random);
    const std::int64_t channels = between(random, 1, 40);
    const Step from = m.step(random, 0.0517F, is_signed), to = m.step(random, 0.0371F, is_signed);
    Value* a = c.start(random, from, convolution, channels);
    const std::int64_t kind = round % 4;
    Value* y = nullptr;
    if (kind == 3) {
      Value* b = c.start(random, m.step(random, 0.0313F, is_signed), true, between(random, 1, 20));
      ir::Node& concat = m.node("Concat", {a, b, a});
      concat.set_attribute("axis", std::int64_t{1});
      y = concat.output(0);
    } else if (kind == 2) {
      y = m.node("GlobalAveragePool", {a}).output(0);
    } else {
      ir::Node& pool = m.node(kind == 0 ? "MaxPool" : "AveragePool", {a});
      pool.set_attribute("kernel_shape", std::vector<std::int64_t>{3, 2});
      pool.set_attribute("strides", std::vector<std::int64_t>{between(random, 1, 2), between(random, 1, 2)});
      pool.set_attribute("pads", std::vector<std::int64_t>{between(random, 0, 2), 1, between(random, 0, 2), 0});
      if (kind == 0 && chance(random)) pool.set_attribute("dilations", std::vector<std::int64_t>{2, 1});
      if (kind == 1) pool.set_attribute("count_include_pad", std::int64_t{chance(random)});
      y = pool.output(0);
    }
    m.graph().add_output(m.quantize(y, kind == 0 ? from : to));
    m.compare(fmt::format("round {} channels {} signed {} convolution {}", round, channels, is_signed, convolution),
              c.kernels + 1);
  }
}

TEST_CASE("quantized: what moves elements moves codes") {
  Random random(3);
  for (const std::string kind : {"Reshape", "Transpose", "Flatten", "Slice", "Gather", "Unsqueeze", "Pad", "MaxPool"}) {
    CodesCase c;
    QuantizedModel& m = c.m;
    const Step by = m.step(random, 0.0517F, false);
    std::vector<Value*> inputs = {c.start(random, by, true, 12)};
    const auto ints = [&](const std::vector<std::int64_t>& values) {
      inputs.push_back(m.constant(Tensor::vector(values)));
    };
    if (kind == "Reshape") ints({2, -1});
    if (kind == "Slice") {
      ints({1, 2});
      ints({9, 7});
      ints({1, 3});
    }
    if (kind == "Gather" || kind == "Unsqueeze") ints({1});
    if (kind == "Pad") ints({0, 3, 0, 1, 0, 2, 0, 0});
    ir::Node& node = m.node(kind.c_str(), inputs);
    if (kind == "MaxPool") node.set_attribute("kernel_shape", std::vector<std::int64_t>{2, 2});
    if (kind == "Transpose") node.set_attribute("perm", std::vector<std::int64_t>{0, 2, 3, 1});
    m.graph().add_output(m.quantize(node.output(0), by));
    m.compare(kind, c.kernels + (kind == "MaxPool" ? 1 : 0));
    SessionOptions options;
    options.profile = true;
    Session session(m.model, options);
    for (const NodeProfile& each : session.profile()) CHECK(each.node->op_type() != "DequantizeLinear");
  }
}

TEST_CASE("quantized: codes move in front of DQ, so that sums behind find them") {
  Random random(4);
  CodesCase c;
  QuantizedModel& m = c.m;
  const Step by = m.step(random, 0.0517F, false), to = m.step(random, 0.0973F, false);
  Value* a = c.start(random, by, true, 16);
  const auto ints = [&](const std::vector<std::int64_t>& values) { return m.constant(Tensor::vector(values)); };
  // A shortcut that takes every other place, and fills up channels.
  Value* taken = m.node("Slice", {a, ints({0, 0}), ints({9, 8}), ints({2, 3}), ints({2, 2})}).output(0);
  Value* filled = m.node("Pad", {taken, ints({0, 8, 0, 0, 0, 8, 0, 0})}).output(0);
  ir::Node& conv = m.node("Conv", {a, m.weights(random, true, {32, 16, 3, 3}, 0, false)});
  conv.set_attribute("strides", std::vector<std::int64_t>{2, 2});
  conv.set_attribute("pads", std::vector<std::int64_t>{1, 1, 1, 1});
  const Step inner = m.step(random, 0.2113F, false);
  Value* sum = m.node("Add", {m.dequantize(m.quantize(conv.output(0), inner), inner), filled}).output(0);
  m.graph().add_output(m.quantize(sum, to));
  m.compare("shortcut", 3);
}

// Every pair of codes: also those of which a float would round the sum to the middle between two codes, or past it.
TEST_CASE("quantized: sums round as in double precision") {
  Random random(9);
  for (int round = 0; round < 6; ++round) {
    QuantizedModel m;
    const bool is_signed = round % 2 == 1;
    Tensor a = QuantizedModel::codes(random, is_signed, {256, 259}),
           b = QuantizedModel::codes(random, is_signed, {256, 259});
    for (std::size_t i = 0; i < 256 * 259; ++i) {
      a.mutable_bytes()[i] = static_cast<std::byte>(i / 259);
      b.mutable_bytes()[i] = static_cast<std::byte>(i % 259);
    }
    const float sizes[3] = {0.01F + 0.02F * static_cast<float>(random.uniform()),
                            0.01F + 0.02F * static_cast<float>(random.uniform()),
                            0.01F + 0.04F * static_cast<float>(random.uniform())};
    std::vector<Value*> inputs;
    std::int64_t zeros[3];
    for (std::size_t i = 0; i < 3; ++i) {
      zeros[i] = between(random, 0, 255) - (is_signed ? 128 : 0);
      if (i < 2) inputs.push_back(m.input(i == 0 ? a : b));
      inputs.push_back(m.constant(Tensor::scalar(sizes[i])));
      inputs.push_back(m.zero(is_signed, zeros[i]));
    }
    m.graph().add_output(m.graph().insert("QLinearAdd", inputs, 1, nullptr, "com.microsoft").output(0));
    Session session(m.model);
    const auto got = session.run(m.feed)[0].tensor()->to_ints(), left = a.to_ints(), right = b.to_ints();
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double steps = (static_cast<double>(left[i] - zeros[0]) * static_cast<double>(sizes[0]) +
                            static_cast<double>(right[i] - zeros[1]) * static_cast<double>(sizes[1])) /
                           static_cast<double>(sizes[2]);
      if (std::abs(std::abs(steps - std::trunc(steps)) - 0.5) < 1e-8) continue;
      const double low = is_signed ? -128 : 0;
      const double code = std::clamp(std::nearbyint(steps) + static_cast<double>(zeros[2]), low, low + 255);
      REQUIRE(got[i] == static_cast<std::int64_t>(code));
    }
  }
}

}  // namespace hone::exec
