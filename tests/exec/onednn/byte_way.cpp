// Products of bytes by what each CPU has for them: the same results, bit by bit. Weights are of 7 bits here, which saturate on no
// CPU.
#include "exec/onednn/byte_way.h"

#include "exec/onednn/vnni_panels.h"
#include "quantized.h"

namespace hone::exec {
namespace {

using ir::Dims;
using ir::Tensor;
using ir::Value;
using onednn::ByteWay;
using testing::between;
using testing::chance;
using testing::QuantizedModel;

struct Assume {
  explicit Assume(ByteWay way) { onednn::assume_byte_way(way); }
  ~Assume() { onednn::assume_byte_way(std::nullopt); }
};

Tensor small_codes(Random& random, const Dims& dims) {
  Tensor tensor = Tensor::allocate(ir::ElementType::int8, dims);
  for (std::byte& value : tensor.mutable_bytes()) value = static_cast<std::byte>(between(random, -64, 64));
  return tensor;
}

// The results of all ways; `kernels` nodes must have run on each.
void compare(QuantizedModel& m, const std::string& what, std::optional<std::size_t> kernels) {
  if (!onednn::has_avx2()) return;
  INFO(what);
  SessionOptions options;
  options.profile = true;
  const auto run = [&](ByteWay way) {
    const Assume assumed(way);
    Session session(m.model, options);
    session.run(m.feed);
    std::vector<ir::Datum> results = session.run(m.feed);
    std::size_t found = 0;
    for (const NodeProfile& each : session.profile()) {
      const bool vnni = each.kernel == onednn::vnni_kernel_name, avx2 = each.kernel == onednn::integer_kernel_name;
      found += each.kernel.starts_with("integer:") &&
               (way == ByteWay::vnni_panels ? vnni : way == ByteWay::primitives && !vnni && !avx2);
    }
    if (way == ByteWay::windows) {
      CHECK(found == 0);
    } else if (kernels) {
      CHECK(found == *kernels);
    }
    return results;
  };
  const std::vector<ir::Datum> expected = run(ByteWay::windows);
  for (const ByteWay way : {ByteWay::primitives, ByteWay::vnni_panels}) {
    if (way == ByteWay::vnni_panels && !onednn::has_vnni_panels()) continue;
    const std::vector<ir::Datum> results = run(way);
    REQUIRE(results.size() == expected.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      const Tensor a = results[i].tensor()->loaded(), b = expected[i].tensor()->loaded();
      REQUIRE(a.dims() == b.dims());
      REQUIRE(std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin(), b.bytes().end()));
    }
  }
}

}  // namespace

TEST_CASE("byte ways: convolutions") {
  Random random(1);
  for (int round = 0; round < 40; ++round) {
    const std::int64_t group = round % 4 == 3 ? 2 : 1, in = group * between(random, 1, 24),
                       out = group * between(random, 1, round % 3 == 0 ? 150 : 24), kernel = between(random, 1, 3),
                       rank = round % 5 == 0 ? 1 : 2;
    Dims x = {between(random, 1, 2), in}, w = {out, in / group};
    for (std::int64_t i = 0; i < rank; ++i) {
      x.push_back(between(random, 6, 20));
      w.push_back(kernel);
    }
    const auto spatial = [&](std::int64_t low, std::int64_t high, std::int64_t count) {
      std::vector<std::int64_t> values;
      for (std::int64_t i = 0; i < count; ++i) values.push_back(between(random, low, high));
      return values;
    };
    QuantizedModel m;
    const bool in_signed = chance(random);
    const auto by = m.step(random, 0.02F, in_signed), y = m.step(random, 0.5F, chance(random));
    Value* codes = m.input(QuantizedModel::codes(random, in_signed, x));
    ir::Node& integer = m.node("ConvInteger", {codes, m.constant(small_codes(random, w)), by.zero});
    Tensor scales = Tensor::allocate(ir::ElementType::float32, {out});
    for (float& each : scales.mutable_data<float>()) each = 0.01F * static_cast<float>(random.uniform());
    std::vector<std::int32_t> bias;
    for (std::int64_t i = 0; i < out; ++i) bias.push_back(static_cast<std::int32_t>(between(random, -9999, 9999)));
    ir::Node& linear =
        m.node("QLinearConv", {codes, by.scale, by.zero, m.constant(small_codes(random, w)), m.constant(scales),
                               m.zero(true, 0), y.scale, y.zero, m.constant(Tensor::of<std::int32_t>({out}, bias))});
    const auto strides = spatial(1, 2, rank), dilations = spatial(1, 2, rank), pads = spatial(0, 2, 2 * rank);
    for (ir::Node* conv : {&integer, &linear}) {
      conv->set_attribute("group", group);
      conv->set_attribute("strides", strides);
      conv->set_attribute("dilations", dilations);
      conv->set_attribute("pads", pads);
      m.graph().add_output(conv->output(0));
    }
    // oneDNN has nothing fast for some groups.
    const std::optional<std::size_t> kernels = group == 1 ? std::optional<std::size_t>(2) : std::nullopt;
    compare(m,
            fmt::format("round {} x {} w {} group {} strides {} dilations {} pads {}", round, ir::text(x), ir::text(w),
                        group, ir::text(strides), ir::text(dilations), ir::text(pads)),
            kernels);
  }
}

TEST_CASE("byte ways: a convolution of which the sums are cut in parts") {
  Random random(2);
  QuantizedModel m;
  Value* codes = m.input(QuantizedModel::codes(random, false, {2, 8, 61, 70}));
  ir::Node& conv = m.node("ConvInteger", {codes, m.constant(small_codes(random, {160, 8, 3, 3})), m.zero(false, 7)});
  conv.set_attribute("pads", std::vector<std::int64_t>{1, 1, 1, 1});
  m.graph().add_output(conv.output(0));
  compare(m, "parts", 1);
}

TEST_CASE("byte ways: products") {
  Random random(3);
  for (int round = 0; round < 20; ++round) {
    // The last ones' sums are cut in parts.
    const std::int64_t rows = round < 18 ? between(random, 1, 40) : 997, depth = between(random, 1, 90),
                       columns = round < 18 ? between(random, 1, 150) : 700;
    QuantizedModel m;
    const bool is_signed = chance(random);
    const auto a = m.step(random, 0.02F, is_signed), y = m.step(random, 0.3F, chance(random));
    Value* codes = m.input(QuantizedModel::codes(random, is_signed, {rows, depth}));
    Value* weights = m.constant(small_codes(random, {depth, columns}));
    Value* scale = m.constant(Tensor::scalar(0.01F));
    m.graph().add_output(m.node("MatMulInteger", {codes, weights, a.zero}).output(0));
    m.graph().add_output(
        m.node("QLinearMatMul", {codes, a.scale, a.zero, weights, scale, m.zero(true, 0), y.scale, y.zero}).output(0));
    const auto microsoft = [&](const char* op, std::vector<Value*> inputs) -> ir::Node& {
      return m.graph().insert(op, std::move(inputs), 1, nullptr, "com.microsoft");
    };
    Value* bias = m.constant(QuantizedModel::floats(random, {columns}));
    m.graph().add_output(
        microsoft("MatMulIntegerToFloat", {codes, weights, a.scale, scale, a.zero, nullptr, bias}).output(0));
    Value* transposed = m.constant(small_codes(random, {columns, depth}));
    ir::Node& gemm =
        microsoft("QGemm", {codes, a.scale, a.zero, transposed, scale, m.zero(true, 0), nullptr, y.scale, y.zero});
    gemm.set_attribute("transB", std::int64_t{1});
    m.graph().add_output(gemm.output(0));
    compare(m, fmt::format("round {} rows {} depth {} columns {}", round, rows, depth, columns), 4);
  }
}

// Weights that less their zero points need 9 bits are not for them.
TEST_CASE("byte ways: wide weights stay with the integer kernels") {
  Random random(4);
  QuantizedModel m;
  Tensor weights = small_codes(random, {20, 20});
  weights.mutable_data<std::int8_t>()[7] = 100;
  m.graph().add_output(m.node("MatMulInteger", {m.input(QuantizedModel::codes(random, false, {9, 20})),
                                                m.constant(weights), m.zero(false, 3), m.zero(true, -100)})
                           .output(0));
  compare(m, "wide", 0);
}

}  // namespace hone::exec
