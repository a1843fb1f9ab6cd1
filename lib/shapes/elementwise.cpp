// Shapes of elementwise operators, and integer arithmetic on known elements.
#include <functional>

#include "shapes/functions.h"

namespace hone::shapes {
namespace {

using ir::Dimension;
using ir::ElementType;
using ir::Shape;

void identity(View& view) {
  const ir::Value* input = view.node.input(0);
  if (!input || !input->type().is_tensor()) return;
  same_as_input(view);
  copy_elements(view);
}

void dropout(View& view) {
  same_as_input(view);
  if (view.node.output(1)) {
    const Shape* shape = view.shape(0);
    view.set(1, view.opset >= 10 ? ElementType::boolean : view.type(0), shape ? std::optional(*shape) : std::nullopt);
  }
}

void to_boolean(View& view) {
  const Shape* shape = view.shape(0);
  view.set(0, ElementType::boolean, shape ? std::optional(*shape) : std::nullopt);
}

std::optional<Shape> broadcast_inputs(const View& view, std::size_t first, std::size_t count) {
  std::optional<Shape> result;
  for (std::size_t i = first; i < first + count; ++i) {
    const Shape* shape = view.shape(i);
    if (!shape) return std::nullopt;
    result = result ? broadcast(*result, *shape) : *shape;
  }
  return result;
}

// f over the elements of two operands of equal length, or of which one has a single element.
template <typename F>
void combine(View& view, F&& f) {
  const Elements* a = view.elements(0);
  const Elements* b = view.elements(1);
  const Shape* shape_a = view.shape(0);
  const Shape* shape_b = view.shape(1);
  if (!a || !b || !shape_a || !shape_b || shape_a->size() > 1 || shape_b->size() > 1) return;
  if (a->size() != b->size() && a->size() != 1 && b->size() != 1) return;
  const std::size_t count = a->size() == 1 ? b->size() : a->size();
  Elements result;
  for (std::size_t i = 0; i < count; ++i) {
    result.push_back(f((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]));
  }
  view.set_elements(0, std::move(result));
}

bool not_negative(const Dimension& d) {
  const auto bound = d.lower_bound();
  return bound && *bound >= 0;
}

// Integer division truncates; that is floor division where neither operand can be negative.
Dimension truncating_div(const Dimension& a, const Dimension& b) {
  if (a.is_number() && b.is_number()) {
    const std::int64_t divisor = *b.number();
    if (divisor == 0 || (divisor == -1 && *a.number() == INT64_MIN)) return {};
    return *a.number() / divisor;
  }
  if (const auto exact = exact_div(a, b)) return *exact;
  return not_negative(a) && not_negative(b) ? floor_div(a, b) : Dimension();
}

void binary_shape(View& view, ElementType type) {
  if (view.opset < 7) {  // explicit broadcasting: the second operand never enlarges the first
    const Shape* shape = view.shape(0);
    view.set(0, type, shape ? std::optional(*shape) : std::nullopt);
    return;
  }
  view.set(0, type, broadcast_inputs(view, 0, 2));
}

void add(View& view) {
  binary_shape(view, view.type(0));
  combine(view, [](const Dimension& a, const Dimension& b) { return a + b; });
}
void sub(View& view) {
  binary_shape(view, view.type(0));
  combine(view, [](const Dimension& a, const Dimension& b) { return a - b; });
}
void mul(View& view) {
  binary_shape(view, view.type(0));
  combine(view, [](const Dimension& a, const Dimension& b) { return a * b; });
}
void div(View& view) {
  binary_shape(view, view.type(0));
  combine(view, truncating_div);
}
void mod(View& view) {
  binary_shape(view, view.type(0));
  combine(view, [](const Dimension& a, const Dimension& b) {
    return not_negative(a) && not_negative(b) ? modulus(a, b) : Dimension();
  });
}
void binary(View& view) { binary_shape(view, view.type(0)); }

void comparison(View& view) { binary_shape(view, ElementType::boolean); }

void equal(View& view) {
  binary_shape(view, ElementType::boolean);
  combine(view, [](const Dimension& a, const Dimension& b) -> Dimension {
    if (provably_equal(a, b)) return 1;
    if (provably_different(a, b)) return 0;
    return {};
  });
}
template <bool Greater, bool OrEqual>
void ordered(View& view) {
  binary_shape(view, ElementType::boolean);
  combine(view, [](const Dimension& a, const Dimension& b) -> Dimension {
    // a > b as a - b >= 1; a >= b as a - b >= 0; and the negation from the other side.
    const Dimension difference = Greater ? a - b : b - a;
    const Dimension opposite = Greater ? b - a : a - b;
    const auto low = difference.lower_bound();
    if (low && *low >= (OrEqual ? 0 : 1)) return 1;
    const auto high = opposite.lower_bound();
    if (high && *high >= (OrEqual ? 1 : 0)) return 0;
    return {};
  });
}
void logical_not(View& view) {
  to_boolean(view);
  const Elements* a = view.elements(0);
  if (!a) return;
  Elements result;
  for (const Dimension& d : *a) result.push_back(d.number() ? Dimension(*d.number() == 0) : Dimension());
  view.set_elements(0, std::move(result));
}
void logical_and(View& view) {
  comparison(view);
  combine(view, [](const Dimension& a, const Dimension& b) -> Dimension {
    if (a.number() == 0 || b.number() == 0) return 0;
    if (a.number() && b.number()) return 1;
    return {};
  });
}
void logical_or(View& view) {
  comparison(view);
  combine(view, [](const Dimension& a, const Dimension& b) -> Dimension {
    if ((a.number() && *a.number() != 0) || (b.number() && *b.number() != 0)) return 1;
    if (a.number() && b.number()) return 0;
    return {};
  });
}

void variadic(View& view) { view.set(0, view.type(0), broadcast_inputs(view, 0, view.node.input_count())); }
template <Dimension (*F)(const Dimension&, const Dimension&)>
void extreme(View& view) {
  variadic(view);
  if (view.node.input_count() == 2) combine(view, F);
}
Dimension lesser(const Dimension& a, const Dimension& b) { return minimum(a, b); }
Dimension greater(const Dimension& a, const Dimension& b) { return maximum(a, b); }

void negate(View& view) {
  same_as_input(view);
  const Elements* a = view.elements(0);
  if (!a) return;
  Elements result;
  for (const Dimension& d : *a) result.push_back(Dimension(0) - d);
  view.set_elements(0, std::move(result));
}

bool holds_indices(ElementType type) { return type == ElementType::int64 || type == ElementType::int32; }

void cast(View& view) {
  const auto to = static_cast<ElementType>(view.node.int_or("to", 0));
  const Shape* shape = view.shape(0);
  view.set(0, to, shape ? std::optional(*shape) : std::nullopt);
  // Dimensions fit int32; a cast to bool keeps 0 and 1.
  if (holds_indices(to) && (holds_indices(view.type(0)) || view.type(0) == ElementType::boolean)) copy_elements(view);
}

void where(View& view) {
  view.set(0, view.type(1), broadcast_inputs(view, 0, 3));
  const Elements* condition = view.elements(0);
  const Elements* a = view.elements(1);
  const Elements* b = view.elements(2);
  if (!condition || !a || !b) return;
  for (std::size_t i = 0; i < 3; ++i) {
    if (!view.shape(i) || view.shape(i)->size() > 1) return;
  }
  const std::size_t count = std::max({condition->size(), a->size(), b->size()});
  const auto at = [&](const Elements& e, std::size_t i) {
    return e.size() == 1 ? e[0] : i < e.size() ? e[i] : Dimension();
  };
  Elements result;
  for (std::size_t i = 0; i < count; ++i) {
    const Dimension choice = at(*condition, i);
    const Dimension x = at(*a, i), y = at(*b, i);
    if (choice.number()) {
      result.push_back(*choice.number() ? x : y);
    } else {
      result.push_back(provably_equal(x, y) ? x : Dimension());
    }
  }
  view.set_elements(0, std::move(result));
}

// Same type and shape as the input, one more int or boolean output at most: activations and their kin.
void normalization(View& view) {
  same_as_input(view);  // further outputs (means, statistics) are left to ONNX's inference
}

}  // namespace

std::vector<FunctionEntry> elementwise_functions() {
  std::vector<FunctionEntry> table = {{"Identity", identity},
                                      {"Dropout", dropout},
                                      {"Cast", cast},
                                      {"Where", where},
                                      {"Add", add},
                                      {"Sub", sub},
                                      {"Mul", mul},
                                      {"Div", div},
                                      {"Mod", mod},
                                      {"Pow", binary},
                                      {"PRelu", same_as_input},
                                      {"RotaryEmbedding", same_as_input},
                                      {"GroupNormalization", same_as_input},
                                      {"Neg", negate},
                                      {"Equal", equal},
                                      {"Greater", ordered<true, false>},
                                      {"GreaterOrEqual", ordered<true, true>},
                                      {"Less", ordered<false, false>},
                                      {"LessOrEqual", ordered<false, true>},
                                      {"Not", logical_not},
                                      {"And", logical_and},
                                      {"Or", logical_or},
                                      {"Xor", comparison},
                                      {"Min", extreme<lesser>},
                                      {"Max", extreme<greater>},
                                      {"Sum", variadic},
                                      {"Mean", variadic},
                                      {"IsNaN", to_boolean},
                                      {"IsInf", to_boolean}};
  for (const std::string_view op : {"Relu",
                                    "LeakyRelu",
                                    "Elu",
                                    "Selu",
                                    "Celu",
                                    "ThresholdedRelu",
                                    "HardSigmoid",
                                    "HardSwish",
                                    "Sigmoid",
                                    "Tanh",
                                    "Softplus",
                                    "Softsign",
                                    "Mish",
                                    "Swish",
                                    "Gelu",
                                    "Erf",
                                    "Exp",
                                    "Log",
                                    "Sqrt",
                                    "Reciprocal",
                                    "Abs",
                                    "Sign",
                                    "Ceil",
                                    "Floor",
                                    "Round",
                                    "Sin",
                                    "Cos",
                                    "Tan",
                                    "Asin",
                                    "Acos",
                                    "Atan",
                                    "Sinh",
                                    "Cosh",
                                    "Asinh",
                                    "Acosh",
                                    "Atanh",
                                    "Clip",
                                    "Softmax",
                                    "LogSoftmax",
                                    "Hardmax",
                                    "LRN",
                                    "LpNormalization",
                                    "InstanceNormalization",
                                    "GroupNormalization",
                                    "MeanVarianceNormalization",
                                    "CumSum",
                                    "Trilu",
                                    "Shrink",
                                    "BitwiseNot"}) {
    table.push_back({op, normalization});
  }
  return table;
}

}  // namespace hone::shapes
