// QLinearAdd QLinearMul QLinearSigmoid QLinearLeakyRelu QLinearSoftmax QLinearAveragePool QLinearGlobalAveragePool QLinearConcat
// QLinearWhere of com.microsoft: dequantized, computed in float, and quantized again.
//
// ONNX Runtime computes some of them in fixed point: its results differ by a step here and there.
#include <array>
#include <cmath>

#include "exec/reference/microsoft/microsoft.h"
#include "exec/reference/quantization.h"
#include "exec/reference/window.h"

namespace hone::exec {
namespace {

// One scale and one zero point for a tensor.
struct Step {
  float scale = 1;
  std::int32_t zero = 0;

  Step(Context& context, std::size_t at, ir::ElementType type)
      : scale(static_cast<float>(read_double(context.input(at)))) {
    if (const Array* given = optional_input(context, at + 1)) {
      require_type(*given, type, "a zero point");
      zero = static_cast<std::int32_t>(read_int(*given));
    }
  }
  float value(std::int32_t code) const { return static_cast<float>(code - zero) * scale; }
  std::int32_t code(float value, IntegerRange range) const { return quantized(value / scale, zero, range); }
};

template <typename F>
void in_code(Context& context, ir::ElementType type, F&& f) {
  if (!dispatch<std::int8_t, std::uint8_t>(type, std::forward<F>(f))) unsupported_type(context, type);
}

template <bool product_of>
void binary(Context& context) {
  const Array &a = context.input(0), &b = context.input(3);
  require_type(b, a.type, "B");
  const Step x(context, 1, a.type), y(context, 4, a.type), z(context, 6, a.type);
  const IntegerRange range = quantized_range(a.type);
  const ir::Dims dims = broadcast_dims(a.dims, b.dims);
  Array& out = context.output(0, a.type, dims);
  in_code(context, a.type, [&]<typename T>() {
    combine(broadcast<2>(dims, {a.dims, b.dims}), a.as<T>(), b.as<T>(), out.as<T>(), cheap_grain, [&](T i, T k) {
      const float result = product_of ? x.value(i) * y.value(k) : x.value(i) + y.value(k);
      return static_cast<T>(z.code(result, range));
    });
  });
}

// A function of each element: one result for each of the 256 codes.
template <typename F>
void by_table(Context& context, const F& f) {
  const Array& in = context.input(0);
  const Step x(context, 1, in.type), y(context, 3, in.type);
  const IntegerRange range = quantized_range(in.type);
  Array& out = context.output(0, in.type, in.dims);
  in_code(context, in.type, [&]<typename T>() {
    std::array<T, 256> table;
    for (std::int32_t code = range.low; code <= range.high; ++code) {
      table[static_cast<std::size_t>(code - range.low)] = static_cast<T>(y.code(f(x.value(code)), range));
    }
    map_range(in.as<T>(), out.as<T>(), in.count(), cheap_grain,
              [&](T code) { return table[static_cast<std::size_t>(static_cast<std::int32_t>(code) - range.low)]; });
  });
}
void sigmoid(Context& context) {
  by_table(context, [](float x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); });
}
void leaky_relu(Context& context) {
  const float alpha = context.node().float_or("alpha", 0.01f);
  by_table(context, [=](float x) { return x < 0 ? alpha * x : x; });
}

// As in opset `opset`: before 13 the dimensions from the axis on count as one.
void softmax(Context& context) {
  const Array& in = context.input(0);
  const bool flattened = context.node().int_or("opset", 13) < 13;
  const std::size_t axis = checked_axis(context.node().int_or("axis", flattened ? 1 : -1), in.rank());
  const std::int64_t length = flattened ? product(in.dims, axis, in.rank()) : in.dims[axis];
  const std::int64_t inner = flattened ? 1 : product(in.dims, axis + 1, in.rank()), outer = product(in.dims, 0, axis);
  const Step x(context, 1, in.type), y(context, 3, in.type);
  const IntegerRange range = quantized_range(in.type);
  Array& out = context.output(0, in.type, in.dims);
  if (in.count() == 0) return;
  in_code(context, in.type, [&]<typename T>() {
    const T* from = in.as<T>();
    T* to = out.as<T>();
    for (std::int64_t i = 0; i < outer * inner; ++i) {
      const std::int64_t at = i / inner * length * inner + i % inner;
      T largest = from[at];
      for (std::int64_t k = 1; k < length; ++k) largest = std::max(largest, from[at + k * inner]);
      const auto exponential = [&](std::int64_t k) {
        return std::exp(static_cast<double>(x.value(from[at + k * inner]) - x.value(largest)));
      };
      double sum = 0;
      for (std::int64_t k = 0; k < length; ++k) sum += exponential(k);
      for (std::int64_t k = 0; k < length; ++k)
        to[at + k * inner] = static_cast<T>(y.code(static_cast<float>(exponential(k) / sum), range));
    }
  });
}

// The dimensions of a channels-last tensor with the channels in front of the places, and back.
ir::Dims channels_first(const ir::Dims& dims) {
  ir::Dims turned = dims;
  std::rotate(turned.begin() + 1, turned.end() - 1, turned.end());
  return turned;
}
ir::Dims channels_behind(const ir::Dims& dims) {
  ir::Dims turned = dims;
  std::rotate(turned.begin() + 1, turned.begin() + 2, turned.end());
  return turned;
}

template <bool global>
void average_pool(Context& context) {
  const Array& in = context.input(0);
  require_rank(in, 3, std::numeric_limits<std::size_t>::max(), "the input");
  const bool last = flag(context.node(), "channels_last", false);
  const Step x(context, 1, in.type), y(context, 3, in.type);
  const IntegerRange range = quantized_range(in.type);
  const ir::Dims dims = last ? channels_first(in.dims) : in.dims;
  Window window(dims.size() - 2);
  if constexpr (global) {
    window.in = window.kernel = ir::Dims(dims.begin() + 2, dims.end());
    window.strides = window.dilations = window.out = ir::Dims(window.rank, 1);
    window.before = window.after = ir::Dims(window.rank, 0);
  } else {
    window = Window(context.node(), dims, {}, flag(context.node(), "ceil_mode", false));
  }
  const bool with_padding = flag(context.node(), "count_include_pad", false);
  ir::Dims made = {dims[0], dims[1]};
  made.insert(made.end(), window.out.begin(), window.out.end());
  Array& out = context.output(0, in.type, last ? channels_behind(made) : made);
  const std::int64_t channels = dims[1], in_size = window.in_size(), out_size = window.out_size(), taps = window.taps();
  in_code(context, in.type, [&]<typename T>() {
    const T* from = in.as<T>();
    T* to = out.as<T>();
    const ir::Dims in_steps = strides(window.in);
    parallel_for(dims[0] * channels, grain_for(static_cast<double>(out_size) * static_cast<double>(taps) * 4),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t plane = begin; plane < end; ++plane) {
                     const std::int64_t n = plane / channels, c = plane % channels;
                     const auto place = [&](std::int64_t at, std::int64_t size) {
                       return last ? (n * size + at) * channels + c : plane * size + at;
                     };
                     for (std::int64_t o = 0; o < out_size; ++o) {
                       std::int64_t sum = 0, seen = 0, counted = 0;
                       for (std::int64_t t = 0; t < taps; ++t) {
                         std::int64_t at = 0, rest_out = o, rest_tap = t;
                         bool inside = true, padded = true;
                         for (std::size_t d = window.rank; d-- > 0;) {
                           const std::int64_t position = rest_out % window.out[d] * window.strides[d] -
                                                         window.before[d] +
                                                         rest_tap % window.kernel[d] * window.dilations[d];
                           rest_out /= window.out[d];
                           rest_tap /= window.kernel[d];
                           inside = inside && position >= 0 && position < window.in[d];
                           padded = padded && position < window.in[d] + window.after[d];
                           at += position * in_steps[d];
                         }
                         counted += padded;
                         if (!inside) continue;
                         sum += from[place(at, in_size)] - x.zero;
                         ++seen;
                       }
                       const std::int64_t divisor = with_padding ? counted : seen;
                       const double mean = divisor == 0 ? 0
                                                        : static_cast<double>(sum) * static_cast<double>(x.scale) /
                                                              static_cast<double>(divisor);
                       to[place(o, out_size)] = static_cast<T>(y.code(static_cast<float>(mean), range));
                     }
                   }
                 });
  });
}

// Pairs of a tensor, its scale and its zero point, from input 2 on.
void concat(Context& context) {
  const Array& zero = context.input(1);
  const Step y(context, 0, zero.type);
  const IntegerRange range = quantized_range(zero.type);
  const std::size_t count = context.input_count() / 3;
  if (context.input_count() < 5 || context.input_count() % 3 != 2) bad_input("{} inputs", context.input_count());
  const auto tensor = [&](std::size_t i) -> const Array& { return context.input(2 + 3 * i); };
  ir::Dims dims = tensor(0).dims;
  const std::size_t axis = checked_axis(required_int(context.node(), "axis"), dims.size());
  dims[axis] = 0;
  for (std::size_t i = 0; i < count; ++i) {
    ir::Dims own = tensor(i).dims;
    if (own.size() != dims.size()) bad_input("inputs of different ranks");
    dims[axis] = size_sum(dims[axis], own[axis]);
    own[axis] = tensor(0).dims[axis];
    if (own != tensor(0).dims)
      bad_input("inputs of shapes {} and {}", ir::text(tensor(0).dims), ir::text(tensor(i).dims));
  }
  Array& out = context.output(0, zero.type, dims);
  const std::int64_t outer = product(dims, 0, axis), row = product(dims, axis, dims.size());
  in_code(context, zero.type, [&]<typename T>() {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Array& in = tensor(i);
      require_type(in, zero.type, "an input");
      const Step x(context, 3 + 3 * i, in.type);
      const bool same = x.scale == y.scale && x.zero == y.zero;
      const std::int64_t length = product(in.dims, axis, in.rank());
      for (std::int64_t o = 0; o < outer; ++o) {
        const T* from = in.as<T>() + o * length;
        T* to = out.as<T>() + o * row + at;
        for (std::int64_t k = 0; k < length; ++k)
          to[k] = same ? from[k] : static_cast<T>(y.code(x.value(from[k]), range));
      }
      at += length;
    }
  });
}

void where(Context& context) {
  const Array &condition = context.input(0), &a = context.input(1), &b = context.input(4);
  require_type(condition, ir::ElementType::boolean, "the condition");
  require_type(b, a.type, "Y");
  const Step x(context, 2, a.type), y(context, 5, a.type), z(context, 7, a.type);
  const IntegerRange range = quantized_range(a.type);
  const ir::Dims dims = broadcast_dims(condition.dims, broadcast_dims(a.dims, b.dims));
  Array& out = context.output(0, a.type, dims);
  const auto shape = broadcast<3>(dims, {condition.dims, a.dims, b.dims});
  in_code(context, a.type, [&]<typename T>() {
    for_each_run(shape, cheap_grain,
                 [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 3>& from) {
                   for (std::int64_t i = 0; i < length; ++i) {
                     const auto place = [&](std::size_t k) { return from[k] + (shape.moves[k] ? i : 0); };
                     const float value =
                         condition.as<bool>()[place(0)] ? x.value(a.as<T>()[place(1)]) : y.value(b.as<T>()[place(2)]);
                     out.as<T>()[at + i] = static_cast<T>(z.code(value, range));
                   }
                 });
  });
}

}  // namespace

std::span<const KernelEntry> microsoft_quantize_kernels() {
  static constexpr KernelEntry entries[] = {
      microsoft("QLinearAdd", stateless<binary<false>>),
      microsoft("QLinearMul", stateless<binary<true>>),
      microsoft("QLinearSigmoid", stateless<sigmoid>),
      microsoft("QLinearLeakyRelu", stateless<leaky_relu>),
      microsoft("QLinearSoftmax", stateless<softmax>),
      microsoft("QLinearAveragePool", stateless<average_pool<false>>),
      microsoft("QLinearGlobalAveragePool", stateless<average_pool<true>>),
      microsoft("QLinearConcat", stateless<concat>),
      microsoft("QLinearWhere", stateless<where>),
  };
  return entries;
}

}  // namespace hone::exec
