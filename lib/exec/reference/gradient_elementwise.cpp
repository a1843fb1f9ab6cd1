// Gradients of functions of one number, OPERATORGradient(dy, saved), where `saved` is the input x or the output y of the
// operator (lib/autodiff/activation.cpp says which); of Clip, Min, Max, Pow, PRelu; and dropout.
#include <cmath>

#include "exec/reference/gradient.h"
#include "hone/support/random.h"

namespace hone::exec {
namespace {

// out = f(dy, saved), in the memory of dy where that is free.
template <typename F>
void map_gradient(Context& context, std::int64_t grain, const F& f) {
  const Array &dy = context.input(0), &saved = context.input(1);
  require_type(saved, dy.type, "the saved value");
  require_dims(saved, dy.dims, "the saved value");
  in_float(context, dy.type, [&]<typename T>() {
    Array& out = context.output_over(0, 0, dy.type, dy.dims);
    const T *g = dy.as<T>(), *s = saved.as<T>();
    T* to = out.as<T>();
    parallel_for(dy.count(), grain, [&](std::int64_t begin, std::int64_t end) {
      HONE_INDEPENDENT
      for (std::int64_t i = begin; i < end; ++i) to[i] = f(g[i], s[i]);
    });
  });
}

template <typename T>
T sigmoid_of(T x) {
  return T{1} / (T{1} + std::exp(-x));
}

// ---- from the output y
void relu(Context& context) {
  map_gradient(context, cheap_grain, []<typename T>(T dy, T y) { return y > 0 ? dy : T{0}; });
}
void sigmoid(Context& context) {
  map_gradient(context, cheap_grain, []<typename T>(T dy, T y) { return dy * y * (T{1} - y); });
}
void tanh(Context& context) {
  map_gradient(context, cheap_grain, []<typename T>(T dy, T y) { return dy * (T{1} - y * y); });
}
void sqrt(Context& context) {
  map_gradient(context, cheap_grain, []<typename T>(T dy, T y) { return dy / (2 * y); });
}
void reciprocal(Context& context) {
  map_gradient(context, cheap_grain, []<typename T>(T dy, T y) { return -dy * y * y; });
}
void tan(Context& context) {
  map_gradient(context, cheap_grain, []<typename T>(T dy, T y) { return dy * (T{1} + y * y); });
}

// ---- from the input x
void leaky_relu(Context& context) {
  const float alpha = context.node().float_or("alpha", 0.01F);
  map_gradient(context, cheap_grain, [=]<typename T>(T dy, T x) { return x < 0 ? dy * static_cast<T>(alpha) : dy; });
}
void elu(Context& context) {
  const float alpha = context.node().float_or("alpha", 1);
  map_gradient(context, costly_grain,
               [=]<typename T>(T dy, T x) { return x < 0 ? dy * static_cast<T>(alpha) * std::exp(x) : dy; });
}
void selu(Context& context) {
  const float alpha = context.node().float_or("alpha", 1.67326319217681884765625F);
  const float gamma = context.node().float_or("gamma", 1.05070102214813232421875F);
  map_gradient(context, costly_grain, [=]<typename T>(T dy, T x) {
    return dy * static_cast<T>(gamma) * (x <= 0 ? static_cast<T>(alpha) * std::exp(x) : T{1});
  });
}
void celu(Context& context) {
  const float alpha = context.node().float_or("alpha", 1);
  map_gradient(context, costly_grain,
               [=]<typename T>(T dy, T x) { return x < 0 ? dy * std::exp(x / static_cast<T>(alpha)) : dy; });
}
void thresholded_relu(Context& context) {
  const float alpha = context.node().float_or("alpha", 1);
  map_gradient(context, cheap_grain, [=]<typename T>(T dy, T x) { return x <= static_cast<T>(alpha) ? T{0} : dy; });
}
void hard_sigmoid(Context& context) {
  const float alpha = context.node().float_or("alpha", 0.2F), beta = context.node().float_or("beta", 0.5F);
  map_gradient(context, cheap_grain, [=]<typename T>(T dy, T x) {
    const T y = static_cast<T>(alpha) * x + static_cast<T>(beta);
    return y > 0 && y < 1 ? dy * static_cast<T>(alpha) : T{0};
  });
}
void hard_swish(Context& context) {  // x max(0, min(1, x/6 + 1/2))
  map_gradient(context, cheap_grain, []<typename T>(T dy, T x) {
    return x <= -3 ? T{0} : x >= 3 ? dy : dy * (x / 3 + static_cast<T>(0.5));
  });
}
void softplus(Context& context) {
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) { return dy * sigmoid_of(x); });
}
void softsign(Context& context) {
  map_gradient(context, cheap_grain, []<typename T>(T dy, T x) {
    const T d = T{1} + std::abs(x);
    return dy / (d * d);
  });
}
void swish(Context& context) {
  const float alpha = context.node().float_or("alpha", 1);
  map_gradient(context, costly_grain, [=]<typename T>(T dy, T x) {
    const T s = sigmoid_of(static_cast<T>(alpha) * x);
    return dy * (s + static_cast<T>(alpha) * x * s * (T{1} - s));
  });
}
void mish(Context& context) {  // x tanh(softplus(x))
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) {
    const T softplus = x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    const T t = std::tanh(softplus);
    return dy * (t + x * (T{1} - t * t) * sigmoid_of(x));
  });
}
void gelu(Context& context) {
  if (context.node().string_or("approximate", "none") == "tanh") {
    map_gradient(context, costly_grain, []<typename T>(T dy, T x) {
      const T c = static_cast<T>(0.7978845608028654), k = static_cast<T>(0.044715);  // sqrt(2/pi)
      const T t = std::tanh(c * (x + k * x * x * x));
      return dy *
             (static_cast<T>(0.5) * (T{1} + t) + static_cast<T>(0.5) * x * (T{1} - t * t) * c * (T{1} + 3 * k * x * x));
    });
    return;
  }
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) {
    const T cdf = static_cast<T>(0.5) * (T{1} + std::erf(x * static_cast<T>(0.7071067811865476)));  // sqrt(1/2)
    const T pdf = static_cast<T>(0.3989422804014327) * std::exp(static_cast<T>(-0.5) * x * x);      // 1/sqrt(2 pi)
    return dy * (cdf + x * pdf);
  });
}
void erf(Context& context) {
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) {
    return dy * static_cast<T>(1.1283791670955126) * std::exp(-x * x);  // 2/sqrt(pi)
  });
}
void sin(Context& context) {
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) { return dy * std::cos(x); });
}
void cos(Context& context) {
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) { return -dy * std::sin(x); });
}
void asin(Context& context) {
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) { return dy / std::sqrt(T{1} - x * x); });
}
void acos(Context& context) {
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) { return -dy / std::sqrt(T{1} - x * x); });
}
void atan(Context& context) {
  map_gradient(context, cheap_grain, []<typename T>(T dy, T x) { return dy / (T{1} + x * x); });
}
void sinh(Context& context) {
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) { return dy * std::cosh(x); });
}
void cosh(Context& context) {
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) { return dy * std::sinh(x); });
}
void asinh(Context& context) {
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) { return dy / std::sqrt(x * x + T{1}); });
}
void acosh(Context& context) {
  map_gradient(context, costly_grain, []<typename T>(T dy, T x) { return dy / std::sqrt(x * x - T{1}); });
}
void atanh(Context& context) {
  map_gradient(context, cheap_grain, []<typename T>(T dy, T x) { return dy / (T{1} - x * x); });
}
void abs(Context& context) {
  map_gradient(context, cheap_grain, []<typename T>(T dy, T x) { return x > 0 ? dy : x < 0 ? -dy : T{0}; });
}
void safe_div(Context& context) {  // 0 where the divisor is 0
  map_gradient(context, cheap_grain, []<typename T>(T dy, T x) { return x == 0 ? T{0} : dy / x; });
}

// Limits as attributes before opset 11, as inputs 2 and 3 since.
void clip(Context& context) {
  const ir::Node& node = context.node();
  const auto limit = [&](std::size_t index, const char* name, double none) {
    if (context.has_input(index)) return read_double(context.input(index));
    return static_cast<double>(node.float_or(name, static_cast<float>(none)));
  };
  const double low = limit(2, "min", -std::numeric_limits<double>::infinity());
  const double high = limit(3, "max", std::numeric_limits<double>::infinity());
  map_gradient(context, cheap_grain,
               [=]<typename T>(T dy, T x) { return x < static_cast<T>(low) || x > static_cast<T>(high) ? T{0} : dy; });
}

// (dy, y, a): of the exponent of y = a^b. 0 where a is 0, as the limit from above is.
void pow_exponent(Context& context) {
  const Array &dy = context.input(0), &y = context.input(1), &a = context.input(2);
  require_type(a, dy.type, "the base");
  require_dims(y, dy.dims, "the power");
  in_float(context, dy.type, [&]<typename T>() {
    const T *g = dy.as<T>(), *power = y.as<T>(), *base = a.as<T>();
    T* to = context.output(0, dy.type, dy.dims).as<T>();
    const auto shape = broadcast<1>(dy.dims, {a.dims});
    for_each_run(shape, costly_grain,
                 [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 1>& from) {
                   for (std::int64_t i = 0; i < length; ++i) {
                     const T x = base[from[0] + (shape.moves[0] ? i : 0)];
                     to[at + i] = x == 0 ? T{0} : g[at + i] * power[at + i] * std::log(x);
                   }
                 });
  });
}

// (dy, y, x0, x1 ...): of Min and Max. Equal operands share the gradient.
void min_max(Context& context) {
  const Array &dy = context.input(0), &y = context.input(1);
  require_dims(y, dy.dims, "the result");
  in_float(context, dy.type, [&]<typename T>() {
    const std::int64_t count = dy.count();
    T* parts = scratch<T>(context, count);  // how many operands are the extreme one
    std::fill_n(parts, count, T{0});
    const T *g = dy.as<T>(), *extreme = y.as<T>();
    const auto visit = [&](std::size_t input, auto&& f) {
      const Array& x = context.input(input);
      const T* from = x.as<T>();
      const auto shape = broadcast<1>(dy.dims, {x.dims});
      for_each_run(shape, cheap_grain,
                   [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 1>& start) {
                     for (std::int64_t i = 0; i < length; ++i) {
                       f(at + i, from[start[0] + (shape.moves[0] ? i : 0)] == extreme[at + i]);
                     }
                   });
    };
    for (std::size_t k = 2; k < context.input_count(); ++k) {
      visit(k, [&](std::int64_t i, bool chosen) { parts[i] += chosen ? T{1} : T{0}; });
    }
    for (std::size_t k = 2; k < context.input_count(); ++k) {
      if (!context.wants_output(k - 2)) continue;
      T* to = context.output(k - 2, dy.type, dy.dims).as<T>();
      visit(k, [&](std::int64_t i, bool chosen) { to[i] = chosen ? g[i] / parts[i] : T{0}; });
    }
  });
}

// (dy, x, slope) to dx and the slope's gradient in the shape of x.
void prelu(Context& context) {
  const Array &dy = context.input(0), &x = context.input(1), &slope = context.input(2);
  require_dims(x, dy.dims, "the input");
  in_float(context, dy.type, [&]<typename T>() {
    T* dx = context.wants_output(0) ? context.output(0, dy.type, dy.dims).as<T>() : nullptr;
    T* ds = context.wants_output(1) ? context.output(1, dy.type, dy.dims).as<T>() : nullptr;
    const T *g = dy.as<T>(), *in = x.as<T>(), *s = slope.as<T>();
    const auto shape = broadcast<1>(dy.dims, {slope.dims});
    for_each_run(shape, cheap_grain,
                 [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 1>& from) {
                   for (std::int64_t i = 0; i < length; ++i) {
                     const T factor = s[from[0] + (shape.moves[0] ? i : 0)];
                     const bool below = in[at + i] < 0;
                     if (dx) dx[at + i] = below ? g[at + i] * factor : g[at + i];
                     if (ds) ds[at + i] = below ? g[at + i] * in[at + i] : T{0};
                   }
                 });
  });
}

// (dy, mask, ratio, training_mode), as the operator Dropout has them.
void dropout(Context& context) {
  const Array &dy = context.input(0), &mask = context.input(1);
  const bool training = context.has_input(3) && *context.input(3).as<bool>();
  if (!training) {
    context.forward(0, 0, dy.dims);
    return;
  }
  const double ratio = context.has_input(2) ? read_double(context.input(2)) : 0.5;
  require_dims(mask, dy.dims, "the mask");
  in_float(context, dy.type, [&]<typename T>() {
    const T* g = dy.as<T>();
    const bool* keep = mask.as<bool>();
    T* to = context.output_over(0, 0, dy.type, dy.dims).as<T>();
    const T scale = ratio < 1 ? static_cast<T>(1 / (1 - ratio)) : T{0};
    parallel_for(dy.count(), cheap_grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = keep[i] ? g[i] * scale : T{0};
    });
  });
}

// RandomDropout(x, step) {ratio, seed, stream}: y = x mask/(1 - ratio). The mask is a function of seed, stream, step and
// place: the backward pass draws the same one again instead of keeping it, and a resumed training goes on with it.
//
// 16 bits decide an element (the ratio is rounded to 1/65536); four elements share a number of SplitMix64 (Steele, Lea,
// Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), whose key Philox makes: an eighth of the cost
// of Philox throughout.
void random_dropout(Context& context) {
  const ir::Node& node = context.node();
  const Array& x = context.input(0);
  const auto threshold =
      static_cast<std::uint32_t>(std::lround(static_cast<double>(node.float_or("ratio", 0.5F)) * 65536));
  if (threshold == 0) {
    context.forward(0, 0, x.dims);
    return;
  }
  const auto words =
      philox(static_cast<std::uint64_t>(node.int_or("seed", 0)), static_cast<std::uint64_t>(node.int_or("stream", 0)),
             static_cast<std::uint64_t>(read_int(context.input(1))));
  const std::uint64_t key = (std::uint64_t{words[0]} << 32) | words[1];
  in_float(context, x.type, [&]<typename T>() {
    const T* from = x.as<T>();
    T* to = context.output_over(0, 0, x.type, x.dims).as<T>();
    const T scale = threshold < 65536 ? static_cast<T>(65536.0 / (65536.0 - threshold)) : T{0};
    const std::int64_t count = x.count();
    parallel_for(ceil_div(count, 4), cheap_grain / 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t group = begin; group < end; ++group) {
        std::uint64_t z = key + static_cast<std::uint64_t>(group) * 0x9E3779B97F4A7C15U;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
        z ^= z >> 31;
        const std::int64_t last = std::min(group * 4 + 4, count);
        for (std::int64_t i = group * 4; i < last; ++i, z >>= 16) {
          to[i] = (z & 0xFFFF) < threshold ? T{0} : from[i] * scale;
        }
      }
    });
  });
}

}  // namespace

std::span<const KernelEntry> gradient_elementwise_kernels() {
  static constexpr KernelEntry entries[] = {
      own_kernel("ReluGradient", stateless<relu>),
      own_kernel("SigmoidGradient", stateless<sigmoid>),
      own_kernel("TanhGradient", stateless<tanh>),
      own_kernel("SqrtGradient", stateless<sqrt>),
      own_kernel("ReciprocalGradient", stateless<reciprocal>),
      own_kernel("TanGradient", stateless<tan>),
      own_kernel("LeakyReluGradient", stateless<leaky_relu>),
      own_kernel("EluGradient", stateless<elu>),
      own_kernel("SeluGradient", stateless<selu>),
      own_kernel("CeluGradient", stateless<celu>),
      own_kernel("ThresholdedReluGradient", stateless<thresholded_relu>),
      own_kernel("HardSigmoidGradient", stateless<hard_sigmoid>),
      own_kernel("HardSwishGradient", stateless<hard_swish>),
      own_kernel("SoftplusGradient", stateless<softplus>),
      own_kernel("SoftsignGradient", stateless<softsign>),
      own_kernel("SwishGradient", stateless<swish>),
      own_kernel("MishGradient", stateless<mish>),
      own_kernel("GeluGradient", stateless<gelu>),
      own_kernel("ErfGradient", stateless<erf>),
      own_kernel("SinGradient", stateless<sin>),
      own_kernel("CosGradient", stateless<cos>),
      own_kernel("AsinGradient", stateless<asin>),
      own_kernel("AcosGradient", stateless<acos>),
      own_kernel("AtanGradient", stateless<atan>),
      own_kernel("SinhGradient", stateless<sinh>),
      own_kernel("CoshGradient", stateless<cosh>),
      own_kernel("AsinhGradient", stateless<asinh>),
      own_kernel("AcoshGradient", stateless<acosh>),
      own_kernel("AtanhGradient", stateless<atanh>),
      own_kernel("AbsGradient", stateless<abs>),
      own_kernel("SafeDiv", stateless<safe_div>),
      own_kernel("ClipGradient", stateless<clip>),
      own_kernel("PowExponentGradient", stateless<pow_exponent>),
      own_kernel("MinMaxGradient", stateless<min_max>),
      own_kernel("PReluGradient", stateless<prelu>),
      own_kernel("DropoutGradient", stateless<dropout>),
      own_kernel("RandomDropout", stateless<random_dropout>),
  };
  return entries;
}

}  // namespace hone::exec
