// QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear with one scale for all, QLinearAdd, QLinearMul,
// QLinearSigmoid and QLinearLeakyRelu, on int8 and uint8, in the memory order that their input has.
//
// Given back to the reference kernel: scales by axis or block, other types, operands of different shapes.
#include <cmath>
#include <cstring>

#include "exec/onednn/avx2.h"
#include "exec/onednn/avx512.h"
#include "exec/onednn/channels_last.h"
#include "exec/onednn/families.h"
#include "exec/onednn/integer_kernel.h"
#include "exec/reference/quantization.h"
#include "hone/support/threads.h"

namespace hone::exec::onednn {
namespace {

using ir::ElementType;

// Elements of which a thread takes at least so many.
constexpr std::int64_t grain = 1 << 15;

template <typename T>
HONE_AVX2_INLINE __m256 codes_as_floats(const T* from) {
  const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  return _mm256_cvtepi32_ps(std::is_signed_v<T> ? _mm256_cvtepi8_epi32(codes) : _mm256_cvtepu8_epi32(codes));
}

// 8 codes of values in steps, cut between `low` and `high`; NaN is 0 steps.
template <typename T>
HONE_AVX2_INLINE void store_codes(__m256 steps, __m256 low, __m256 high, __m256i zero, T* to) {
  steps = _mm256_and_ps(steps, _mm256_cmp_ps(steps, steps, _CMP_ORD_Q));
  steps = _mm256_max_ps(_mm256_min_ps(steps, high), low);
  const __m256i codes = _mm256_add_epi32(_mm256_cvtps_epi32(steps), zero);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
  const __m128i bytes = std::is_signed_v<T> ? _mm_packs_epi16(words, words) : _mm_packus_epi16(words, words);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), bytes);
}

template <typename T>
HONE_AVX2 void quantize(const float* from, std::int64_t count, float scale, std::int32_t zero, T* to) {
  const IntegerRange range{std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
  const __m256 by = _mm256_set1_ps(scale), low = _mm256_set1_ps(static_cast<float>(range.low - zero)),
               high = _mm256_set1_ps(static_cast<float>(range.high - zero));
  const __m256i offset = _mm256_set1_epi32(zero);
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) store_codes(_mm256_div_ps(_mm256_loadu_ps(from + i), by), low, high, offset, to + i);
  for (; i < count; ++i) to[i] = static_cast<T>(quantized(from[i] / scale, zero, range));
}

template <typename T>
HONE_AVX2 void dequantize(const T* from, std::int64_t count, float scale, std::int32_t zero, float* to) {
  const __m256 by = _mm256_set1_ps(scale), less = _mm256_set1_ps(static_cast<float>(zero));
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(to + i, _mm256_mul_ps(_mm256_sub_ps(codes_as_floats(from + i), less), by));
  for (; i < count; ++i) to[i] = static_cast<float>(from[i] - zero) * scale;
}

// Steps of the result, a * of_a + b * of_b, to a billionth of a step: a float is some hundred thousandths away, and where the
// most frequent codes of a model fall that close to the middle between two, many results would be a step away.
struct StepSum {
  // Factors as multiples of one power of two, of which the sum of two products is exact in a float, and what they leave.
  float of_a, of_b, more_of_a, more_of_b;
  // Not for what is no number, and sizes that no model has on purpose.
  static bool fits(double exact_a, double exact_b) {
    const double larger = std::max(std::abs(exact_a), std::abs(exact_b));
    return larger > 1e-9 && larger < 1e6 && std::isfinite(exact_a) && std::isfinite(exact_b);
  }
  StepSum(double exact_a, double exact_b) {
    const double unit = std::exp2(std::ceil(std::log2(std::max(std::abs(exact_a), std::abs(exact_b)))) - 13);
    of_a = static_cast<float>(std::nearbyint(exact_a / unit) * unit);
    of_b = static_cast<float>(std::nearbyint(exact_b / unit) * unit);
    more_of_a = static_cast<float>(exact_a - static_cast<double>(of_a));
    more_of_b = static_cast<float>(exact_b - static_cast<double>(of_b));
  }
};

// The rounded steps of 8 codes, cut where every code is. The zero points are in what is added.
template <typename T>
HONE_AVX2_INLINE __m256i add_steps(const T* x, const T* y, const __m256 by[6]) {
  constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  const __m256 a = codes_as_floats(x), b = codes_as_floats(y);
  const __m256 sum = _mm256_fmadd_ps(a, by[0], _mm256_fmadd_ps(b, by[1], by[2]));
  const __m256 more = _mm256_fmadd_ps(a, by[3], _mm256_fmadd_ps(b, by[4], by[5]));
  const __m256 steps = _mm256_round_ps(sum, nearest);
  const __m256 all = _mm256_add_ps(steps, _mm256_round_ps(_mm256_add_ps(_mm256_sub_ps(sum, steps), more), nearest));
  return _mm256_cvtps_epi32(_mm256_min_ps(all, _mm256_set1_ps(32767)));
}

// The same for 16.
template <typename T>
HONE_AVX512_INLINE __m512 sixteen_as_floats(const T* from) {
  const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm512_cvtepi32_ps(std::is_signed_v<T> ? _mm512_cvtepi8_epi32(codes) : _mm512_cvtepu8_epi32(codes));
}
template <typename T>
HONE_AVX512_INLINE __m512i add_steps(const T* x, const T* y, const __m512 by[6]) {
  constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  const __m512 a = sixteen_as_floats(x), b = sixteen_as_floats(y);
  const __m512 sum = _mm512_fmadd_ps(a, by[0], _mm512_fmadd_ps(b, by[1], by[2]));
  const __m512 more = _mm512_fmadd_ps(a, by[3], _mm512_fmadd_ps(b, by[4], by[5]));
  const __m512 steps = _mm512_roundscale_ps(sum, nearest);
  const __m512 all =
      _mm512_add_ps(steps, _mm512_roundscale_ps(_mm512_add_ps(_mm512_sub_ps(sum, steps), more), nearest));
  return _mm512_cvtps_epi32(_mm512_min_ps(all, _mm512_set1_ps(32767)));
}

// Of whole 64 codes; how many they were.
template <typename T>
HONE_AVX512 std::int64_t add_sixty_fours(const T* a, const T* b, std::int64_t count, const float factors[6],
                                         std::int32_t zero, T* to) {
  __m512 by[6];
#pragma GCC unroll 6
  for (int i = 0; i < 6; ++i) by[i] = _mm512_set1_ps(factors[i]);
  const __m512i offset = _mm512_set1_epi16(static_cast<std::int16_t>(zero));
  std::int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
    const T *x = a + i, *y = b + i;
    const __m512i steps[4] = {add_steps(x, y, by), add_steps(x + 16, y + 16, by), add_steps(x + 32, y + 32, by),
                              add_steps(x + 48, y + 48, by)};
    _mm512_storeu_si512(to + i, avx512::codes_of(steps, offset, std::is_signed_v<T>));
  }
  return i;
}

template <typename T>
HONE_AVX2 void add_codes(const T* a, std::int32_t a_zero, const T* b, std::int32_t b_zero, std::int64_t count,
                         const StepSum& sum, std::int32_t zero, T* to) {
  const auto left = static_cast<float>(a_zero), right = static_cast<float>(b_zero);
  const float factors[6] = {sum.of_a,      sum.of_b,      -left * sum.of_a - right * sum.of_b,
                            sum.more_of_a, sum.more_of_b, -left * sum.more_of_a - right * sum.more_of_b};
  __m256 by[6];
#pragma GCC unroll 6
  for (int i = 0; i < 6; ++i) by[i] = _mm256_set1_ps(factors[i]);
  const __m256i offset = _mm256_set1_epi16(static_cast<std::int16_t>(zero));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // packing keeps to halves of a register
  const auto some = [&](const T* x, const T* y, T* out) __attribute__((target("avx2,fma"))) {
    const __m256i first = _mm256_packs_epi32(add_steps(x, y, by), add_steps(x + 8, y + 8, by));
    const __m256i second = _mm256_packs_epi32(add_steps(x + 16, y + 16, by), add_steps(x + 24, y + 24, by));
    const __m256i low = _mm256_adds_epi16(first, offset), high = _mm256_adds_epi16(second, offset);
    const __m256i codes = std::is_signed_v<T> ? _mm256_packs_epi16(low, high) : _mm256_packus_epi16(low, high);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permutevar8x32_epi32(codes, order));
  };
  std::int64_t i = has_avx512() ? add_sixty_fours(a, b, count, factors, zero, to) : 0;
  for (; i + 32 <= count; i += 32) some(a + i, b + i, to + i);
  if (i == count) return;
  T rest[3][32] = {};
  std::copy(a + i, a + count, rest[0]);
  std::copy(b + i, b + count, rest[1]);
  some(rest[0], rest[1], rest[2]);
  std::copy_n(rest[2], count - i, to + i);
}

template <typename T>
HONE_AVX2 void multiply_codes(const T* a, std::int32_t a_zero, const T* b, std::int32_t b_zero, std::int64_t count,
                              float factor, std::int32_t zero, T* to) {
  const IntegerRange range{std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
  const __m256 low = _mm256_set1_ps(static_cast<float>(range.low - zero)),
               high = _mm256_set1_ps(static_cast<float>(range.high - zero));
  const __m256i offset = _mm256_set1_epi32(zero);
  const __m256 left = _mm256_set1_ps(static_cast<float>(a_zero)), right = _mm256_set1_ps(static_cast<float>(b_zero)),
               by = _mm256_set1_ps(factor);
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256 product =
        _mm256_mul_ps(_mm256_sub_ps(codes_as_floats(a + i), left), _mm256_sub_ps(codes_as_floats(b + i), right));
    store_codes(_mm256_mul_ps(product, by), low, high, offset, to + i);
  }
  for (; i < count; ++i) {
    const float product = static_cast<float>((a[i] - a_zero) * (b[i] - b_zero));
    to[i] = static_cast<T>(quantized(product * factor, zero, range));
  }
}

HONE_AVX2 void find_range(const float* from, std::int64_t count, float& low, float& high) {
  __m256 least = _mm256_setzero_ps(), most = least;
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {  // min and max give the second operand where the first is NaN
    const __m256 values = _mm256_loadu_ps(from + i);
    least = _mm256_min_ps(values, least);
    most = _mm256_max_ps(values, most);
  }
  float ends[2][8];
  _mm256_storeu_ps(ends[0], least);
  _mm256_storeu_ps(ends[1], most);
  low = high = 0;
  for (int k = 0; k < 8; ++k) {
    low = std::min(low, ends[0][k]);
    high = std::max(high, ends[1][k]);
  }
  for (; i < count; ++i) {
    low = from[i] < low ? from[i] : low;
    high = from[i] > high ? from[i] : high;
  }
}

// An input in its own memory where that is row-major or channels-last, row-major otherwise.
const Array& in_order(Context& context, std::size_t index) {
  const Array& raw = context.raw_input(index);
  return !raw.layout || is_channels_last(raw) ? raw : context.input(index);
}
std::shared_ptr<const Layout> layout_like(const Array& array, ElementType type) {
  return array.layout ? channels_last_layout(array.dims, type) : nullptr;
}

class Quantize final : public IntegerKernel {
 public:
  explicit Quantize(const KernelInfo& info) : IntegerKernel(info) { type_ = info.node.int_or("output_dtype", 0); }

 protected:
  bool compute(Context& context) override {
    ElementType type = type_ != 0 ? static_cast<ElementType>(type_) : ElementType::uint8;
    if (type_ == 0 && context.has_input(2)) type = context.input(2).type;
    if (!is_code(type)) return false;
    const auto step = step_at(context, 1, type);
    if (!step) return false;
    if (context.raw_input(0).type != ElementType::float32) return false;
    const Array& in = in_order(context, 0);
    const std::int64_t count = in.count();
    const auto* from = in.as<float>();
    Array& out = output_in(context, 0, type, ir::Dims(in.dims), layout_like(in, type));
    in_code_type(type, [&]<typename T>() {
      parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
        quantize(from + begin, end - begin, step->scale, step->zero, out.as<T>() + begin);
      });
    });
    return true;
  }

 private:
  std::int64_t type_ = 0;
};

class Dequantize final : public IntegerKernel {
 public:
  using IntegerKernel::IntegerKernel;

 protected:
  bool compute(Context& context) override {
    const ElementType type = context.raw_input(0).type;
    if (!is_code(type)) return false;
    const auto step = step_at(context, 1, type);
    if (!step) return false;
    const Array& in = in_order(context, 0);
    const std::int64_t count = in.count();
    const std::byte* from = in.data;
    Array& out = output_in(context, 0, ElementType::float32, ir::Dims(in.dims), layout_like(in, ElementType::float32));
    in_code_type(type, [&]<typename T>() {
      parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
        dequantize(reinterpret_cast<const T*>(from) + begin, end - begin, step->scale, step->zero,
                   out.as<float>() + begin);
      });
    });
    return true;
  }
};

class DynamicQuantize final : public IntegerKernel {
 public:
  using IntegerKernel::IntegerKernel;

 protected:
  bool compute(Context& context) override {
    const Array& in = context.input(0);
    if (in.type != ElementType::float32) return false;
    Array& out = context.output(0, ElementType::uint8, ir::Dims(in.dims));
    const QuantizationStep step = quantize_dynamically(context, in.as<float>(), in.count(), out.as<std::uint8_t>());
    *context.output(1, ElementType::float32, {}).as<float>() = step.scale;
    *context.output(2, ElementType::uint8, {}).as<std::uint8_t>() = static_cast<std::uint8_t>(step.zero);
    return true;
  }
};

template <bool product_of>
class Binary final : public IntegerKernel {
 public:
  using IntegerKernel::IntegerKernel;

 protected:
  bool compute(Context& context) override {
    const Array &left = context.raw_input(0), &right = context.raw_input(3);
    const ElementType type = left.type;
    if (!is_code(type) || right.type != type || left.dims != right.dims) return false;
    const auto of_left = step_at(context, 1, type), of_right = step_at(context, 4, type),
               of_out = step_at(context, 6, type);
    if (!of_left || !of_right || !of_out) return false;
    const float a_scale = of_left->scale, b_scale = of_right->scale, scale = of_out->scale;
    const auto a_zero = of_left->zero, b_zero = of_right->zero, zero = of_out->zero;
    const double of_a = static_cast<double>(a_scale) / static_cast<double>(scale),
                 of_b = static_cast<double>(b_scale) / static_cast<double>(scale);
    if (!product_of && !StepSum::fits(of_a, of_b)) return false;
    const bool a_last = left.layout && is_channels_last(left), b_last = right.layout && is_channels_last(right);
    const bool last = a_last || b_last;  // the other follows
    const Array &a = last ? left : context.input(0), &b = last ? right : context.input(3);
    const std::int64_t count = a.count();
    const ir::Dims dims = a.dims;
    const std::shared_ptr<const Layout> layout = a_last ? a.layout : b_last ? b.layout : nullptr;
    const auto data = [&](const Array& array) {
      return last ? guarded([&] { return ChannelsLast(array).get(context, array); }) : array.data;
    };
    const std::byte *from = data(a), *other = data(b);
    Array& out = layout ? context.output_over_with_layout(0, a_last ? 0 : 3, type, dims, layout)
                        : context.output_over(0, 0, type, dims);
    const StepSum sum(of_a, of_b);
    in_code_type(type, [&]<typename T>() {
      parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
        const T *x = reinterpret_cast<const T*>(from) + begin, *y = reinterpret_cast<const T*>(other) + begin;
        T* to = out.as<T>() + begin;
        if constexpr (product_of) {
          multiply_codes(x, a_zero, y, b_zero, end - begin, a_scale * b_scale / scale, zero, to);
        } else {
          add_codes(x, a_zero, y, b_zero, end - begin, sum, zero, to);
        }
      });
    });
    return true;
  }
};

// A function of each element: one result for each of the 256 codes.
template <float (*F)(float x, float alpha)>
class ByTable final : public IntegerKernel {
 public:
  explicit ByTable(const KernelInfo& info) : IntegerKernel(info), alpha_(info.node.float_or("alpha", 0.01F)) {}

 protected:
  bool compute(Context& context) override {
    const ElementType type = context.raw_input(0).type;
    if (!is_code(type)) return false;
    const auto of_x = step_at(context, 1, type), of_y = step_at(context, 3, type);
    if (!of_x || !of_y) return false;
    const Array& in = in_order(context, 0);
    const IntegerRange range = quantized_range(type);
    std::array<std::uint8_t, 256> table;  // by the bits of a code
    for (std::int32_t code = range.low; code <= range.high; ++code) {
      const float value = F(static_cast<float>(code - of_x->zero) * of_x->scale, alpha_);
      table[static_cast<std::uint8_t>(code)] =
          static_cast<std::uint8_t>(quantized(value / of_y->scale, of_y->zero, range));
    }
    const std::int64_t count = in.count();
    const auto* from = in.as<std::uint8_t>();
    Array& out = output_in(context, 0, type, ir::Dims(in.dims), layout_like(in, type));
    parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) out.as<std::uint8_t>()[i] = table[from[i]];
    });
    return true;
  }

 private:
  float alpha_;
};

float sigmoid(float x, float) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
float leaky_relu(float x, float alpha) { return x < 0 ? alpha * x : x; }

template <typename K>
std::unique_ptr<Kernel> make_elementwise(const KernelInfo& info) {
  if (!has_avx2()) return nullptr;
  if (info.node.int_or("block_size", 0) != 0 || info.node.int_or("precision", 1) != 1) return nullptr;
  // DequantizeLinear's output_dtype; QuantizeLinear's is read by its kernel.
  if (info.node.op_type() == "DequantizeLinear" && info.node.int_or("output_dtype", 1) != 1) return nullptr;
  return std::make_unique<K>(info);
}

}  // namespace

QuantizationStep quantize_dynamically(Context& context, const float* from, std::int64_t count, std::uint8_t* to) {
  const std::int64_t parts = (count + grain - 1) / grain;
  auto* ends = reinterpret_cast<float*>(context.scratch(static_cast<std::uint64_t>(parts) * 2 * sizeof(float)));
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      find_range(from + i * grain, std::min(grain, count - i * grain), ends[2 * i], ends[2 * i + 1]);
  });
  float low = 0, high = 0;  // 0 must be representable
  for (std::int64_t i = 0; i < parts; ++i) {
    low = std::min(low, ends[2 * i]);
    high = std::max(high, ends[2 * i + 1]);
  }
  QuantizationStep step;
  step.scale = (high == low ? 1.0F : high - low) / 255.0F;
  step.zero = quantized(-low / step.scale, 0, {0, 255});
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    quantize(from + begin, end - begin, step.scale, step.zero, to + begin);
  });
  return step;
}

std::span<const KernelEntry> quantized_elementwise_kernels() {
  static constexpr KernelEntry entries[] = {
      {"QuantizeLinear", 10, make_elementwise<Quantize>},
      {"DequantizeLinear", 10, make_elementwise<Dequantize>},
      {"DynamicQuantizeLinear", 11, make_elementwise<DynamicQuantize>},
      {"QuantizeLinear", 1, make_elementwise<Quantize>, last_version, microsoft},
      {"DequantizeLinear", 1, make_elementwise<Dequantize>, last_version, microsoft},
      {"QLinearAdd", 1, make_elementwise<Binary<false>>, last_version, microsoft},
      {"QLinearMul", 1, make_elementwise<Binary<true>>, last_version, microsoft},
      {"QLinearSigmoid", 1, make_elementwise<ByTable<sigmoid>>, last_version, microsoft},
      {"QLinearLeakyRelu", 1, make_elementwise<ByTable<leaky_relu>>, last_version, microsoft},
  };
  return entries;
}

}  // namespace hone::exec::onednn
