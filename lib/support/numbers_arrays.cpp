// float16 and bfloat16, arrays at a time: F16C and AVX2 where the CPU has them, one by one elsewhere.
//
// Not handled: instructions of other CPUs, which compilers already use for the loops below.
#include "hone/support/numbers.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace hone {
namespace {

// Each converts a multiple of eight numbers and returns how many; the rest is done one by one.
#if defined(__x86_64__)

bool has_f16c() {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    // AVX says that the system saves the registers, the bit of CPUID that the instructions exist.
    return __builtin_cpu_supports("avx") && __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
  }();
  return has;
}

bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

__attribute__((target("avx,f16c"))) std::int64_t halves_to_floats(const float16* in, float* out, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(halves));
  }
  return i;
}

__attribute__((target("avx,f16c"))) std::int64_t floats_to_halves(const float* in, float16* out, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), halves);
  }
  return i;
}

__attribute__((target("avx2"))) std::int64_t bfloats_to_floats(const bfloat16* in, float* out, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), _mm256_slli_epi32(wide, 16));
  }
  return i;
}

__attribute__((target("avx2"))) std::int64_t floats_to_bfloats(const float* in, bfloat16* out, std::int64_t count) {
  const __m256i one = _mm256_set1_epi32(1);
  const __m256i below_half = _mm256_set1_epi32(0x7fff);
  const __m256i quiet = _mm256_set1_epi32(0x40);
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256 floats = _mm256_loadu_ps(in + i);
    const __m256i bits = _mm256_castps_si256(floats);
    const __m256i cut = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(cut, one);
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(below_half, odd)), 16);
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(floats, floats, _CMP_UNORD_Q));
    const __m256i chosen = _mm256_blendv_epi8(rounded, _mm256_or_si256(cut, quiet), is_nan);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(chosen, chosen), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm256_castsi256_si128(packed));
  }
  return i;
}

#else

bool has_f16c() { return false; }
bool has_avx2() { return false; }
std::int64_t halves_to_floats(const float16*, float*, std::int64_t) { return 0; }
std::int64_t floats_to_halves(const float*, float16*, std::int64_t) { return 0; }
std::int64_t bfloats_to_floats(const bfloat16*, float*, std::int64_t) { return 0; }
std::int64_t floats_to_bfloats(const float*, bfloat16*, std::int64_t) { return 0; }

#endif

}  // namespace

void to_float(const float16* in, float* out, std::int64_t count) {
  for (std::int64_t i = has_f16c() ? halves_to_floats(in, out, count) : 0; i < count; ++i) out[i] = to_float(in[i]);
}
void to_float16(const float* in, float16* out, std::int64_t count) {
  for (std::int64_t i = has_f16c() ? floats_to_halves(in, out, count) : 0; i < count; ++i) out[i] = to_float16(in[i]);
}
void to_float(const bfloat16* in, float* out, std::int64_t count) {
  for (std::int64_t i = has_avx2() ? bfloats_to_floats(in, out, count) : 0; i < count; ++i) out[i] = to_float(in[i]);
}
void to_bfloat16(const float* in, bfloat16* out, std::int64_t count) {
  for (std::int64_t i = has_avx2() ? floats_to_bfloats(in, out, count) : 0; i < count; ++i) out[i] = to_bfloat16(in[i]);
}

}  // namespace hone
