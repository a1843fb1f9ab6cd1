// Softmax, LogSoftmax and Hardmax: since opset 13 along one axis; before, over all dimensions from `axis` on at once, the
// tensor as a matrix.
#include <numeric>

#include "passes/opset/rules.h"

namespace hone::passes::opset {
namespace {

// The one axis among those from `axis` on that may be longer than 1; -1: there are more, or nobody knows. The last one
// where all are 1.
std::int64_t only_axis(const ir::Value& value, std::int64_t axis) {
  if (!value.shape()) return -1;
  const ir::Shape& shape = *value.shape();
  const auto rank = static_cast<std::int64_t>(shape.size());
  std::int64_t found = -1;
  for (std::int64_t i = axis; i < rank; ++i) {
    if (shape[static_cast<std::size_t>(i)].number() == 1) continue;
    if (found >= 0) return -1;
    found = i;
  }
  return found >= 0 ? found : rank - 1;
}

Reason softmax_up(Step& step) {
  ir::Value* x = step.node.input(0);
  const auto rank = step.rank(x);
  std::int64_t axis = step.node.int_or("axis", 1);
  if (axis < 0 && rank) axis += *rank;
  if (axis >= 0 && rank && axis < *rank) {
    const std::int64_t only = only_axis(*x, axis);
    if (only >= 0) {
      step.node.set_attribute("axis", only == *rank - 1 ? -1 : only);
      return {};
    }
  }
  ir::Value* shape = step.add("Shape", {x}, {}, "shape");
  ir::Value* matrix = step.add("Flatten", {x}, attributes("axis", axis), "matrix");
  step.node.set_attribute("axis", std::int64_t{-1});
  ir::Node& work = step.work_before("rows");
  work.set_input(0, matrix);
  ir::Type type = matrix->type();
  if (type.is_tensor()) work.output(0)->set_type(std::move(type));
  step.become("Reshape", {work.output(0), shape});
  return {};
}

Reason softmax_down(Step& step) {
  ir::Value* x = step.node.input(0);
  const auto rank = step.rank(x);
  if (!rank) return "the rank of its input is not known";
  std::int64_t axis = step.node.int_or("axis", -1);
  if (axis < 0) axis += *rank;
  if (axis < 0 || axis >= *rank) return *rank == 0 ? "its input is a scalar" : "its axis is not valid";
  step.node.set_attribute("axis", axis);
  if (only_axis(*x, axis) == axis) return {};
  Ints to_last(static_cast<std::size_t>(*rank));
  std::iota(to_last.begin(), to_last.end(), 0);
  std::swap(to_last[static_cast<std::size_t>(axis)], to_last.back());
  step.node.set_attribute("axis", *rank - 1);
  ir::Value* turned = step.add("Transpose", {x}, attributes("perm", to_last), "turned");
  ir::Node& work = step.work_before("rows");
  work.set_input(0, turned);
  ir::Type type = turned->type();
  if (type.is_tensor()) work.output(0)->set_type(std::move(type));
  step.become("Transpose", {work.output(0)}, attributes("perm", to_last));
  return {};
}

}  // namespace

std::vector<Entry> softmax_rules() {
  return {{"Softmax", 13, softmax_up, softmax_down},
          {"LogSoftmax", 13, softmax_up, softmax_down},
          {"Hardmax", 13, softmax_up, softmax_down}};
}

}  // namespace hone::passes::opset
