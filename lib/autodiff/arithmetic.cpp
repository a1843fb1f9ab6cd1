// Arithmetic, element by element, with broadcasting.
#include "autodiff/backward.h"

namespace hone::autodiff {
namespace {

void add(Backward& back) {
  for (std::size_t i = 0; i < back.node().input_count(); ++i) {  // also Sum
    back.give_reduced(i, [&] { return back.gradient(); });
  }
}

void mean(Backward& back) {
  ir::Value* dy = back.gradient();
  ir::Value* part =
      back.add("Mul", {dy, back.scalar(1.0 / static_cast<double>(back.node().input_count()), dy->element_type())});
  for (std::size_t i = 0; i < back.node().input_count(); ++i) back.give_reduced(i, [&] { return part; });
}

void sub(Backward& back) {
  back.give_reduced(0, [&] { return back.gradient(); });
  back.give_reduced(1, [&] { return back.add("Neg", {back.gradient()}); });
}

void mul(Backward& back) {
  back.give_reduced(0, [&] { return back.add("Mul", {back.gradient(), back.input(1)}); });
  back.give_reduced(1, [&] { return back.add("Mul", {back.gradient(), back.input(0)}); });
}

void div(Backward& back) {  // y = a/b: dy/b, -dy y/b
  ir::Value* b = back.input(1);
  back.give_reduced(0, [&] { return back.add("Div", {back.gradient(), b}); });
  back.give_reduced(1, [&] {
    return back.add("Neg", {back.add("Div", {back.add("Mul", {back.gradient(), back.output()}), b})});
  });
}

void negate(Backward& back) {
  back.give(0, [&] { return back.add("Neg", {back.gradient()}); });
}

void pow(Backward& back) {  // y = a^b: dy b a^(b-1), dy y log(a)
  ir::Value* dy = back.gradient();
  ir::Value* a = back.input(0);
  ir::Value* b = back.input(1);
  const ir::ElementType type = a->element_type();
  if (b->element_type() != type && back.wants(0)) {
    b = back.add("Cast", {b}, attributes("to", static_cast<std::int64_t>(type)), type);
  }
  back.give_reduced(0, [&] {
    const std::optional<double> exponent = ir::constant_scalar(back.input(1));
    if (exponent == 2.0) return back.add("Mul", {dy, back.add("Mul", {a, back.scalar(2, type)})});
    ir::Value* power = exponent ? back.add("Pow", {a, back.scalar(*exponent - 1, type)})
                                : back.add("Pow", {a, back.add("Sub", {b, back.scalar(1, type)})});
    return back.add("Mul", {dy, back.add("Mul", {power, b})});
  });
  back.give_reduced(1, [&] { return back.own("PowExponentGradient", {dy, back.output(), a}); });
}

void exp(Backward& back) {
  back.give(0, [&] { return back.add("Mul", {back.gradient(), back.output()}); });
}

void log(Backward& back) {
  back.give(0, [&] { return back.add("Div", {back.gradient(), back.input(0)}); });
}

void abs(Backward& back) {
  back.give(0, [&] { return back.own("AbsGradient", {back.gradient(), back.input(0)}); });
}

// The gradient goes to the operand that was taken, in equal parts where several were equal.
void min_max(Backward& back) {
  const std::size_t count = back.node().input_count();
  std::vector<ir::Value*> inputs{back.gradient(), back.output()};
  std::vector<bool> wanted(count);
  for (std::size_t i = 0; i < count; ++i) {
    inputs.push_back(back.input(i));
    wanted[i] = back.wants(i);
  }
  const std::vector<ir::Value*> parts = back.own("MinMaxGradient", std::move(inputs), {}, wanted);
  for (std::size_t i = 0; i < count; ++i) back.give_reduced(i, [&] { return parts[i]; });
}

void clip(Backward& back) {
  back.refuse(1, "the lower limit");
  back.refuse(2, "the upper limit");
  back.give(0, [&] {
    return back.own("ClipGradient", {back.gradient(), back.input(0), back.input(1), back.input(2)},
                    back.same_attributes());
  });
}

void where(Backward& back) {
  ir::Value* dy = back.gradient();
  ir::Value* zero = back.scalar(0, dy->element_type());
  back.give_reduced(1, [&] { return back.add("Where", {back.input(0), dy, zero}, {}, dy->element_type()); });
  back.give_reduced(2, [&] { return back.add("Where", {back.input(0), zero, dy}, {}, dy->element_type()); });
}

void expand(Backward& back) {
  back.give_reduced(0, [&] { return back.gradient(); });
}

// Of ai.hone: the sum over what was broadcast.
void sum_to(Backward& back) {
  back.give(0, [&] { return back.add("Expand", {back.gradient(), back.shape(*back.input(0))}); });
}

// Steps: flat wherever there is a gradient.
void flat(Backward&) {}

}  // namespace

std::span<const Operator> arithmetic_rules() {
  static constexpr Operator rules[] = {
      {"Add", add},       {"Sum", add},    {"Mean", mean},
      {"Sub", sub},       {"Mul", mul},    {"Div", div},
      {"Neg", negate},    {"Pow", pow},    {"Exp", exp},
      {"Log", log},       {"Abs", abs},    {"Min", min_max},
      {"Max", min_max},   {"Clip", clip},  {"Where", where},
      {"Expand", expand}, {"Floor", flat}, {"Ceil", flat},
      {"Round", flat},    {"Sign", flat},  {"SumTo", sum_to, own_domain},
  };
  return rules;
}

}  // namespace hone::autodiff
