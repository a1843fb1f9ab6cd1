// Vectors of 16 floats, for kernels of our own where the CPU has AVX-512. Each function is compiled for it whatever the rest is
// compiled for, and must be called only where has_avx512() says so.
#pragma once

#include "exec/onednn/avx2_tail.h"

#ifdef HONE_HAS_AVX2
#define HONE_AVX512_FEATURES "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"
#define HONE_AVX512 __attribute__((target(HONE_AVX512_FEATURES)))
#define HONE_AVX512_INLINE __attribute__((target(HONE_AVX512_FEATURES), always_inline)) inline

namespace hone::exec::onednn::avx512 {

using Vector = float __attribute__((vector_size(64)));
inline constexpr std::int64_t lanes = 16;

HONE_AVX512_INLINE Vector load(const float* from) { return (Vector)_mm512_loadu_ps(from); }
HONE_AVX512_INLINE void store(float* to, Vector x) { _mm512_storeu_ps(to, (__m512)x); }
HONE_AVX512_INLINE Vector all(float x) { return (Vector)_mm512_set1_ps(x); }
HONE_AVX512_INLINE Vector fused(Vector a, Vector b, Vector c) {
  return (Vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
// Vector v of columns that lie in eights, `apart` from each other.
HONE_AVX512_INLINE Vector load_columns(const float* from, std::int64_t v, std::int64_t apart) {
  from += 2 * v * apart;
  return (Vector)_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(from)), _mm256_loadu_ps(from + apart), 1);
}
HONE_AVX512_INLINE void store_columns(float* to, std::int64_t v, std::int64_t apart, Vector x) {
  to += 2 * v * apart;
  _mm256_storeu_ps(to, _mm512_castps512_ps256((__m512)x));
  _mm256_storeu_ps(to + apart, _mm512_extractf32x8_ps((__m512)x, 1));
}

// 64 codes of steps, moved by the zero point (in words) and cut where codes end.
HONE_AVX512_INLINE __m512i codes_of(const __m512i steps[4], __m512i zero, bool is_signed) {
  const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(steps[0], steps[1]), zero);
  const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(steps[2], steps[3]), zero);
  const __m512i packed = is_signed ? _mm512_packs_epi16(low, high) : _mm512_packus_epi16(low, high);
  // Packing leaves four codes of each vector beside each other.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, packed);
}

// A step of a tail (exec/onednn/avx2_tail.h), by halves.
template <typename Step>
HONE_AVX512_INLINE Vector step_of(const Step& step, Vector x, const float* held) {
  const auto low = (avx2::Vector)_mm512_castps512_ps256((__m512)x),
             high = (avx2::Vector)_mm512_extractf32x8_ps((__m512)x, 1);
  return (Vector)_mm512_insertf32x8(_mm512_castps256_ps512((__m256)avx2::step_of(step, low, held)),
                                    (__m256)avx2::step_of(step, high, held + avx2::lanes), 1);
}

}  // namespace hone::exec::onednn::avx512
#endif
