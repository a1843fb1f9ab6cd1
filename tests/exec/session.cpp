#include "hone/exec/session.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "helpers.h"
#include "hone/support/buffer.h"
#include "hone/support/error.h"

namespace hone::exec {
namespace {

using testing::dims;
using testing::floats;
using testing::ints;
using testing::model;
using testing::values;
using Values = std::vector<float>;

Values ramp(std::int64_t count, float start = 0) {
  Values result(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = start + static_cast<float>(i);
  return result;
}

}  // namespace

TEST_CASE("session: runs a graph again and again, with new shapes between") {
  const ir::Model m = model(R"(
    g (float[n,3] x, float[n,3] y) => (float[n,3] z) {
      a = Add(x, y)  b = Mul(a, a)  c = Relu(b)  d = Sub(c, x)  e = Add(d, b)  z = Neg(e)
    })");
  Session session(m);
  CHECK(session.required_inputs() == std::vector<std::string>{"x", "y"});
  CHECK(session.output_names() == std::vector<std::string>{"z"});
  for (int round = 0; round < 4; ++round) {
    for (std::int64_t n = 1; n < 20; ++n) {
      const Values x = ramp(n * 3), y = ramp(n * 3, 5);
      const auto z = session.run({{"x", floats({n, 3}, x)}, {"y", floats({n, 3}, y)}});
      REQUIRE(dims(z[0]) == ir::Dims{n, 3});
      const Values got = values(z[0]);
      for (std::size_t i = 0; i < got.size(); ++i) {
        const float square = (x[i] + y[i]) * (x[i] + y[i]);
        CHECK(got[i] == -(square - x[i] + square));
      }
    }
  }
}

TEST_CASE("session: results of run() stay, results of run_shared() hold until the next run") {
  const ir::Model m = model("g (float[2] x) => (float[2] y, float[2] x2) { y = Neg(x)  x2 = Identity(x) }");
  Session session(m);
  for (int i = 0; i < 3; ++i) {
    const auto first = session.run({{"x", floats({2}, {1, 2})}});
    const auto second = session.run({{"x", floats({2}, {3, 4})}});
    CHECK(values(first[0]) == Values{-1, -2});
    CHECK(values(first[1]) == Values{1, 2});
    CHECK(values(second[0]) == Values{-3, -4});
    const auto& shared = session.run_shared({{"x", floats({2}, {5, 6})}});
    CHECK(values(shared[0]) == Values{-5, -6});
  }
}

TEST_CASE("session: an output is not written over by a later step") {
  const ir::Model m = model(R"(
    g (float[4] x) => (float[4] a, float[4] c, float[2,2] d) <int64[2] s = {2, 2}> {
      a = Neg(x)  b = Add(a, x)  c = Relu(a)  d = Reshape(a, s)
    })");
  Session session(m);
  for (int i = 0; i < 3; ++i) {
    const auto out = session.run({{"x", floats({4}, {1, -2, 3, -4})}});
    CHECK(values(out[0]) == Values{-1, 2, -3, 4});
    CHECK(values(out[1]) == Values{0, 2, 0, 4});
    CHECK(values(out[2]) == Values{-1, 2, -3, 4});
    CHECK(dims(out[2]) == ir::Dims{2, 2});
  }
}

TEST_CASE("session: memory is planned near the largest live set") {
  std::string text = "g (float[1000] x) => (float[1000] y) { v0 = Neg(x) ";
  for (int i = 0; i < 50; ++i) text += fmt::format(" t{0} = Transpose(v{0})  v{1} = Add(t{0}, v{0})", i, i + 1);
  text += " y = Neg(v50) }";
  const ir::Model m = model(text);
  Session session(m);
  const std::vector<ir::NamedDatum> inputs = {{"x", floats({1000}, ramp(1000))}};
  for (int i = 0; i < 3; ++i) session.run_shared(inputs);
  CHECK(session.planned_bytes() <= 3 * 4032);
  const std::uint64_t before = memory_in_use();
  session.run_shared(inputs);
  CHECK(memory_in_use() == before);
}

TEST_CASE("session: sizes that depend on data are no trouble for a plan") {
  const ir::Model m = model(R"(
    g (float[n] x, float[n] w) => (float[n] y, int64[1,k] where_) {
      a = Neg(x)  where_ = NonZero(w)  f = Cast<to = 1>(where_)  g = Mul(f, f)  h = Add(a, a)  n0 = Size(g)  s = Cast<to = 1>(n0)
      y = Add(h, s)
    })");
  Session session(m);
  for (int i = 0; i < 6; ++i) {
    Values w(8, 0.0F);
    for (int k = 0; k < i; ++k) w[static_cast<std::size_t>(7 - k)] = 1;
    const auto out = session.run({{"x", floats({8}, ramp(8))}, {"w", floats({8}, w)}});
    CHECK(dims(out[1]) == ir::Dims{1, i});
    CHECK(values(out[0])[3] == -6 + static_cast<float>(i));
  }
}

TEST_CASE("session: the signature is checked") {
  const ir::Model m = model("g (float[n,3] x, float[n] y, int64[2] z) => (float[n,3] o) { o = Neg(x) }");
  Session session(m);
  const ir::Datum x = floats({2, 3}, ramp(6)), y = floats({2}, {1, 2}), z = ints({2}, {1, 2});
  const auto message = [&](const std::vector<ir::NamedDatum>& inputs) {
    try {
      session.run(inputs);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::bad_input);
      return error.message();
    }
    return std::string("no error");
  };
  CHECK(message({{"x", x}, {"y", y}, {"z", z}}) == "no error");
  CHECK(message({{"x", x}, {"y", y}}) == "input 'z' (int64[2]) is missing");
  CHECK(message({{"x", x}, {"y", y}, {"q", z}}) == "the model has no input 'q'; it has 'x', 'y', 'z'");
  CHECK(message({{"x", x}, {"x", x}}) == "input 'x' is given twice");
  CHECK(message({{"x", y}, {"y", y}, {"z", z}}) == "input 'x' is float[2], the model expects float[n,3]");
  CHECK(message({{"x", x}, {"y", z}, {"z", z}}) == "input 'y' is int64[2], the model expects float[n]");
  CHECK(message({{"x", x}, {"y", y}, {"z", ints({3}, {1, 2, 3})}}) ==
        "input 'z' is int64[3], the model expects int64[2]");
  CHECK(message({{"x", x}, {"y", floats({3}, ramp(3))}, {"z", z}}) ==
        "input 'y' is float[3]: dimension 'n' of float[n] must be 2, as in input 'x'");
}

TEST_CASE("session: errors of a step name the node") {
  const ir::Model m = model("g (float[n] x, float[m] y) => (float[k] z) { [adder] z = Add(x, y) }");
  Session session(m);
  CHECK_THROWS_WITH(session.run({{"x", floats({2}, {1, 2})}, {"y", floats({3}, {1, 2, 3})}}),
                    Catch::Contains("node 'adder' (Add): "));
  const auto z =
      session.run({{"x", floats({2}, {1, 2})}, {"y", floats({1}, {1})}});  // and the session is as good as new
  CHECK(values(z[0]) == Values{2, 3});
}

TEST_CASE("session: names every operator without a kernel") {
  const ir::Model m = onnx::read_text(R"(<ir_version: 9, opset_import: ["" : 17, "ours" : 2]>
    g (float[n] x) => (float[n] z) { a = ours.Magic(x)  b = ours.Trick(a)  z = ours.Magic(b) })");
  CHECK_THROWS_WITH(Session(m), "no kernel for operators ours:Magic (version 2), ours:Trick (version 2)");
}

TEST_CASE("session: an initializer that is an input can be given") {
  const ir::Model m = model("g (float[2] x, float[2] w = {1, 2}) => (float[2] y) { y = Add(x, w) }");
  Session session(m);
  CHECK(session.required_inputs() == std::vector<std::string>{"x"});
  const ir::Datum x = floats({2}, {10, 20});
  CHECK(values(session.run({{"x", x}})[0]) == Values{11, 22});
  CHECK(values(session.run({{"x", x}, {"w", floats({2}, {3, 4})}})[0]) == Values{13, 24});
  CHECK(values(session.run({{"x", x}})[0]) == Values{11, 22});
}

TEST_CASE("session: variables change between runs") {
  const ir::Model m =
      model("g (float[2] x) => (float[2] y, float[2] v) <float[2] w = {1, 2}> { y = Mul(x, w)  v = Identity(w) }");
  SessionOptions options;
  options.variables = {"w"};
  Session session(m, options);
  const ir::Datum x = floats({2}, {10, 20});
  const auto first = session.run({{"x", x}});
  CHECK(values(first[0]) == Values{10, 40});
  auto* memory = session.variable("w").mutable_data<float>().data();
  memory[0] = 5;
  const auto second = session.run({{"x", x}});
  CHECK(values(second[0]) == Values{50, 40});
  CHECK(values(second[1]) == Values{5, 2});
  CHECK(values(first[1]) == Values{1, 2});  // a result is no window on the variable
  CHECK(session.variable("w").mutable_data<float>().data() == memory);
  CHECK(m.graph->find("w")->initializer()->to_floats() == Values{1, 2});
  CHECK_THROWS_WITH(session.variable("x"), Catch::Contains("'x' is no variable"));
  options.variables = {"x"};
  CHECK_THROWS_WITH(Session(m, options), Catch::Contains("no initializer 'x'"));
}

TEST_CASE("session: extra outputs and observers see values inside") {
  const ir::Model m =
      model("g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { a = Add(x, w)  b = Neg(a)  y = Mul(b, b) }");
  SessionOptions options;
  options.extra_outputs = {"a", "w"};
  Session session(m, options);
  CHECK(session.output_names() == std::vector<std::string>{"y", "a", "w"});
  const ir::Datum x = floats({2}, {10, 20});
  const auto out = session.run({{"x", x}});
  CHECK(values(out[1]) == Values{11, 22});
  CHECK(values(out[2]) == Values{1, 2});

  std::map<std::string, Values, std::less<>> seen;
  session.observe({"x", "b", "a", "w"}, [&](std::string_view name, const ir::Tensor& tensor) {
    seen[std::string(name)] = tensor.to_floats();
  });
  for (int i = 0; i < 3; ++i) {
    seen.clear();
    CHECK(values(session.run({{"x", x}})[0]) == Values{121, 484});
    CHECK(seen.size() == 4);
    CHECK(seen["x"] == Values{10, 20});
    CHECK(seen["a"] == Values{11, 22});
    CHECK(seen["b"] == Values{-11, -22});
    CHECK(seen["w"] == Values{1, 2});
  }
  session.observe({}, nullptr);
  seen.clear();
  session.run({{"x", x}});
  CHECK(seen.empty());
  CHECK_THROWS_WITH(session.observe({"nothing"}, [](std::string_view, const ir::Tensor&) {}),
                    Catch::Contains("'nothing'"));
}

TEST_CASE("session: profile counts runs, time and bytes by node") {
  const ir::Model m = model("g (float[2] x) => (float[2] y) { a = Neg(x)  y = Mul(a, a) }");
  SessionOptions options;
  options.profile = true;
  options.reference = true;  // nothing is fused
  Session session(m, options);
  for (int i = 0; i < 3; ++i) session.run({{"x", floats({2}, {1, 2})}});
  REQUIRE(session.profile().size() == 2);
  CHECK(session.profile()[0].node == m.graph->first());
  CHECK(session.profile()[0].runs == 3);
  CHECK(session.profile()[0].bytes == 3 * 16);
  CHECK(session.profile()[0].kernel == "reference");
}

TEST_CASE("session: functions of the model are called, with attributes and left-out inputs") {
  const ir::Model m = onnx::read_text(R"(<ir_version: 9, opset_import: ["" : 17, "ours" : 1]>
    g (float[n] x) => (float[n] y, float[n] z) { y = ours.twice <alpha = 0.5> (x)  z = ours.inner(x) }
    <domain: "ours", opset_import: ["" : 17, "ours" : 1]> twice <alpha> (a) => (b) { c = ours.inner <alpha : float = @alpha> (a)  b = Add(c, c) }
    <domain: "ours", opset_import: ["" : 17]> inner <alpha : float = 0.25> (a) => (b) { b = LeakyRelu <alpha : float = @alpha> (a) }
  )");
  Session session(m);
  const auto out = session.run({{"x", floats({2}, {4, -4})}});
  CHECK(values(out[0]) == Values{8, -4});
  CHECK(values(out[1]) == Values{4, -1});
}

TEST_CASE("session: a function that calls itself is refused") {
  ir::Model m = onnx::read_text(R"(<ir_version: 9, opset_import: ["" : 17, "ours" : 1]>
    g (float[n] x) => (float[n] y) { y = ours.f(x) }
    <domain: "ours", opset_import: ["" : 17, "ours" : 1]> f (a) => (b) { c = Neg(a)  b = ours.g(c) }
  )");
  m.functions[0]->body->last()->set_op("f", "ours");  // a file with this is refused when it is read
  CHECK_THROWS_WITH(Session(m), Catch::Contains("calls itself"));
}

}  // namespace hone::exec
