// What all tiles are made of; tiles_for_both.h includes this.

// A panel of 16 columns in vectors.
constexpr int vectors_of_panel = static_cast<int>(panel_columns / lanes);

// One k of up to 12 rows, 6 from `a` on and the rest from `low` on, by vectors of columns: of one panel, or of several, each
// `panel_step` behind the one before.
template <int Rows, int Vectors>
HONE_TILE_INLINE void add_products(const float* a, const float* low, std::int64_t step, const float* b,
                                   std::int64_t panel_step, Vector sum[Rows][Vectors]) {
  Vector right[Vectors];
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v)
    right[v] = load(b + v / vectors_of_panel * panel_step + v % vectors_of_panel * lanes);
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
    const Vector factor = all(r < tile_rows ? a[r * step] : low[(r - tile_rows) * step]);
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sum[r][v] = fused(factor, right[v], sum[r][v]);
  }
}
