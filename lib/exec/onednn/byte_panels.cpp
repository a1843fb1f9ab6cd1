#include "exec/onednn/byte_panels.h"

#include <cstring>

#include "exec/onednn/avx2.h"

namespace hone::exec::onednn {
namespace {

// Positive weights that a sum of 16 bits may hold, and negative ones: 255 * 128 fits, 255 * 129 does not.
constexpr int most = 128;
constexpr std::size_t lanes = 2 * panel_columns;

// Weights that were moved out of a window: two words or four bytes of each column, and which bytes of the 16 activations they
// meet.
struct Moved {
  std::array<std::int8_t, 64> depths, weights{};
  Moved() { depths.fill(-128); }  // of which vpshufb makes 0
};

// The depths of a sum: of `quads` quads of one lane, from quad `first` on.
struct Sum {
  std::int8_t* window;
  int column, half, first, quads;
  int count() const { return 2 * quads; }
  int depth(int i) const { return (first + i / 2) * 4 + half * 2 + i % 2; }
  std::int8_t& at(int i) const { return window[depth(i) / 4 * 64 + column * 4 + depth(i) % 4]; }
  int excess(int sign) const {
    int result = -most;
    for (int i = 0; i < count(); ++i) result += std::max(0, at(i) * sign);
    return result;
  }
  // The smallest weight that is as large as the excess, or the largest.
  int best(int sign, int excess) const {
    int result = 0;
    for (int i = 0; i < count(); ++i) {
      const int size = at(i) * sign, known = at(result) * sign;
      if (known < excess ? size > known : size >= excess && size < known) result = i;
    }
    return result;
  }
};

// Calls f(sum, used) for each sum of a window, with how many places of its column are used; it is done if that is false.
template <typename F>
bool for_each_sum(std::int8_t* window, int quads, F&& f) {
  for (int column = 0; column < panel_columns; ++column) {
    for (int half = 0; half < 2; ++half) {
      for (int first = 0; first < 4; first += quads) {
        if (!f(Sum{window, column, half, first, quads})) return false;
      }
    }
  }
  return true;
}

// Moves weights out of a window, as words, until each sum of `quads` quads fits; false if two of a column are not enough.
bool move_words(std::int8_t* window, int quads, Moved& moved) {
  std::array<int, panel_columns> used{};
  return for_each_sum(window, quads, [&](const Sum& sum) {
    int& own = used[static_cast<std::size_t>(sum.column)];
    for (const int sign : {1, -1}) {
      for (int excess = sum.excess(sign); excess > 0; excess = sum.excess(sign)) {
        if (own == 2) return false;
        const int i = sum.best(sign, excess);
        const auto slot = static_cast<std::size_t>(sum.column) * 4 + static_cast<std::size_t>(own++) * 2;
        moved.depths[slot] = static_cast<std::int8_t>(sum.depth(i));
        moved.weights[slot] = sum.at(i);
        moved.weights[slot + 1] = static_cast<std::int8_t>(sum.at(i) < 0 ? -1 : 0);
        sum.at(i) = 0;
      }
    }
    return true;
  });
}

// Moves what does not fit in a sum of all four quads, as bytes, of which two are a sum; false if four of a column are not
// enough.
bool move_bytes(std::int8_t* window, Moved& moved) {
  std::array<std::array<int, 2>, panel_columns> used{};
  std::array<std::array<std::array<int, 2>, 2>, panel_columns> taken{};  // by column, half and sign
  return for_each_sum(window, 4, [&](const Sum& sum) {
    const auto column = static_cast<std::size_t>(sum.column);
    for (const int sign : {1, -1}) {
      const std::size_t by_sign = sign < 0;
      for (int excess = sum.excess(sign); excess > 0; excess = sum.excess(sign)) {
        const int i = sum.best(sign, excess), amount = std::min(sum.at(i) * sign, excess);
        std::size_t half = 0;
        while (half < 2 && (used[column][half] == 2 || taken[column][half][by_sign] + amount > most)) ++half;
        if (half == 2) return false;
        const auto slot = column * 4 + half * 2 + static_cast<std::size_t>(used[column][half]++);
        taken[column][half][by_sign] += amount;
        moved.depths[slot] = static_cast<std::int8_t>(sum.depth(i));
        moved.weights[slot] = static_cast<std::int8_t>(sign * amount);
        sum.at(i) = static_cast<std::int8_t>(sum.at(i) - sign * amount);
      }
    }
    return true;
  });
}

}  // namespace

void BytePanels::Builder::put(Kind kind, Place place, std::span<const std::int8_t> values) {
  weights[kind].insert(weights[kind].end(), values.begin(), values.end());
  places[kind].push_back(place);
}

void BytePanels::Builder::add(Place place, Quad quad) {
  Quad rest{};
  bool any = false;
  for (std::size_t i = 0; i < quad.size(); i += 2) {
    if (std::abs(quad[i] + quad[i + 1]) <= most) continue;
    any = true;
    for (std::size_t k = i; k < i + 2; ++k) {
      const auto kept = std::clamp<std::int8_t>(quad[k], -64, 64);
      rest[k] = static_cast<std::int8_t>(quad[k] - kept);
      quad[k] = kept;
    }
  }
  put(quads, place, quad);
  if (any) put(quads, place, rest);
}

void BytePanels::Builder::add(Place place, const Window& window) {
  std::array<std::array<int, lanes>, 2> plus{}, minus{};  // of two quads
  for (std::size_t q = 0; q < 4; ++q) {
    const std::int8_t* quad = window.data() + 64 * q;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const int a = quad[2 * lane], b = quad[2 * lane + 1];
      plus[q / 2][lane] += std::max(a, 0) + std::max(b, 0);
      minus[q / 2][lane] -= std::min(a, 0) + std::min(b, 0);
    }
  }
  int of_two = 0, of_four = 0;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    of_two = std::max({of_two, plus[0][lane], plus[1][lane], minus[0][lane], minus[1][lane]});
    of_four = std::max({of_four, plus[0][lane] + plus[1][lane], minus[0][lane] + minus[1][lane]});
  }
  if (of_two <= most) return put(of_four <= most ? once : twice, place, window);
  for (const Kind kind : {twice_but_two, once_cut, all_but_two}) {
    Window left = window;
    Moved moved;
    if (!(kind == once_cut ? move_bytes(left.data(), moved)
                           : move_words(left.data(), kind == all_but_two ? 1 : 2, moved))) {
      continue;
    }
    put(kind, place, left);
    weights[kind].insert(weights[kind].end(), moved.depths.begin(), moved.depths.end());
    weights[kind].insert(weights[kind].end(), moved.weights.begin(), moved.weights.end());
    return;
  }
  for (std::int32_t q = 0; q < 4; ++q) {
    Quad quad;
    std::copy_n(window.begin() + 64 * q, 64, quad.begin());
    add(Place{place.segment, place.depth + 4 * q}, quad);
  }
}

void BytePanels::join(const std::vector<Builder>& panels) {
  std::size_t size = 0, places = 0;
  for (const Builder& panel : panels) {
    for (std::size_t kind = 0; kind < kinds; ++kind) {
      size += panel.weights[kind].size();
      places += panel.places[kind].size();
    }
  }
  buffer_ = std::make_unique<Buffer>(std::max<std::size_t>(size, 1));
  places_.reserve(places);
  auto* to = reinterpret_cast<std::int8_t*>(buffer_->data());
  std::size_t at = 0;
  for (const Builder& panel : panels) {
    begins_.push_back(at);
    std::array<std::size_t, kinds + 1>& ends = ends_.emplace_back();
    ends[0] = places_.size();
    for (std::size_t kind = 0; kind < kinds; ++kind) {
      std::copy(panel.weights[kind].begin(), panel.weights[kind].end(), to + at);
      at += panel.weights[kind].size();
      places_.insert(places_.end(), panel.places[kind].begin(), panel.places[kind].end());
      ends[kind + 1] = places_.size();
    }
  }
  begins_.push_back(at);
}

BytePanels::Panel BytePanels::panel(std::int64_t index) const {
  const auto* weights = reinterpret_cast<const std::int8_t*>(buffer_->data());
  const auto at = static_cast<std::size_t>(index);
  Panel result{{weights + begins_[at], begins_[at + 1] - begins_[at]}, {}};
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    const std::size_t begin = ends_[at][kind], end = ends_[at][kind + 1];
    result.places[kind] = std::span(places_).subspan(begin, end - begin);
  }
  return result;
}

std::size_t BytePanels::places(Kind kind) const {
  std::size_t result = 0;
  for (const auto& ends : ends_) result += ends[kind + 1] - ends[kind];
  return result;
}

double BytePanels::work() const {
  // Measured on Zen 3, where vpmaddubsw and vpmaddwd run on the same two ports.
  static constexpr std::array<double, kinds> each = {0.74, 0.84, 1, 1, 1.15, 0.25};
  double result = 0;
  for (std::size_t kind = 0; kind < kinds; ++kind)
    result += each[kind] * static_cast<double>(places(static_cast<Kind>(kind)));
  return 4 * result / static_cast<double>(std::max<std::int64_t>(1, count() * quads_));
}

namespace {

HONE_AVX2_INLINE __m256i weights_at(const std::int8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
// Four activations for each of 8 columns.
HONE_AVX2_INLINE __m256i four(const std::uint8_t* from) {
  std::int32_t quad;
  std::memcpy(&quad, from, sizeof(quad));
  return _mm256_set1_epi32(quad);
}
HONE_AVX2_INLINE __m256i sixteen(const std::uint8_t* from) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

// One row and two registers of columns. Accumulators are variables of their own: of an array, GCC 12 keeps a part in memory.
// Weights are read for each row: registers for them would leave room for half as many columns, for which activations would
// have to be read twice as often.
#define HONE_ROWS(step) step(0) step(1) step(2) step(3) step(4) step(5)
#define HONE_ADD(n, x, y)                                          \
  left##n = _mm256_add_epi32(left##n, _mm256_madd_epi16(x, ones)); \
  right##n = _mm256_add_epi32(right##n, _mm256_madd_epi16(y, ones));
#define HONE_FIRST(q)                                              \
  codes = four(a + 4 * (q));                                       \
  x = _mm256_maddubs_epi16(codes, weights_at(weights + 64 * (q))); \
  y = _mm256_maddubs_epi16(codes, weights_at(weights + 64 * (q) + 32));
#define HONE_NEXT(q)                                                                    \
  codes = four(a + 4 * (q));                                                            \
  x = _mm256_add_epi16(x, _mm256_maddubs_epi16(codes, weights_at(weights + 64 * (q)))); \
  y = _mm256_add_epi16(y, _mm256_maddubs_epi16(codes, weights_at(weights + 64 * (q) + 32)));
#define HONE_PICK                                            \
  codes = sixteen(a);                                        \
  x = _mm256_shuffle_epi8(codes, weights_at(weights + 256)); \
  y = _mm256_shuffle_epi8(codes, weights_at(weights + 288));
#define HONE_WORDS(n)                                                                   \
  HONE_PICK                                                                             \
  left##n = _mm256_add_epi32(left##n, _mm256_madd_epi16(x, weights_at(weights + 320))); \
  right##n = _mm256_add_epi32(right##n, _mm256_madd_epi16(y, weights_at(weights + 352)));
#define HONE_ROW(n, ...)                  \
  if constexpr (Rows > n) {               \
    const std::uint8_t* a = rows[n] + at; \
    __m256i codes, x, y;                  \
    __VA_ARGS__                           \
  }
#define HONE_ONCE(n) HONE_ROW(n, HONE_FIRST(0) HONE_NEXT(1) HONE_NEXT(2) HONE_NEXT(3) HONE_ADD(n, x, y))
#define HONE_PAIRS(n) HONE_FIRST(0) HONE_NEXT(1) HONE_ADD(n, x, y) HONE_FIRST(2) HONE_NEXT(3) HONE_ADD(n, x, y)
#define HONE_TWICE(n) HONE_ROW(n, HONE_PAIRS(n))
#define HONE_TWICE_BUT_TWO(n) HONE_ROW(n, HONE_PAIRS(n) HONE_WORDS(n))
#define HONE_ONCE_CUT(n)                                                        \
  HONE_ONCE(n)                                                                  \
  HONE_ROW(n, HONE_PICK x = _mm256_maddubs_epi16(x, weights_at(weights + 320)); \
           y = _mm256_maddubs_epi16(y, weights_at(weights + 352)); HONE_ADD(n, x, y))
#define HONE_ALL_BUT_TWO(n)                                                                                   \
  HONE_ROW(n, HONE_FIRST(0) HONE_ADD(n, x, y) HONE_FIRST(1) HONE_ADD(n, x, y) HONE_FIRST(2) HONE_ADD(n, x, y) \
                  HONE_FIRST(3) HONE_ADD(n, x, y) HONE_WORDS(n))
#define HONE_QUAD(n) HONE_ROW(n, HONE_FIRST(0) HONE_ADD(n, x, y))
#define HONE_PLACES(kind, size, step)                                    \
  for (const BytePanels::Place place : panel.places[BytePanels::kind]) { \
    const std::int64_t at = offsets[place.segment] + place.depth;        \
    HONE_ROWS(step)                                                      \
    weights += size;                                                     \
  }
#define HONE_STORE(n)                                                                        \
  if constexpr (Rows > n) {                                                                  \
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + n * panel_columns), left##n);      \
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + n * panel_columns + 8), right##n); \
  }

template <int Rows>
HONE_AVX2 void multiply_panel(const std::uint8_t* const* rows, const std::int64_t* offsets,
                              const BytePanels::Panel& panel, std::int32_t* sums) {
  const __m256i zero = _mm256_setzero_si256(), ones = _mm256_set1_epi16(1);
  __m256i left0 = zero, right0 = zero, left1 = zero, right1 = zero, left2 = zero, right2 = zero;
  __m256i left3 = zero, right3 = zero, left4 = zero, right4 = zero, left5 = zero, right5 = zero;
  const std::int8_t* weights = panel.weights.data();
  HONE_PLACES(once, 256, HONE_ONCE)
  HONE_PLACES(twice, 256, HONE_TWICE)
  HONE_PLACES(twice_but_two, 384, HONE_TWICE_BUT_TWO)
  HONE_PLACES(once_cut, 384, HONE_ONCE_CUT)
  HONE_PLACES(all_but_two, 384, HONE_ALL_BUT_TWO)
  HONE_PLACES(quads, 64, HONE_QUAD)
  HONE_ROWS(HONE_STORE)
}
#undef HONE_ROWS
#undef HONE_ADD
#undef HONE_FIRST
#undef HONE_NEXT
#undef HONE_PICK
#undef HONE_WORDS
#undef HONE_ROW
#undef HONE_ONCE
#undef HONE_PAIRS
#undef HONE_TWICE
#undef HONE_TWICE_BUT_TWO
#undef HONE_ONCE_CUT
#undef HONE_ALL_BUT_TWO
#undef HONE_QUAD
#undef HONE_PLACES
#undef HONE_STORE

}  // namespace

void multiply_rows(const std::uint8_t* const* rows, std::int64_t count, std::span<const std::int64_t> offsets,
                   const BytePanels::Panel& panel, std::int32_t* sums) {
  for_each_tile(count, [&]<int Rows>(std::int64_t first) {
    multiply_panel<Rows>(rows + first, offsets.data(), panel, sums + first * panel_columns);
  });
}

}  // namespace hone::exec::onednn
