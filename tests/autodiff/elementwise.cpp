#include <catch2/catch.hpp>

#include "check.h"

using hone::testing::check_gradients;
using hone::testing::GradientCheck;

namespace {

void unary(const std::string& call, const GradientCheck& options = {}) {
  check_gradients("g (double[3,4] x) => (double[3,4] y) { y = " + call + " }", options);
}

}  // namespace

TEST_CASE("gradients of arithmetic") {
  for (const char* op : {"Add", "Sub", "Mul"}) {
    const std::string call = std::string(op) + "(a, b)";
    check_gradients("g (double[2,3] a, double[2,3] b) => (double[2,3] y) { y = " + call + " }");
  }
  check_gradients("g (double[2,3] a, double[2,3] b) => (double[2,3] y) { y = Div(a, b) }", {.low = 0.5});
  check_gradients("g (double[2,3] a, double[2,3] b) => (double[2,3] y) { y = Pow(a, b) }", {.low = 0.3});
  check_gradients("g (double[2,3] a) => (double[2,3] y) <double c = {2}> { y = Pow(a, c) }");
  check_gradients("g (double[2,3] a) => (double[2,3] y) <double c = {3}> { y = Pow(a, c) }");
  check_gradients("g (double[2,3] a) => (double[2,3] y) <int64 c = {3}> { y = Pow(a, c) }");
  check_gradients("g (double[2,3] a) => (double[2,3] y) <double c = {0.5}> { y = Pow(a, c) }", {.low = 0.3});
  check_gradients("g (double[4] a) => (double[4] y) { y = Neg(a) }");
}

TEST_CASE("gradients add up over what was broadcast") {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min"}) {
    const std::string name = op;
    const auto with = [&](const std::string& a, const std::string& b, const std::string& y) {
      check_gradients("g (double" + a + " a, double" + b + " b) => (double" + y + " y) { y = " + name + "(a, b) }",
                      {.low = 0.5});
    };
    with("[2,3]", "[3]", "[2,3]");
    with("[3]", "[2,3]", "[2,3]");
    with("[2,3]", "[1]", "[2,3]");
    with("[2,1,3]", "[4,1]", "[2,4,3]");
    with("[2,3,2,2]", "[1,3,1,1]", "[2,3,2,2]");
    with("[batch,4]", "[4]", "[batch,4]");
    with("[batch,4]", "[batch,1]", "[batch,4]");
    with("[batch,4]", "[batch,4]", "[batch,4]");
    with("", "[2,2]", "[2,2]");
  }
}

TEST_CASE("a value that is used several times gets the sum of its gradients") {
  check_gradients("g (double[3] x) => (double[3] y) { y = Mul(x, x) }");
  check_gradients("g (double[3] x) => (double[3] y) { a = Mul(x, x) b = Add(a, x) y = Mul(b, a) }");
  check_gradients("g (double[3] x, double[3] z) => (double[3] y, double[3] w) { y = Mul(x, z) w = Add(y, x) }");
}

TEST_CASE("gradients of sums of several values") {
  check_gradients("g (double[2,3] a, double[3] b, double[1] c) => (double[2,3] y) { y = Sum(a, b, c) }");
  check_gradients("g (double[2,3] a, double[3] b, double[2,1] c) => (double[2,3] y) { y = Mean(a, b, c) }");
  check_gradients("g (double[2,3] a, double[3] b, double[2,1] c) => (double[2,3] y) { y = Max(a, b, c) }");
  check_gradients("g (double[2,3] a, double[3] b, double[2,1] c) => (double[2,3] y) { y = Min(a, b, c) }");
}

TEST_CASE("gradients of functions of one number") {
  for (const char* op :
       {"Exp",  "Abs",  "Relu",  "Sigmoid",   "Tanh", "Softplus", "Softsign", "Erf",       "Sin",  "Cos",     "Atan",
        "Sinh", "Cosh", "Asinh", "HardSwish", "Elu",  "Selu",     "Celu",     "LeakyRelu", "Mish", "Identity"}) {
    unary(std::string(op) + "(x)");
  }
  for (const char* op : {"Log", "Sqrt", "Reciprocal"}) unary(std::string(op) + "(x)", {.low = 0.3});
  for (const char* op : {"Asin", "Acos", "Atanh", "Tan"}) unary(std::string(op) + "(x)", {.low = -0.9, .high = 0.9});
  unary("Acosh(x)", {.low = 1.2, .high = 3});
  unary("Elu <alpha = 0.7> (x)");
  unary("Celu <alpha = 1.5> (x)");
  unary("LeakyRelu <alpha = 0.3> (x)");
  unary("Selu <alpha = 1.2, gamma = 0.8> (x)");
  unary("ThresholdedRelu <alpha = 0.5> (x)");
  unary("HardSigmoid <alpha = 0.4, beta = 0.3> (x)");
  unary("Gelu (x)", {.opset = 20});
  unary("Gelu <approximate = \"tanh\"> (x)", {.opset = 20});
}

TEST_CASE("gradients of Clip") {
  check_gradients(
      "g (double[10] x) => (double[10] y) <double low = {-0.5}, double high = {1}> { y = Clip(x, low, high) }");
  check_gradients("g (double[10] x) => (double[10] y) <double high = {1}> { y = Clip(x, , high) }");
  check_gradients("g (double[10] x) => (double[10] y) { y = Clip <min = -0.5, max = 1.0> (x) }", {.opset = 8});
}

TEST_CASE("gradients of choices") {
  check_gradients(
      "g (double[2,3] a, double[3] b) => (double[2,3] y) <bool[2,3] c = {1,0,1,0,0,1}> { y = Where(c, a, b) }");
  check_gradients("g (double[3,4] x, double[4] s) => (double[3,4] y) { y = PRelu(x, s) }");
  check_gradients("g (double[2,3,2,2] x, double[3,1,1] s) => (double[2,3,2,2] y) { y = PRelu(x, s) }");
  check_gradients("g (double[3,1] x) => (double[2,3,4] y) <int64[3] d = {2,3,4}> { y = Expand(x, d) }");
}

TEST_CASE("steps have gradient zero") {
  for (const char* op : {"Floor", "Ceil", "Round", "Sign"}) {
    check_gradients("g (double[5] x) => (double[5] z) { y = " + std::string(op) + "(x) z = Add(y, x) }");
  }
}

TEST_CASE("what passes through integers and booleans carries no gradient") {
  check_gradients("g (double[4] x) => (double[4] z) { i = Cast <to = 7> (x) y = Cast <to = 11> (i) z = Mul(y, x) }",
                  {.low = 0.6, .high = 0.9});
  check_gradients("g (double[4] x) => (double[4] z) <double[1] c = {0}> { b = Greater(x, c) z = Where(b, x, c) }");
}

TEST_CASE("gradients of softmax") {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    const std::string name = op;
    for (const char* axis : {"-1", "0", "1"}) {
      check_gradients("g (double[2,3,2] x) => (double[2,3,2] y) { y = " + name + " <axis = " + axis + "> (x) }");
    }
    check_gradients("g (double[2,3,2] x) => (double[2,3,2] y) { y = " + name + " (x) }");
    check_gradients("g (double[2,3,2] x) => (double[2,3,2] y) { y = " + name + " (x) }", {.opset = 11});
    check_gradients("g (double[2,3,2] x) => (double[2,3,2] y) { y = " + name + " <axis = 2> (x) }", {.opset = 11});
  }
}
