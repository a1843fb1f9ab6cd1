// Models in Q/DQ form, run on integers and, by the reference kernels, in float.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "apart.h"
#include "exec/onednn/avx2.h"
#include "exec/onednn/integer_core.h"
#include "hone/exec/session.h"
#include "hone/ir/model.h"
#include "hone/support/error.h"
#include "random.h"

namespace hone::exec::testing {

using hone::testing::between;
using hone::testing::chance;

struct QuantizedModel {
  ir::Model model;
  std::vector<ir::NamedDatum> feed;

  explicit QuantizedModel(std::int64_t opset = 17) {
    model.ir_version = 9;
    model.set_opset("", opset);
  }
  ir::Graph& graph() { return *model.graph; }
  ir::Value* constant(ir::Tensor tensor) { return graph().add_initializer("c", std::move(tensor)); }
  ir::Node& node(const char* op, std::vector<ir::Value*> inputs, std::size_t outputs = 1) {
    return graph().insert(op, std::move(inputs), outputs);
  }

  static ir::Tensor floats(Random& random, const ir::Dims& dims, double size = 1) {
    ir::Tensor tensor = ir::Tensor::allocate(ir::ElementType::float32, dims);
    for (float& value : tensor.mutable_data<float>()) value = static_cast<float>(random.normal() * size);
    return tensor;
  }
  static ir::Tensor codes(Random& random, bool is_signed, const ir::Dims& dims) {
    ir::Tensor tensor = ir::Tensor::allocate(is_signed ? ir::ElementType::int8 : ir::ElementType::uint8, dims);
    for (std::byte& value : tensor.mutable_bytes()) value = static_cast<std::byte>(random.below(256));
    return tensor;
  }
  // Weights as networks have them: few are large, so that they are packed as bytes.
  static ir::Tensor usual_codes(Random& random, bool is_signed, const ir::Dims& dims) {
    ir::Tensor tensor = codes(random, is_signed, dims);
    for (std::byte& value : tensor.mutable_bytes()) {
      const double code = std::clamp(std::nearbyint(random.normal() * 25), -128.0, 127.0);
      value = static_cast<std::byte>(static_cast<int>(code) + (is_signed ? 0 : 128));
    }
    return tensor;
  }
  ir::Value* zero(bool is_signed, std::int64_t value) {
    return constant(is_signed ? ir::Tensor::scalar(static_cast<std::int8_t>(value))
                              : ir::Tensor::scalar(static_cast<std::uint8_t>(value)));
  }
  ir::Value* input(ir::Tensor tensor) {
    const std::string name = "x" + std::to_string(feed.size());
    ir::Value* value = graph().add_input(name, ir::Type::tensor(tensor.type()));
    feed.push_back({name, std::move(tensor)});
    return value;
  }

  // Q, or DQ, with one scale; a zero point in the middle third.
  struct Step {
    ir::Value *scale, *zero;
    bool is_signed;
  };
  Step step(Random& random, float scale, bool is_signed) {
    return {constant(ir::Tensor::scalar(scale)), zero(is_signed, between(random, 80, 170) - (is_signed ? 128 : 0)),
            is_signed};
  }
  ir::Value* quantize(ir::Value* value, const Step& by) {
    return node("QuantizeLinear", {value, by.scale, by.zero}).output(0);
  }
  ir::Value* dequantize(ir::Value* value, const Step& by) {
    return node("DequantizeLinear", {value, by.scale, by.zero}).output(0);
  }
  // A float input behind Q and DQ.
  ir::Value* quantized_input(Random& random, const ir::Dims& dims, bool is_signed) {
    const Step by = step(random, 0.02F, is_signed);
    return dequantize(quantize(input(floats(random, dims)), by), by);
  }
  // A constant behind DQ; scales for each place of `axis` where that is not negative.
  ir::Value* weights(Random& random, bool is_signed, const ir::Dims& dims, std::int64_t axis, bool zero_points) {
    const auto count = axis < 0 ? std::int64_t{1} : dims[static_cast<std::size_t>(axis)];
    ir::Tensor scales = ir::Tensor::allocate(ir::ElementType::float32, axis < 0 ? ir::Dims{} : ir::Dims{count});
    for (float& scale : scales.mutable_data<float>()) scale = 0.002F + 0.004F * static_cast<float>(random.uniform());
    const bool usual = chance(random);
    std::vector<ir::Value*> inputs = {
        constant(usual ? usual_codes(random, is_signed, dims) : codes(random, is_signed, dims)), constant(scales)};
    if (usual && !is_signed) {
      ir::Tensor middle = ir::Tensor::allocate(ir::ElementType::uint8, scales.dims());
      for (std::byte& value : middle.mutable_bytes()) value = std::byte{128};
      inputs.push_back(constant(middle));
    } else if (!usual && zero_points) {
      inputs.push_back(constant(codes(random, is_signed, scales.dims())));
    }
    ir::Node& made = node("DequantizeLinear", inputs);
    if (axis >= 0) made.set_attribute("axis", axis);
    return made.output(0);
  }

  // Results of the integer kernels: of codes none more than one step from the float computation, and few of them; of
  // floats within `tolerance` of the largest. `kernels`: how many nodes must have run on integers.
  void compare(const std::string& what, std::size_t kernels, double tolerance = 1e-5) {
    INFO(what);
    SessionOptions options;
    options.reference = true;
    Session reference(model, options);
    options.reference = false;
    options.profile = true;
    Session integers(model, options);
    std::vector<ir::Datum> expected;
    try {
      expected = reference.run(feed);
    } catch (const Error&) {
      CHECK_THROWS_AS(integers.run(feed), Error);
      return;
    }
    for (int round = 0; round < 2; ++round) {
      const auto got = integers.run(feed);
      REQUIRE(got.size() == expected.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        REQUIRE(got[i].tensor()->type() == expected[i].tensor()->type());
        REQUIRE(got[i].tensor()->dims() == expected[i].tensor()->dims());
        const auto a = got[i].tensor()->to_floats(), b = expected[i].tensor()->to_floats();
        const bool is_float = got[i].tensor()->type() == ir::ElementType::float32;
        double worst = 0, largest = 1e-3;
        std::size_t different = 0;
        for (std::size_t k = 0; k < a.size(); ++k) {
          const double difference = hone::testing::apart(a[k], b[k]);
          worst = std::max(worst, difference);
          if (std::isfinite(b[k])) largest = std::max(largest, static_cast<double>(std::abs(b[k])));
          different += difference > 0;
        }
        if (is_float) {
          CHECK(worst <= tolerance * largest);
        } else {
          CHECK(worst <= 1);
          CHECK(different <= 2 + a.size() / 500);
        }
      }
    }
    if (!onednn::has_avx2()) return;
    std::size_t found = 0;
    for (const NodeProfile& each : integers.profile())
      found += each.kernel.starts_with("integer:") && each.node->op_type() != "QuantizeLinear" &&
               each.node->op_type() != "DequantizeLinear" && each.node->op_type() != "DynamicQuantizeLinear";
    CHECK(found == kernels);
  }
};

}  // namespace hone::exec::testing
