// BatchNormalization and Dropout, whose modes were said in other ways; GroupNormalization, whose scale counts groups until
// opset 20 and channels since 21, where the older form is withdrawn; LayerNormalization without the operator.
//
// Not handled: statistics of a training mode in another version's form; BatchNormalization with spatial=0.
#include <numeric>

#include "passes/opset/rules.h"
#include "passes/weights.h"

namespace hone::passes::opset {
namespace {

using ir::ElementType;
using ir::Type;

bool used(const ir::Node& node, std::size_t output) { return node.output(output) && node.output(output)->has_uses(); }

// ---- BatchNormalization: 7 without is_test (outputs say it), 9 without spatial, 14 training_mode

Reason batch_test_up(Step& step) {
  if (step.node.int_or("is_test", 0) == 0 && step.node.output_count() < 2) return "it trains (is_test=0)";
  step.node.remove_attribute("is_test");
  return {};
}
Reason batch_test_down(Step& step) {
  step.node.set_attribute("is_test", std::int64_t{step.node.output_count() < 2 ? 1 : 0});
  return {};
}

Reason batch_training_up(Step& step) {
  if (step.node.output_count() < 2) return {};
  if (used(step.node, 3) || used(step.node, 4)) return "its saved mean or variance is used";
  step.node.drop_output(4);
  step.node.drop_output(3);
  step.node.set_attribute("training_mode", std::int64_t{1});
  return {};
}
Reason batch_training_down(Step& step) {
  if (step.node.int_or("training_mode", 0) != 0) return "it trains (training_mode=1)";
  for (std::size_t i = step.node.output_count(); i-- > 1;) {
    if (used(step.node, i)) return "its statistics are used";
    step.node.drop_output(i);
  }
  step.node.remove_attribute("training_mode");
  return {};
}

// ---- Dropout: 7 without is_test, 10 with a mask of booleans, 12 with ratio and training_mode as inputs

Reason dropout_test_up(Step& step) {  // as every runtime: no version but 12 and later trains
  step.node.remove_attribute("is_test");
  return {};
}
Reason dropout_test_down(Step& step) {
  step.node.set_attribute("is_test", std::int64_t{1});
  return {};
}

// Whoever uses the mask gets it in the type it had.
Reason dropout_mask_as(Step& step, ElementType type) {
  ir::Value* mask = step.node.output(1);
  if (!mask) return {};
  if (!mask->has_uses()) {
    step.node.drop_output(1);
    return {};
  }
  const ElementType outer = step.element(mask);
  if (outer == ElementType::undefined || type == ElementType::undefined) return "the type of its mask is not known";
  step.after(*mask, "Cast", attributes("to", static_cast<std::int64_t>(outer)), Type::tensor(type, mask->shape()));
  return {};
}
Reason dropout_mask_up(Step& step) { return dropout_mask_as(step, ElementType::boolean); }
Reason dropout_mask_down(Step& step) { return dropout_mask_as(step, step.element(step.node.input(0))); }

Reason dropout_ratio_up(Step& step) {
  const float ratio = step.node.float_or("ratio", 0.5F);
  step.node.remove_attribute("ratio");
  step.node.set_input(1, step.constant(ir::Tensor::scalar(ratio), "ratio"));
  return {};
}
Reason dropout_ratio_down(Step& step) {
  if (step.node.input(2)) {
    const auto trains = ir::constant_scalar(step.node.input(2));
    if (!trains) return "its training_mode is not constant";
    if (*trains != 0) return "it trains (training_mode is true)";
  }
  const auto ratio = ir::constant_scalar(step.node.input(1));
  while (step.node.input_count() > 1) step.node.remove_input(step.node.input_count() - 1);
  step.node.remove_attribute("seed");
  if (ratio) step.node.set_attribute("ratio", static_cast<float>(*ratio));
  return {};
}

// ---- GroupNormalization

std::optional<std::int64_t> channels(const ir::Value* x) {
  if (!x || !x->shape() || x->shape()->size() < 2) return std::nullopt;
  return (*x->shape())[1].number();
}

// Each of the groups' numbers, for each channel of the group.
ir::Value* spread(Step& step, ir::Value* groups, std::int64_t count, std::optional<std::int64_t> channels,
                  std::string_view suffix) {
  const ir::Tensor* tensor = ir::constant(groups);
  if (tensor && channels && is_scalable(tensor->type()) && tensor->rank() == 1 && tensor->element_count() == count) {
    std::vector<double> numbers;
    for (const double number : tensor->to_doubles()) {
      numbers.insert(numbers.end(), static_cast<std::size_t>(*channels / count), number);
    }
    return step.constant(from_doubles(tensor->type(), {*channels}, numbers), suffix);
  }
  ir::Value* column = step.add("Reshape", {groups, step.constant(Ints{-1, 1}, "column")}, {}, "columns");
  ir::Value* target = nullptr;
  if (channels) {
    target = step.constant(Ints{1, *channels / count}, "times");
  } else {
    ir::Value* shape = step.add("Shape", {step.node.input(0)},
                                attributes("start", std::int64_t{1}, "end", std::int64_t{2}), "channels");
    ir::Value* per_group = step.add("Div", {shape, step.constant(Ints{count}, "groups")}, {}, "per_group");
    ir::Value* one = step.constant(Ints{1}, "one");
    target = step.add("Concat", {one, per_group}, attributes("axis", std::int64_t{0}), "times");
  }
  ir::Value* rows = step.add("Expand", {column, target}, {}, "rows");
  return step.add("Reshape", {rows, step.constant(Ints{-1}, "flat")}, {}, suffix);
}

Reason group_up(Step& step) {
  const std::int64_t groups = step.node.int_or("num_groups", 0);
  const auto count = channels(step.node.input(0));
  if (groups < 1 || (count && *count % groups != 0)) return "its num_groups does not divide its channels";
  if (count && *count == groups) return {};
  ir::Value* scale = spread(step, step.node.input(1), groups, count, "scale");
  ir::Value* bias = spread(step, step.node.input(2), groups, count, "bias");
  step.node.set_input(1, scale);
  step.node.set_input(2, bias);
  return {};
}

// ---- LayerNormalization: x - mean, its mean square, and what is scaled by both

Reason layer_down(Step& step) {
  ir::Value* x = step.node.input(0);
  const auto rank = step.rank(x);
  const ElementType type = step.element(x);
  const bool plain = rank && type == ElementType::float32 && step.node.int_or("stash_type", 1) == 1 &&
                     !step.node.output(1) && !step.node.output(2);
  if (!plain) {
    const auto body = onnx::function_body(step.node, step.model(), step.version);
    if (!body) return "the type of its input is not known";
    step.replace_by(*body, body_version(*body));
    return {};
  }
  std::int64_t axis = step.node.int_or("axis", -1);
  if (axis >= 0) axis -= *rank;
  if (axis >= 0 || axis < -*rank) return "its axis is not valid";
  Ints axes(static_cast<std::size_t>(-axis));
  std::iota(axes.begin(), axes.end(), axis);
  const float epsilon = step.node.float_or("epsilon", 1e-5F);
  ir::Value *scale = step.node.input(1), *bias = step.node.input(2);
  ir::Value* mean = step.add("ReduceMean", {x}, attributes("axes", axes), "mean");
  ir::Value* centered = step.add("Sub", {x, mean}, {}, "centered");
  ir::Value* square = step.add("Mul", {centered, centered}, {}, "square");
  ir::Value* variance = step.add("ReduceMean", {square}, attributes("axes", axes), "variance");
  ir::Value* raised = step.add("Add", {variance, step.constant(ir::Tensor::scalar(epsilon), "epsilon")}, {}, "raised");
  ir::Value* deviation = step.add("Sqrt", {raised}, {}, "deviation");
  ir::Value* normalized = step.add("Div", {centered, deviation}, {}, "normalized");
  if (!bias) {
    step.become("Mul", {normalized, scale});
  } else {
    step.become("Add", {step.add("Mul", {normalized, scale}, {}, "scaled"), bias});
  }
  return {};
}

}  // namespace

std::vector<Entry> normalization_rules() {
  return {
      {"BatchNormalization", 7, batch_test_up, batch_test_down},
      {"BatchNormalization", 14, batch_training_up, batch_training_down},
      {"Dropout", 7, dropout_test_up, dropout_test_down},
      {"Dropout", 10, dropout_mask_up, dropout_mask_down},
      {"Dropout", 12, dropout_ratio_up, dropout_ratio_down},
      {"GroupNormalization", 21, group_up, nullptr},
      {"LayerNormalization", 17, nullptr, layer_down},
  };
}

}  // namespace hone::passes::opset
