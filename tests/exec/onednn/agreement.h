// Random models for holding kernels against the reference.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>

#include "hone/exec/session.h"
#include "hone/ir/model.h"
#include "hone/support/error.h"
#include "hone/support/random.h"

namespace hone::exec {

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

inline std::int64_t between(Random& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(high - low + 1)));
}

inline Tensor normal(Random& random, const Dims& dims) {
  Tensor tensor = Tensor::allocate(ElementType::float32, dims);
  for (float& value : tensor.mutable_data<float>()) value = static_cast<float>(random.normal());
  return tensor;
}

inline Value* input(Model& model, std::vector<ir::NamedDatum>& feed, const std::string& name, Tensor tensor) {
  Value* value = model.graph->add_input(name, ir::Type::tensor(ElementType::float32));
  feed.push_back({name, std::move(tensor)});
  return value;
}

// Runs twice, so that planned memory and cached primitives are used, too.
inline void compare(const Model& model, const std::vector<ir::NamedDatum>& feed, const std::string& what,
                    double tolerance = 2e-5) {
  INFO(what);
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
        largest = std::max(largest, static_cast<double>(std::abs(b[k])));
        worst = std::max(worst, static_cast<double>(std::abs(a[k] - b[k])));
      }
      CHECK(worst <= tolerance * largest);
    }
  }
}

}  // namespace hone::exec
