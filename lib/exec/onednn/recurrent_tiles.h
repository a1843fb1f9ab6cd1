// The products of exec/onednn/recurrent.cpp, for each instruction set: see tiles_for_both.h.

// Of one row: eight sums hide what an addition takes.
constexpr int panels_of_row = 8 / vectors_of_panel;

// Of `Rows` rows and `Panels` panels that lie one after the other: out += a panel. `out` rows are `out_step` apart.
template <int Rows, int Panels>
HONE_TILE_INLINE void multiply_tile(const float* a, std::int64_t a_step, const float* panel, std::int64_t depth,
                                    float* out, std::int64_t out_step) {
  constexpr int vectors = vectors_of_panel * Panels;
  Vector sum[Rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < vectors; ++c) sum[r][c] = load(out + r * out_step + c * lanes);
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    const float* left = a + k;
    add_products<Rows, vectors>(left, left, a_step, panel + k * panel_columns, depth * panel_columns, sum);
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < vectors; ++c) store(out + r * out_step + c * lanes, sum[r][c]);
  }
}

HONE_TILE void multiply(std::int64_t rows, const float* a, std::int64_t a_step, const Packed& b, float* out,
                        std::int64_t out_step) {
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    std::int64_t c = 0;
    if constexpr (lanes == 16) {
      for (; c + 2 * panel_columns <= b.columns; c += 2 * panel_columns)
        multiply_tile<4, 2>(a + r * a_step, a_step, b.panel(c), b.depth, out + r * out_step + c, out_step);
    }
    for (; c < b.columns; c += panel_columns)
      multiply_tile<4, 1>(a + r * a_step, a_step, b.panel(c), b.depth, out + r * out_step + c, out_step);
  }
  for (; r < rows; ++r) {
    std::int64_t c = 0;
    for (; c + panels_of_row * panel_columns <= b.columns; c += panels_of_row * panel_columns)
      multiply_tile<1, panels_of_row>(a + r * a_step, a_step, b.panel(c), b.depth, out + r * out_step + c, out_step);
    for (; c < b.columns; c += panel_columns)
      multiply_tile<1, 1>(a + r * a_step, a_step, b.panel(c), b.depth, out + r * out_step + c, out_step);
  }
}
