// Functions of one number, and softmax.
//
// The derivative is one operator of ai.hone, OPERATORGradient(dy, saved), where `saved` is the input or the output of the
// forward node: the output where the derivative is a function of it, since then the input need not be kept.
#include "autodiff/backward.h"

namespace hone::autodiff {
namespace {

void from_output(Backward& back) {
  back.give(0, [&] {
    return back.own(back.node().op_type() + "Gradient", {back.gradient(), back.output()}, back.same_attributes());
  });
}

// One axis since opset 13; before, the tensor as a matrix, cut at the axis.
void softmax(Backward& back) {
  const bool matrix = back.opset() < 13;
  back.give(0, [&] {
    return back.own(back.node().op_type() + "Gradient", {back.gradient(), back.output()},
                    attributes("axis", back.node().int_or("axis", matrix ? 1 : -1), "matrix", std::int64_t{matrix}));
  });
}

void prelu(Backward& back) {
  const auto parts =
      back.own("PReluGradient", {back.gradient(), back.input(0), back.input(1)}, {}, {back.wants(0), back.wants(1)});
  back.give(0, [&] { return parts[0]; });
  back.give_reduced(1, [&] { return parts[1]; });
}

}  // namespace

std::span<const Operator> activation_rules() {
  static constexpr Operator rules[] = {
      {"Relu", from_output},     {"LeakyRelu", from_input}, {"Elu", from_input},
      {"Selu", from_input},      {"Celu", from_input},      {"ThresholdedRelu", from_input},
      {"Sigmoid", from_output},  {"Tanh", from_output},     {"HardSigmoid", from_input},
      {"HardSwish", from_input}, {"Softplus", from_input},  {"Softsign", from_input},
      {"Gelu", from_input},      {"Mish", from_input},      {"Swish", from_input},
      {"Erf", from_input},       {"Sqrt", from_output},     {"Reciprocal", from_output},
      {"Sin", from_input},       {"Cos", from_input},       {"Tan", from_output},
      {"Asin", from_input},      {"Acos", from_input},      {"Atan", from_input},
      {"Sinh", from_input},      {"Cosh", from_input},      {"Asinh", from_input},
      {"Acosh", from_input},     {"Atanh", from_input},     {"Softmax", softmax},
      {"LogSoftmax", softmax},   {"PRelu", prelu},
  };
  return rules;
}

}  // namespace hone::autodiff
