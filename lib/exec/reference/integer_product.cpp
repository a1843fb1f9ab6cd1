// Products and convolutions of 8-bit integers: MatMulInteger QLinearMatMul ConvInteger QLinearConv.
//
// Operands less their zero points fit 16 bits; sums are exact in 32 bits and wrap beyond. Results are requantized in float:
// acc * (scale of a * scale of b / scale of y), rounded, ties to even.
//
// Not handled: QLinearMatMul of float8.
#include "exec/reference/integer_product.h"

#include "exec/arrays.h"
#include "exec/reference/gemm.h"
#include "exec/reference/list.h"
#include "exec/reference/matmul.h"
#include "exec/reference/window.h"

namespace hone::exec {

// A value for each row stands as a column beside the matrix.
ir::Dims by_row(const Array& array) {
  return array.rank() == 1 && array.dims[0] != 1 ? ir::Dims{array.dims[0], 1} : array.dims;
}

std::int32_t* integer_mat_mul(Context& context, const Array& a, const Array* a_zero, const Array& b,
                              const Array* b_zero, ir::Dims& dims) {
  const MatMulShape shape(a.dims, b.dims);
  dims = shape.dims;
  auto* out = scratch<std::int32_t>(context, product(dims));
  if (product(dims) == 0) return out;
  const std::int16_t* left = centered(context, a, a_zero, a_zero ? by_row(*a_zero) : ir::Dims());
  const std::int16_t* right = centered(context, b, b_zero, b_zero ? b_zero->dims : ir::Dims());
  const std::int64_t a_size = shape.rows * shape.depth, b_size = shape.depth * shape.columns;
  auto* turned = scratch<std::int16_t>(context, b.count());
  const std::int64_t matrices = b_size == 0 ? 0 : b.count() / b_size;
  parallel_for(matrices * shape.columns, grain_for(static_cast<double>(shape.depth)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int16_t* column = right + i / shape.columns * b_size + i % shape.columns;
                   for (std::int64_t d = 0; d < shape.depth; ++d)
                     turned[i * shape.depth + d] = column[d * shape.columns];
                 }
               });
  for (std::int64_t i = 0; i < shape.stacks; ++i) {
    const auto at = static_cast<std::size_t>(i);
    multiply_rows(shape.rows, shape.depth, shape.columns, left + shape.a_at[at] * a_size,
                  turned + shape.b_at[at] * b_size, out + i * shape.rows * shape.columns, shape.columns);
  }
  return out;
}

void requantize(Context& context, const std::int32_t* sums, const ir::Dims& dims, const float* multipliers,
                const ir::Dims& multiplier_dims, const Array* zero_point, const ir::Dims& zero_dims, Array& out) {
  const IntegerRange range = quantized_range(out.type);
  const std::int32_t none = 0;
  if (zero_point) require_type(*zero_point, out.type, "the result's zero point");
  const std::int32_t* zeros = zero_point ? integers(context, *zero_point) : &none;
  const ir::Dims zeros_over = zero_point ? zero_dims : ir::Dims();
  if (broadcast_dims(dims, multiplier_dims) != dims || broadcast_dims(dims, zeros_over) != dims) {
    bad_input("scales of shape {} and zero points of shape {} for a result of shape {}", ir::text(multiplier_dims),
              ir::text(zeros_over), ir::text(dims));
  }
  const auto shape = broadcast<3>(dims, {dims, multiplier_dims, zeros_over});
  const bool known = dispatch<std::int8_t, std::uint8_t>(out.type, [&]<typename T>() {
    T* to = out.as<T>();
    for_each_run(shape, cheap_grain,
                 [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 3>& from) {
                   const std::int64_t by_step = shape.moves[1], zero_step = shape.moves[2];
                   for (std::int64_t i = 0; i < length; ++i) {
                     const float ratio = static_cast<float>(sums[at + i]) * multipliers[from[1] + i * by_step];
                     to[at + i] = static_cast<T>(quantized(ratio, zeros[from[2] + i * zero_step], range));
                   }
                 });
  });
  if (!known) unsupported_type(context, out.type);
}

namespace {

const Array* optional(Context& context, std::size_t index) {
  return context.has_input(index) ? &context.input(index) : nullptr;
}

void deliver(Context& context, const std::int32_t* sums, const ir::Dims& dims) {
  Array& out = context.output(0, ir::ElementType::int32, dims);
  if (out.count() > 0) std::copy_n(sums, out.count(), out.as<std::int32_t>());
}

void mat_mul_integer(Context& context) {
  ir::Dims dims;
  const std::int32_t* sums =
      integer_mat_mul(context, context.input(0), optional(context, 2), context.input(1), optional(context, 3), dims);
  deliver(context, sums, dims);
}

// The product of two broadcast lists of scales, or quotient.
std::pair<const float*, ir::Dims> joined(Context& context, const float* a, const ir::Dims& a_dims, const float* b,
                                         const ir::Dims& b_dims, bool divide) {
  ir::Dims dims = broadcast_dims(a_dims, b_dims);
  auto* result = scratch<float>(context, product(dims));
  combine(broadcast<2>(dims, {a_dims, b_dims}), a, b, result, cheap_grain,
          [=](float x, float y) { return divide ? x / y : x * y; });
  return {result, dims};
}

void qlinear_mat_mul(Context& context) {
  ir::Dims dims;
  const Array &a = context.input(0), &b = context.input(3);
  const std::int32_t* sums = integer_mat_mul(context, a, &context.input(2), b, &context.input(5), dims);
  const Array &a_scale = context.input(1), &b_scale = context.input(4), &y_scale = context.input(6),
              &y_zero = context.input(7);
  const auto factors = joined(context, view<float>(context, a_scale), by_row(a_scale), view<float>(context, b_scale),
                              b_scale.dims, false);
  const auto multipliers =
      joined(context, factors.first, factors.second, view<float>(context, y_scale), by_row(y_scale), true);
  Array& out = context.output(0, y_zero.type, dims);
  if (out.count() == 0) return;
  requantize(context, sums, dims, multipliers.first, multipliers.second, &y_zero, by_row(y_zero), out);
}

// Sums of a convolution of int8 or uint8, [N, M, places...].
std::int32_t* convolve(Context& context, const Array& in, const Array* in_zero, const Array& weights,
                       const Array* weight_zero, ir::Dims& dims) {
  if (weights.rank() != in.rank() || in.rank() < 3) {
    bad_input("a weight of shape {} for an input of shape {}", ir::text(weights.dims), ir::text(in.dims));
  }
  const std::int64_t groups = context.node().int_or("group", 1), batch = in.dims[0], channels = weights.dims[0];
  if (groups < 1 || in.dims[1] % groups != 0 || channels % groups != 0 || weights.dims[1] != in.dims[1] / groups) {
    bad_input("a weight of shape {} for {} channels in {} groups", ir::text(weights.dims), in.dims[1], groups);
  }
  const Window window(context.node(), in.dims, ir::Dims(weights.dims.begin() + 2, weights.dims.end()));
  dims = {batch, channels};
  dims.insert(dims.end(), window.out.begin(), window.out.end());
  auto* out = scratch<std::int32_t>(context, product(dims));
  if (product(dims) == 0) return out;
  if (in_zero && in_zero->count() != 1) bad_input("the input's zero point has {} elements", in_zero->count());
  ir::Dims zero_dims;
  if (weight_zero && weight_zero->count() != 1) {
    zero_dims.assign(weights.rank(), 1);
    zero_dims[0] = weight_zero->count();
  }
  const std::int16_t* image = centered(context, in, in_zero, {});
  const std::int16_t* by = centered(context, weights, weight_zero, zero_dims);
  const std::int64_t in_group = in.dims[1] / groups, out_group = channels / groups, depth = in_group * window.taps();
  const std::int64_t in_plane = window.in_size(), plane = window.out_size();
  if (depth == 0) {
    std::fill_n(out, product(dims), 0);
    return out;
  }
  // Patches of a block stay in the second-level cache.
  const std::int64_t places = std::clamp<std::int64_t>((128 << 10) / depth, 16, std::max<std::int64_t>(16, plane));
  const std::int64_t blocks = ceil_div(plane, places);
  parallel_for(
      batch * groups * blocks, grain_for(static_cast<double>(out_group * depth) * static_cast<double>(places) / 8),
      [&](std::int64_t begin, std::int64_t end) {
        Buffer patches(static_cast<std::size_t>(size_product(size_product(depth, places), 2)));
        auto* rows = reinterpret_cast<std::int16_t*>(patches.data());
        for (std::int64_t unit = begin; unit < end; ++unit) {
          const std::int64_t first = unit % blocks * places, g = unit / blocks % groups, n = unit / blocks / groups;
          const std::int64_t count = std::min(places, plane - first);
          gather_patch_rows<std::int16_t>(window, image + (n * groups + g) * in_group * in_plane, in_group, first,
                                          first + count, 0, rows);
          multiply_rows(out_group, depth, count, by + g * out_group * depth, rows,
                        out + (n * channels + g * out_group) * plane + first, plane);
        }
      });
  return out;
}

void conv_integer(Context& context) {
  ir::Dims dims;
  const std::int32_t* sums =
      convolve(context, context.input(0), optional(context, 2), context.input(1), optional(context, 3), dims);
  deliver(context, sums, dims);
}

void qlinear_conv(Context& context) {
  ir::Dims dims;
  const Array &in = context.input(0), &weights = context.input(3);
  std::int32_t* sums = convolve(context, in, &context.input(2), weights, &context.input(5), dims);
  const Array &in_scale = context.input(1), &weight_scale = context.input(4), &out_scale = context.input(6),
              &out_zero = context.input(7);
  Array& out = context.output(0, out_zero.type, dims);
  if (out.count() == 0) return;
  const std::int64_t channels = dims[1];
  if (context.has_input(8)) {
    const Array& bias = context.input(8);
    require_type(bias, ir::ElementType::int32, "the bias");
    if (bias.count() != channels) bad_input("a bias of shape {} for {} channels", ir::text(bias.dims), channels);
    const std::int64_t plane = product(dims, 2, dims.size());
    for (std::int64_t i = 0; i < dims[0] * channels; ++i) {
      const auto added = static_cast<std::uint32_t>(bias.as<std::int32_t>()[i % channels]);
      for (std::int64_t k = 0; k < plane; ++k) {
        sums[i * plane + k] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sums[i * plane + k]) + added);
      }
    }
  }
  if (in_scale.count() != 1 || out_scale.count() != 1 || out_zero.count() != 1)
    bad_input("input and output need one scale each");
  if (weight_scale.count() != 1 && weight_scale.count() != channels) {
    bad_input("{} weight scales for {} channels", weight_scale.count(), channels);
  }
  const float* scales = view<float>(context, weight_scale);
  auto* multipliers = scratch<float>(context, weight_scale.count());
  const float x = *view<float>(context, in_scale), y = *view<float>(context, out_scale);
  for (std::int64_t i = 0; i < weight_scale.count(); ++i) multipliers[i] = x * scales[i] / y;
  ir::Dims over;
  if (weight_scale.count() != 1) {
    over.assign(dims.size() - 1, 1);
    over[0] = channels;
  }
  requantize(context, sums, dims, multipliers, over, &out_zero, {}, out);
}

}  // namespace

std::span<const KernelEntry> integer_product_kernels() {
  static constexpr KernelEntry entries[] = {
      {"MatMulInteger", 10, stateless<mat_mul_integer>},
      {"QLinearMatMul", 10, stateless<qlinear_mat_mul>},
      {"ConvInteger", 10, stateless<conv_integer>},
      {"QLinearConv", 10, stateless<qlinear_conv>},
  };
  return entries;
}

}  // namespace hone::exec
