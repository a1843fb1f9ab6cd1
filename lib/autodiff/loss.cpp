// Losses of ai.hone: (predictions, targets, class weights) to one number. See lib/exec/reference/training_loss.cpp.
#include "autodiff/backward.h"

namespace hone::autodiff {
namespace {

void loss(Backward& back) {
  back.refuse(2, "class weights");
  back.refuse(1, "targets");
  back.give(0, [&] {
    std::vector<ir::Value*> inputs{back.gradient(), back.input(0), back.input(1)};
    if (back.input(2)) inputs.push_back(back.input(2));
    return back.own(back.node().op_type() + "Gradient", std::move(inputs), back.same_attributes());
  });
}

}  // namespace

std::span<const Operator> loss_rules() {
  static constexpr Operator rules[] = {
      {"SoftmaxCrossEntropy", loss, own_domain},
      {"BinaryCrossEntropy", loss, own_domain},
      {"RegressionLoss", loss, own_domain},
  };
  return rules;
}

}  // namespace hone::autodiff
