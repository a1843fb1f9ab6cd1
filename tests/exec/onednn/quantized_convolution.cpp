// Convolutions on integers: within a step of the float computation, exact where codes are extreme, and left alone where
// that is not legal.
#include "quantized.h"

namespace hone::exec {
namespace {

using ir::Dims;
using ir::Tensor;
using ir::Value;
using testing::between;
using testing::chance;
using testing::QuantizedModel;

}  // namespace

TEST_CASE("quantized: Conv between Q and DQ agrees with the float computation") {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    const std::int64_t rank = between(random, 1, 2);
    std::int64_t group = 1, in = between(random, 1, 40), out = between(random, 1, 40);
    if (round % 3 == 0) {
      group = in = out;
    } else if (round % 3 == 1) {
      group = between(random, 1, 4), in = group * between(random, 1, 9), out = group * between(random, 1, 20);
    }
    Dims x = {between(random, 1, 3), in}, w = {out, in / group};
    std::vector<std::int64_t> strides, dilations, pads(static_cast<std::size_t>(2 * rank));
    for (std::int64_t i = 0; i < rank; ++i) {
      w.push_back(between(random, 1, 4));
      strides.push_back(between(random, 1, 3));
      dilations.push_back(between(random, 1, 2));
      pads[static_cast<std::size_t>(i)] = between(random, 0, 3);
      pads[static_cast<std::size_t>(i + rank)] = between(random, 0, 3);
      x.push_back(between(random, 7, 24));
    }
    QuantizedModel m;
    const bool in_signed = chance(random), out_signed = chance(random), weights_signed = chance(random);
    const bool by_channel = chance(random), zero_points = chance(random);
    std::vector<Value*> inputs = {m.quantized_input(random, x, in_signed),
                                  m.weights(random, weights_signed, w, by_channel ? 0 : -1, zero_points)};
    const bool bias = chance(random);
    if (bias) inputs.push_back(m.constant(QuantizedModel::floats(random, {out})));
    ir::Node& conv = m.node("Conv", inputs);
    conv.set_attribute("group", group);
    conv.set_attribute("strides", strides);
    conv.set_attribute("dilations", dilations);
    if (round % 5 == 0) {
      conv.set_attribute("auto_pad", std::string(chance(random) ? "SAME_UPPER" : "SAME_LOWER"));
    } else {
      conv.set_attribute("pads", pads);
    }
    Value* value = conv.output(0);
    auto by = m.step(random, 0.15F, out_signed);
    if (round % 4 == 0) {
      by.zero = m.zero(out_signed, out_signed ? -128 : 0);
      value = m.node("Relu", {value}).output(0);
    }
    m.graph().add_output(m.quantize(value, by));
    m.compare(
        fmt::format("round {} x {} w {} group {} strides {} dilations {} pads {} signed {} {} {} by channel {} zero "
                    "points {} bias {}",
                    round, ir::text(x), ir::text(w), group, ir::text(strides), ir::text(dilations), ir::text(pads),
                    in_signed, weights_signed, out_signed, by_channel, zero_points, bias),
        1);
  }
}

TEST_CASE("quantized: a convolution larger than a tile, on several threads") {
  Random random(2);
  for (const Dims& w : {Dims{70, 64, 3, 3}, Dims{130, 96, 1, 1}, Dims{64, 1, 3, 3}}) {
    for (const std::int64_t stride : {1, 2}) {
      QuantizedModel m;
      const std::int64_t group = w[1] == 1 ? w[0] : 1;
      ir::Node& conv = m.node(
          "Conv", {m.quantized_input(random, {2, w[1] * group, 45, 41}, false), m.weights(random, true, w, 0, false)});
      conv.set_attribute("group", group);
      conv.set_attribute("strides", std::vector<std::int64_t>{stride, stride});
      conv.set_attribute("pads", std::vector<std::int64_t>(4, w[2] / 2));
      m.graph().add_output(m.quantize(conv.output(0), m.step(random, 0.3F, false)));
      m.compare(fmt::format("w {} stride {}", ir::text(w), stride), 1);
    }
  }
}

// u8 by s8 in pairs passes 16 bits: 2 * 255 * 127. Kernels that add pairs in 16 bits, as those of CPUs without VNNI do, give
// less.
TEST_CASE("quantized: sums of extreme codes are exact") {
  for (const bool in_signed : {false, true}) {
    for (const std::int64_t group : {1, 64}) {
      for (const int weight : {127, -128}) {
        const std::int64_t channels = 64, depth = 64 / group * 9;
        QuantizedModel m;
        Tensor x = Tensor::allocate(in_signed ? ir::ElementType::int8 : ir::ElementType::uint8, {1, channels, 5, 5});
        for (std::byte& each : x.mutable_bytes()) each = static_cast<std::byte>(in_signed ? -128 : 255);
        Tensor w = Tensor::allocate(ir::ElementType::int8, {channels, channels / group, 3, 3});
        for (std::byte& each : w.mutable_bytes()) each = static_cast<std::byte>(weight);
        const std::int64_t x_zero = in_signed ? 127 : 0;
        ir::Node& conv = m.node("ConvInteger", {m.input(x), m.constant(w), m.zero(in_signed, x_zero)});
        conv.set_attribute("group", group);
        m.graph().add_output(conv.output(0));
        Session session(m.model);
        const std::int64_t expected = depth * (in_signed ? -255 : 255) * weight;
        for (const std::int64_t sum : session.run(m.feed)[0].tensor()->to_ints()) REQUIRE(sum == expected);
        // And where the weights have a zero point at the other end.
        QuantizedModel other;
        ir::Node& centered =
            other.node("ConvInteger", {other.input(x), other.constant(w), other.zero(in_signed, x_zero),
                                       other.zero(true, weight < 0 ? 127 : -128)});
        centered.set_attribute("group", group);
        other.graph().add_output(centered.output(0));
        Session wide(other.model);
        for (const std::int64_t sum : wide.run(other.feed)[0].tensor()->to_ints())
          REQUIRE(sum == depth * (in_signed ? -255 : 255) * (weight < 0 ? -255 : 255));
      }
    }
  }
}

// Few pairs pass 16 bits, so that weights stay bytes and these are cut in two.
TEST_CASE("quantized: a few large weights among small ones are exact") {
  for (const bool in_signed : {false, true}) {
    for (const int large : {127, -128}) {
      QuantizedModel m;
      Tensor x = Tensor::allocate(in_signed ? ir::ElementType::int8 : ir::ElementType::uint8, {1, 64, 5, 5});
      for (std::byte& each : x.mutable_bytes()) each = static_cast<std::byte>(in_signed ? 127 : 255);
      Tensor w = Tensor::allocate(ir::ElementType::int8, {40, 64, 3, 3});
      std::int64_t sum = 0;
      auto codes = w.mutable_data<std::int8_t>();
      for (std::size_t i = 0; i < codes.size(); ++i) {
        const std::size_t channel = i / 9 % 64;
        codes[i] = static_cast<std::int8_t>(channel == 20 || channel == 21 || channel == 47 ? large : 11);
        if (i < 64 * 9) sum += codes[i];
      }
      const std::int64_t x_zero = in_signed ? -100 : 3;
      m.graph().add_output(m.node("ConvInteger", {m.input(x), m.constant(w), m.zero(in_signed, x_zero)}).output(0));
      Session session(m.model);
      for (const std::int64_t each : session.run(m.feed)[0].tensor()->to_ints())
        REQUIRE(each == ((in_signed ? 127 : 255) - x_zero) * sum);
    }
  }
}

// Rows of which nothing is copied: the codes of the input lie as a copy would, but for the padding behind the last.
TEST_CASE("quantized: a convolution that reads its input in place") {
  Random random(6);
  for (const std::int64_t below : {0, 2}) {
    for (const std::int64_t stride : {1, 2}) {
      QuantizedModel m;
      ir::Node& conv = m.node(
          "Conv", {m.quantized_input(random, {2, 8, 21, 5}, false), m.weights(random, true, {24, 8, 3, 1}, 0, false)});
      conv.set_attribute("strides", std::vector<std::int64_t>{stride, 1});
      conv.set_attribute("pads", std::vector<std::int64_t>{0, 0, below, 0});
      m.graph().add_output(m.quantize(conv.output(0), m.step(random, 0.15F, true)));
      m.compare(fmt::format("pads below {} stride {}", below, stride), 1);
    }
  }
}

TEST_CASE("quantized: QLinearConv as a model holds it") {
  Random random(3);
  QuantizedModel m;
  const auto x = m.step(random, 0.02F, false), y = m.step(random, 0.4F, true);
  ir::Node& conv =
      m.node("QLinearConv", {m.input(QuantizedModel::codes(random, false, {1, 12, 9, 9})), x.scale, x.zero,
                             m.constant(QuantizedModel::codes(random, true, {20, 12, 3, 3})),
                             m.constant(Tensor::scalar(0.01F)), m.zero(true, 3), y.scale, y.zero,
                             m.constant(Tensor::of<std::int32_t>({20}, std::vector<std::int32_t>(20, 77)))});
  m.graph().add_output(conv.output(0));
  m.compare("QLinearConv", 1);
}

TEST_CASE("quantized: what is not legal stays in float") {
  Random random(4);
  const auto build = [&](const std::string& kind, std::size_t kernels) {
    QuantizedModel m;
    Value* x = m.quantized_input(random, {1, 8, 6, 6}, false);
    std::vector<Value*> inputs = {x, m.weights(random, true, {8, 8, 3, 3}, kind == "axis" ? 1 : 0, false)};
    if (kind == "bias") inputs.push_back(m.constant(Tensor::of<float>({8}, std::vector<float>(8, 1e8F))));
    Value* value = m.node("Conv", inputs).output(0);
    auto by = m.step(random, 0.2F, false);
    if (kind == "output") m.graph().add_output(value);
    if (kind == "reader") m.graph().add_output(m.node("Neg", {value}).output(0));
    if (kind == "relu") value = m.node("Relu", {value}).output(0);  // the zero point is not the lowest code
    if (kind == "clip") {
      by.zero = m.zero(false, 0);
      value = m.node("Clip", {value, m.constant(Tensor::scalar(0.0F)), m.constant(Tensor::scalar(6.0F))}).output(0);
    }
    if (kind == "leaky") value = m.node("LeakyRelu", {value}).output(0);
    if (kind == "scale") by.scale = m.input(Tensor::scalar(0.2F));
    m.graph().add_output(m.quantize(value, by));
    m.compare(kind, kernels, 1e-4);
  };
  build("none", 1);
  for (const char* kind : {"axis", "bias", "output", "reader", "relu", "clip", "leaky", "scale"}) build(kind, 0);
}

TEST_CASE("quantized: values that somebody observes are right") {
  Random random(5);
  QuantizedModel m;
  ir::Node& conv =
      m.node("Conv", {m.quantized_input(random, {1, 8, 6, 6}, false), m.weights(random, true, {8, 8, 3, 3}, 0, false)});
  auto by = m.step(random, 0.2F, false);
  by.zero = m.zero(false, 0);
  Value* relu = m.node("Relu", {conv.output(0)}).output(0);
  Value* codes = m.quantize(relu, by);
  m.graph().add_output(m.dequantize(codes, by));
  SessionOptions options;
  options.reference = true;
  Session reference(m.model, options), session(m.model);
  for (const Value* value : {conv.output(0), relu, codes}) {
    INFO(value->name());
    std::vector<float> expected, got;
    const auto watch = [&](Session& of, std::vector<float>& to) {
      of.observe({value->name()}, [&](std::string_view, const Tensor& tensor) { to = tensor.to_floats(); });
      of.run(m.feed);
    };
    watch(reference, expected);
    watch(session, got);
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      REQUIRE(got[i] == Approx(expected[i]).margin(value == codes ? 1 : 1e-4));
  }
}

}  // namespace hone::exec
