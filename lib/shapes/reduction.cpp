// Shapes of reductions, and reductions of known elements.
#include "shapes/functions.h"

namespace hone::shapes {
namespace {

using ir::Dimension;
using ir::ElementType;
using ir::Shape;

template <typename F>
void reduce_elements(View& view, bool to_scalar, Dimension start, F&& f) {
  const Elements* elements = view.elements(0);
  const Shape* input = view.shape(0);
  if (!elements || !input || input->size() != 1 || !to_scalar) return;
  Dimension result = std::move(start);
  for (std::size_t i = 0; i < elements->size(); ++i) {
    result = result.is_unknown() && i == 0 ? (*elements)[0] : f(result, (*elements)[i]);
  }
  view.set_elements(0, {result});
}

// Sets the shape; true if the one dimension of a vector was reduced.
bool reduce_shape(View& view) {
  const Shape* input = view.shape(0);
  bool present = false;
  const auto axes = view.ints("axes", 1, present);
  const bool keep = view.node.int_or("keepdims", 1) != 0;
  if (!input || (present && !axes)) {
    view.set(0, view.type(0), input && keep ? std::optional(Shape(input->size())) : std::nullopt);
    return false;
  }
  const bool all = !present || axes->empty();
  if (all && view.node.int_or("noop_with_empty_axes", 0) != 0) {
    view.set(0, view.type(0), *input);
    return false;
  }
  std::vector<bool> reduced(input->size(), all);
  if (!all) {
    for (const std::int64_t axis : *axes) {
      const auto at = normalize_axis(axis, input->size());
      if (!at) return false;
      reduced[*at] = true;
    }
  }
  Shape result;
  for (std::size_t i = 0; i < input->size(); ++i) {
    if (!reduced[i]) {
      result.push_back((*input)[i]);
    } else if (keep) {
      result.emplace_back(1);
    }
  }
  view.set(0, view.type(0), std::move(result));
  return input->size() == 1 && reduced[0];
}

void reduce(View& view) { (void)reduce_shape(view); }
void reduce_prod(View& view) {
  reduce_elements(view, reduce_shape(view), 1, [](const Dimension& a, const Dimension& b) { return a * b; });
}
void reduce_sum(View& view) {
  reduce_elements(view, reduce_shape(view), 0, [](const Dimension& a, const Dimension& b) { return a + b; });
}
void reduce_max(View& view) {
  reduce_elements(view, reduce_shape(view), {}, [](const Dimension& a, const Dimension& b) { return maximum(a, b); });
}
void reduce_min(View& view) {
  reduce_elements(view, reduce_shape(view), {}, [](const Dimension& a, const Dimension& b) { return minimum(a, b); });
}

void arg(View& view) {
  const Shape* input = view.shape(0);
  if (!input) return view.set(0, ElementType::int64, std::nullopt);
  const auto axis = normalize_axis(view.node.int_or("axis", 0), input->size());
  if (!axis) return;
  Shape result = *input;
  if (view.node.int_or("keepdims", 1) != 0) {
    result[*axis] = 1;
  } else {
    result.erase(result.begin() + static_cast<std::ptrdiff_t>(*axis));
  }
  view.set(0, ElementType::int64, std::move(result));
}

}  // namespace

std::vector<FunctionEntry> reduction_functions() {
  return {{"ReduceProd", reduce_prod}, {"ReduceSum", reduce_sum}, {"ReduceMax", reduce_max},
          {"ReduceMin", reduce_min},   {"ReduceMean", reduce},    {"ReduceL1", reduce},
          {"ReduceL2", reduce},        {"ReduceLogSum", reduce},  {"ReduceLogSumExp", reduce},
          {"ReduceSumSquare", reduce}, {"ArgMax", arg},           {"ArgMin", arg}};
}

}  // namespace hone::shapes
