// Opset 11: axes and indices may count from the end. Before, axes become numbers from the start, and indices that may be
// negative get the size added where they are.
#include <algorithm>

#include "passes/opset/rules.h"

namespace hone::passes::opset {
namespace {

constexpr const char* unknown_rank = "an axis counts from the end, and the rank is not known";

// `extra`: dimensions that the output has and the input has not (OneHot, Unsqueeze).
Reason axis_from_start(Step& step, std::int64_t fallback, std::int64_t extra = 0) {
  const std::int64_t axis = step.node.int_or("axis", fallback);
  if (axis >= 0) return {};
  const auto rank = step.rank(step.node.input(0));
  if (!rank) return unknown_rank;
  step.node.set_attribute("axis", axis + *rank + extra);
  return {};
}

Reason axis_down(Step& step) { return axis_from_start(step, 0); }

Reason axes_from_start(Step& step, std::int64_t extra) {
  Ints axes = step.node.ints_or("axes", {});
  if (std::all_of(axes.begin(), axes.end(), [](std::int64_t axis) { return axis >= 0; })) return {};
  const auto rank = step.rank(step.node.input(0));
  if (!rank) return unknown_rank;
  for (std::int64_t& axis : axes) axis += axis < 0 ? *rank + extra : 0;
  step.node.set_attribute("axes", axes);
  return {};
}

Reason axes_down(Step& step) { return axes_from_start(step, 0); }
Reason unsqueeze_down(Step& step) {
  return axes_from_start(step, static_cast<std::int64_t>(step.node.ints_or("axes", {}).size()));
}

Reason slice_down(Step& step) {
  if (!step.node.input(3)) return {};
  auto axes = step.ints(step.node.input(3));
  if (!axes) return "its axes are not constant";
  if (std::all_of(axes->begin(), axes->end(), [](std::int64_t axis) { return axis >= 0; })) return {};
  const auto rank = step.rank(step.node.input(0));
  if (!rank) return unknown_rank;
  for (std::int64_t& axis : *axes) axis += axis < 0 ? *rank : 0;
  step.node.set_input(3, step.constant(*axes, "axes"));
  return {};
}

bool is_unsigned(ir::ElementType type) { return ir::is_integer(type) && !ir::is_signed_integer(type); }

Reason gather_down(Step& step) {
  if (Reason reason = axis_from_start(step, 0); !reason.empty()) return reason;
  ir::Value* data = step.node.input(0);
  ir::Value* indices = step.node.input(1);
  const ir::ElementType type = step.element(indices);
  if (is_unsigned(type)) return {};
  const auto known = step.ints(indices);
  if (known && std::all_of(known->begin(), known->end(), [](std::int64_t each) { return each >= 0; })) return {};
  if (type != ir::ElementType::int64 && type != ir::ElementType::int32) return "the type of its indices is not known";
  if (step.target() < 9) return "its indices may be negative, and to tell needs opset 9";
  // Where(indices < 0, indices + size, indices)
  const std::int64_t axis = step.node.int_or("axis", 0);
  ir::Value* shape = step.add("Shape", {data}, {}, "shape");
  ir::Value* size =
      step.add("Gather", {shape, step.constant(Ints{axis}, "axis")}, attributes("axis", std::int64_t{0}), "size");
  if (type == ir::ElementType::int32) size = step.add("Cast", {size}, attributes("to", std::int64_t{6}), "size32");
  ir::Value* negative = step.add("Less", {indices, step.scalar(0, type, "zero")}, {}, "negative");
  ir::Value* wrapped = step.add("Add", {indices, size}, {}, "wrapped");
  step.node.set_input(1, step.add("Where", {negative, wrapped, indices}, {}, "indices"));
  return {};
}

// Before, what is negative was no class.
Reason one_hot_down(Step& step) {
  const auto known = step.ints(step.node.input(0));
  const bool counts = is_unsigned(step.element(step.node.input(0))) ||
                      (known && std::all_of(known->begin(), known->end(), [](std::int64_t each) { return each >= 0; }));
  if (!counts) return "its indices may be negative";
  // -1, the last dimension, was allowed.
  return step.node.int_or("axis", -1) < -1 ? axis_from_start(step, -1, 1) : Reason();
}

}  // namespace

std::vector<Entry> axis_rules() {
  std::vector<Entry> rules = {
      {"Squeeze", 11, nullptr, axes_down},  {"Unsqueeze", 11, nullptr, unsqueeze_down},
      {"ArgMax", 11, nullptr, axis_down},   {"ArgMin", 11, nullptr, axis_down},
      {"Concat", 11, nullptr, axis_down},   {"Flatten", 11, nullptr, axis_down},
      {"Hardmax", 11, nullptr, axis_down},  {"Softmax", 11, nullptr, axis_down},
      {"Split", 11, nullptr, axis_down},    {"LogSoftmax", 11, nullptr, axis_down},
      {"Compress", 11, nullptr, axis_down}, {"Slice", 11, nullptr, slice_down},
      {"Gather", 11, nullptr, gather_down}, {"OneHot", 11, nullptr, one_hot_down},
  };
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                         "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"}) {
    rules.push_back({op, 11, nullptr, axes_down});
  }
  return rules;
}

}  // namespace hone::passes::opset
