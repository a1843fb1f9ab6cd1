#include "exec/onednn/vnni_panels.h"

#include <cstring>

#include "exec/onednn/avx512.h"

namespace hone::exec::onednn {

bool has_vnni_panels() {
#ifdef HONE_HAS_AVX2
  static const bool has = has_avx512() && __builtin_cpu_supports("avx512vnni");
  return has;
#else
  return false;
#endif
}

#ifdef HONE_HAS_AVX2
namespace {

#define HONE_VNNI __attribute__((target(HONE_AVX512_FEATURES ",avx512vnni")))
#define HONE_VNNI_INLINE __attribute__((target(HONE_AVX512_FEATURES ",avx512vnni"), always_inline)) inline

HONE_VNNI_INLINE __m512i load(const void* from) { return _mm512_loadu_si512(from); }

// What becomes of the sums of 64 columns, as codes: multiplied, rounded to the nearest and moved by the zero point, as
// finish_tile() does it.
struct Codes {
  const float* factor;
  __m512i zero;
  __mmask64 columns;
  bool is_signed;
};

// What is no 16-bit number is out of every range; so is what is no 32-bit one, of which the conversion makes the least.
HONE_VNNI_INLINE __m512i steps_of(__m512i sums, const float* factor) {
  const __m512 steps = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(factor));
  return _mm512_cvtps_epi32(_mm512_min_ps(steps, _mm512_set1_ps(32767.0F)));
}

template <int Vectors>
HONE_VNNI_INLINE void store_codes(const __m512i sums[Vectors], const Codes& by, std::byte* to) {
  __m512i steps[4] = {};
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) steps[v] = steps_of(sums[v], by.factor + 16 * v);
  const __m512i codes = avx512::codes_of(steps, by.zero, by.is_signed);
  if (by.columns == ~__mmask64{0}) {
    _mm512_storeu_si512(to, codes);
  } else {
    _mm512_mask_storeu_epi8(to, by.columns, codes);
  }
}

// Rows by 16 * Vectors columns: codes `by` where that is given, or the sums.
template <int Rows, int Vectors>
HONE_VNNI void multiply(const std::uint8_t* const* rows, std::span<const std::int64_t> offsets,
                        const VnniPanels::Panel& panel, const std::int32_t* addend, const Codes* by, std::byte* to,
                        std::int64_t step, std::int32_t* sums) {
  __m512i sum[Rows][Vectors];
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) {
    const __m512i start = addend ? load(addend + 16 * v) : _mm512_setzero_si512();
#pragma GCC unroll 6
    for (int r = 0; r < Rows; ++r) sum[r][v] = start;
  }
  const std::int8_t* weights = panel.weights.data();
  for (const std::int64_t offset : offsets) {
    const std::uint8_t* row[Rows];
#pragma GCC unroll 6
    for (int r = 0; r < Rows; ++r) row[r] = rows[r] + offset;
    for (std::int64_t k = 0; k < 4 * panel.quads; k += 4, weights += Vectors * 64) {
      __m512i columns[Vectors];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) columns[v] = load(weights + 64 * v);
#pragma GCC unroll 6
      for (int r = 0; r < Rows; ++r) {
        std::int32_t quad;
        std::memcpy(&quad, row[r] + k, sizeof(quad));
        const __m512i all = _mm512_set1_epi32(quad);
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) sum[r][v] = _mm512_dpbusd_epi32(sum[r][v], all, columns[v]);
      }
    }
  }
  if (by) {
#pragma GCC unroll 6
    for (int r = 0; r < Rows; ++r) store_codes<Vectors>(sum[r], *by, to + r * step);
    return;
  }
#pragma GCC unroll 6
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) _mm512_storeu_si512(sums + (r * Vectors + v) * 16, sum[r][v]);
  }
}

template <int Vectors>
HONE_VNNI void multiply_all(const std::uint8_t* const* rows, std::int64_t count, std::span<const std::int64_t> offsets,
                            const VnniPanels::Panel& panel, const Requantization& by, std::int64_t first,
                            std::int64_t columns, std::byte* to, std::int64_t step) {
  const bool is_signed = by.type == ir::ElementType::int8;
  if (is_signed || by.type == ir::ElementType::uint8) {
    const Codes codes{by.factor + first, _mm512_set1_epi16(static_cast<std::int16_t>(by.zero)),
                      ~__mmask64{0} >> (VnniPanels::width - columns), is_signed};
    const std::int32_t* addend = by.addend ? by.addend + first : nullptr;
    for_each_tile(count, [&]<int Rows>(std::int64_t at) {
      multiply<Rows, Vectors>(rows + at, offsets, panel, addend, &codes, to + at * step, step, nullptr);
    });
    return;
  }
  alignas(64) std::int32_t sums[tile_rows * VnniPanels::width];
  const std::int64_t size = ir::bit_width(by.type) / 8;
  for_each_tile(count, [&]<int Rows>(std::int64_t at) {
    multiply<Rows, Vectors>(rows + at, offsets, panel, nullptr, nullptr, nullptr, 0, sums);
    for (std::int64_t c = 0; c < columns; c += panel_columns) {
      finish_tile(sums + c, Rows, std::min(panel_columns, columns - c), by, first + c, to + at * step + c * size, step,
                  Vectors * panel_columns);
    }
  });
}

}  // namespace

void multiply_and_finish(const std::uint8_t* const* rows, std::int64_t count, std::span<const std::int64_t> offsets,
                         const VnniPanels::Panel& panel, const Requantization& by, std::int64_t first,
                         std::int64_t columns, std::byte* to, std::int64_t step) {
  switch (panel.vectors) {
    case 1:
      return multiply_all<1>(rows, count, offsets, panel, by, first, columns, to, step);
    case 2:
      return multiply_all<2>(rows, count, offsets, panel, by, first, columns, to, step);
    case 3:
      return multiply_all<3>(rows, count, offsets, panel, by, first, columns, to, step);
    default:
      return multiply_all<4>(rows, count, offsets, panel, by, first, columns, to, step);
  }
}
#else
void multiply_and_finish(const std::uint8_t* const*, std::int64_t, std::span<const std::int64_t>,
                         const VnniPanels::Panel&, const Requantization&, std::int64_t, std::int64_t, std::byte*,
                         std::int64_t) {}
#endif

}  // namespace hone::exec::onednn
