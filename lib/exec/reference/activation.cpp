// Activations: Relu LeakyRelu Elu Selu Celu ThresholdedRelu HardSigmoid HardSwish Sigmoid Softplus Softsign Mish Swish
// SwiGLU Gelu Shrink Clip PRelu.
//
// NaN stays NaN. Not handled: the attribute consumed_inputs of opset 1 means nothing and is ignored.
#include <cmath>

#include "exec/reference/broadcast.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

template <typename T>
T sigmoid_of(T x) {
  // exp of a negative number only: no overflow, and full precision on both sides.
  if (x >= 0) return T{1} / (T{1} + std::exp(-x));
  const T e = std::exp(x);
  return e / (T{1} + e);
}
template <typename T>
T softplus_of(T x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

void relu(Context& context) {
  map_number(context, cheap_grain, []<typename T>(T x) { return x < T{0} ? T{0} : x; });
}
void leaky_relu(Context& context) {
  const float alpha = context.node().float_or("alpha", 0.01f);
  map_real(context, cheap_grain, [=]<typename T>(T x) { return x < 0 ? x * static_cast<T>(alpha) : x; });
}
void elu(Context& context) {
  const float alpha = context.node().float_or("alpha", 1.0f);
  map_real(context, costly_grain, [=]<typename T>(T x) { return x < 0 ? static_cast<T>(alpha) * std::expm1(x) : x; });
}
// The defaults of opset 1 had fewer digits.
void selu_with(Context& context, float default_alpha, float default_gamma) {
  const float alpha = context.node().float_or("alpha", default_alpha);
  const float gamma = context.node().float_or("gamma", default_gamma);
  map_real(context, costly_grain, [=]<typename T>(T x) {
    return static_cast<T>(gamma) * (x <= 0 ? static_cast<T>(alpha) * std::expm1(x) : x);
  });
}
void selu_1(Context& context) { selu_with(context, 1.6732f, 1.0507f); }
void selu(Context& context) { selu_with(context, 1.67326319217681884765625f, 1.05070102214813232421875f); }
void celu(Context& context) {
  const float alpha = context.node().float_or("alpha", 1.0f);
  map_real(context, costly_grain,
           [=]<typename T>(T x) { return x < 0 ? static_cast<T>(alpha) * std::expm1(x / static_cast<T>(alpha)) : x; });
}
void thresholded_relu(Context& context) {
  const float alpha = context.node().float_or("alpha", 1.0f);
  map_real(context, cheap_grain, [=]<typename T>(T x) { return x <= static_cast<T>(alpha) ? T{0} : x; });
}
template <typename T>
T hard_sigmoid_of(T x, T alpha, T beta) {
  const T y = alpha * x + beta;
  return y < 0 ? T{0} : y > 1 ? T{1} : y;
}
void hard_sigmoid(Context& context) {
  const float alpha = context.node().float_or("alpha", 0.2f), beta = context.node().float_or("beta", 0.5f);
  map_real(context, cheap_grain,
           [=]<typename T>(T x) { return hard_sigmoid_of(x, static_cast<T>(alpha), static_cast<T>(beta)); });
}
void hard_swish(Context& context) {
  map_real(context, cheap_grain, []<typename T>(T x) { return x * hard_sigmoid_of(x, T{1} / T{6}, T{0.5}); });
}
void sigmoid(Context& context) {
  map_real(context, costly_grain, []<typename T>(T x) { return sigmoid_of(x); });
}
void softplus(Context& context) {
  map_real(context, costly_grain, []<typename T>(T x) { return softplus_of(x); });
}
void softsign(Context& context) {
  map_real(context, cheap_grain, []<typename T>(T x) { return x / (T{1} + std::abs(x)); });
}
void mish(Context& context) {
  map_real(context, costly_grain, []<typename T>(T x) { return x * std::tanh(softplus_of(x)); });
}
void swish(Context& context) {
  const float alpha = context.node().float_or("alpha", 1.0f);
  map_real(context, costly_grain, [=]<typename T>(T x) { return x * sigmoid_of(static_cast<T>(alpha) * x); });
}
void swiglu(Context& context) {
  const Array &a = context.input(0), &b = context.input(1);
  require_type(b, a.type, "input B");
  if (a.dims != b.dims) bad_input("inputs of shapes {} and {}", ir::text(a.dims), ir::text(b.dims));
  const float alpha = context.node().float_or("alpha", 1.0f);
  in_real(context, a.type, [&]<typename T>() {
    const T *x = view<T>(context, a), *y = view<T>(context, b);
    Result<T> out(context, 0, a.type, a.dims);
    combine(broadcast<2>(a.dims, {a.dims, b.dims}), x, y, out.data(), costly_grain,
            [=](T gate, T value) { return gate * sigmoid_of(static_cast<T>(alpha) * gate) * value; });
    out.finish();
  });
}
void gelu(Context& context) {
  const std::string approximate = context.node().string_or("approximate", "none");
  if (approximate == "tanh") {
    map_real(context, costly_grain, []<typename T>(T x) {
      const T inner = static_cast<T>(0.7978845608028654) * (x + static_cast<T>(0.044715) * x * x * x);  // sqrt(2/pi)
      return static_cast<T>(0.5) * x * (T{1} + std::tanh(inner));
    });
  } else if (approximate == "none") {
    map_real(context, costly_grain, []<typename T>(T x) {
      return static_cast<T>(0.5) * x * (T{1} + std::erf(x * static_cast<T>(0.7071067811865476)));  // sqrt(1/2)
    });
  } else {
    bad_input("approximate is {}, not 'none' or 'tanh'", quote(approximate));
  }
}
void shrink(Context& context) {
  const float lambda = context.node().float_or("lambd", 0.5f), bias = context.node().float_or("bias", 0.0f);
  map_number(context, cheap_grain, [=]<typename T>(T x) -> T {
    using C = std::conditional_t<std::is_same_v<T, float>, float, double>;
    const C value = static_cast<C>(x);
    if (value < -static_cast<C>(lambda)) return static_cast<T>(value + static_cast<C>(bias));
    if (value > static_cast<C>(lambda)) return static_cast<T>(value - static_cast<C>(bias));
    return std::is_floating_point_v<T> && value != value ? x : T{0};
  });
}

// Where min > max, everything becomes max.
template <typename B>
struct Bounds {
  bool has_low = false, has_high = false;
  B low{}, high{};
  template <typename T>
  T operator()(T x) const {
    const T raised = has_low && x < static_cast<T>(low) ? static_cast<T>(low) : x;
    return has_high && raised > static_cast<T>(high) ? static_cast<T>(high) : raised;
  }
};
void clip_6(Context& context) {
  const ir::Node& node = context.node();
  map_real(context, cheap_grain,
           Bounds<double>{node.has_attribute("min"), node.has_attribute("max"), node.float_or("min", 0),
                          node.float_or("max", 0)});
}
void clip(Context& context) {
  const Array& in = context.input(0);
  for (std::size_t i = 1; i <= 2; ++i) {
    if (!context.has_input(i)) continue;
    require_type(context.input(i), in.type, i == 1 ? "min" : "max");
    if (context.input(i).count() != 1)
      bad_input("{} has {} elements", i == 1 ? "min" : "max", context.input(i).count());
  }
  const bool has_low = context.has_input(1), has_high = context.has_input(2);
  if (ir::is_float(in.type)) {
    map_real(context, cheap_grain,
             Bounds<double>{has_low, has_high, has_low ? read_double(context.input(1)) : 0,
                            has_high ? read_double(context.input(2)) : 0});
    return;
  }
  in_number(context, in.type, [&]<typename T>() {
    const Bounds<T> bounds{has_low, has_high, has_low ? context.input(1).as<T>()[0] : T{},
                           has_high ? context.input(2).as<T>()[0] : T{}};
    Array& out = context.output_over(0, 0, in.type, in.dims);
    map_range(in.as<T>(), out.as<T>(), in.count(), cheap_grain, bounds);
  });
}

// The slope broadcasts to the input. Before opset 7 a slope of one dimension was one value a channel.
void prelu_with(Context& context, bool by_channel) {
  const Array &in = context.input(0), &slope = context.input(1);
  require_type(slope, in.type, "slope");
  ir::Dims slope_dims = slope.dims;
  if (by_channel && slope.rank() == 1 && slope.dims[0] != 1 && in.rank() >= 2) slope_dims.resize(in.rank() - 1, 1);
  if (broadcast_dims(in.dims, slope_dims) != in.dims) {
    bad_input("slope of shape {} for an input of shape {}", ir::text(slope.dims), ir::text(in.dims));
  }
  const auto shape = broadcast<2>(in.dims, {in.dims, slope_dims});
  in_number(context, in.type, [&]<typename T>() {
    const auto f = [](T x, T s) { return x < T{0} ? static_cast<T>(x * s) : x; };
    if constexpr (std::is_floating_point_v<T>) {
      const T *x = view<T>(context, in), *s = view<T>(context, slope);
      Result<T> out(context, 0, in.type, in.dims);
      combine(shape, x, s, out.data(), cheap_grain, f);
      out.finish();
    } else {
      Array& out = context.output(0, in.type, in.dims);
      combine(shape, in.as<T>(), slope.as<T>(), out.as<T>(), cheap_grain, [](T x, T s) {
        using U = std::conditional_t<sizeof(T) < 8, std::int64_t, std::uint64_t>;  // wraps
        return x < T{0} ? static_cast<T>(static_cast<U>(x) * static_cast<U>(s)) : x;
      });
    }
  });
}
void prelu_1(Context& context) { prelu_with(context, true); }
void prelu(Context& context) { prelu_with(context, false); }

}  // namespace

std::span<const KernelEntry> activation_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Relu", 1, stateless<relu>},
      {"LeakyRelu", 1, stateless<leaky_relu>},
      {"Elu", 1, stateless<elu>},
      {"Selu", 1, stateless<selu_1>, 5},
      {"Selu", 6, stateless<selu>},
      {"Celu", 12, stateless<celu>},
      {"ThresholdedRelu", 1, stateless<thresholded_relu>},
      {"HardSigmoid", 1, stateless<hard_sigmoid>},
      {"HardSwish", 14, stateless<hard_swish>},
      {"Sigmoid", 1, stateless<sigmoid>},
      {"Softplus", 1, stateless<softplus>},
      {"Softsign", 1, stateless<softsign>},
      {"Mish", 18, stateless<mish>},
      {"Swish", 24, stateless<swish>},
      {"SwiGLU", 28, stateless<swiglu>},
      {"Gelu", 20, stateless<gelu>},
      {"Shrink", 9, stateless<shrink>},
      {"Clip", 1, stateless<clip_6>, 10},
      {"Clip", 11, stateless<clip>},
      {"PRelu", 1, stateless<prelu_1>, 6},
      {"PRelu", 7, stateless<prelu>},
  };
  return entries;
}

}  // namespace hone::exec
