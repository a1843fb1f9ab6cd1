// What counts as the same result before and after a rewrite.
#include "hone/rewrite/verify.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace hone::rewrite {
namespace {

bool same(const ir::Tensor& a, const ir::Tensor& b) { return !compare("y", a, b, 1e-4); }

ir::Tensor empty(const ir::Dims& dims) { return ir::Tensor::zeros(ir::ElementType::float32, dims); }

}  // namespace

TEST_CASE("compare: shapes, types and values must agree") {
  const auto floats = [](const std::vector<float>& values) {
    const ir::Dims dims{static_cast<std::int64_t>(values.size())};
    return ir::Tensor::of<float>(dims, values);
  };
  CHECK(same(floats({1, 2}), floats({1, 2.0001F})));
  CHECK(!same(floats({1, 2}), floats({1, 2.001F})));
  CHECK(!same(floats({1, 2}), floats({1, NAN})));
  CHECK(same(floats({1, NAN}), floats({1, NAN})));
  CHECK(!same(floats({1, 2}), floats({1, 2, 3})));
  CHECK(!same(floats({}), floats({1})));
}

TEST_CASE("compare: sizes of nothing that one side does not know are 0 there") {
  CHECK(same(empty({0, 0, 0}), empty({0, 4, 2})));
  CHECK(same(empty({0, 4, 0}), empty({0, 0, 2})));
  CHECK(!same(empty({0, 3}), empty({0, 4})));
  CHECK(!same(empty({0}), empty({0, 0})));
  CHECK(!same(empty({3, 4}), empty({0, 4})));
}

}  // namespace hone::rewrite
