// What constants alone lead to is computed when a session is made: nothing of it is left in its profile.
#include <algorithm>
#include <catch2/catch.hpp>

#include "helpers.h"
#include "hone/support/error.h"

namespace hone::exec {
namespace {

using testing::floats;
using testing::model;
using testing::values;

// Operators that a run of the main graph has, and what they gave.
struct Ran {
  std::vector<std::string> operators;
  std::vector<ir::Datum> results;
  bool has(std::string_view op) const { return std::find(operators.begin(), operators.end(), op) != operators.end(); }
};
Ran ran(const ir::Model& m, const std::vector<ir::NamedDatum>& feed, SessionOptions options = {}) {
  options.profile = true;
  Session session(m, options);
  Ran result;
  session.run(feed);
  result.results = session.run(feed);
  for (const NodeProfile& each : session.profile()) result.operators.emplace_back(each.node->op_type());
  return result;
}

constexpr std::string_view shifted = R"(
  g (float[2,3] x) => (float[3,2] y) <float[2,3] w = {1, 2, 3, 4, 5, 6}, int64[2] order = {1, 0}> {
    turned = Transpose <perm = [1, 0]> (w)
    picked = Gather <axis = 1> (turned, order)
    xt = Transpose <perm = [1, 0]> (x)
    y = Add(xt, picked)
  })";

}  // namespace

TEST_CASE("compute_constants: chains of constants are no part of a run") {
  const std::vector<ir::NamedDatum> feed = {{"x", floats({2, 3}, {0, 0, 0, 10, 10, 10})}};
  const Ran r = ran(model(shifted), feed);
  CHECK(values(r.results[0]) == std::vector<float>{4, 11, 5, 12, 6, 13});
  CHECK(!r.has("Gather"));
  CHECK(std::count(r.operators.begin(), r.operators.end(), "Transpose") <= 1);
}

TEST_CASE("compute_constants: what is asked for keeps its name") {
  const std::vector<ir::NamedDatum> feed = {{"x", floats({2, 3}, {0, 0, 0, 0, 0, 0})}};
  SessionOptions options;
  options.extra_outputs = {"picked", "turned"};
  const Ran r = ran(model(shifted), feed, options);
  REQUIRE(r.results.size() == 3);
  CHECK(values(r.results[1]) == std::vector<float>{4, 1, 5, 2, 6, 3});
  CHECK(values(r.results[2]) == std::vector<float>{1, 4, 2, 5, 3, 6});
}

TEST_CASE("compute_constants: a body's recurrent layer whose weights are put in order there") {
  // As PyTorch exports it: gates are cut out and joined in ONNX's order.
  const ir::Model m = model(R"(
    g (bool c, float[1,1,2] x) => (float[1,1,1,3] y) <float[12,2] w = {0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1,-0.1,-0.2,-0.3,-0.4,-0.5,-0.6,-0.7,-0.8,-0.9,-1,0.15,0.25,0.35,0.45},
        float[12,3] r = {0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1,-0.1,-0.2,-0.3,-0.4,-0.5,-0.6,-0.7,-0.8,-0.9,-1,0.15,0.25,0.35,0.45,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1,-0.1,-0.2}> {
      y = If (c) <then_branch = a () => (ya) {
        zero = Constant <value_ints = [0]> ()  six = Constant <value_ints = [6]> ()  twelve = Constant <value_ints = [12]> ()
        w1 = Slice(w, six, twelve, zero)  w2 = Slice(w, zero, six, zero)  wj = Concat <axis = 0> (w1, w2)
        wu = Unsqueeze(wj, zero)  ru = Unsqueeze(r, zero)
        ya, h, s = LSTM <hidden_size = 3> (x, wu, ru)
      }, else_branch = b () => (yb) { yb = Constant <value = float[1,1,1,3] {0, 0, 0}> () }>
    })");
  const std::vector<ir::NamedDatum> feed = {{"c", ir::Tensor::scalar(true)}, {"x", floats({1, 1, 2}, {1, -2})}};
  SessionOptions reference;
  reference.reference = true;
  const std::vector<float> expected = values(Session(m, reference).run(feed)[0]);
  const std::vector<float> got = values(Session(m).run(feed)[0]);
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == Approx(expected[i]).margin(1e-6));
}

TEST_CASE("compute_constants: a node that fails does so in a run, and says so") {
  const ir::Model m = model(R"(
    g (float[2] x) => (float[n] y) <float[3] w = {1, 2, 3}, int64[1] shape = {2}> { z = Reshape(w, shape)  y = Add(x, z) })");
  Session session(m);
  REQUIRE_THROWS_WITH(session.run({{"x", floats({2}, {1, 2})}}), Catch::Contains("Reshape"));
}

TEST_CASE("compute_constants: large results stay for the run") {
  const ir::Model m = model(R"(
    g (float[1] x) => (float[n] y) <int64[1] shape = {5000000}, int64[1] few = {5}> {
      large = ConstantOfShape(shape)  small = ConstantOfShape(few)
      a = ReduceSum(large)  b = ReduceSum(small)  ab = Add(a, b)  y = Add(ab, x)
    })");
  const Ran r = ran(m, {{"x", floats({1}, {1})}});
  CHECK(values(r.results[0]) == std::vector<float>{1});
  CHECK(std::count(r.operators.begin(), r.operators.end(), "ConstantOfShape") == 1);
}

}  // namespace hone::exec
