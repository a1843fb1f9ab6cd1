// Gelu BiasGelu FastGelu QuickGelu of com.microsoft.
#include <cmath>

#include "exec/reference/microsoft/microsoft.h"

namespace hone::exec {
namespace {

struct Exact {
  template <typename T>
  T operator()(T x) const {
    return static_cast<T>(0.5) * x * (T{1} + std::erf(x * static_cast<T>(0.7071067811865476)));  // sqrt(1/2)
  }
};
struct ByTanh {
  template <typename T>
  T operator()(T x) const {
    const T inner = static_cast<T>(0.7978845608028654) * (x + static_cast<T>(0.044715) * x * x * x);  // sqrt(2/pi)
    return static_cast<T>(0.5) * x * (T{1} + std::tanh(inner));
  }
};

// f(x + bias), where the bias is one number for each place of the last dimension.
template <typename F>
void with_bias(Context& context) {
  const F f;
  if (!context.has_input(1)) return map_real(context, costly_grain, f);
  const Array &in = context.input(0), &bias = context.input(1);
  require_type(bias, in.type, "the bias");
  require_rank(in, 1, std::numeric_limits<std::size_t>::max(), "the input");
  require_dims(bias, {in.dims.back()}, "the bias");
  in_real(context, in.type, [&]<typename T>() {
    const T *x = view<T>(context, in), *b = view<T>(context, bias);
    Result<T> out(context, 0, in.type, in.dims);
    combine(broadcast<2>(in.dims, {in.dims, bias.dims}), x, b, out.data(), costly_grain,
            [&](T value, T added) { return f(value + added); });
    out.finish();
  });
}

void quick_gelu(Context& context) {
  const float alpha = context.node().float_or("alpha", 1.702f);
  map_real(context, costly_grain, [=]<typename T>(T x) {
    const T z = static_cast<T>(alpha) * x;
    if (z >= 0) return x / (T{1} + std::exp(-z));
    const T e = std::exp(z);
    return x * (e / (T{1} + e));
  });
}

}  // namespace

std::span<const KernelEntry> microsoft_activation_kernels() {
  static constexpr KernelEntry entries[] = {
      microsoft("Gelu", stateless<with_bias<Exact>>),
      microsoft("BiasGelu", stateless<with_bias<Exact>>),
      microsoft("FastGelu", stateless<with_bias<ByTanh>>),
      microsoft("QuickGelu", stateless<quick_gelu>),
  };
  return entries;
}

}  // namespace hone::exec
