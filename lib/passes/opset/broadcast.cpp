// Broadcasting: by attributes until opset 6, as numpy since 7 (Max, Min, Mean, Sum: 8).
//
// Not handled on the way down: broadcasting that the older operator has no attribute for; shapes have to be the same.
#include "passes/opset/rules.h"

namespace hone::passes::opset {
namespace {

// With `axis`, the first dimension of the second operand lies there; dimensions of 1 after it make that numpy's rule.
Reason binary_up(Step& step) {
  const bool broadcasts = step.node.int_or("broadcast", 0) != 0;
  if (broadcasts && step.node.has_attribute("axis")) {
    const auto a = step.rank(step.node.input(0)), b = step.rank(step.node.input(1));
    if (!a || !b) return "it broadcasts along an axis, and the ranks of its inputs are not known";
    std::int64_t axis = step.node.int_or("axis", 0);
    if (axis < 0) axis += *a;
    Ints trailing;
    for (std::int64_t i = axis + *b; i < *a; ++i) trailing.push_back(i - axis);
    if (axis + *b > *a) return "its second input is longer than the axis leaves room for";
    if (!trailing.empty())
      step.node.set_input(1, step.add("Unsqueeze", {step.node.input(1)}, attributes("axes", trailing), "operand"));
  }
  step.node.remove_attribute("broadcast");
  step.node.remove_attribute("axis");
  return {};
}

bool same_shapes(const ir::Node& node) {
  for (std::size_t i = 1; i < node.input_count(); ++i) {
    const ir::Value *a = node.input(0), *b = node.input(i);
    if (!a || !b || !a->shape() || !b->shape() || !provably_same_shape(*a->shape(), *b->shape())) return false;
  }
  return true;
}

Reason same_shapes_down(Step& step) { return same_shapes(step.node) ? Reason() : "it broadcasts"; }

Reason gemm_up(Step& step) {
  step.node.remove_attribute("broadcast");
  return {};
}
Reason gemm_down(Step& step) {
  step.node.set_attribute("broadcast", std::int64_t{1});
  return {};
}

// 11: the summand may be left out.
Reason gemm_summand_down(Step& step) {
  if (step.node.input(2)) return {};
  ir::Value* zero = step.scalar(0, step.element(step.node.input(0)), "zero");
  if (!zero) return "the type of its input is not known, and it has no third one";
  step.node.set_input(2, zero);
  return {};
}

// A slope for each channel had one dimension.
Reason prelu_up(Step& step) {
  const auto x = step.rank(step.node.input(0)), slope = step.rank(step.node.input(1));
  if (!x || !slope) return "the ranks of its inputs are not known";
  if (*slope != 1 || *x <= 2 || (*step.node.input(1)->shape())[0].number() == 1) return {};
  Ints axes;
  for (std::int64_t i = 1; i < *x - 1; ++i) axes.push_back(i);
  step.node.set_input(1, step.add("Unsqueeze", {step.node.input(1)}, attributes("axes", axes), "slope"));
  return {};
}
Reason prelu_down(Step& step) {
  const ir::Value* slope = step.node.input(1);
  return slope && slope->shape() && element_count(*slope->shape()).number() == 1 ? Reason()
                                                                                 : "it has a slope for each channel";
}

Reason tile_up(Step& step) {
  const auto rank = step.rank(step.node.input(0));
  const auto count = ir::constant_scalar(step.node.input(1)), axis = ir::constant_scalar(step.node.input(2));
  if (!rank || !count || !axis || *axis < 0 || *axis >= static_cast<double>(*rank))
    return "its tiles and axis are not constant, or the rank of its input is not known";
  Ints repeats(static_cast<std::size_t>(*rank), 1);
  repeats[static_cast<std::size_t>(*axis)] = static_cast<std::int64_t>(*count);
  step.node.remove_input(2);
  step.node.set_input(1, step.constant(repeats, "repeats"));
  return {};
}

}  // namespace

std::vector<Entry> broadcast_rules() {
  std::vector<Entry> rules = {
      {"Gemm", 7, gemm_up, gemm_down},
      {"Gemm", 11, nullptr, gemm_summand_down},
      {"PRelu", 7, prelu_up, prelu_down},
      {"Tile", 6, tile_up, nullptr},
  };
  for (const char* op : {"Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor"}) {
    rules.push_back({op, 7, binary_up, same_shapes_down});
  }
  for (const char* op : {"Max", "Mean", "Min", "Sum"}) rules.push_back({op, 8, nullptr, same_shapes_down});
  return rules;
}

}  // namespace hone::passes::opset
