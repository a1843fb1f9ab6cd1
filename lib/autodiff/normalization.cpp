// Normalizations. Each gradient is one kernel that makes the statistics again from the input.
//
// Left to their definitions by other operators: GroupNormalization, MeanVarianceNormalization, RMSNormalization.
#include "autodiff/backward.h"

namespace hone::autodiff {
namespace {

void give_three(Backward& back, const char* op_type, std::vector<ir::Value*> inputs, Attributes attributes) {
  const auto parts =
      back.own(op_type, std::move(inputs), std::move(attributes), {back.wants(0), back.wants(1), back.wants(2)});
  for (std::size_t i = 0; i < 3; ++i) {
    back.give_reduced(i, [&] { return parts[i]; });
  }
}

void batch_normalization(Backward& back) {
  const ir::Node& node = back.node();
  if (node.int_or("spatial", 1) == 0) back.refuse("statistics for each element (spatial = 0)");
  const bool training = back.opset() >= 14 ? node.int_or("training_mode", 0) != 0 : node.output_count() > 1;
  std::vector<ir::Value*> inputs{back.gradient(), back.input(0), back.input(1)};
  if (!training) {
    back.refuse(3, "the fixed mean");
    back.refuse(4, "the fixed variance");
    inputs.push_back(back.input(3));
    inputs.push_back(back.input(4));
  }
  give_three(back, "BatchNormalizationGradient", std::move(inputs),
             attributes("epsilon", node.float_or("epsilon", 1e-5F)));
}

// Of ai.hone: (x, scale, bias, mean, variance) to (y, new mean, new variance, batch mean, 1 / batch deviation).
void batch_normalization_training(Backward& back) {
  const ir::Type statistics = ir::Type::tensor(back.input(0)->element_type(), back.input(1)->shape());
  ir::Value* mean = back.need_output(3, statistics);
  ir::Value* inverse_deviation = back.need_output(4, statistics);
  give_three(back, "BatchNormalizationGradient",
             {back.gradient(), back.input(0), back.input(1), nullptr, nullptr, mean, inverse_deviation},
             attributes("epsilon", back.node().float_or("epsilon", 1e-5F)));
}

void layer_normalization(Backward& back) {
  give_three(back, "LayerNormalizationGradient", {back.gradient(), back.input(0), back.input(1)},
             attributes("axis", back.node().int_or("axis", -1), "epsilon", back.node().float_or("epsilon", 1e-5F)));
}

void instance_normalization(Backward& back) {
  give_three(back, "InstanceNormalizationGradient", {back.gradient(), back.input(0), back.input(1)},
             attributes("epsilon", back.node().float_or("epsilon", 1e-5F)));
}

}  // namespace

std::span<const Operator> normalization_rules() {
  static constexpr Operator rules[] = {
      {"BatchNormalization", batch_normalization},
      {"BatchNormalizationTraining", batch_normalization_training, own_domain},
      {"LayerNormalization", layer_normalization},
      {"InstanceNormalization", instance_normalization},
      {"LpNormalization", from_input},
      {"LRN", from_input},
  };
  return rules;
}

}  // namespace hone::autodiff
