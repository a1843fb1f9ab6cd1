// Matrix products on integers.
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

TEST_CASE("quantized: MatMul behind DQ agrees with the float computation") {
  Random random(1);
  for (int round = 0; round < 120; ++round) {
    const std::int64_t rows = between(random, 1, 40), depth = between(random, 1, 90), columns = between(random, 1, 70);
    Dims a = {rows, depth};
    if (chance(random)) a.insert(a.begin(), between(random, 1, 3));
    QuantizedModel m;
    const bool a_signed = chance(random), b_signed = chance(random), to_codes = chance(random);
    const bool by_column = chance(random), zero_points = chance(random);
    Value* product = m.node("MatMul", {m.quantized_input(random, a, a_signed),
                                       m.weights(random, b_signed, {depth, columns}, by_column ? 1 : -1, zero_points)})
                         .output(0);
    const bool bias = !to_codes && chance(random);
    if (bias) product = m.node("Add", {product, m.constant(QuantizedModel::floats(random, {columns}))}).output(0);
    m.graph().add_output(to_codes ? m.quantize(product, m.step(random, 0.0973F, a_signed)) : product);
    m.compare(fmt::format("round {} a {} columns {} signed {} {} codes {} by column {} zero points {} bias {}", round,
                          ir::text(a), columns, a_signed, b_signed, to_codes, by_column, zero_points, bias),
              1);
  }
}

TEST_CASE("quantized: MatMul of two activations, in stacks") {
  Random random(2);
  for (const bool to_codes : {false, true}) {
    QuantizedModel m;
    Value* b = m.quantized_input(random, {2, 3, 20, 35}, false);
    m.graph().inputs()[0]->set_type(ir::Type::tensor(ir::ElementType::float32, ir::Shape{2, 3, 20, 35}));
    b->set_type(ir::Type::tensor(ir::ElementType::float32, ir::Shape{2, 3, 20, 35}));
    Value* product = m.node("MatMul", {m.quantized_input(random, {2, 3, 17, 20}, true), b}).output(0);
    m.graph().add_output(to_codes ? m.quantize(product, m.step(random, 0.0973F, true)) : product);
    m.compare(to_codes ? "codes" : "floats", 1);
  }
}

TEST_CASE("quantized: Gemm agrees with the float computation") {
  Random random(3);
  for (int round = 0; round < 60; ++round) {
    const std::int64_t rows = between(random, 1, 20), depth = between(random, 1, 60), columns = between(random, 1, 50);
    QuantizedModel m;
    const bool transposed = chance(random), to_codes = chance(random), by_column = chance(random);
    const std::int64_t bias = between(random, 0, 2);
    std::vector<Value*> inputs = {m.quantized_input(random, {rows, depth}, chance(random)),
                                  m.weights(random, true, transposed ? Dims{columns, depth} : Dims{depth, columns},
                                            by_column ? (transposed ? 0 : 1) : -1, chance(random))};
    if (bias == 1) inputs.push_back(m.constant(QuantizedModel::floats(random, {columns})));
    if (bias == 2) {  // in the very steps of the product
      const Tensor* scales = ir::constant(inputs[1]->producer()->input(1));
      std::vector<float> sizes;
      for (const float each : scales->to_floats()) sizes.push_back(0.02F * each);
      Tensor codes = Tensor::allocate(ir::ElementType::int32, {columns});
      for (std::int32_t& each : codes.mutable_data<std::int32_t>())
        each = static_cast<std::int32_t>(between(random, -9999, 9999));
      Tensor by = by_column ? Tensor::vector(sizes) : Tensor::scalar(sizes[0]);
      ir::Node& made = m.node("DequantizeLinear", {m.constant(codes), m.constant(by)});
      if (by_column) made.set_attribute("axis", std::int64_t{0});
      inputs.push_back(made.output(0));
    }
    ir::Node& gemm = m.node("Gemm", inputs);
    gemm.set_attribute("transB", std::int64_t{transposed});
    m.graph().add_output(to_codes ? m.quantize(gemm.output(0), m.step(random, 0.0973F, chance(random)))
                                  : gemm.output(0));
    // A float bias is no whole number of steps; without Q behind it that would show.
    m.compare(fmt::format("round {} rows {} depth {} columns {} transposed {} codes {} by column {} bias {}", round,
                          rows, depth, columns, transposed, to_codes, by_column, bias),
              transposed && !to_codes && bias == 1 ? 0 : 1);
  }
}

TEST_CASE("quantized: what dynamic quantization writes is one product") {
  Random random(4);
  for (int round = 0; round < 20; ++round) {
    const std::int64_t rows = between(random, 1, 30), depth = between(random, 1, 80), columns = between(random, 1, 50);
    QuantizedModel m;
    ir::Node& codes =
        m.node("DynamicQuantizeLinear", {m.input(QuantizedModel::floats(random, {2, rows, depth}, 3))}, 3);
    ir::Node& product =
        m.node("MatMulInteger", {codes.output(0), m.constant(QuantizedModel::codes(random, true, {depth, columns})),
                                 codes.output(2), m.zero(true, between(random, -3, 3))});
    ir::Node& cast = m.node("Cast", {product.output(0)});
    cast.set_attribute("to", std::int64_t{1});
    Tensor scales = chance(random) ? Tensor::scalar(0.01F) : QuantizedModel::floats(random, {columns}, 0.01);
    Value* scale = m.node("Mul", {codes.output(1), m.constant(scales)}).output(0);
    Value* y = m.node("Mul", {cast.output(0), scale}).output(0);
    if (chance(random)) y = m.node("Add", {m.constant(QuantizedModel::floats(random, {columns})), y}).output(0);
    m.graph().add_output(y);
    m.compare(fmt::format("round {} rows {} depth {} columns {}", round, rows, depth, columns), 1);
  }
}

TEST_CASE("quantized: products as models hold them") {
  Random random(5);
  const auto codes = [&](bool is_signed, Dims dims) { return QuantizedModel::codes(random, is_signed, dims); };
  for (const bool constant : {true, false}) {
    QuantizedModel m;
    const auto weights = [&](Dims dims) {
      return constant ? m.constant(codes(true, dims)) : m.input(codes(true, dims));
    };
    const auto x = m.step(random, 0.02F, false), y = m.step(random, 0.3F, false);
    Value* w_scale = m.constant(Tensor::scalar(0.01F));
    m.graph().add_output(
        m.node("MatMulInteger", {m.input(codes(false, {3, 9, 33})), weights({33, 21}), x.zero}).output(0));
    m.graph().add_output(m.node("QLinearMatMul", {m.input(codes(false, {7, 33})), x.scale, x.zero, weights({33, 40}),
                                                  w_scale, m.zero(true, -2), y.scale, y.zero})
                             .output(0));
    const auto microsoft = [&](const char* op, std::vector<Value*> inputs) {
      return m.graph().insert(op, std::move(inputs), 1, nullptr, "com.microsoft").output(0);
    };
    m.graph().add_output(microsoft("DynamicQuantizeMatMul",
                                   {m.input(QuantizedModel::floats(random, {5, 33})), weights({33, 18}), w_scale,
                                    m.zero(true, 1), m.constant(QuantizedModel::floats(random, {18}))}));
    m.graph().add_output(microsoft("MatMulIntegerToFloat", {m.input(codes(false, {4, 6, 20})), weights({20, 33}),
                                                            x.scale, w_scale, x.zero, nullptr}));
    m.compare(constant ? "constant" : "changing", 4);
  }
}

TEST_CASE("quantized: results far out of range are the first and the last code") {
  for (const bool is_signed : {false, true}) {
    for (const float step : {1e-1F, 1e-4F, 1e-36F}) {  // beyond 16 bits, 32 bits, and floats
      QuantizedModel m;
      Value* one = m.constant(Tensor::scalar(1.0F));
      Tensor a = Tensor::of<std::uint8_t>({3, 4}, {255, 255, 255, 255, 128, 128, 128, 128, 0, 0, 0, 0});
      Tensor b = Tensor::of<std::int8_t>({4, 2}, {127, -127, 127, -127, 127, -127, 127, -127});
      const std::int64_t zero = is_signed ? 100 : 250;
      m.graph().add_output(
          m.node("QLinearMatMul", {m.input(a), one, m.zero(false, 128), m.constant(b), one, m.zero(true, 0),
                                   m.constant(Tensor::scalar(step)), m.zero(is_signed, zero)})
              .output(0));
      Session session(m.model);
      const std::int64_t low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
      CHECK(session.run(m.feed)[0].tensor()->to_ints() == std::vector<std::int64_t>{high, low, zero, zero, low, high});
    }
  }
}

// As for convolutions: u8 by s8 in pairs passes 16 bits.
TEST_CASE("quantized: products of extreme codes are exact") {
  for (const bool is_signed : {false, true}) {
    for (const std::int64_t rows : {1, 4, 50}) {
      QuantizedModel m;
      Tensor a = Tensor::allocate(is_signed ? ir::ElementType::int8 : ir::ElementType::uint8, {rows, 1001});
      for (std::byte& each : a.mutable_bytes()) each = static_cast<std::byte>(is_signed ? -128 : 255);
      Tensor b = Tensor::allocate(ir::ElementType::int8, {1001, 37});
      for (std::byte& each : b.mutable_bytes()) each = static_cast<std::byte>(-128);
      m.graph().add_output(m.node("MatMulInteger", {m.input(a), m.constant(b), m.zero(is_signed, is_signed ? 127 : 0),
                                                    m.zero(true, 127)})
                               .output(0));
      Session session(m.model);
      for (const std::int64_t sum : session.run(m.feed)[0].tensor()->to_ints())
        REQUIRE(sum == 1001 * (is_signed ? -255 : 255) * -255);
    }
  }
}

}  // namespace hone::exec
