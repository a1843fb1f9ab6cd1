// Gradients against central differences.
#pragma once

#include <string>

namespace hone::testing {

struct GradientCheck {
  int opset = 18;
  double low = -2, high = 2;  // inputs are drawn from here
  double step = 1e-5;         // error of a central difference: about step^2
  double tolerance = 1e-7;    // of 1 + the largest gradient
  bool reference = true;
};

// `graph` is ONNX text without its header. Its inputs of type double are differentiated; the loss is a sum of its outputs
// (those of type double) with random factors. Fails the test where a derivative is not what the difference says.
void check_gradients(const std::string& graph, const GradientCheck& options = {});

}  // namespace hone::testing
