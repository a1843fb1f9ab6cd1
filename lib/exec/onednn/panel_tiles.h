// The tiles of exec/onednn/panels.cpp, for each instruction set: see tiles_for_both.h.

// Few rows would wait for their own last sum: they are summed in several, each of every so many k.
constexpr int chains_of(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }

// Runs of one length, of any (`Length` any_length), and any with rows of the right-hand side that are no panel's (apart).
constexpr int any_length = 0, apart = -1;

// `first`: of the rows.
template <int Rows, int Vectors, int Length>
HONE_TILE_INLINE void tile_at(const TileArguments& t, std::int64_t first) {
  constexpr int chains = chains_of(Rows);
  const std::int64_t step = t.a_step, b_step = Length == apart ? t.b_step : panel_columns;
  const std::int64_t length = Length > 0 ? Length : t.stretch->length, runs = t.stretch->runs;
  const std::int64_t* starts = t.stretch->starts;
  Vector sum[chains][Rows][Vectors];
  const float* start = t.start + first * t.start_step;
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      sum[0][r][v] = load_columns(start + r * t.start_step, v, t.start_vector_step);
#pragma GCC unroll 4
      for (int c = 1; c < chains; ++c) sum[c][r][v] = all(0.0F);
    }
  }
  const float *b = t.b, *left = t.a + first * step;
  for (std::int64_t run = 0; run < runs; ++run) {
    const float *a = left + starts[run], *low = a + tile_rows * step;
    // Two pointers and five distances: of one pointer and eleven, the compiler keeps some in memory.
    asm("" : "+r"(low));
    if constexpr (Length > 0) {
#pragma GCC unroll 8
      for (int k = 0; k < Length; ++k)
        add_products<Rows, Vectors>(a + k, low + k, step, b + k * panel_columns, t.b_panel_step, sum[k % chains]);
      b += Length * panel_columns;
      continue;
    }
    std::int64_t k = 0;
    for (; k + chains <= length; k += chains) {
#pragma GCC unroll 4
      for (int c = 0; c < chains; ++c, b += b_step)
        add_products<Rows, Vectors>(a + k + c, low + k + c, step, b, t.b_panel_step, sum[c]);
    }
    for (; k < length; ++k, b += b_step) add_products<Rows, Vectors>(a + k, low + k, step, b, t.b_panel_step, sum[0]);
  }
  float* out = t.out + first * t.out_step;
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
#pragma GCC unroll 4
      for (int c = 1; c < chains; ++c) sum[0][r][v] = sum[0][r][v] + sum[c][r][v];
      store_columns(out + r * t.out_step, v, t.out_vector_step, sum[0][r][v]);
    }
  }
}

template <int Rows, int Vectors, int Length>
HONE_TILE void tiles(const TileArguments& t) {
  // 32 registers hold two tiles, between which each of the weights is read once.
  constexpr int together = lanes == 16 && Rows == tile_rows ? 2 : 1;
  const char* fetch = t.fetch;
  std::int64_t index = 0;
  const auto fetch_next = [&](std::int64_t lines) {
    for (std::int64_t line = 0; line < lines; ++line, fetch += 64) __builtin_prefetch(fetch);
  };
  if constexpr (together > 1) {
    for (; index + together <= t.count; index += together) {
      fetch_next(together * t.fetch_lines);
      tile_at<together * Rows, Vectors, Length>(t, index * Rows);
    }
  }
  for (; index < t.count; ++index) {
    fetch_next(t.fetch_lines);
    tile_at<Rows, Vectors, Length>(t, index * Rows);
  }
}

template <int Vectors, int Length>
constexpr Tiles tiles_of[tile_rows] = {tiles<1, Vectors, Length>, tiles<2, Vectors, Length>, tiles<3, Vectors, Length>,
                                       tiles<4, Vectors, Length>, tiles<5, Vectors, Length>, tiles<6, Vectors, Length>};

Tiles tiles_for(std::int64_t rows, std::int64_t vectors, std::int64_t length, std::int64_t b_step) {
  const auto at = static_cast<std::size_t>(rows - 1);
  if (b_step != panel_columns) return vectors == 1 ? tiles_of<1, apart>[at] : tiles_of<2, apart>[at];
  if (length == 8) return vectors == 1 ? tiles_of<1, 8>[at] : tiles_of<2, 8>[at];
  return vectors == 1 ? tiles_of<1, any_length>[at] : tiles_of<2, any_length>[at];
}
