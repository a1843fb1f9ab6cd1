#include <catch2/catch.hpp>

#include "helpers.h"
#include "hone/support/error.h"

namespace hone::exec {

using testing::floats;
using testing::model;
using testing::values;

TEST_CASE("einsum: a dimension of 1 broadcasts against those of other inputs, not of its own") {
  const ir::Model two =
      model(R"(g (float[n] a, float[m] b) => (float[k] y) { y = Einsum<equation = "i,i->i">(a, b) })");
  Session session(two);
  const auto run = [&](const ir::Tensor& a, const ir::Tensor& b) {
    return values(session.run({{"a", a}, {"b", b}})[0]);
  };
  CHECK(run(floats({1}, {2}), floats({2}, {3, 4})) == std::vector<float>{6, 8});
  CHECK(run(floats({2}, {3, 4}), floats({1}, {2})) == std::vector<float>{6, 8});
  CHECK_THROWS_AS(run(floats({2}, {3, 4}), floats({3}, {1, 2, 3})), Error);
  const ir::Model one = model(R"(g (float[n,m] a) => (float[k] y) { y = Einsum<equation = "ii->i">(a) })");
  Session diagonal(one);
  CHECK(values(diagonal.run({{"a", floats({2, 2}, {1, 2, 3, 4})}})[0]) == std::vector<float>{1, 4});
  CHECK_THROWS_WITH(diagonal.run({{"a", floats({1, 2}, {1, 2})}}),
                    Catch::Contains("dimensions 1 and 2 of one input share a label"));
}

}  // namespace hone::exec
