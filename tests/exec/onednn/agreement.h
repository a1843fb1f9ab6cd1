// Random models for holding kernels against the reference.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>

#include "apart.h"
#include "hone/exec/session.h"
#include "hone/ir/model.h"
#include "hone/support/error.h"
#include "random.h"

namespace hone::exec {

using hone::testing::between;
using ir::Dims;
using ir::ElementType;
using ir::Graph;
using ir::Model;
using ir::Tensor;
using ir::Value;

inline Model empty_model() {
  Model model;
  model.ir_version = 9;
  model.set_opset("", 20);
  return model;
}

inline Tensor normal(Random& random, const Dims& dims) {
  Tensor tensor = Tensor::allocate(ElementType::float32, dims);
  for (float& value : tensor.mutable_data<float>()) value = static_cast<float>(random.normal());
  return tensor;
}

inline Value* input(Model& model, std::vector<ir::NamedDatum>& feed, const std::string& name, Tensor tensor) {
  Value* value = model.graph->add_input(name, ir::Type::tensor(tensor.type()));
  feed.push_back({name, std::move(tensor)});
  return value;
}

// The kernels that a run takes, in order.
inline std::vector<std::string> kernels_run(const Model& model, const std::vector<ir::NamedDatum>& feed) {
  SessionOptions options;
  options.profile = true;
  Session session(model, options);
  session.run(feed);
  std::vector<std::string> result;
  for (const NodeProfile& each : session.profile()) result.push_back(each.kernel);
  return result;
}

// Runs twice, so that planned memory and cached primitives are used, too.
inline void compare_runs(const Model& model, const std::vector<ir::NamedDatum>& feed, double tolerance) {
  SessionOptions options;
  options.reference = true;
  Session reference(model, options), optimized(model);
  std::vector<ir::Datum> expected;
  try {
    expected = reference.run(feed);
  } catch (const Error&) {
    CHECK_THROWS_AS(optimized.run(feed), Error);
    return;
  }
  for (int round = 0; round < 2; ++round) {
    const auto got = optimized.run(feed);
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      REQUIRE(got[i].tensor()->dims() == expected[i].tensor()->dims());
      const auto a = got[i].tensor()->to_floats(), b = expected[i].tensor()->to_floats();
      double largest = 1e-3, worst = 0;
      for (std::size_t k = 0; k < a.size(); ++k) {
        if (std::isfinite(b[k])) largest = std::max(largest, static_cast<double>(std::abs(b[k])));
        worst = std::max(worst, hone::testing::apart(a[k], b[k]));
      }
      CHECK(worst <= tolerance * largest);
    }
  }
}

// As the model is, and with the sizes of its inputs declared: then other kernels are chosen (onednn::sizes_may_change).
inline void compare(const Model& model, const std::vector<ir::NamedDatum>& feed, const std::string& what,
                    double tolerance = 2e-5) {
  INFO(what);
  compare_runs(model, feed, tolerance);
  for (const ir::NamedDatum& each : feed) {
    const Tensor& tensor = *each.datum.tensor();
    model.graph->find(each.name)->set_type(
        ir::Type::tensor(tensor.type(), ir::Shape(tensor.dims().begin(), tensor.dims().end())));
  }
  INFO("sizes declared");
  compare_runs(model, feed, tolerance);
}

// Elementwise tails that the session fuses, or that it must not.
inline Value* tail(Random& random, Model& model, std::vector<ir::NamedDatum>& feed, Value* value, const Dims& result,
                   std::string& what) {
  Graph& graph = *model.graph;
  const auto unary = [&](const char* op) { return graph.insert(op, {value}, 1).output(0); };
  const std::int64_t channels = result.size() > 1 ? result[1] : 1;
  for (std::uint64_t i = random.below(4); i > 0; --i) {
    const std::uint64_t kind = random.below(10);
    what += fmt::format(" tail {}", kind);
    switch (kind) {
      case 0:
        value = unary("Relu");
        break;
      case 1:
        value = unary("HardSwish");
        break;
      case 2:
        value = graph.insert("Mul", {value, unary("Sigmoid")}, 1).output(0);
        break;
      case 3: {
        Value* low = graph.add_initializer("low", Tensor::scalar(-0.5F));
        Value* high = graph.add_initializer("high", Tensor::scalar(0.75F));
        value = graph.insert("Clip", {value, low, high}, 1).output(0);
        break;
      }
      case 4:
        value =
            graph.insert("Add", {value, input(model, feed, fmt::format("r{}", feed.size()), normal(random, result))}, 1)
                .output(0);
        break;
      case 5: {  // broadcasts: must not be fused, and is only known at run time
        Dims dims = result;
        dims.back() = 1;
        value =
            graph.insert("Add", {value, input(model, feed, fmt::format("r{}", feed.size()), normal(random, dims))}, 1)
                .output(0);
        break;
      }
      case 6: {
        Dims dims(result.size(), 1);
        dims[1] = channels;
        Value* factor = graph.add_initializer("factor", normal(random, dims));
        value = graph.insert(random.below(2) == 0 ? "Mul" : "Add", {value, factor}, 1).output(0);
        break;
      }
      case 7: {
        Value* three = graph.add_initializer("three", Tensor::scalar(3.0F));
        Value* six = graph.add_initializer("six", Tensor::scalar(6.0F));
        Value* zero = graph.add_initializer("zero", Tensor::scalar(0.0F));
        Value* sum = graph.insert("Add", {value, three}, 1).output(0);
        Value* clip = graph.insert("Clip", {sum, zero, six}, 1).output(0);
        if (random.below(2) == 0) {
          clip = graph.insert("Div", {clip, six}, 1).output(0);
          value = graph.insert("Mul", {value, clip}, 1).output(0);
        } else {
          value = graph.insert("Mul", {value, clip}, 1).output(0);
          value = graph.insert("Div", {value, six}, 1).output(0);
        }
        break;
      }
      case 8: {
        Value* constant = graph.add_initializer("constant", Tensor::scalar(0.7F));
        value = graph.insert("Sub", {constant, value}, 1).output(0);
        break;
      }
      default: {
        if (result.size() < 3) break;
        const auto parameter = [&](const char* name, bool positive) {
          Tensor tensor = normal(random, {channels});
          if (positive) {
            for (float& each : tensor.mutable_data<float>()) each = std::abs(each) + 0.1F;
          }
          return graph.add_initializer(name, std::move(tensor));
        };
        value = graph
                    .insert("BatchNormalization",
                            {value, parameter("scale", false), parameter("shift", false), parameter("mean", false),
                             parameter("variance", true)},
                            1)
                    .output(0);
        break;
      }
    }
  }
  return value;
}

}  // namespace hone::exec
