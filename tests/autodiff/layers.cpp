#include <catch2/catch.hpp>

#include "check.h"

using hone::testing::check_gradients;

TEST_CASE("gradients of pooling") {
  const auto with = [](const std::string& call, const std::string& x = "[2,2,6,5]") {
    check_gradients("g (double" + x + " x) => (double[?,?,?,?] y) { y = " + call + " (x) }");
  };
  with("MaxPool <kernel_shape = [2,2], strides = [2,2]>");
  with("MaxPool <kernel_shape = [3,3], strides = [1,2], pads = [1,1,1,1]>");
  with("MaxPool <kernel_shape = [2,3], strides = [2,2], ceil_mode = 1>");
  with("MaxPool <kernel_shape = [2,2], dilations = [2,2]>");
  with("MaxPool <kernel_shape = [3,3], auto_pad = \"SAME_UPPER\", strides = [2,2]>");
  with("AveragePool <kernel_shape = [2,2], strides = [2,2]>");
  with("AveragePool <kernel_shape = [3,3], pads = [1,1,1,1]>");
  with("AveragePool <kernel_shape = [3,3], pads = [1,0,1,2], strides = [2,2], count_include_pad = 1>");
  with("AveragePool <kernel_shape = [3,2], strides = [2,2], ceil_mode = 1>");
  with("GlobalAveragePool");
  with("GlobalMaxPool");
  with("GlobalAveragePool", "[n,2,3,4]");
  check_gradients("g (double[2,3,7] x) => (double[?,?,?] y) { y = MaxPool <kernel_shape = [3], strides = [2]> (x) }");
}

TEST_CASE("gradients of BatchNormalization") {
  check_gradients(
      "g (double[4,3,2,2] x, double[3] s, double[3] b) => (double[4,3,2,2] y) <double[3] m = {0.1,-0.2,0.3}, double[3] "
      "v = "
      "{0.5,1,2}> { y = BatchNormalization (x, s, b, m, v) }");
  check_gradients(
      "g (double[4,3,2,2] x, double[3] s, double[3] b) => (double[4,3,2,2] y) <double[3] m = {0.1,-0.2,0.3}, double[3] "
      "v = "
      "{0.5,1,2}> { y, rm, rv = BatchNormalization <training_mode = 1, epsilon = 0.001> (x, s, b, m, v) }");
  check_gradients(
      "g (double[6,3] x, double[3] s, double[3] b) => (double[6,3] y) <double[3] m = {0.1,-0.2,0.3}, double[3] v = "
      "{0.5,1,2}> { y = ai.hone.BatchNormalizationTraining <epsilon = 0.001> (x, s, b, m, v) }");
  check_gradients(
      "g (double[4,3,2,2] x, double[3] s, double[3] b) => (double[4,3,2,2] y) <double[3] m = {0.1,-0.2,0.3}, double[3] "
      "v = "
      "{0.5,1,2}> { y, nm, nv = ai.hone.BatchNormalizationTraining (x, s, b, m, v) }");
}

TEST_CASE("gradients of other normalizations") {
  check_gradients(
      "g (double[2,3,4] x, double[4] s, double[4] b) => (double[2,3,4] y) { y = LayerNormalization (x, s, b) }");
  check_gradients(
      "g (double[2,3,4] x, double[3,4] s, double[3,4] b) => (double[2,3,4] y) { y = LayerNormalization <axis = 1, "
      "epsilon = 0.01> (x, s, b) }");
  check_gradients("g (double[2,3,4] x, double[4] s) => (double[2,3,4] y) { y = LayerNormalization (x, s) }");
  check_gradients(
      "g (double[2,3,2,2] x, double[3] s, double[3] b) => (double[2,3,2,2] y) { y = InstanceNormalization (x, s, b) }");
  check_gradients("g (double[2,3,4] x) => (double[2,3,4] y) { y = LpNormalization <axis = 1> (x) }");
  check_gradients("g (double[2,3,4] x) => (double[2,3,4] y) { y = LpNormalization <axis = -1, p = 1> (x) }");
  check_gradients("g (double[2,6,2,2] x) => (double[2,6,2,2] y) { y = LRN <size = 3, alpha = 0.5> (x) }");
  check_gradients("g (double[2,6,2,2] x) => (double[2,6,2,2] y) { y = LRN <size = 4, alpha = 0.5, beta = 1.0> (x) }");
}

TEST_CASE("gradients of Dropout") {
  // Without training it passes everything; RandomDropout draws the same mask again.
  check_gradients("g (double[4,5] x) => (double[4,5] y) { y = Dropout (x) }");
  check_gradients(
      "g (double[4,5] x) => (double[4,5] y) <int64 step = {7}> { y = ai.hone.RandomDropout <ratio = 0.5, seed = 3> "
      "(x, step) }");
}

TEST_CASE("gradients of losses") {
  check_gradients(
      "g (double[4,3] x) => (double l) <int64[4] t = {0,2,1,2}> { l = ai.hone.SoftmaxCrossEntropy (x, t) }");
  check_gradients(
      "g (double[4,3] x) => (double l) <int64[4] t = {0,2,1,2}, double[3] w = {1,0.5,2}> { l = "
      "ai.hone.SoftmaxCrossEntropy <label_smoothing = 0.1> (x, t, w) }");
  check_gradients(
      "g (double[2,3,2] x) => (double l) <int64[2,2] t = {0,2,1,-100}> { l = ai.hone.SoftmaxCrossEntropy (x, t) }");
  check_gradients(
      "g (double[2,2,3] x) => (double l) <int64[2,2] t = {0,2,1,2}> { l = ai.hone.SoftmaxCrossEntropy <axis = 2> (x, "
      "t) }");
  check_gradients(
      "g (double[2,3] x) => (double l) <double[2,3] t = {0.2,0.3,0.5,1,0,0}> { l = ai.hone.SoftmaxCrossEntropy "
      "<label_smoothing = 0.2> (x, t) }");
  check_gradients(
      "g (double[4,1] x) => (double l) <double[4] t = {0,1,1,0.3}> { l = ai.hone.BinaryCrossEntropy (x, t) }");
  check_gradients(
      "g (double[4,1] x) => (double l) <double[4] t = {0,1,1,0}, double[2] w = {1,3}> { l = ai.hone.BinaryCrossEntropy "
      "<label_smoothing = 0.1> (x, t, w) }");
  for (const char* kind : {"mse", "l1", "huber"}) {
    check_gradients(
        "g (double[4,2] x) => (double l) <double[4,2] t = {0,1,1,0.3,-1,2,0.1,0.2}> { l = ai.hone.RegressionLoss <kind "
        "= \"" +
        std::string(kind) + "\", delta = 0.8> (x, t) }");
  }
}
