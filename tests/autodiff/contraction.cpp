#include <catch2/catch.hpp>

#include "check.h"

using hone::testing::check_gradients;

TEST_CASE("gradients of Gemm") {
  for (const int a : {0, 1}) {
    for (const int b : {0, 1}) {
      check_gradients(std::string("g (double") + (a ? "[4,2]" : "[2,4]") + " a, double" + (b ? "[3,4]" : "[4,3]") +
                      " b, double[3] c) => (double[2,3] y) { y = Gemm <transA = " + std::to_string(a) +
                      ", transB = " + std::to_string(b) + ", alpha = 0.5, beta = 2.0> (a, b, c) }");
    }
  }
  check_gradients("g (double[2,4] a, double[4,3] b) => (double[2,3] y) { y = Gemm (a, b) }");
  check_gradients("g (double[2,4] a, double[4,3] b, double[2,1] c) => (double[2,3] y) { y = Gemm (a, b, c) }");
  check_gradients("g (double[2,4] a, double[4,3] b, double c) => (double[2,3] y) { y = Gemm (a, b, c) }");
  check_gradients("g (double[n,4] a, double[4,3] b, double[3] c) => (double[n,3] y) { y = Gemm (a, b, c) }");
}

TEST_CASE("gradients of MatMul") {
  const auto with = [](const std::string& a, const std::string& b, const std::string& y) {
    check_gradients("g (double" + a + " a, double" + b + " b) => (double" + y + " y) { y = MatMul (a, b) }");
  };
  with("[2,4]", "[4,3]", "[2,3]");
  with("[n,4]", "[4,3]", "[n,3]");
  with("[2,5,4]", "[4,3]", "[2,5,3]");
  with("[n,5,4]", "[4,3]", "[n,5,3]");
  with("[2,5,4]", "[2,4,3]", "[2,5,3]");
  with("[2,1,5,4]", "[3,4,2]", "[2,3,5,2]");
  with("[5,4]", "[2,4,3]", "[2,5,3]");
  with("[4]", "[4]", "");
  with("[4]", "[4,3]", "[3]");
  with("[4]", "[2,4,3]", "[2,3]");
  with("[2,4]", "[4]", "[2]");
  with("[2,3,4]", "[4]", "[2,3]");
}

TEST_CASE("gradients of Conv") {
  const auto with = [](const std::string& x, const std::string& w, const std::string& y,
                       const std::string& attributes) {
    const std::string channels = w.substr(1, w.find(',') - 1);
    check_gradients("g (double" + x + " x, double" + w + " w, double[" + channels + "] b) => (double" + y +
                    " y) { y = Conv <" + attributes + "> (x, w, b) }");
  };
  with("[2,2,5,5]", "[3,2,3,3]", "[2,3,3,3]", "kernel_shape = [3,3]");
  with("[2,2,5,5]", "[3,2,3,3]", "[2,3,5,5]", "pads = [1,1,1,1]");
  with("[1,2,5,4]", "[3,2,3,2]", "[1,3,?,?]", "pads = [1,0,2,1], strides = [2,1]");
  with("[1,2,6,6]", "[2,2,3,3]", "[1,2,?,?]", "dilations = [2,1], strides = [1,2]");
  with("[2,4,4,4]", "[6,2,3,3]", "[2,6,?,?]", "group = 2, pads = [1,1,1,1]");
  with("[2,3,4,4]", "[3,1,3,3]", "[2,3,?,?]", "group = 3");
  with("[2,3,4,4]", "[5,3,1,1]", "[2,5,4,4]", "kernel_shape = [1,1]");
  with("[1,2,5,5]", "[2,2,3,3]", "[1,2,?,?]", "auto_pad = \"SAME_UPPER\", strides = [2,2]");
  with("[1,2,5,5]", "[2,2,2,2]", "[1,2,?,?]", "auto_pad = \"SAME_LOWER\"");
  with("[2,3,7]", "[4,3,3]", "[2,4,?]", "strides = [2], pads = [1,1]");
  with("[1,2,3,4,3]", "[2,2,2,2,2]", "[1,2,?,?,?]", "pads = [0,1,0,1,0,0]");
  with("[n,2,5,5]", "[3,2,3,3]", "[n,3,3,3]", "kernel_shape = [3,3]");
  check_gradients("g (double[2,2,4,4] x, double[3,2,3,3] w) => (double[2,3,2,2] y) { y = Conv (x, w) }");
}

TEST_CASE("gradients of ConvTranspose") {
  const auto with = [](const std::string& x, const std::string& w, const std::string& b,
                       const std::string& attributes) {
    check_gradients("g (double" + x + " x, double" + w + " w, double" + b +
                    " b) => (double[?,?,?,?] y) { y = ConvTranspose <" + attributes + "> (x, w, b) }");
  };
  with("[2,2,3,3]", "[2,3,3,3]", "[3]", "kernel_shape = [3,3]");
  with("[1,2,3,4]", "[2,3,2,2]", "[3]", "strides = [2,2]");
  with("[1,2,3,4]", "[2,3,3,3]", "[3]", "strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]");
  with("[1,4,3,3]", "[4,2,3,3]", "[4]", "group = 2, dilations = [2,1]");
}
