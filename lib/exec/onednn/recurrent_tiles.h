// The products of exec/onednn/recurrent.cpp, which includes this once for each instruction set, in a namespace where `lanes`,
// Vector and the functions on it are that set's. No include guard, for that.

// Vectors of a panel; sums that hide what an addition takes.
constexpr int per_panel = static_cast<int>(panel_width / lanes), panels_of_row = 8 / per_panel;

// Of `Rows` rows and `Panels` panels that lie one after the other: out += a panel. `out` rows are `out_step` apart.
template <int Rows, int Panels>
HONE_TILE_INLINE void multiply_tile(const float* a, std::int64_t a_step, const float* panel, std::int64_t depth,
                                    float* out, std::int64_t out_step) {
  constexpr int vectors = per_panel * Panels;
  Vector sum[Rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < vectors; ++c) sum[r][c] = load(out + r * out_step + c * lanes);
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    Vector column[vectors];
#pragma GCC unroll 8
    for (int c = 0; c < vectors; ++c)
      column[c] = load(panel + (c / per_panel * depth + k) * panel_width + c % per_panel * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const Vector factor = all(a[r * a_step + k]);
#pragma GCC unroll 8
      for (int c = 0; c < vectors; ++c) sum[r][c] = fused(factor, column[c], sum[r][c]);
    }
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
      for (; c + 2 * panel_width <= b.columns; c += 2 * panel_width)
        multiply_tile<4, 2>(a + r * a_step, a_step, b.panel(c), b.depth, out + r * out_step + c, out_step);
    }
    for (; c < b.columns; c += panel_width)
      multiply_tile<4, 1>(a + r * a_step, a_step, b.panel(c), b.depth, out + r * out_step + c, out_step);
  }
  for (; r < rows; ++r) {
    std::int64_t c = 0;
    for (; c + panels_of_row * panel_width <= b.columns; c += panels_of_row * panel_width)
      multiply_tile<1, panels_of_row>(a + r * a_step, a_step, b.panel(c), b.depth, out + r * out_step + c, out_step);
    for (; c < b.columns; c += panel_width)
      multiply_tile<1, 1>(a + r * a_step, a_step, b.panel(c), b.depth, out + r * out_step + c, out_step);
  }
}
