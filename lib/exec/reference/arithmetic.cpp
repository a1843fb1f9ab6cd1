// Two operands: Add Sub Mul Div Mod Pow, BitShift BitwiseAnd BitwiseOr BitwiseXor; and any number: Min Max Sum Mean.
//
// Integers wrap. Dividing an integer by zero gives 0, as in NumPy: the element may be one that a Where drops. NaN wins
// over everything in Min and Max. Before opset 7, operands broadcast only on request (attributes broadcast and axis).
#include "exec/reference/arithmetic.h"

#include <cmath>
#include <optional>

#include "exec/reference/list.h"

namespace hone::exec {

ir::Dims legacy_dims(const ir::Node& node, DimSpan a, DimSpan b) {
  ir::Dims dims(b.begin(), b.end());
  if (!flag(node, "broadcast", false)) {
    if (!std::equal(a.begin(), a.end(), b.begin(), b.end())) {
      bad_input("shapes {} and {} differ, and broadcast is not set", ir::text(ir::Dims(a.begin(), a.end())),
                ir::text(dims));
    }
  } else if (node.has_attribute("axis")) {
    const std::size_t axis = checked_axis(node.int_or("axis", 0), a.size());
    if (axis + b.size() > a.size()) bad_input("axis {} leaves no room for shape {}", axis, ir::text(dims));
    dims.resize(a.size() - axis, 1);
  }
  return dims;
}

namespace {

// Integers narrower than 64 bits computed in 64 bits, the widest in unsigned: wraps without undefined behaviour.
template <typename T>
using Wide = std::conditional_t<
    std::is_floating_point_v<T>, T,
    std::conditional_t<sizeof(T) < 4, std::int32_t, std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>>;

struct Plus {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Wide<T>>(a) + static_cast<Wide<T>>(b));
  }
};
struct Minus {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Wide<T>>(a) - static_cast<Wide<T>>(b));
  }
};
struct Times {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, std::uint16_t>) {
      return static_cast<T>(static_cast<std::uint32_t>(a) * b);  // passes 31 bits
    } else {
      return static_cast<T>(static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b));
    }
  }
};
struct Over {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a / b;
    } else {
      if (b == 0) return 0;
      if constexpr (std::is_signed_v<T>) {
        if (b == -1) return Minus{}(T{0}, a);
      }
      return static_cast<T>(a / b);
    }
  }
};
struct TruncatedRemainder {  // C's % and fmod: the sign of the dividend
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fmod(a, b);
    } else {
      if (b == 0) return 0;
      if constexpr (std::is_signed_v<T>) {
        if (b == -1) return 0;
      }
      return static_cast<T>(a % b);
    }
  }
};
struct FlooredRemainder {  // Python's %: the sign of the divisor
  template <typename T>
  T operator()(T a, T b) const {
    const T r = TruncatedRemainder{}(a, b);
    if constexpr (std::is_floating_point_v<T>) {
      if (r == 0) return std::copysign(r, b);
      return std::signbit(r) != std::signbit(b) ? r + b : r;
    } else if constexpr (std::is_signed_v<T>) {
      return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
    } else {
      return r;
    }
  }
};
struct Smaller {
  template <typename T>
  T operator()(T a, T b) const {
    return a < b || a != a ? a : b;
  }
};
struct Larger {
  template <typename T>
  T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};

// Both operands of one type, and the result. Works in the memory of an operand of the result's shape where that is free.
template <typename F>
void compute(Context& context, DimSpan a_dims, DimSpan b_dims, std::int64_t grain, const F& f) {
  const Array &a = context.input(0), &b = context.input(1);
  require_type(b, a.type, "the second input");
  const ir::Dims dims = broadcast_dims(a_dims, b_dims);
  const auto shape = broadcast<2>(dims, {a_dims, b_dims});
  in_number(context, a.type, [&]<typename T>() {
    if constexpr (std::is_floating_point_v<T>) {
      if (a.type != ir::element_type_of<T>) {
        const T *x = view<T>(context, a), *y = view<T>(context, b);
        Result<T> out(context, 0, a.type, dims);
        combine(shape, x, y, out.data(), grain, f);
        return out.finish();
      }
    }
    const bool over_second = a.count() != shape.count && b.count() == shape.count;
    Array& out = context.output_over(0, over_second ? 1 : 0, a.type, dims);
    combine(shape, a.as<T>(), b.as<T>(), out.as<T>(), grain, f);
  });
}

template <typename F>
void legacy(Context& context) {
  const Array &a = context.input(0), &b = context.input(1);
  const ir::Dims b_dims = legacy_dims(context.node(), a.dims, b.dims);
  if (broadcast_dims(a.dims, b_dims) != a.dims) {
    bad_input("shape {} does not broadcast to {}", ir::text(b.dims), ir::text(a.dims));
  }
  compute(context, a.dims, b_dims, cheap_grain, F{});
}
template <typename F>
void modern(Context& context) {
  compute(context, context.input(0).dims, context.input(1).dims, cheap_grain, F{});
}

void mod(Context& context) {
  const Array &a = context.input(0), &b = context.input(1);
  if (flag(context.node(), "fmod", false)) return compute(context, a.dims, b.dims, costly_grain, TruncatedRemainder{});
  compute(context, a.dims, b.dims, costly_grain, FlooredRemainder{});
}

// An integer power wraps; a negative exponent gives the integer part of the quotient (0 for a base of 0).
template <typename T>
T integer_power(T base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == T{1}) return 1;
    if constexpr (std::is_signed_v<T>) {
      if (base == T{-1}) return exponent % 2 == 0 ? T{1} : T{-1};
    }
    return 0;
  }
  auto square = static_cast<std::uint64_t>(base);
  std::uint64_t result = 1;
  for (auto left = static_cast<std::uint64_t>(exponent); left > 0; left >>= 1) {
    if (left & 1) result *= square;
    square *= square;
  }
  return static_cast<T>(result);
}

// A float to an integer: out of range saturates, NaN is 0.
template <typename T>
T to_integer(double x) {
  if (x != x) return 0;
  if (x <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  if (x >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  return static_cast<T>(x);
}

template <typename T>
void power(Context& context, const Array& a, const Array& b, DimSpan b_dims) {
  const ir::Dims dims = broadcast_dims(a.dims, b_dims);
  const auto shape = broadcast<2>(dims, {a.dims, b_dims});
  if constexpr (std::is_floating_point_v<T>) {
    const T* x = view<T>(context, a);
    Result<T> out(context, 0, a.type, dims);
    // The usual exponents cost a multiplication; the results are at least as exact.
    const std::optional<double> only = b.count() == 1 ? std::optional(read_double(b)) : std::nullopt;
    if (only == 2.0 && dims == a.dims) {
      map_range(x, out.data(), a.count(), cheap_grain, [](T v) { return v * v; });
    } else if (only == 3.0 && dims == a.dims) {
      map_range(x, out.data(), a.count(), cheap_grain, [](T v) { return v * v * v; });
    } else if (ir::is_integer(b.type)) {  // float exponents can't hold them all
      combine(shape, x, view<double>(context, b), out.data(), costly_grain,
              [](T v, double e) { return static_cast<T>(std::pow(static_cast<double>(v), e)); });
    } else {
      combine(shape, x, view<T>(context, b), out.data(), costly_grain, [](T v, T e) { return std::pow(v, e); });
    }
    out.finish();
  } else {
    const T* x = a.as<T>();
    if (ir::is_integer(b.type)) {
      in_number(context, b.type, [&]<typename E>() {
        if constexpr (std::is_integral_v<E>) {
          const E* exponents = b.as<E>();
          Array& out = context.output(0, a.type, dims);
          combine(shape, x, exponents, out.as<T>(), costly_grain, [](T v, E e) {
            if constexpr (std::is_same_v<E, std::uint64_t>) {
              if (e >> 63) return T{v == T{1} ? T{1} : T{0}};
            }
            return integer_power(v, static_cast<std::int64_t>(e));
          });
        }
      });
    } else {
      const double* exponents = view<double>(context, b);
      Array& out = context.output(0, a.type, dims);
      combine(shape, x, exponents, out.as<T>(), costly_grain,
              [](T v, double e) { return to_integer<T>(std::pow(static_cast<double>(v), e)); });
    }
  }
}
void pow_with(Context& context, DimSpan b_dims) {
  const Array &a = context.input(0), &b = context.input(1);
  if (!ir::is_float(b.type) && !ir::is_integer(b.type)) unsupported_type(context, b.type);
  if (a.type == ir::ElementType::int32) return power<std::int32_t>(context, a, b, b_dims);
  if (a.type == ir::ElementType::int64) return power<std::int64_t>(context, a, b, b_dims);
  in_real(context, a.type, [&]<typename T>() { power<T>(context, a, b, b_dims); });
}
void pow_1(Context& context) {
  pow_with(context, legacy_dims(context.node(), context.input(0).dims, context.input(1).dims));
}
void pow(Context& context) { pow_with(context, context.input(1).dims); }

// Integers of any width, as the unsigned type of that width.
template <typename F>
void compute_bits(Context& context, const F& f) {
  const Array &a = context.input(0), &b = context.input(1);
  require_type(b, a.type, "the second input");
  if (!ir::is_integer(a.type) || ir::is_sub_byte(a.type)) unsupported_type(context, a.type);
  const ir::Dims dims = broadcast_dims(a.dims, b.dims);
  Array& out = context.output(0, a.type, dims);
  dispatch_size(a.type, [&]<typename T>() {
    if constexpr (std::is_integral_v<T>) {
      combine(broadcast<2>(dims, {a.dims, b.dims}), a.as<T>(), b.as<T>(), out.as<T>(), cheap_grain, f);
    }
  });
}
void bitwise_and(Context& context) {
  compute_bits(context, []<typename T>(T a, T b) { return static_cast<T>(a & b); });
}
void bitwise_or(Context& context) {
  compute_bits(context, []<typename T>(T a, T b) { return static_cast<T>(a | b); });
}
void bitwise_xor(Context& context) {
  compute_bits(context, []<typename T>(T a, T b) { return static_cast<T>(a ^ b); });
}
// Amounts that are negative or not below the width shift everything out; signed right shifts keep the sign.
void bit_shift(Context& context) {
  const std::string direction = required_string(context.node(), "direction");
  const bool arithmetic = ir::is_signed_integer(context.input(0).type);
  if (direction == "LEFT") {
    compute_bits(context, []<typename T>(T a, T b) {
      return b < sizeof(T) * 8 ? static_cast<T>(static_cast<std::uint64_t>(a) << b) : T{0};
    });
  } else if (direction == "RIGHT" && arithmetic) {
    compute_bits(context, []<typename T>(T a, T b) {
      const auto value = static_cast<std::make_signed_t<T>>(a);
      return static_cast<T>(value >> (b < sizeof(T) * 8 ? b : sizeof(T) * 8 - 1));
    });
  } else if (direction == "RIGHT") {
    compute_bits(context, []<typename T>(T a, T b) { return b < sizeof(T) * 8 ? static_cast<T>(a >> b) : T{0}; });
  } else {
    bad_input("direction is {}, not 'LEFT' or 'RIGHT'", quote(direction));
  }
}

// One operand after the other onto the result.
template <typename F>
void reduce_operands(Context& context, bool mean, const F& f) {
  const std::size_t n = context.input_count();
  if (n == 0) bad_input("no inputs");
  const Array& first = context.input(0);
  ir::Dims dims = first.dims;
  for (std::size_t i = 1; i < n; ++i) {
    require_type(context.input(i), first.type, "every input");
    dims = broadcast_dims(dims, context.input(i).dims);
  }
  in_number(context, first.type, [&]<typename T>() {
    const bool direct = ir::element_type_of<T> == first.type;
    const std::int64_t count = product(dims);
    const auto operand = [&](std::size_t i) {
      if constexpr (std::is_floating_point_v<T>) {
        return view<T>(context, context.input(i));
      } else {
        return context.input(i).as<T>();
      }
    };
    if (n == 1 && !mean) return context.forward(0, 0, dims);
    std::vector<const T*> operands;
    for (std::size_t i = 0; i < n; ++i) operands.push_back(operand(i));
    Array& out = context.output(0, first.type, dims);
    T* to = direct ? out.as<T>() : scratch<T>(context, count);
    if (n == 1) {
      std::copy_n(operands[0], count, to);
    } else {
      combine(broadcast<2>(dims, {first.dims, context.input(1).dims}), operands[0], operands[1], to, cheap_grain, f);
    }
    for (std::size_t i = 2; i < n; ++i) {
      combine(broadcast<2>(dims, {dims, context.input(i).dims}), to, operands[i], to, cheap_grain, f);
    }
    if constexpr (std::is_floating_point_v<T>) {
      if (mean) map_range(to, to, count, cheap_grain, [n](T x) { return x / static_cast<T>(n); });
      if constexpr (std::is_same_v<T, float>) {
        if (!direct) narrow(to, out);
      }
    } else if (mean) {
      map_range(to, to, count, cheap_grain, [n](T x) { return static_cast<T>(x / static_cast<double>(n)); });
    }
  });
}
template <typename F>
void fold(Context& context) {
  reduce_operands(context, false, F{});
}
void mean(Context& context) { reduce_operands(context, true, Plus{}); }

}  // namespace

std::span<const KernelEntry> arithmetic_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Add", 1, stateless<legacy<Plus>>, 6},
      {"Sub", 1, stateless<legacy<Minus>>, 6},
      {"Mul", 1, stateless<legacy<Times>>, 6},
      {"Div", 1, stateless<legacy<Over>>, 6},
      {"Pow", 1, stateless<pow_1>, 6},
      {"Add", 7, stateless<modern<Plus>>},
      {"Sub", 7, stateless<modern<Minus>>},
      {"Mul", 7, stateless<modern<Times>>},
      {"Div", 7, stateless<modern<Over>>},
      {"Pow", 7, stateless<pow>},
      {"Mod", 10, stateless<mod>},
      {"BitShift", 11, stateless<bit_shift>},
      {"BitwiseAnd", 18, stateless<bitwise_and>},
      {"BitwiseOr", 18, stateless<bitwise_or>},
      {"BitwiseXor", 18, stateless<bitwise_xor>},
      {"Min", 1, stateless<fold<Smaller>>},
      {"Max", 1, stateless<fold<Larger>>},
      {"Sum", 1, stateless<fold<Plus>>},
      {"Mean", 1, stateless<mean>},
  };
  return entries;
}

}  // namespace hone::exec
