// The operator Gradient: derivatives of a part of the graph at the values it is given.
#include <catch2/catch.hpp>

#include "error_message.h"
#include "helpers.h"

namespace hone::exec {
namespace {

using testing::floats;
using testing::values;
using Values = std::vector<float>;

ir::Model training(std::string_view graph) {
  return onnx::read_text("<ir_version: 9, opset_import: [\"\" : 17, \"ai.onnx.preview.training\" : 1]>\n" +
                         std::string(graph));
}

std::vector<ir::Datum> run(const ir::Model& model, const std::vector<ir::NamedDatum>& inputs) {
  return Session(model).run(inputs);
}

ir::Tensor scalar(float value) { return ir::Tensor::scalar(value); }

}  // namespace

TEST_CASE("gradient: of a product and of what it is made of") {
  const ir::Model model = training(R"(
    g (float a, float b) => (float y, float da, float db, float dh) {
      h = Mul(a, a)
      y = Mul(h, b)
      da, db = ai.onnx.preview.training.Gradient <xs = ["a", "b"], y = "y"> (a, b)
      dh = ai.onnx.preview.training.Gradient <xs = ["h"], zs = ["b"], y = "y"> (h, b)
    })");
  const auto out = run(model, {{"a", scalar(3)}, {"b", scalar(5)}});
  CHECK(values(out[0]) == Values{45});
  CHECK(values(out[1]) == Values{30});  // 2ab
  CHECK(values(out[2]) == Values{9});   // a^2
  CHECK(values(out[3]) == Values{5});
}

TEST_CASE("gradient: at values other than the graph's own") {
  const ir::Model model = training(R"(
    g (float a, float b, float c) => (float y, float da, float db, float same_a, float same_b) {
      y = Mul(a, b)
      da, db = ai.onnx.preview.training.Gradient <xs = ["a", "b"], y = "y"> (c, b)
      same_a, same_b = ai.onnx.preview.training.Gradient <xs = ["a", "b"], y = "y"> (c, c)
    })");
  const auto out = run(model, {{"a", scalar(2)}, {"b", scalar(3)}, {"c", scalar(7)}});
  CHECK(values(out[0]) == Values{6});
  CHECK(values(out[1]) == Values{3});
  CHECK(values(out[2]) == Values{7});
  CHECK(values(out[3]) == Values{7});
  CHECK(values(out[4]) == Values{7});
}

TEST_CASE("gradient: a value in zs is held, though it is computed from one in xs") {
  const ir::Model model = training(R"(
    g (float x) => (float part, float whole) {
      h = Mul(x, x)
      y = Mul(h, x)
      part = ai.onnx.preview.training.Gradient <xs = ["x"], zs = ["h"], y = "y"> (x, h)
      whole = ai.onnx.preview.training.Gradient <xs = ["x"], y = "y"> (x)
    })");
  const auto out = run(model, {{"x", scalar(3)}});
  CHECK(values(out[0]) == Values{9});
  CHECK(values(out[1]) == Values{27});
}

TEST_CASE("gradient: weights of a layer, and none for what the result does not depend on") {
  const ir::Model model = training(R"(
    g (float[2,3] x, float[2] unused) => (float[3,2] dw, float[2] db, float[2] none)
      <float[3,2] w = {1, 2, 3, 4, 5, 6}, float[2] b = {0.5, -0.5}> {
      dw, db, none = ai.onnx.preview.training.Gradient <xs = ["w", "b", "unused"], zs = ["x"], y = "loss"> (w, b, unused, x)
      h = MatMul(x, w)
      k = Add(h, b)
      r = Relu(k)
      loss = ReduceSum <keepdims = 0> (r)
    })");
  const auto out = run(model, {{"x", floats({2, 3}, {1, 2, 3, -1, -2, -3})}, {"unused", floats({2}, {1, 1})}});
  CHECK(values(out[0]) == Values{1, 1, 2, 2, 3, 3});  // the second row is below zero
  CHECK(values(out[1]) == Values{1, 1});
  CHECK(values(out[2]) == Values{0, 0});
}

TEST_CASE("gradient: of a gradient") {
  const ir::Model model = training(R"(
    g (float x) => (float first, float second) {
      h = Mul(x, x)
      y = Mul(h, x)
      first = ai.onnx.preview.training.Gradient <xs = ["x"], y = "y"> (x)
      second = ai.onnx.preview.training.Gradient <xs = ["x"], y = "first"> (x)
    })");
  const auto out = run(model, {{"x", scalar(3)}});
  CHECK(values(out[0]) == Values{27});
  CHECK(values(out[1]) == Values{18});
}

TEST_CASE("gradient: what can't be differentiated") {
  const auto message = [](const std::string& attributes, const std::string& inputs, const std::string& nodes,
                          ErrorKind kind) {
    const ir::Model model = training("g (float[3,3] x) => (float[3,3] d) { " + nodes +
                                     " d = ai.onnx.preview.training.Gradient <" + attributes + "> (" + inputs + ") }");
    return hone::testing::error_message([&] { Session session(model); }, kind);
  };
  const std::string sum = "y = ReduceSum <keepdims = 0> (x)";
  CHECK(message("xs = [\"x\"], y = \"z\"", "x", sum, ErrorKind::bad_input) ==
        "node 'd' (Gradient): it names 'z', and no value of the graph is called that");
  CHECK(message("xs = [\"x\"], zs = [\"w\"], y = \"y\"", "x", sum, ErrorKind::bad_input) ==
        "node 'd' (Gradient): 1 inputs for the 2 values that xs and zs name");
  CHECK(message("xs = [\"x\", \"x\"], y = \"y\"", "x, x", sum, ErrorKind::bad_input) ==
        "node 'd' (Gradient): xs and zs name 'x' twice");
  CHECK_THAT(message("xs = [\"x\"], y = \"y\"", "x", "y = Relu(x)", ErrorKind::bad_input),
             Catch::Matchers::Contains("not one element"));
  CHECK_THAT(message("xs = [\"x\"], y = \"y\"", "x", "h = HardSwish(x) k = Det(h) y = ReduceSum <keepdims = 0> (k)",
                     ErrorKind::unsupported),
             Catch::Matchers::Contains("(Det): the operator has no gradient"));
  CHECK(message("xs = [\"x\"], y = \"y\"", "x", "k = Mul(x, d) y = ReduceSum <keepdims = 0> (k)",
                ErrorKind::bad_input) == "node 'd' (Gradient): what it differentiates depends on its own outputs");
}

}  // namespace hone::exec
