// QGemm DynamicQuantizeMatMul MatMulIntegerToFloat of com.microsoft.
#include "exec/reference/integer_product.h"

#include "exec/reference/microsoft/integer_product.h"
#include "exec/reference/microsoft/microsoft.h"

namespace hone::exec {

Dynamic quantize_dynamically(Context& context, const float* from, const ir::Dims& dims) {
  const std::int64_t count = product(dims);
  float low = 0, high = 0;  // 0 must be representable
  for (std::int64_t i = 0; i < count; ++i) {
    low = from[i] < low ? from[i] : low;
    high = from[i] > high ? from[i] : high;
  }
  Dynamic result;
  const float scale = result.scale = high == low ? 1.0f : (high - low) / 255.0f;
  const std::int32_t zero = quantized(-low / scale, 0, {0, 255});
  result.codes.type = result.zero.type = ir::ElementType::uint8;
  result.codes.dims = dims;
  result.codes.data = reinterpret_cast<std::byte*>(scratch<std::uint8_t>(context, count));
  result.zero.data = reinterpret_cast<std::byte*>(scratch<std::uint8_t>(context, 1));
  *result.zero.as<std::uint8_t>() = static_cast<std::uint8_t>(zero);
  map_range(from, result.codes.as<std::uint8_t>(), count, cheap_grain, [=](float x) {
    return static_cast<std::uint8_t>(quantized(x / scale, zero, {0, 255}));
  });
  return result;
}

namespace {

// sums * a's scale * b's scale (one, or one a column) + bias, as float.
void deliver(Context& context, const std::int32_t* sums, const ir::Dims& dims, const float* a_scale,
             const ir::Dims& a_dims, const Array& b_scale, const Array* bias, ir::ElementType type) {
  Result<float> out(context, 0, type, dims);
  if (out.count() == 0) return;
  const float* b = view<float>(context, b_scale);
  const auto fits = [&](const ir::Dims& own) { return own.size() <= dims.size() && broadcast_dims(dims, own) == dims; };
  if (!fits(a_dims) || !fits(b_scale.dims))
    bad_input("scales of shapes {} and {} for a result of shape {}", ir::text(a_dims), ir::text(b_scale.dims),
              ir::text(dims));
  const auto shape = broadcast<3>(dims, {dims, a_dims, b_scale.dims});
  for_each_run(shape, cheap_grain, [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 3>& from) {
    for (std::int64_t i = 0; i < length; ++i) {
      out.data()[at + i] = static_cast<float>(sums[at + i]) *
                           (a_scale[from[1] + (shape.moves[1] ? i : 0)] * b[from[2] + (shape.moves[2] ? i : 0)]);
    }
  });
  if (bias) {
    require_dims(*bias, {dims.back()}, "the bias");
    combine(broadcast<2>(dims, {dims, bias->dims}), out.data(), view<float>(context, *bias), out.data(), cheap_grain,
            [](float x, float y) { return x + y; });
  }
  out.finish();
}

void dynamic_quantize_mat_mul(Context& context) {
  const Array &a = context.input(0), &b = context.input(1);
  require_type(a, ir::ElementType::float32, "A");
  const Dynamic left = quantize_dynamically(context, a.as<float>(), a.dims);
  ir::Dims dims;
  const std::int32_t* sums = integer_mat_mul(context, left.codes, &left.zero, b, optional_input(context, 3), dims);
  deliver(context, sums, dims, &left.scale, {}, context.input(2), optional_input(context, 4), ir::ElementType::float32);
}

void mat_mul_integer_to_float(Context& context) {
  const Array &a = context.input(0), &b = context.input(1), &a_scale = context.input(2);
  ir::Dims dims;
  const std::int32_t* sums =
      integer_mat_mul(context, a, optional_input(context, 4), b, optional_input(context, 5), dims);
  deliver(context, sums, dims, view<float>(context, a_scale), by_row(a_scale), context.input(3),
          optional_input(context, 6), a_scale.type);
}

// alpha * A * B + C, where C is in steps of a's scale times b's; quantized where y_scale is given.
void qgemm(Context& context) {
  const ir::Node& node = context.node();
  const Array &a = context.input(0), &b = context.input(3), &a_scale = context.input(1), &b_scale = context.input(4);
  require_rank(a, 2, 2, "A");
  require_rank(b, 2, 2, "B");
  const auto turned = [&](const Array& in) {
    Array result = in;
    result.dims = {in.dims[1], in.dims[0]};
    auto* to = scratch<std::uint8_t>(context, in.count());
    result.data = reinterpret_cast<std::byte*>(to);
    for (std::int64_t r = 0; r < in.dims[0]; ++r) {
      for (std::int64_t c = 0; c < in.dims[1]; ++c) to[c * in.dims[0] + r] = in.as<std::uint8_t>()[r * in.dims[1] + c];
    }
    return result;
  };
  const auto one_byte = [&](const Array& in) {
    if (in.type != ir::ElementType::int8 && in.type != ir::ElementType::uint8) unsupported_type(context, in.type);
  };
  one_byte(a);
  one_byte(b);
  if (a_scale.count() != 1) bad_input("{} scales of A", a_scale.count());
  ir::Dims dims;
  std::int32_t* sums = integer_mat_mul(context, flag(node, "transA", false) ? turned(a) : a, &context.input(2),
                                       flag(node, "transB", false) ? turned(b) : b, &context.input(5), dims);
  if (const Array* c = optional_input(context, 6)) {
    require_type(*c, ir::ElementType::int32, "C");
    if (c->rank() > 2 || broadcast_dims(dims, c->dims) != dims)
      bad_input("C of shape {} does not broadcast to {}", ir::text(c->dims), ir::text(dims));
    combine(broadcast<2>(dims, {dims, c->dims}), sums, c->as<std::int32_t>(), sums, cheap_grain,
            [](std::int32_t x, std::int32_t y) {
              return static_cast<std::int32_t>(static_cast<std::uint32_t>(x) + static_cast<std::uint32_t>(y));
            });
  }
  const float alpha = node.float_or("alpha", 1), of_a = static_cast<float>(read_double(a_scale)) * alpha;
  if (!context.has_input(7)) return deliver(context, sums, dims, &of_a, {}, b_scale, nullptr, ir::ElementType::float32);
  const Array *y_scale = &context.input(7), *y_zero = optional_input(context, 8);
  if (y_scale->count() != 1) bad_input("{} scales of Y", y_scale->count());
  const float* b_scales = view<float>(context, b_scale);
  auto* multipliers = scratch<float>(context, b_scale.count());
  const float of_y = static_cast<float>(read_double(*y_scale));
  for (std::int64_t i = 0; i < b_scale.count(); ++i) multipliers[i] = of_a * b_scales[i] / of_y;
  Array& out = context.output(0, y_zero ? y_zero->type : a.type, dims);
  if (out.count() == 0) return;
  requantize(context, sums, dims, multipliers, b_scale.count() == 1 ? ir::Dims() : b_scale.dims, y_zero, {}, out);
}

}  // namespace

std::span<const KernelEntry> microsoft_integer_product_kernels() {
  static constexpr KernelEntry entries[] = {
      microsoft("QGemm", stateless<qgemm>),
      microsoft("DynamicQuantizeMatMul", stateless<dynamic_quantize_mat_mul>),
      microsoft("MatMulIntegerToFloat", stateless<mat_mul_integer_to_float>),
  };
  return entries;
}

}  // namespace hone::exec
