#include "exec/onednn/integer_core.h"

#include <algorithm>
#include <cstring>

#include "exec/onednn/avx2.h"
#include "hone/support/threads.h"

namespace hone::exec::onednn {
namespace {

// One row and two registers of columns. Accumulators are variables of their own: of an array, GCC 12 keeps a part in memory.
#define HONE_ROW(n)                                                                \
  if constexpr (Rows > n) {                                                        \
    std::int32_t pair;                                                             \
    std::memcpy(&pair, a##n + 2 * k, sizeof(pair));                                \
    const __m256i both = _mm256_set1_epi32(pair);                                  \
    left##n = _mm256_add_epi32(left##n, _mm256_madd_epi16(both, columns_left));    \
    right##n = _mm256_add_epi32(right##n, _mm256_madd_epi16(both, columns_right)); \
  }
#define HONE_STORE(n)                                                                        \
  if constexpr (Rows > n) {                                                                  \
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + n * panel_columns), left##n);      \
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + n * panel_columns + 8), right##n); \
  }

template <int Rows>
HONE_AVX2 void multiply(const std::int16_t* const* rows, std::span<const std::int64_t> offsets, std::int64_t pairs,
                        const std::int16_t* panel, std::int32_t* sums) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i left0 = zero, right0 = zero, left1 = zero, right1 = zero, left2 = zero, right2 = zero;
  __m256i left3 = zero, right3 = zero, left4 = zero, right4 = zero, left5 = zero, right5 = zero;
  for (const std::int64_t offset : offsets) {
    const std::int16_t *a0 = rows[0] + offset, *a1 = rows[Rows > 1 ? 1 : 0] + offset;
    const std::int16_t *a2 = rows[Rows > 2 ? 2 : 0] + offset, *a3 = rows[Rows > 3 ? 3 : 0] + offset;
    const std::int16_t *a4 = rows[Rows > 4 ? 4 : 0] + offset, *a5 = rows[Rows > 5 ? 5 : 0] + offset;
    for (std::int64_t k = 0; k < pairs; ++k, panel += 2 * panel_columns) {
      const __m256i columns_left = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel));
      const __m256i columns_right = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel + panel_columns));
      HONE_ROW(0)
      HONE_ROW(1)
      HONE_ROW(2)
      HONE_ROW(3)
      HONE_ROW(4)
      HONE_ROW(5)
    }
  }
  HONE_STORE(0)
  HONE_STORE(1)
  HONE_STORE(2)
  HONE_STORE(3)
  HONE_STORE(4)
  HONE_STORE(5)
}
#undef HONE_ROW
#undef HONE_STORE

HONE_AVX2_INLINE __m256i load(const std::int32_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

HONE_AVX2_INLINE __m256i words(const std::int16_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
HONE_AVX2_INLINE void store_halves(__m256i low, __m256i high, std::int32_t* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute2x128_si256(low, high, 0x20));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 8), _mm256_permute2x128_si256(low, high, 0x31));
}

HONE_AVX2 void multiply_any(const std::int16_t* at, const std::int64_t* places, std::int64_t count,
                            std::span<const std::int64_t> offsets, const std::int16_t* weights, std::int32_t* sums) {
  for (std::int64_t i = 0; i < count; ++i, sums += panel_columns) {
    const std::int16_t *place = at + places[i], *by = weights;
    __m256i low = _mm256_setzero_si256(), high = low;
    for (std::size_t t = 0; t < offsets.size(); t += 2, by += 2 * panel_columns) {
      // The last of an odd number meets itself, with a weight of 0.
      const __m256i a = words(place + offsets[t]), b = words(place + offsets[t + 1 < offsets.size() ? t + 1 : t]);
      low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), words(by)));
      high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), words(by + panel_columns)));
    }
    store_halves(low, high, sums);
  }
}

// The same for 3 x 3, with the weights in registers.
HONE_AVX2 void multiply_nine(const std::int16_t* at, const std::int64_t* places, std::int64_t count,
                             const std::int64_t* offsets, const std::int16_t* weights, std::int32_t* sums) {
  __m256i by[10];
#pragma GCC unroll 10
  for (int i = 0; i < 10; ++i) by[i] = words(weights + i * panel_columns);
  const std::int64_t row = offsets[3] - offsets[0], column = offsets[1] - offsets[0];
  for (std::int64_t i = 0; i < count; ++i, sums += panel_columns) {
    const std::int16_t *first = at + places[i] + offsets[0], *second = first + row, *third = second + row;
    const __m256i a[10] = {words(first),          words(first + column),  words(first + 2 * column),
                           words(second),         words(second + column), words(second + 2 * column),
                           words(third),          words(third + column),  words(third + 2 * column),
                           _mm256_setzero_si256()};
    __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(a[0], a[1]), by[0]),
            high = _mm256_madd_epi16(_mm256_unpackhi_epi16(a[0], a[1]), by[1]);
#pragma GCC unroll 4
    for (int t = 2; t < 10; t += 2) {
      low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a[t], a[t + 1]), by[t]));
      high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a[t], a[t + 1]), by[t + 1]));
    }
    store_halves(low, high, sums);
  }
}

template <typename T>
HONE_AVX2 void widen_avx2(const std::byte* from, std::int32_t zero, std::int64_t count, std::int16_t* to) {
  const __m256i less = _mm256_set1_epi16(static_cast<std::int16_t>(zero));
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    const __m256i wide = std::is_signed_v<T> ? _mm256_cvtepi8_epi16(codes) : _mm256_cvtepu8_epi16(codes);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_sub_epi16(wide, less));
  }
  const T* codes = reinterpret_cast<const T*>(from);
  for (; i < count; ++i) to[i] = static_cast<std::int16_t>(codes[i] - zero);
}

template <typename T>
HONE_AVX2 void fill_rows_avx2(const std::byte* matrix, const std::int16_t* zeros, std::int64_t rows,
                              std::int64_t columns, std::int64_t begin, std::int64_t end, std::int16_t* panels) {
  const std::int64_t pairs = (rows + 1) / 2;
  for (std::int64_t p = begin; p < end; ++p) {
    const std::int64_t first = p * panel_columns, width = std::min(panel_columns, columns - first);
    auto* to = reinterpret_cast<__m256i*>(panels + p * panel_columns * 2 * pairs);
    const __m256i less = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(zeros + first));
    const auto row = [&](std::int64_t k) __attribute__((target("avx2,fma"))) {
      if (k >= rows) return _mm256_setzero_si256();
      const std::byte* from = matrix + k * columns + first;
      alignas(32) std::int16_t part[panel_columns] = {};
      if (width < panel_columns) {
        for (std::int64_t c = 0; c < width; ++c)
          part[c] = static_cast<std::int16_t>(reinterpret_cast<const T*>(from)[c] - zeros[first + c]);
        return _mm256_load_si256(reinterpret_cast<const __m256i*>(part));
      }
      const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      return _mm256_sub_epi16(std::is_signed_v<T> ? _mm256_cvtepi8_epi16(codes) : _mm256_cvtepu8_epi16(codes), less);
    };
    for (std::int64_t k = 0; k < pairs; ++k, to += 2) {
      const __m256i a = row(2 * k), b = row(2 * k + 1);
      const __m256i low = _mm256_unpacklo_epi16(a, b), high = _mm256_unpackhi_epi16(a, b);
      _mm256_storeu_si256(to, _mm256_permute2x128_si256(low, high, 0x20));
      _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(low, high, 0x31));
    }
  }
}

// 16 sums in steps, as words in the order in which packing leaves them: 0 to 3, 8 to 11, 4 to 7, 12 to 15.
HONE_AVX2_INLINE __m256i steps_of(const std::int32_t* sums, const __m256i addend[2], const __m256 factor[2]) {
  // What is no 16-bit number is out of every range; so is what is no 32-bit one, of which the conversion makes the least.
  const __m256 most = _mm256_set1_ps(32767.0F);
  const __m256 left = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(load(sums), addend[0])), factor[0]);
  const __m256 right = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(load(sums + 8), addend[1])), factor[1]);
  return _mm256_packs_epi32(_mm256_cvtps_epi32(_mm256_min_ps(left, most)),
                            _mm256_cvtps_epi32(_mm256_min_ps(right, most)));
}

HONE_AVX2_INLINE void store_part(__m128i codes, std::int64_t columns, std::byte* to) {
  if (columns == panel_columns) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), codes);
    return;
  }
  std::byte part[panel_columns];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(part), codes);
  std::memcpy(to, part, static_cast<std::size_t>(columns));
}

template <bool Signed>
HONE_AVX2 void finish_codes(const std::int32_t* sums, std::int64_t rows, std::int64_t columns, const Requantization& by,
                            std::int64_t first, std::byte* to, std::int64_t step, std::int64_t apart) {
  const __m256i zero = _mm256_set1_epi16(static_cast<std::int16_t>(by.zero)), none = _mm256_setzero_si256();
  // Read once: as far as the compiler knows, the codes may be written over them.
  const __m256 factor[2] = {_mm256_loadu_ps(by.factor + first), _mm256_loadu_ps(by.factor + first + 8)};
  const __m256i addend[2] = {by.addend ? load(by.addend + first) : none,
                             by.addend ? load(by.addend + first + 8) : none};
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  for (std::int64_t r = 0; r < rows; r += 2, to += 2 * step, sums += 2 * apart) {
    const bool two = r + 1 < rows;
    const __m256i a = _mm256_adds_epi16(steps_of(sums, addend, factor), zero);
    const __m256i b = two ? _mm256_adds_epi16(steps_of(sums + apart, addend, factor), zero) : a;
    const __m256i packed = Signed ? _mm256_packs_epi16(a, b) : _mm256_packus_epi16(a, b);
    const __m256i codes = _mm256_permutevar8x32_epi32(packed, order);
    store_part(_mm256_castsi256_si128(codes), columns, to);
    if (two) store_part(_mm256_extracti128_si256(codes, 1), columns, to + step);
  }
}

HONE_AVX2 void finish_floats(const std::int32_t* sums, std::int64_t rows, std::int64_t columns,
                             const Requantization& by, std::int64_t first, std::byte* to, std::int64_t step,
                             std::int64_t apart) {
  for (std::int64_t r = 0; r < rows; ++r, to += step, sums += apart) {
    alignas(32) float part[panel_columns];
    float* out = columns == panel_columns ? reinterpret_cast<float*>(to) : part;
    for (int half = 0; half < 2; ++half) {
      __m256i sum = load(sums + 8 * half);
      if (by.addend) sum = _mm256_add_epi32(sum, load(by.addend + first + 8 * half));
      __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(by.factor + first + 8 * half));
      if (by.shift) value = _mm256_add_ps(value, _mm256_loadu_ps(by.shift + first + 8 * half));
      _mm256_storeu_ps(out + 8 * half, value);
    }
    if (out == part) std::memcpy(to, part, static_cast<std::size_t>(columns) * sizeof(float));
  }
}

}  // namespace

IntegerPanels::IntegerPanels(std::int64_t segments, std::int64_t length, std::int64_t columns, std::byte* memory)
    : segments_(segments), length_(length), pairs_((length + 1) / 2), columns_(columns) {
  if (!memory) {
    buffer_ = std::make_unique<Buffer>(byte_size(segments, length, columns));
    memory = buffer_->data();
  }
  data_ = reinterpret_cast<std::int16_t*>(memory);
}

std::uint64_t IntegerPanels::byte_size(std::int64_t segments, std::int64_t length, std::int64_t columns) {
  return whole_panels(columns) * static_cast<std::uint64_t>(segments * (length + length % 2)) * sizeof(std::int16_t);
}

void IntegerPanels::fill_rows(const std::byte* matrix, ir::ElementType type, const std::int16_t* zeros,
                              std::int64_t begin, std::int64_t end) {
  if (type == ir::ElementType::int8) {
    fill_rows_avx2<std::int8_t>(matrix, zeros, length_, columns_, begin, end, data_);
  } else {
    fill_rows_avx2<std::uint8_t>(matrix, zeros, length_, columns_, begin, end, data_);
  }
}

void multiply_rows(const std::int16_t* const* rows, std::int64_t count, std::span<const std::int64_t> offsets,
                   const IntegerPanels::Panel& panel, std::int32_t* sums) {
  for_each_tile(count, [&]<int Rows>(std::int64_t first) {
    multiply<Rows>(rows + first, offsets, panel.pairs, panel.weights.data(), sums + first * panel_columns);
  });
}

HONE_AVX2 void to_bytes(const std::byte* from, ir::ElementType type, std::int64_t count, std::uint8_t* to) {
  if (type == ir::ElementType::uint8) {
    std::memcpy(to, from, static_cast<std::size_t>(count));
    return;
  }
  const __m256i sign = _mm256_set1_epi8(static_cast<char>(0x80));
  std::int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_xor_si256(codes, sign));
  }
  for (; i < count; ++i) to[i] = static_cast<std::uint8_t>(from[i]) ^ 0x80U;
}

void multiply_taps(const std::int16_t* at, const std::int64_t* places, std::int64_t count,
                   std::span<const std::int64_t> offsets, const std::int16_t* weights, std::int32_t* sums) {
  if (offsets.size() == 9) return multiply_nine(at, places, count, offsets.data(), weights, sums);
  multiply_any(at, places, count, offsets, weights, sums);
}

void widen(const std::byte* from, ir::ElementType type, std::int32_t zero, std::int64_t count, std::int16_t* to) {
  if (type == ir::ElementType::int8) {
    widen_avx2<std::int8_t>(from, zero, count, to);
  } else {
    widen_avx2<std::uint8_t>(from, zero, count, to);
  }
}

void finish_tile(const std::int32_t* sums, std::int64_t rows, std::int64_t columns, const Requantization& by,
                 std::int64_t first, std::byte* to, std::int64_t step, std::int64_t apart) {
  switch (by.type) {
    case ir::ElementType::uint8:
      return finish_codes<false>(sums, rows, columns, by, first, to, step, apart);
    case ir::ElementType::int8:
      return finish_codes<true>(sums, rows, columns, by, first, to, step, apart);
    case ir::ElementType::float32:
      return finish_floats(sums, rows, columns, by, first, to, step, apart);
    default:
      for (std::int64_t r = 0; r < rows; ++r) {
        std::uint32_t values[panel_columns];  // which wrap
        for (std::int64_t c = 0; c < columns; ++c) {
          values[c] = static_cast<std::uint32_t>(sums[r * apart + c]) +
                      static_cast<std::uint32_t>(by.addend ? by.addend[first + c] : 0);
        }
        std::memcpy(to + r * step, values, static_cast<std::size_t>(columns) * sizeof(std::int32_t));
      }
  }
}

void finish_rows(const std::int32_t* sums, std::int64_t rows, std::int64_t groups, std::int64_t columns,
                 const Requantization& by, std::byte* to) {
  const std::int64_t all = groups * columns, width = static_cast<std::int64_t>(ir::bit_width(by.type) / 8);
  const auto in_group = static_cast<std::int64_t>(whole_panels(columns));
  parallel_for(rows, std::max<std::int64_t>(1, (1 << 15) / all), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t g = 0; g < groups; ++g) {
      for (std::int64_t c = 0; c < columns; c += panel_columns) {
        const std::int64_t at = begin * all + g * columns + c;
        finish_tile(sums + at, end - begin, std::min(panel_columns, columns - c), by, g * in_group + c, to + at * width,
                    all * width, all);
      }
    }
  });
}

std::int32_t zero_point(Context& context, std::size_t index) {
  if (!context.has_input(index)) return 0;
  const Array& array = context.input(index);
  return array.type == ir::ElementType::int8 ? *array.as<std::int8_t>() : *array.as<std::uint8_t>();
}

}  // namespace hone::exec::onednn
