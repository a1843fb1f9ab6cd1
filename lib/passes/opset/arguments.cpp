// Attributes that became inputs, so that they can be computed: shape (5), k, starts and ends (10), pads and bounds (11),
// axes and split (13, 18), and inputs that were added since.
//
// On the way down they have to be constants.
#include <algorithm>
#include <numeric>

#include "passes/opset/rules.h"

namespace hone::passes::opset {
namespace {

using ir::Dimension;
using ir::ElementType;

// An attribute with integers becomes input `index`.
void to_input(Step& step, const char* attribute, std::size_t index) {
  if (!step.node.has_attribute(attribute)) return;
  const Ints values = step.node.ints_or(attribute, {});
  step.node.remove_attribute(attribute);
  step.node.set_input(index, step.constant(values, attribute));
}

// Input `index` becomes an attribute; false where it is not constant. Nothing where it is left out.
bool to_attribute(Step& step, std::size_t index, const char* attribute) {
  const ir::Value* input = step.node.input(index);
  if (!input) return true;
  const auto values = step.ints(input);
  if (!values) return false;
  step.node.set_input(index, nullptr);
  step.node.set_attribute(attribute, *values);
  return true;
}

Reason not_constant(const char* what) { return std::string("its ") + what + " are not constant"; }

Reason axes_up(Step& step) {
  to_input(step, "axes", 1);
  return {};
}

Reason axes_down(Step& step) {
  if (!to_attribute(step, 1, "axes")) return not_constant("axes");
  step.node.trim_inputs();
  return {};
}

// With no axes, and told to do nothing then, a reduction does to each element what it does to a sum of one.
Reason reduce_nothing(Step& step) {
  const std::string op = step.node.op_type();
  ir::Value* x = step.node.input(0);
  if (op == "ReduceL1" || op == "ReduceL2") {
    step.become("Abs", {x});
  } else if (op == "ReduceSumSquare") {
    step.become("Mul", {x, x});
  } else if (op == "ReduceLogSum") {
    step.become("Log", {x});
  } else {
    step.become("Identity", {x});
  }
  return {};
}

Reason reduce_down(Step& step) {
  const bool nothing = step.node.int_or("noop_with_empty_axes", 0) != 0;
  const auto axes = step.ints(step.node.input(1));
  if (step.node.input(1) && !axes) return not_constant("axes");
  step.node.remove_attribute("noop_with_empty_axes");
  if (!axes || axes->empty()) {
    if (nothing) return reduce_nothing(step);
    step.node.set_input(1, nullptr);
    step.node.trim_inputs();
    return {};
  }
  return axes_down(step);
}

Reason split_up(Step& step) {
  to_input(step, "split", 1);
  return {};
}

Reason split_down(Step& step) {
  if (!to_attribute(step, 1, "split")) return not_constant("sizes");
  step.node.trim_inputs();
  return {};
}

// 18: either sizes or a number of outputs is said.
Reason split_count_up(Step& step) {
  if (step.node.input(1)) return {};
  step.node.set_attribute("num_outputs", static_cast<std::int64_t>(step.node.output_count()));
  return {};
}

// Before, all parts are of one size; since, the last one may be smaller.
Reason split_count_down(Step& step) {
  if (!step.node.has_attribute("num_outputs")) return {};
  const std::int64_t parts = step.node.int_or("num_outputs", 1);
  const ir::Value* data = step.node.input(0);
  if (parts < 1) return "its num_outputs is not positive";
  const auto rank = step.rank(data);
  const std::int64_t axis = step.node.int_or("axis", 0);
  const std::int64_t place = axis < 0 ? axis + rank.value_or(0) : axis;
  Dimension size;
  if (rank && place >= 0 && place < *rank) size = (*data->shape())[static_cast<std::size_t>(place)];
  step.node.remove_attribute("num_outputs");
  if (exact_div(size, parts)) return {};
  const std::int64_t part_size = (size.number().value_or(0) + parts - 1) / parts;
  if (const std::int64_t rest = size.number().value_or(-1) - part_size * (parts - 1); rest >= 0) {
    Ints sizes(static_cast<std::size_t>(parts), part_size);
    sizes.back() = rest;
    step.node.set_input(1, step.constant(sizes, "split"));
    return {};
  }
  // part = (size + parts - 1) / parts, and what is left.
  ir::Value* shape = step.add("Shape", {step.node.input(0)}, {}, "shape");
  ir::Value* all = step.add("Gather", {shape, step.constant(Ints{axis}, "axis")}, {}, "size");
  ir::Value* more = step.add("Add", {all, step.constant(Ints{parts - 1}, "more")}, {}, "rounded");
  ir::Value* part = step.add("Div", {more, step.constant(Ints{parts}, "parts")}, {}, "part");
  ir::Value* rest = step.add("Mul", {part, step.constant(Ints{parts - 1}, "before")}, {}, "rest");
  ir::Value* last = step.add("Sub", {all, rest}, {}, "last");
  std::vector<ir::Value*> sizes(static_cast<std::size_t>(parts), part);
  sizes.back() = last;
  step.node.set_input(1, step.add("Concat", sizes, attributes("axis", std::int64_t{0}), "split"));
  return {};
}

Reason split_old_up(Step& step) {  // 2: sizes were an input before, too
  if (!to_attribute(step, 1, "split")) return not_constant("sizes");
  step.node.trim_inputs();
  return {};
}

Reason slice_up(Step& step) {
  to_input(step, "starts", 1);
  to_input(step, "ends", 2);
  to_input(step, "axes", 3);
  return {};
}

Reason slice_down(Step& step) {
  if (step.node.input(4)) {
    const auto steps = step.ints(step.node.input(4));
    if (!steps || std::any_of(steps->begin(), steps->end(), [](std::int64_t each) { return each != 1; }))
      return "its steps are not all 1";
  }
  for (std::size_t i = 1; i < 4; ++i) {
    if (step.node.input(i) && !step.ints(step.node.input(i))) return not_constant("starts, ends and axes");
  }
  step.node.set_input(4, nullptr);
  to_attribute(step, 1, "starts");
  to_attribute(step, 2, "ends");
  to_attribute(step, 3, "axes");
  step.node.trim_inputs();
  return {};
}

Reason top_k_up(Step& step) {
  const std::int64_t k = step.node.int_or("k", 1);
  step.node.remove_attribute("k");
  step.node.set_input(1, step.constant(Ints{k}, "k"));
  return {};
}

Reason top_k_down(Step& step) {
  const auto k = step.ints(step.node.input(1));
  if (!k || k->size() != 1) return "its k is not constant";
  step.node.set_input(1, nullptr);
  step.node.trim_inputs();
  step.node.set_attribute("k", k->front());
  return {};
}

Reason reshape_up(Step& step) {
  to_input(step, "shape", 1);
  return {};
}

Reason reshape_down(Step& step) {
  if (!to_attribute(step, 1, "shape")) return not_constant("dimensions");
  step.node.trim_inputs();
  return {};
}

// 14: with allowzero a 0 is a size of 0, without it the size of the input.
Reason reshape_zero_down(Step& step) {
  if (step.node.int_or("allowzero", 0) != 0) {
    const auto shape = step.ints(step.node.input(1));
    if (!shape || std::find(shape->begin(), shape->end(), 0) != shape->end())
      return "it has allowzero, and its shape may have a 0";
  }
  step.node.remove_attribute("allowzero");
  return {};
}

Reason pad_old_up(Step& step) {
  const Ints pads = step.node.ints_or("paddings", {});
  step.node.remove_attribute("paddings");
  step.node.set_attribute("pads", pads);
  return {};
}

Reason pad_old_down(Step& step) {
  const Ints pads = step.node.ints_or("pads", {});
  step.node.remove_attribute("pads");
  step.node.set_attribute("paddings", pads);
  return {};
}

Reason pad_up(Step& step) {
  const float value = step.node.float_or("value", 0);
  ir::Value* constant = nullptr;
  if (value != 0) {
    constant = step.scalar(value, step.element(step.node.input(0)), "value");
    if (!constant) return "the type of its input is not known, and it pads with a value";
  }
  step.node.remove_attribute("value");
  to_input(step, "pads", 1);
  if (constant) step.node.set_input(2, constant);
  return {};
}

Reason pad_down(Step& step) {
  float value = 0;
  if (step.node.input(2)) {
    const auto constant = ir::constant_scalar(step.node.input(2));
    if (!constant) return "its value is not constant";
    value = static_cast<float>(*constant);
    if (static_cast<double>(value) != *constant) return "its value does not fit a float";
  }
  if (!to_attribute(step, 1, "pads")) return not_constant("pads");
  step.node.set_input(2, nullptr);
  step.node.trim_inputs();
  if (value != 0) step.node.set_attribute("value", value);
  return {};
}

Reason pad_axes_down(Step& step) {
  if (!step.node.input(3)) return {};
  const auto rank = step.rank(step.node.input(0));
  const auto axes = step.ints(step.node.input(3)), pads = step.ints(step.node.input(1));
  if (!rank || !axes || !pads) return "its axes or pads are not constant, or its rank is not known";
  if (pads->size() != 2 * axes->size()) return "it does not have two pads for each axis";
  Ints all(static_cast<std::size_t>(2 * *rank), 0);
  for (std::size_t i = 0; i < axes->size(); ++i) {
    const std::int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + *rank : (*axes)[i];
    if (axis < 0 || axis >= *rank) return "an axis is outside of the input's rank";
    all[static_cast<std::size_t>(axis)] = (*pads)[i];
    all[static_cast<std::size_t>(axis + *rank)] = (*pads)[i + axes->size()];
  }
  step.node.set_input(1, step.constant(all, "pads"));
  step.node.set_input(3, nullptr);
  step.node.trim_inputs();
  return {};
}

// A bound that is absent is none. (The defaults of the attributes were the largest floats: a stand-in for none.)
Reason clip_up(Step& step) {
  const ElementType type = step.element(step.node.input(0));
  const char* const names[] = {"min", "max"};
  for (std::size_t i = 0; i < 2; ++i) {
    if (!step.node.has_attribute(names[i])) continue;
    const float bound = step.node.float_or(names[i], 0);
    ir::Value* value = step.scalar(bound, type, names[i]);
    if (!value) return "the type of its input is not known";
    step.node.remove_attribute(names[i]);
    step.node.set_input(i + 1, value);
  }
  return {};
}

Reason clip_down(Step& step) {
  ir::Value* x = step.node.input(0);
  ir::Value* min = step.node.input(1);
  ir::Value* max = step.node.input(2);
  const auto low = ir::constant_scalar(min), high = ir::constant_scalar(max);
  if ((!min || low) && (!max || high)) {
    while (step.node.input_count() > 1) step.node.remove_input(step.node.input_count() - 1);
    if (low) step.node.set_attribute("min", static_cast<float>(*low));
    if (high) step.node.set_attribute("max", static_cast<float>(*high));
    return {};
  }
  if (!max) {
    step.become("Max", {x, min});
  } else if (!min) {
    step.become("Min", {x, max});
  } else {
    step.become("Min", {step.add("Max", {x, min}, {}, "raised"), max});
  }
  return {};
}

}  // namespace

std::vector<Entry> argument_rules() {
  std::vector<Entry> rules = {
      {"Squeeze", 13, axes_up, axes_down},      {"Unsqueeze", 13, axes_up, axes_down},
      {"ReduceSum", 13, axes_up, reduce_down},  {"Split", 2, split_old_up, nullptr},
      {"Split", 13, split_up, split_down},      {"Split", 18, split_count_up, split_count_down},
      {"Slice", 10, slice_up, slice_down},      {"TopK", 10, top_k_up, top_k_down},
      {"Reshape", 5, reshape_up, reshape_down}, {"Reshape", 14, nullptr, reshape_zero_down},
      {"Pad", 2, pad_old_up, pad_old_down},     {"Pad", 11, pad_up, pad_down},
      {"Pad", 18, nullptr, pad_axes_down},      {"Clip", 11, clip_up, clip_down},
  };
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                         "ReduceMin", "ReduceProd", "ReduceSumSquare"}) {
    rules.push_back({op, 18, axes_up, reduce_down});
  }
  return rules;
}

}  // namespace hone::passes::opset
