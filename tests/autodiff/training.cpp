// Operators that only training has, and the count of all: each operator with a gradient is held against differences.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "check.h"
#include "hone/autodiff/gradient.h"
#include "sources.h"

using hone::testing::check_gradients;

TEST_CASE("gradients of classification losses") {
  const auto with = [](const std::string& shape, const std::string& targets, const std::string& attributes = "",
                       const std::string& more = "") {
    check_gradients("g (double" + shape + " x) => (double y) <" + targets + "> { y = ai.hone.SoftmaxCrossEntropy " +
                    attributes + "(x, t" + more + ") }");
  };
  const std::string numbers = "int64[3] t = {0,3,1}", weights = numbers + ", double[4] w = {1,2,0.5,3}";
  with("[3,4]", numbers);
  with("[3,4]", "int64[3] t = {0,-100,1}");  // a place that doesn't count
  with("[3,4]", numbers, "<label_smoothing = 0.2>");
  with("[3,4]", weights, "", ", w");
  with("[3,4]", weights, "<label_smoothing = 0.2>", ", w");
  with("[2,3]", "double[2,3] t = {0.2,0.3,0.5,1,0,0}");
  with("[2,3,2]", "int64[2,2] t = {0,2,1,1}");
  with("[2,2,3]", "int64[2,2] t = {0,2,1,1}", "<axis = 2>");

  const std::string binary = "double[3,1] t = {0,1,0.25}";
  const auto two = [&](const std::string& attributes, const std::string& initializers, const std::string& more) {
    check_gradients("g (double[3,1] x) => (double y) <" + initializers + "> { y = ai.hone.BinaryCrossEntropy " +
                    attributes + "(x, t" + more + ") }");
  };
  two("", binary, "");
  two("<label_smoothing = 0.1>", binary, "");
  two("", binary + ", double[2] w = {1,3}", ", w");
}

TEST_CASE("gradients of regression losses") {
  for (const char* kind : {"mse", "l1", "huber"}) {
    check_gradients(
        "g (double[3,2] x) => (double y) <double[3,2] t = {0.1,-1.2,3,0.4,-0.5,0.6}> { y = ai.hone.RegressionLoss "
        "<kind = \"" +
        std::string(kind) + "\", delta = 0.7> (x, t) }");
  }
}

TEST_CASE("gradients of batch normalization over the batch") {
  check_gradients(
      "g (double[4,3] x, double[3] s, double[3] b) => (double[4,3] y) <double[3] m = {0,1,2}, double[3] v = {1,2,3}> "
      "{ y, nm, nv = ai.hone.BatchNormalizationTraining <epsilon = 0.01> (x, s, b, m, v) }");
  check_gradients(
      "g (double[2,3,2,2] x, double[3] s, double[3] b) => (double[2,3,2,2] y) <double[3] m = {0,1,2}, double[3] v = "
      "{1,2,3}> "
      "{ y, nm, nv = ai.hone.BatchNormalizationTraining (x, s, b, m, v) }");
}

TEST_CASE("gradients through the same mask") {
  check_gradients(
      "g (double[4,5] x) => (double[4,5] y) <int64 step = {3}> { y = ai.hone.RandomDropout <ratio = 0.4, seed = 7, "
      "stream = 1> (x, step) }");
}

TEST_CASE("gradients of CumSum, Swish and CastLike") {
  for (const char* attributes : {"", "<exclusive = 1>", "<reverse = 1>", "<exclusive = 1, reverse = 1>"}) {
    check_gradients("g (double[3,4] x) => (double[3,4] y) <int64 a = {1}> { y = CumSum " + std::string(attributes) +
                    " (x, a) }");
  }
  check_gradients("g (double[3,4] x) => (double[3,4] y) { y = Swish (x) }", {.opset = 24});
  check_gradients("g (double[3,4] x) => (double[3,4] y) { y = Swish <alpha = 1.7> (x) }", {.opset = 24});
  check_gradients("g (double[3,4] x, double[1] z) => (double[3,4] y) { y = CastLike (x, z) }");
}

TEST_CASE("no operator with a gradient is without a test") {
  std::string tests;
  for (const auto& entry : std::filesystem::directory_iterator(hone::testing::source_path("tests/autodiff"))) {
    std::ifstream file(entry.path());
    tests.append(std::istreambuf_iterator<char>(file), {});
  }
  for (const std::string& op : hone::autodiff::differentiable_operators()) {
    INFO(op);
    CHECK(std::regex_search(tests, std::regex("[^A-Za-z]" + op + "[^A-Za-z]")));
  }
}
