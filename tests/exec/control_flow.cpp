#include <catch2/catch.hpp>

#include "helpers.h"
#include "hone/exec/evaluate.h"
#include "hone/onnx/read.h"
#include "hone/support/error.h"

namespace hone::exec {
namespace {

using testing::dims;
using testing::floats;
using testing::ints;
using testing::model;
using testing::values;
using Values = std::vector<float>;

}  // namespace

TEST_CASE("control flow: If runs one branch, which sees outer values") {
  const ir::Model m = model(R"(
    g (bool c, float[2] x) => (float[2] y) {
      a = Neg(x)
      y = If (c) <then_branch = t () => (float[2] p) { p = Add(a, x) }, else_branch = e () => (float[2] q) { q = Identity(a) }>
    })");
  Session session(m);
  for (int i = 0; i < 3; ++i) {
    CHECK(values(session.run({{"c", ir::Tensor::scalar(true)}, {"x", floats({2}, {1, 2})}})[0]) == Values{0, 0});
    CHECK(values(session.run({{"c", ir::Tensor::scalar(false)}, {"x", floats({2}, {1, 2})}})[0]) == Values{-1, -2});
  }
}

TEST_CASE("control flow: bodies that become part of a function keep the model's operators") {
  // The function that FlexAttention stands for holds the body: a node that the engine fused in it would be unknown there.
  const ir::Model m = onnx::read_text(R"(<ir_version: 13, opset_import: ["": 26, "ai.onnx.preview": 1]>
    g (float[1,1,2,2] q, float[1,1,2,2] k, float[1,1,2,2] v) => (float[1,1,2,2] y) {
      y = ai.onnx.preview.FlexAttention(q, k, v) <score_mod = f (float[B,H,L,S] s) => (float[B,H,L,S] r) <float cap = {20}> {
        a = Div(s, cap) b = Tanh(a) r = Mul(b, cap)
      }>
    })");
  const auto ones = floats({1, 1, 2, 2}, {1, 1, 1, 1});
  Session session(m);
  CHECK(values(session.run({{"q", ones}, {"k", ones}, {"v", ones}})[0]) == Values{1, 1, 1, 1});
}

TEST_CASE("control flow: Loop carries values, stacks outputs and stops") {
  const ir::Model m = model(R"(
    g (int64 n, float[2] x, float limit) => (float[2] last, float[k,2] all, int64[k] trips) <bool yes = {1}, int64 one = {1}> {
      last, all, trips = Loop (n, yes, x) <body = b (int64 i, bool go, float[2] v) => (bool more, float[2] w, float[2] out, int64 j) {
        w = Add(v, x)  out = Identity(w)  j = Identity(i)
        s = Gather(w, one)  more = Less(s, limit)
      }>
    })");
  Session session(m);
  const auto run = [&](std::int64_t n, float limit) {
    return session.run(
        {{"n", ir::Tensor::scalar(n)}, {"x", floats({2}, {1, 2})}, {"limit", ir::Tensor::scalar(limit)}});
  };
  for (int i = 0; i < 3; ++i) {
    const auto out = run(5, 1000);
    CHECK(values(out[0]) == Values{6, 12});
    CHECK(dims(out[1]) == ir::Dims{5, 2});
    CHECK(values(out[1]) == Values{2, 4, 3, 6, 4, 8, 5, 10, 6, 12});
    CHECK(values(out[2]) == Values{0, 1, 2, 3, 4});
    const auto stopped = run(1000, 7);
    CHECK(values(stopped[0]) == Values{4, 8});
    CHECK(dims(stopped[1]) == ir::Dims{3, 2});
    const auto none = run(0, 1);
    CHECK(values(none[0]) == Values{1, 2});
    CHECK(dims(none[1]) == ir::Dims{0, 2});
    CHECK(dims(none[2]) == ir::Dims{0});
  }
}

TEST_CASE("control flow: carried values may trade places") {
  const ir::Model m = model(R"(
    g (int64 n, float[1] x, float[1] y) => (float[1] a, float[1] b) <bool yes = {1}> {
      a, b = Loop (n, yes, x, y) <body = l (int64 i, bool go, float[1] p, float[1] q) => (bool more, float[1] r, float[1] s) {
        more = Identity(go)  r = Identity(q)  s = Neg(p)
      }>
    })");
  Session session(m);
  const auto run = [&](std::int64_t n) {
    const auto out = session.run({{"n", ir::Tensor::scalar(n)}, {"x", floats({1}, {1})}, {"y", floats({1}, {2})}});
    return Values{values(out[0])[0], values(out[1])[0]};
  };
  CHECK(run(1) == Values{2, -1});
  CHECK(run(2) == Values{-1, -2});
  CHECK(run(4) == Values{1, 2});
}

TEST_CASE("control flow: nested loops") {
  const ir::Model m = model(R"(
    g (int64 n, float x) => (float y) <bool yes = {1}, float zero = {0}> {
      y = Loop (n, yes, zero) <body = outer (int64 i, bool go, float s) => (bool more, float t) {
        more = Identity(go)
        inner_sum = Loop (i, go, s) <body = inner (int64 j, bool go2, float u) => (bool more2, float w) {
          more2 = Identity(go2)  w = Add(u, x)
        }>
        t = Add(inner_sum, zero)
      }>
    })");
  Session session(m);
  for (int i = 0; i < 3; ++i) {
    CHECK(values(session.run({{"n", ir::Tensor::scalar<std::int64_t>(5)}, {"x", ir::Tensor::scalar(2.0F)}})[0]) ==
          Values{20});
  }
}

TEST_CASE("control flow: Scan along axes and backwards") {
  const ir::Model m = model(R"(
    g (float[2] s, float[2,3] x) => (float[2] last, float[2,3] sums, float[3,2] back) {
      last, sums, back = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1, 0], scan_output_directions = [0, 1],
          body = b (float[2] state, float[2] each) => (float[2] next, float[2] out, float[2] again) {
            next = Add(state, each)  out = Identity(next)  again = Identity(each)
          }> (s, x)
    })");
  Session session(m);
  for (int i = 0; i < 3; ++i) {
    const auto out = session.run({{"s", floats({2}, {100, 200})}, {"x", floats({2, 3}, {1, 2, 3, 4, 5, 6})}});
    CHECK(values(out[0]) == Values{106, 215});
    CHECK(values(out[1]) == Values{101, 103, 106, 204, 209, 215});
    CHECK(values(out[2]) == Values{3, 6, 2, 5, 1, 4});
  }
}

TEST_CASE("control flow: a failing iteration leaves the session usable") {
  const ir::Model m = model(R"(
    g (int64 n, float[k] x, float[m] y) => (float[k] z) <bool yes = {1}> {
      z = Loop (n, yes, x) <body = b (int64 i, bool go, float[k] v) => (bool more, float[k] w) { more = Identity(go)  w = Add(v, y) }>
    })");
  Session session(m);
  const ir::Datum n = ir::Tensor::scalar<std::int64_t>(2), x = floats({2}, {1, 2});
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_WITH(session.run({{"n", n}, {"x", x}, {"y", floats({3}, {1, 2, 3})}}), Catch::Contains("(Add)"));
    CHECK(values(session.run({{"n", n}, {"x", x}, {"y", floats({2}, {1, 2})}})[0]) == Values{3, 6});
  }
}

TEST_CASE("control flow: evaluate() runs nodes with subgraphs that use constants only") {
  const ir::Model m = model(R"(
    g (bool c, float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
      y = If (c) <then_branch = t () => (float[2] p) { p = Neg(w) }, else_branch = e () => (float[2] q) { q = Add(x, w) }>
    })");
  // The else branch is not run, and yet needs x to be planned.
  CHECK_THROWS_WITH(evaluate(*m.graph->first(), m, {ir::Datum(ir::Tensor::scalar(true))}), Catch::Contains("'x'"));
  const ir::Model constant = model(R"(
    g (bool c) => (float[2] y) <float[2] w = {1, 2}> {
      y = If (c) <then_branch = t () => (float[2] p) { p = Neg(w) }, else_branch = e () => (float[2] q) { q = Add(w, w) }>
    })");
  const auto out = evaluate(*constant.graph->first(), constant, {ir::Datum(ir::Tensor::scalar(true))});
  CHECK(values(out[0]) == Values{-1, -2});
}

}  // namespace hone::exec
