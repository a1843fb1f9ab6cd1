// QuantizeLinear DequantizeLinear DynamicQuantizeLinear: per tensor, per axis and in blocks; integers of 2 to 16 bits (32
// to dequantize), float8 and float4.
#include "exec/reference/list.h"
#include "exec/reference/quantization.h"

namespace hone::exec {

using ir::ElementType;

IntegerRange quantized_range(ElementType type) {
  switch (type) {
    case ElementType::int8:
      return {-128, 127};
    case ElementType::uint8:
      return {0, 255};
    case ElementType::int16:
      return {-32768, 32767};
    case ElementType::uint16:
      return {0, 65535};
    case ElementType::int4:
      return {-8, 7};
    case ElementType::uint4:
      return {0, 15};
    case ElementType::int2:
      return {-2, 1};
    case ElementType::uint2:
      return {0, 3};
    default:
      bad_input("{} is no quantized type", ir::name(type));
  }
}

Granularity::Granularity(const ir::Node& node, const ir::Dims& dims, const ir::Dims& scale, bool blocks_allowed) {
  const std::int64_t block_size = blocks_allowed ? node.int_or("block_size", 0) : 0;
  if (block_size < 0) bad_input("block_size is {}", block_size);
  if (block_size == 0 && product(scale) == 1) {
    length = product(dims);
    return;
  }
  const std::size_t axis = checked_axis(node.int_or("axis", 1), dims.size());
  outer = product(dims, 0, axis);
  length = dims[axis];
  inner = product(dims, axis + 1, dims.size());
  if (block_size == 0) {
    kind = Kind::axis;
    block = 1;
    if (scale != ir::Dims{length}) {
      bad_input("a scale of shape {} for axis {} of shape {}", ir::text(scale), axis, ir::text(dims));
    }
    return;
  }
  kind = Kind::blocked;
  block = block_size;
  ir::Dims expected = dims;
  expected[axis] = ceil_div(length, block);
  if (scale != expected) {
    bad_input("a scale of shape {} for blocks of {} along axis {} of shape {}", ir::text(scale), block, axis,
              ir::text(dims));
  }
}

const std::int32_t* integers(Context& context, const Array& array) {
  if (array.type == ElementType::int32) return array.as<std::int32_t>();
  if (!ir::is_integer(array.type) || ir::bit_width(array.type) > 16) unsupported_type(context, array.type);
  const std::int64_t count = array.count();
  auto* result = scratch<std::int32_t>(context, count);
  const float* values = view<float>(context, array);  // exact
  for (std::int64_t i = 0; i < count; ++i) result[i] = static_cast<std::int32_t>(values[i]);
  return result;
}

const std::int16_t* centered(Context& context, const Array& array, const Array* zero_point, const ir::Dims& zero_dims) {
  auto* result = scratch<std::int16_t>(context, array.count());
  const std::int32_t none = 0;
  if (zero_point) require_type(*zero_point, array.type, "the zero point");
  const std::int32_t* zeros = zero_point ? integers(context, *zero_point) : &none;
  const ir::Dims dims = zero_point ? zero_dims : ir::Dims();
  if (broadcast_dims(array.dims, dims) != array.dims) {
    bad_input("a zero point of shape {} for a tensor of shape {}", ir::text(dims), ir::text(array.dims));
  }
  const bool known = dispatch<std::int8_t, std::uint8_t>(array.type, [&]<typename T>() {
    combine(broadcast<2>(array.dims, {array.dims, dims}), array.as<T>(), zeros, result, cheap_grain,
            [](T x, std::int32_t zero) { return static_cast<std::int16_t>(x - zero); });
  });
  if (!known) unsupported_type(context, array.type);
  return result;
}

namespace {

void require_same_shape(const Array& scale, const Array& zero_point) {
  if (zero_point.dims != scale.dims && !(zero_point.count() == 1 && scale.count() == 1)) {
    bad_input("a zero point of shape {} beside a scale of shape {}", ir::text(zero_point.dims), ir::text(scale.dims));
  }
}

void quantize_linear(Context& context) {
  const Array &in = context.input(0), &scale = context.input(1);
  const Array* zero_point = context.has_input(2) ? &context.input(2) : nullptr;
  const ir::Node& node = context.node();
  ElementType type = node.int_or("output_dtype", 0) != 0 ? type_attribute(node, "output_dtype", ElementType::uint8)
                     : zero_point                        ? zero_point->type
                                                         : ElementType::uint8;
  if (zero_point) {
    require_type(*zero_point, type, "the zero point");
    require_same_shape(scale, *zero_point);
  }
  const ElementType precision =
      node.int_or("precision", 0) != 0 ? type_attribute(node, "precision", scale.type) : scale.type;
  const Granularity over(node, in.dims, scale.dims, true);
  const bool saturate = flag(node, "saturate", true);
  const float* scales = view<float>(context, scale);
  Array& out = context.output(0, type, in.dims);
  const std::int64_t count = in.count();
  std::uint8_t* codes = ir::is_sub_byte(type) ? scratch<std::uint8_t>(context, count) : nullptr;

  // The quotients of a run, in pieces.
  const auto divide = [&](std::int64_t begin, std::int64_t n, std::int64_t at, bool varies, float* ratios) {
    if (!convert(in, begin, n, ratios)) unsupported_type(context, in.type);
    if (varies) {
      for (std::int64_t i = 0; i < n; ++i) ratios[i] /= scales[at + i];
    } else {
      const float by = scales[at];
      for (std::int64_t i = 0; i < n; ++i) ratios[i] /= by;
    }
    if (precision == ElementType::float16) {
      for (std::int64_t i = 0; i < n; ++i) ratios[i] = to_float(to_float16(ratios[i]));
    } else if (precision == ElementType::bfloat16) {
      for (std::int64_t i = 0; i < n; ++i) ratios[i] = to_float(to_bfloat16(ratios[i]));
    }
  };
  constexpr std::int64_t piece = 1024;
  const auto for_each_piece = [&](const auto& f) {
    over.for_each_run([&](std::int64_t begin, std::int64_t n, std::int64_t at, bool varies) {
      float ratios[piece];
      for (std::int64_t i = 0; i < n; i += piece) {
        const std::int64_t length = std::min(piece, n - i), from = varies ? at + i : at;
        divide(begin + i, length, from, varies, ratios);
        f(begin + i, length, from, varies, ratios);
      }
    });
  };
  if (ir::is_integer(type)) {
    const IntegerRange range = quantized_range(type);
    const std::int32_t none = 0;
    const std::int32_t* zeros = zero_point ? integers(context, *zero_point) : &none;
    const auto store = [&](auto* to) {
      for_each_piece([&](std::int64_t begin, std::int64_t n, std::int64_t at, bool varies, const float* ratios) {
        using T = std::remove_pointer_t<decltype(to)>;
        if (varies && zero_point) {
          for (std::int64_t i = 0; i < n; ++i)
            to[begin + i] = static_cast<T>(quantized(ratios[i], zeros[at + i], range));
        } else {
          const std::int32_t zero = zero_point ? zeros[at] : 0;
          for (std::int64_t i = 0; i < n; ++i) to[begin + i] = static_cast<T>(quantized(ratios[i], zero, range));
        }
      });
    };
    if (codes) {
      store(codes);
      pack(codes, out);
    } else {
      dispatch<std::int8_t, std::uint8_t, std::int16_t, std::uint16_t>(type, [&]<typename T>() { store(out.as<T>()); });
    }
    return;
  }
  if (!is_narrow_float(type) || type == ElementType::float16 || type == ElementType::bfloat16) {
    bad_input("{} is no quantized type", ir::name(type));
  }
  const float* zeros = zero_point ? view<float>(context, *zero_point) : nullptr;
  for_each_piece([&](std::int64_t begin, std::int64_t n, std::int64_t at, bool varies, float* ratios) {
    if (zeros) {
      for (std::int64_t i = 0; i < n; ++i) ratios[i] += zeros[varies ? at + i : at];
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const float x = ratios[i];
      switch (type) {
        case ElementType::float8e4m3fn:
          out.as<float8e4m3fn>()[begin + i] = to_float8e4m3fn(x, saturate);
          break;
        case ElementType::float8e4m3fnuz:
          out.as<float8e4m3fnuz>()[begin + i] = to_float8e4m3fnuz(x, saturate);
          break;
        case ElementType::float8e5m2:
          out.as<float8e5m2>()[begin + i] = to_float8e5m2(x, saturate);
          break;
        case ElementType::float8e5m2fnuz:
          out.as<float8e5m2fnuz>()[begin + i] = to_float8e5m2fnuz(x, saturate);
          break;
        case ElementType::float8e8m0:
          out.as<float8e8m0>()[begin + i] = to_float8e8m0(x, saturate);
          break;
        default:
          codes[begin + i] = to_float4e2m1(x);
      }
    }
  });
  if (codes) pack(codes, out);
}

void dequantize_linear(Context& context) {
  const Array &in = context.input(0), &scale = context.input(1);
  const Array* zero_point = context.has_input(2) ? &context.input(2) : nullptr;
  const ir::Node& node = context.node();
  if (zero_point) {
    require_type(*zero_point, in.type, "the zero point");
    require_same_shape(scale, *zero_point);
  }
  const ElementType type =
      node.int_or("output_dtype", 0) != 0 ? type_attribute(node, "output_dtype", scale.type) : scale.type;
  if (type != ElementType::float32 && type != ElementType::float16 && type != ElementType::bfloat16) {
    bad_input("{} is no type to dequantize to", ir::name(type));
  }
  const Granularity over(node, in.dims, scale.dims, true);
  const float* scales = view<float>(context, scale);
  const float* zeros = zero_point ? view<float>(context, *zero_point) : nullptr;  // 0 for int32, exact for the rest
  Result<float> out(context, 0, type, in.dims);
  float* to = out.data();
  over.for_each_run([&](std::int64_t begin, std::int64_t n, std::int64_t at, bool varies) {
    float* values = to + begin;
    if (!convert(in, begin, n, values)) unsupported_type(context, in.type);
    if (varies) {
      if (zeros) {
        for (std::int64_t i = 0; i < n; ++i) values[i] -= zeros[at + i];
      }
      for (std::int64_t i = 0; i < n; ++i) values[i] *= scales[at + i];
    } else {
      const float by = scales[at], zero = zeros ? zeros[at] : 0;
      for (std::int64_t i = 0; i < n; ++i) values[i] = (values[i] - zero) * by;
    }
  });
  out.finish();
}

void dynamic_quantize_linear(Context& context) {
  const Array& in = context.input(0);
  require_type(in, ElementType::float32, "the input");
  const float* from = in.as<float>();
  const std::int64_t count = in.count();
  float low = 0, high = 0;  // 0 must be representable
  for (std::int64_t i = 0; i < count; ++i) {
    low = from[i] < low ? from[i] : low;
    high = from[i] > high ? from[i] : high;
  }
  const float scale = (high == low ? 1.0f : high - low) / 255.0f;
  const std::int32_t zero = quantized(-low / scale, 0, {0, 255});
  Array& out = context.output(0, ElementType::uint8, in.dims);
  *context.output(1, ElementType::float32, {}).as<float>() = scale;
  *context.output(2, ElementType::uint8, {}).as<std::uint8_t>() = static_cast<std::uint8_t>(zero);
  map_range(from, out.as<std::uint8_t>(), count, cheap_grain, [=](float x) {
    return static_cast<std::uint8_t>(quantized(x / scale, zero, {0, 255}));
  });
}

}  // namespace

std::span<const KernelEntry> quantize_kernels() {
  static constexpr KernelEntry entries[] = {
      {"QuantizeLinear", 10, stateless<quantize_linear>},
      {"DequantizeLinear", 10, stateless<dequantize_linear>},
      {"DynamicQuantizeLinear", 11, stateless<dynamic_quantize_linear>},
      // ONNX Runtime's older spelling of the same.
      {"QuantizeLinear", 1, stateless<quantize_linear>, std::numeric_limits<std::int64_t>::max(), "com.microsoft"},
      {"DequantizeLinear", 1, stateless<dequantize_linear>, std::numeric_limits<std::int64_t>::max(), "com.microsoft"},
  };
  return entries;
}

}  // namespace hone::exec
