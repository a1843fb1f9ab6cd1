// Functions of one element: Exp Log Sqrt Reciprocal Erf, trigonometry, rounding, Abs Neg Sign, Not BitwiseNot, IsNaN IsInf.
#include <cmath>

#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

// A function object from one of <cmath>'s overloaded names.
#define HONE_REAL_FUNCTION(kernel, expression)                                        \
  void kernel(Context& context) {                                                     \
    map_real(context, costly_grain, []<typename T>(T x) -> T { return expression; }); \
  }

HONE_REAL_FUNCTION(exp, std::exp(x))
HONE_REAL_FUNCTION(log, std::log(x))
HONE_REAL_FUNCTION(sqrt, std::sqrt(x))
HONE_REAL_FUNCTION(reciprocal, T{1} / x)
HONE_REAL_FUNCTION(erf, std::erf(x))
HONE_REAL_FUNCTION(ceil, std::ceil(x))
HONE_REAL_FUNCTION(floor, std::floor(x))
HONE_REAL_FUNCTION(round, std::nearbyint(x))  // ties to even: nobody changes the rounding mode
HONE_REAL_FUNCTION(sin, std::sin(x))
HONE_REAL_FUNCTION(cos, std::cos(x))
HONE_REAL_FUNCTION(tan, std::tan(x))
HONE_REAL_FUNCTION(asin, std::asin(x))
HONE_REAL_FUNCTION(acos, std::acos(x))
HONE_REAL_FUNCTION(atan, std::atan(x))
HONE_REAL_FUNCTION(sinh, std::sinh(x))
HONE_REAL_FUNCTION(cosh, std::cosh(x))
HONE_REAL_FUNCTION(tanh, std::tanh(x))
HONE_REAL_FUNCTION(asinh, std::asinh(x))
HONE_REAL_FUNCTION(acosh, std::acosh(x))
HONE_REAL_FUNCTION(atanh, std::atanh(x))

#undef HONE_REAL_FUNCTION

// The least integer has no positive counterpart and stays as it is, as in NumPy.
template <typename T>
T negated(T x) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(std::uint64_t{0} - static_cast<std::uint64_t>(x));
  } else {
    return -x;
  }
}
void neg(Context& context) {
  map_number(context, cheap_grain, []<typename T>(T x) { return negated(x); });
}
void abs(Context& context) {
  map_number(context, cheap_grain, []<typename T>(T x) {
    if constexpr (std::is_floating_point_v<T>) {
      return std::abs(x);
    } else {
      return x < T{0} ? negated(x) : x;
    }
  });
}
void sign(Context& context) {
  map_number(context, cheap_grain, []<typename T>(T x) { return x > T{0} ? T{1} : x < T{0} ? static_cast<T>(-1) : x; });
}

void logical_not(Context& context) {
  const Array& in = context.input(0);
  require_type(in, ir::ElementType::boolean, "the input");
  Array& out = context.output_over(0, 0, in.type, in.dims);
  map_range(in.as<bool>(), out.as<bool>(), in.count(), cheap_grain, [](bool x) { return !x; });
}
void bitwise_not(Context& context) {
  const Array& in = context.input(0);
  if (!ir::is_integer(in.type) || ir::is_sub_byte(in.type)) unsupported_type(context, in.type);
  Array& out = context.output_over(0, 0, in.type, in.dims);
  dispatch_size(in.type, [&]<typename T>() {
    if constexpr (std::is_integral_v<T>) {
      map_range(in.as<T>(), out.as<T>(), in.count(), cheap_grain, [](T x) { return static_cast<T>(~x); });
    }
  });
}

template <typename F>
void test_real(Context& context, const F& f) {
  const Array& in = context.input(0);
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Array& out = context.output(0, ir::ElementType::boolean, in.dims);
    map_range(from, out.as<bool>(), in.count(), cheap_grain, f);
  });
}
void is_nan(Context& context) {
  test_real(context, [](auto x) { return x != x; });
}
void is_inf(Context& context) {
  const bool negative = flag(context.node(), "detect_negative", true);
  const bool positive = flag(context.node(), "detect_positive", true);
  test_real(context, [=]<typename T>(T x) {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    return (positive && x == infinity) || (negative && x == -infinity);
  });
}

}  // namespace

std::span<const KernelEntry> function_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Exp", 1, stateless<exp>},
      {"Log", 1, stateless<log>},
      {"Sqrt", 1, stateless<sqrt>},
      {"Reciprocal", 1, stateless<reciprocal>},
      {"Erf", 9, stateless<erf>},
      {"Ceil", 1, stateless<ceil>},
      {"Floor", 1, stateless<floor>},
      {"Round", 11, stateless<round>},
      {"Sin", 7, stateless<sin>},
      {"Cos", 7, stateless<cos>},
      {"Tan", 7, stateless<tan>},
      {"Asin", 7, stateless<asin>},
      {"Acos", 7, stateless<acos>},
      {"Atan", 7, stateless<atan>},
      {"Sinh", 9, stateless<sinh>},
      {"Cosh", 9, stateless<cosh>},
      {"Tanh", 1, stateless<tanh>},
      {"Asinh", 9, stateless<asinh>},
      {"Acosh", 9, stateless<acosh>},
      {"Atanh", 9, stateless<atanh>},
      {"Neg", 1, stateless<neg>},
      {"Abs", 1, stateless<abs>},
      {"Sign", 9, stateless<sign>},
      {"Not", 1, stateless<logical_not>},
      {"BitwiseNot", 18, stateless<bitwise_not>},
      {"IsNaN", 9, stateless<is_nan>},
      {"IsInf", 10, stateless<is_inf>},
  };
  return entries;
}

}  // namespace hone::exec
