#include "exec/onednn/rows.h"

#include <cmath>
#include <cstring>

#include "exec/onednn/avx2.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {

#ifdef HONE_HAS_AVX2
namespace {

using namespace avx2;

// Ones in the first `count` lanes.
HONE_AVX2_INLINE Integers first_lanes(std::int64_t count) {
  const Integers numbers = {0, 1, 2, 3, 4, 5, 6, 7};
  return numbers < (Integers)_mm256_set1_epi32(static_cast<int>(count));
}
HONE_AVX2_INLINE Vector load_some(const float* from, Integers which) {
  return (Vector)_mm256_maskload_ps(from, (__m256i)which);
}
HONE_AVX2_INLINE void store_some(float* to, Integers which, Vector x) {
  _mm256_maskstore_ps(to, (__m256i)which, (__m256)x);
}

HONE_AVX2 void normalize_row(const RowNormalization& how, const float* from, float* to) {
  const std::int64_t whole = how.length / lanes * lanes;
  const Integers rest = first_lanes(how.length - whole);
  const Vector zero = all(0.0F);
  const bool more = whole < how.length;
  const float share = 1.0F / static_cast<float>(how.length);
  Vector mean = zero;
  if (how.centered) {
    Vector total = zero, other = zero;
    std::int64_t i = 0;
    for (; i + 2 * lanes <= whole; i += 2 * lanes) {
      total = total + load(from + i);
      other = other + load(from + i + lanes);
    }
    if (i < whole) total = total + load(from + i);
    if (more) other = other + load_some(from + whole, rest);
    mean = all(sum(total + other) * share);
  }
  Vector squares = zero, others = zero;
  std::int64_t i = 0;
  for (; i + 2 * lanes <= whole; i += 2 * lanes) {
    const Vector a = load(from + i) - mean, b = load(from + i + lanes) - mean;
    squares = fused(a, a, squares);
    others = fused(b, b, others);
  }
  if (i < whole) {
    const Vector a = load(from + i) - mean;
    squares = fused(a, a, squares);
  }
  if (more) {
    const Vector a = select(rest, load_some(from + whole, rest) - mean, zero);
    others = fused(a, a, others);
  }
  const Vector by = all(1.0F / std::sqrt(sum(squares + others) * share + how.epsilon));
  for (i = 0; i < whole; i += lanes) {
    const Vector x = (load(from + i) - mean) * by;
    const Vector shift = how.shift ? load(how.shift + i) : zero;
    store(to + i, fused(x, load(how.scale + i), shift));
  }
  if (more) {
    const Vector x = (load_some(from + whole, rest) - mean) * by;
    const Vector shift = how.shift ? load_some(how.shift + whole, rest) : zero;
    store_some(to + whole, rest, fused(x, load_some(how.scale + whole, rest), shift));
  }
}

HONE_AVX2 void add_rows(const float* a, const float* b, const float* bias, std::int64_t length, float* to) {
  std::int64_t i = 0;
  for (; i + lanes <= length; i += lanes) {
    const Vector sum = load(a + i) + load(b + i);
    store(to + i, bias ? sum + load(bias + i) : sum);
  }
  for (; i < length; ++i) to[i] = bias ? a[i] + b[i] + bias[i] : a[i] + b[i];
}

template <typename Body>
void each_row(std::int64_t rows, double seconds, const Body& body) {
  const std::int64_t parts = worthwhile_threads(seconds);
  parallel_for(rows, (rows - 1) / parts + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) body(row);
  });
}

}  // namespace

HONE_AVX2 void softmax_row(const float* from, std::int64_t length, bool logarithms, float* to) {
  const std::int64_t whole = length / lanes * lanes;
  const Integers rest = first_lanes(length - whole);
  Vector top = all(-__builtin_inff()), next = top;
  std::int64_t i = 0;
  for (; i + 2 * lanes <= whole; i += 2 * lanes) {
    top = larger(top, load(from + i));
    next = larger(next, load(from + i + lanes));
  }
  if (i < whole) top = larger(top, load(from + i));
  if (whole < length) next = select(rest, larger(next, load_some(from + whole, rest)), next);
  const float most = largest(larger(top, next));
  Vector total = all(0.0F);
  for (i = 0; i < whole; i += lanes) {
    const Vector shifted = load(from + i) - all(most), e = normal_exponential(shifted);
    total = total + e;
    store(to + i, logarithms ? shifted : e);
  }
  if (whole < length) {
    const Vector shifted = load_some(from + whole, rest) - all(most), e = normal_exponential(shifted);
    total = total + select(rest, e, all(0.0F));
    store_some(to + whole, rest, logarithms ? shifted : e);
  }
  const float sum = avx2::sum(total);
  const Vector by = all(logarithms ? std::log(sum) : 1.0F / sum);
  for (i = 0; i < whole; i += lanes) store(to + i, logarithms ? load(to + i) - by : load(to + i) * by);
  if (whole < length) {
    const Vector x = load_some(to + whole, rest);
    store_some(to + whole, rest, logarithms ? x - by : x * by);
  }
}

void softmax_rows(const float* from, std::int64_t rows, std::int64_t length, bool logarithms, float* to) {
  each_row(rows, static_cast<double>(rows * length) * 1e-9,
           [&](std::int64_t row) { softmax_row(from + row * length, length, logarithms, to + row * length); });
}

void normalize_rows(const RowNormalization& how, const float* from, std::int64_t rows, float* to) {
  each_row(rows, static_cast<double>(rows * how.length) * 0.4e-9,
           [&](std::int64_t row) { normalize_row(how, from + row * how.length, to + row * how.length); });
}

void normalize_sums(const RowNormalization& how, const RowSum& added, const float* from, std::int64_t rows, float* to) {
  each_row(rows, static_cast<double>(rows * how.length) * 0.6e-9, [&](std::int64_t row) {
    const std::int64_t at = row * how.length;
    float* sums = (added.sums ? added.sums : to) + at;
    add_rows(from + at, added.skip + row % added.skip_rows * how.length, added.bias, how.length, sums);
    normalize_row(how, sums, to + at);
  });
}

#else
void softmax_row(const float*, std::int64_t, bool, float*) {}
void softmax_rows(const float*, std::int64_t, std::int64_t, bool, float*) {}
void normalize_rows(const RowNormalization&, const float*, std::int64_t, float*) {}
void normalize_sums(const RowNormalization&, const RowSum&, const float*, std::int64_t, float*) {}
#endif

}  // namespace hone::exec::onednn
