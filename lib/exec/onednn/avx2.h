// Vectors of eight floats and functions on them, for kernels of our own. Each function is compiled for AVX2 and FMA whatever
// the rest is compiled for, and must be called only where has_avx2() says so. Elsewhere nothing here exists but has_avx2().
//
// Against double precision the functions are within 4 units in the last place (erf and tanh: 3e-7 of 1); NaN stays NaN.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define HONE_HAS_AVX2 1
#define HONE_AVX2 __attribute__((target("avx2,fma")))
#define HONE_AVX2_INLINE __attribute__((target("avx2,fma"), always_inline)) inline

#include <immintrin.h>
#endif

namespace hone::exec::onednn {

// Whether the CPU has AVX2 and FMA, and the build code for them.
bool has_avx2();
// Whether the CPU has AVX-512 (of a server of 2017 and later), and ONEDNN_MAX_CPU_ISA does not forbid it.
bool has_avx512();
// "avx512" or "avx2", in the names of kernels that have code for both.
inline const char* widest_isa() { return has_avx512() ? "avx512" : "avx2"; }
// Whether AVX2 is all: with AVX-512, oneDNN has faster code of its own.
bool has_only_avx2();

#ifdef HONE_HAS_AVX2
namespace avx2 {

using Vector = float __attribute__((vector_size(32)));
using Integers = std::int32_t __attribute__((vector_size(32)));
inline constexpr std::int64_t lanes = 8;

HONE_AVX2_INLINE Vector load(const float* from) { return (Vector)_mm256_loadu_ps(from); }
HONE_AVX2_INLINE void store(float* to, Vector x) { _mm256_storeu_ps(to, (__m256)x); }
// Vector v of columns that lie in eights, `apart` from each other.
HONE_AVX2_INLINE Vector load_columns(const float* from, std::int64_t v, std::int64_t apart) {
  return load(from + v * apart);
}
HONE_AVX2_INLINE void store_columns(float* to, std::int64_t v, std::int64_t apart, Vector x) {
  store(to + v * apart, x);
}
HONE_AVX2_INLINE Vector all(float x) { return (Vector)_mm256_set1_ps(x); }
HONE_AVX2_INLINE Vector fused(Vector a, Vector b, Vector c) {
  return (Vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
// The second where either is NaN, as the instruction has it.
HONE_AVX2_INLINE Vector larger(Vector a, Vector b) { return (Vector)_mm256_max_ps((__m256)a, (__m256)b); }
HONE_AVX2_INLINE Vector smaller(Vector a, Vector b) { return (Vector)_mm256_min_ps((__m256)a, (__m256)b); }
HONE_AVX2_INLINE Vector select(Integers where, Vector a, Vector b) {
  return (Vector)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)where);
}
HONE_AVX2_INLINE Vector magnitude(Vector x) { return (Vector)_mm256_andnot_ps(_mm256_set1_ps(-0.0F), (__m256)x); }
HONE_AVX2_INLINE Vector with_sign(Vector size, Vector sign) {
  const __m256 bit = _mm256_set1_ps(-0.0F);
  return (Vector)_mm256_or_ps(_mm256_andnot_ps(bit, (__m256)size), _mm256_and_ps(bit, (__m256)sign));
}

// 2^n for whole n in [-252, 254]: in two factors, since one float does not reach that far.
HONE_AVX2_INLINE Vector scaled(Vector x, Vector n) {
  const __m256i whole = _mm256_cvtps_epi32((__m256)n);
  const __m256i half = _mm256_srai_epi32(whole, 1), rest = _mm256_sub_epi32(whole, half);
  const __m256i bias = _mm256_set1_epi32(127);
  const auto a = (Vector)_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const auto b = (Vector)_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return x * a * b;
}

// e^x = 2^n e^r, r within ln2 / 2; the polynomials here and below are minimax fits.
HONE_AVX2_INLINE Vector exponential(Vector x) {
  const Vector y = smaller(all(89.0F), larger(all(-104.0F), x));  // beyond: infinity and 0
  const auto n = (Vector)_mm256_round_ps((__m256)(y * all(1.44269504F)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const Vector r = fused(n, all(2.12194440e-4F), fused(n, all(-0.693359375F), y));
  Vector p = fused(r, all(1.395171725e-3F), all(8.369598410e-3F));
  p = fused(p, r, all(4.166618728e-2F));
  p = fused(p, r, all(1.666651289e-1F));
  p = fused(p, r, all(5.0e-1F));
  return scaled(fused(p * r, r, r) + all(1.0F), n);
}

// The same, but 0 in place of numbers below the normal ones, each of which costs some CPUs 150 cycles: for terms of sums.
HONE_AVX2_INLINE Vector normal_exponential(Vector x) {
  const Vector least = all(-87.33F);
  return select(x < least, all(0.0F), exponential(larger(least, x)));
}

HONE_AVX2_INLINE Vector logarithm(Vector x) {
  const Vector infinity = all(__builtin_inff());
  // Numbers below the normal ones are brought up first.
  const Integers tiny = x < all(1.17549435e-38F);
  const Vector y = select(tiny, x * all(8388608.0F), x);
  const auto bits = _mm256_castps_si256((__m256)y);
  // The mantissa in [sqrt(1/2), sqrt(2)).
  const auto shifted = _mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f3504f3));
  Vector n = (Vector)_mm256_cvtepi32_ps(_mm256_srai_epi32(shifted, 23));
  n = n - select(tiny, all(23.0F), all(0.0F));
  const auto mantissa =
      _mm256_add_epi32(_mm256_and_si256(shifted, _mm256_set1_epi32(0x007fffff)), _mm256_set1_epi32(0x3f3504f3));
  const Vector m = (Vector)_mm256_castsi256_ps(mantissa) - all(1.0F);
  Vector p = fused(m, all(6.915367963e-2F), all(-1.178980763e-1F));
  p = fused(p, m, all(1.187297631e-1F));
  p = fused(p, m, all(-1.238434848e-1F));
  p = fused(p, m, all(1.421865809e-1F));
  p = fused(p, m, all(-1.666925082e-1F));
  p = fused(p, m, all(2.000222661e-1F));
  p = fused(p, m, all(-2.499998660e-1F));
  p = fused(p, m, all(3.333331044e-1F));
  const Vector square = m * m;
  Vector low = fused(n, all(-2.12194440e-4F), p * m * square);
  low = fused(square, all(-0.5F), low);
  Vector result = fused(n, all(0.693359375F), m + low);
  result = select(x == all(0.0F), -infinity, result);
  result = select(x == infinity, infinity, result);
  // Negative numbers and NaN.
  return (Vector)_mm256_or_ps((__m256)result, _mm256_cmp_ps((__m256)x, _mm256_setzero_ps(), _CMP_NGE_UQ));
}

HONE_AVX2_INLINE Vector sigmoid(Vector x) { return all(1.0F) / (all(1.0F) + normal_exponential(-x)); }

// An odd polynomial near 0, 1 - 2 / (e^2x + 1) beyond.
HONE_AVX2_INLINE Vector hyperbolic_tangent(Vector x) {
  const Vector size = magnitude(x), z = x * x;
  Vector p = fused(z, all(-5.717036547e-3F), all(2.065057899e-2F));
  p = fused(p, z, all(-5.374349526e-2F));
  p = fused(p, z, all(1.333149125e-1F));
  p = fused(p, z, all(-3.333328392e-1F));
  const Vector near = fused(p * z, x, x);
  const Vector far = all(1.0F) - all(2.0F) / (exponential(size + size) + all(1.0F));
  return with_sign(select(size > all(0.625F), far, near), x);
}

// An odd polynomial up to 1, 1 - e^-q(x) beyond.
HONE_AVX2_INLINE Vector error_function(Vector x) {
  const Vector size = magnitude(x), z = x * x;
  Vector p = fused(z, all(7.889119513e-5F), all(-8.020841274e-4F));
  p = fused(p, z, all(5.189535339e-3F));
  p = fused(p, z, all(-2.685444459e-2F));
  p = fused(p, z, all(1.128360018e-1F));
  p = fused(p, z, all(-3.761262714e-1F));
  p = fused(p, z, all(1.128379166e+0F));
  const Vector near = p * x;
  const Vector y = smaller(all(4.0F), size);
  Vector q = fused(y, all(-1.915050328e-4F), all(2.999549051e-3F));
  q = fused(q, y, all(-2.205202911e-2F));
  q = fused(q, y, all(1.035669547e-1F));
  q = fused(q, y, all(6.375999705e-1F));
  q = fused(q, y, all(1.127426125e+0F));
  q = fused(q, y, all(2.564366406e-4F));
  const Vector far = all(1.0F) - exponential(-q);
  return with_sign(select(size > all(1.0F), far, near), x);
}

HONE_AVX2_INLINE void transpose(Vector rows[lanes]) {
  __m256 pairs[lanes], fours[lanes];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    pairs[2 * i] = _mm256_unpacklo_ps((__m256)rows[2 * i], (__m256)rows[2 * i + 1]);
    pairs[2 * i + 1] = _mm256_unpackhi_ps((__m256)rows[2 * i], (__m256)rows[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const __m256* p = pairs + 4 * i;
    fours[4 * i] = _mm256_shuffle_ps(p[0], p[2], 0x44);
    fours[4 * i + 1] = _mm256_shuffle_ps(p[0], p[2], 0xee);
    fours[4 * i + 2] = _mm256_shuffle_ps(p[1], p[3], 0x44);
    fours[4 * i + 3] = _mm256_shuffle_ps(p[1], p[3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    rows[i] = (Vector)_mm256_permute2f128_ps(fours[i], fours[4 + i], 0x20);
    rows[4 + i] = (Vector)_mm256_permute2f128_ps(fours[i], fours[4 + i], 0x31);
  }
}

HONE_AVX2_INLINE float sum(Vector x) {
  const __m128 pairs = _mm_add_ps(_mm256_castps256_ps128((__m256)x), _mm256_extractf128_ps((__m256)x, 1));
  const __m128 two = _mm_add_ps(pairs, _mm_movehl_ps(pairs, pairs));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
HONE_AVX2_INLINE float largest(Vector x) {
  const __m128 pairs = _mm_max_ps(_mm256_castps256_ps128((__m256)x), _mm256_extractf128_ps((__m256)x, 1));
  const __m128 two = _mm_max_ps(pairs, _mm_movehl_ps(pairs, pairs));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

}  // namespace avx2
#endif

}  // namespace hone::exec::onednn
