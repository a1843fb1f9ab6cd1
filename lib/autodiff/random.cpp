// Dropout.
#include "autodiff/backward.h"

namespace hone::autodiff {
namespace {

// The mask that the forward pass drew is kept. Before opset 12, and without training_mode, it passes everything.
void dropout(Backward& back) {
  if (back.opset() < 12 || !back.input(2)) {
    back.give(0, [&] { return back.gradient(); });
    return;
  }
  ir::Value* mask = back.need_output(1, ir::Type::tensor(ir::ElementType::boolean, back.output()->shape()));
  back.give(0, [&] { return back.own("DropoutGradient", {back.gradient(), mask, back.input(1), back.input(2)}); });
}

// Of ai.hone: (x, step) to y. The mask is a function of the seed and the step, so that it is not kept but drawn again.
void random_dropout(Backward& back) {
  back.give(0, [&] { return back.own("RandomDropout", {back.gradient(), back.input(1)}, back.same_attributes()); });
}

}  // namespace

std::span<const Operator> random_rules() {
  static constexpr Operator rules[] = {
      {"Dropout", dropout},
      {"RandomDropout", random_dropout, own_domain},
  };
  return rules;
}

}  // namespace hone::autodiff
