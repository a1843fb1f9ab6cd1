// The transformations and products of exec/onednn/winograd.cpp, for each instruction set: see tiles_for_both.h. Channels lie in
// blocks of as many as a vector holds.

// One dimension of the transformation of inputs.
HONE_TILE_INLINE void transform_in(const Vector d[side], Vector o[side]) {
  const Vector squares = all(-(a2 + b2));  // and their product is 1
  o[0] = fused(squares, d[2], d[0] + d[4]);
  const Vector a = fused(all(-b2), d[2], d[4]), odd_a = all(a1) * fused(all(-b2), d[1], d[3]);
  o[1] = a + odd_a;
  o[2] = a - odd_a;
  const Vector b = fused(all(-a2), d[2], d[4]), odd_b = all(b1) * fused(all(-a2), d[1], d[3]);
  o[3] = b + odd_b;
  o[4] = b - odd_b;
  o[5] = fused(squares, d[3], d[1] + d[5]);
}

HONE_TILE_INLINE void transform_out(const Vector m[side], Vector o[produced]) {
  const Vector s = m[1] + m[2], d = m[1] - m[2], p = m[3] + m[4], q = m[3] - m[4];
  o[0] = m[0] + s + p;
  o[1] = fused(all(b1), q, all(a1) * d);
  o[2] = fused(all(b2), p, all(a2) * s);
  o[3] = fused(all(b3), q, fused(all(a3), d, m[5]));
}

// A tile of 8 channels into its row of each plane. `rows` and `columns` of it from `row` and `column` on lie in the image.
HONE_TILE void take_tile(const float* image, std::int64_t width, std::int64_t row, std::int64_t column,
                         std::int64_t rows, std::int64_t columns, float* to, std::int64_t plane) {
  Vector middle[side][side];
  const bool whole = row == 0 && column == 0 && rows == side && columns == side;
  for (std::int64_t i = 0; i < side; ++i) {
    Vector d[side];
    if (whole) {
#pragma GCC unroll 6
      for (std::int64_t j = 0; j < side; ++j) d[j] = load(image + (i * width + j) * lanes);
    } else {
      for (std::int64_t j = 0; j < side; ++j) {
        const bool inside = i >= row && i < row + rows && j >= column && j < column + columns;
        d[j] = inside ? load(image + (i * width + j) * lanes) : all(0.0F);
      }
    }
    transform_in(d, middle[i]);
  }
#pragma GCC unroll 6
  for (std::int64_t j = 0; j < side; ++j) {
    Vector d[side], o[side];
#pragma GCC unroll 6
    for (std::int64_t i = 0; i < side; ++i) d[i] = middle[i][j];
    transform_in(d, o);
#pragma GCC unroll 6
    for (std::int64_t i = 0; i < side; ++i) store(to + (i * side + j) * plane, o[i]);
  }
}

// 8 channels of a tile from its row of each plane; `rows` x `columns` of its outputs lie in the image.
HONE_TILE void give_tile(const float* from, std::int64_t plane, Vector bias, const std::vector<FusedStep>& steps,
                         float* image, std::int64_t width, std::int64_t rows, std::int64_t columns) {
  Vector middle[produced][side];
#pragma GCC unroll 6
  for (std::int64_t j = 0; j < side; ++j) {
    Vector m[side], o[produced];
#pragma GCC unroll 6
    for (std::int64_t i = 0; i < side; ++i) m[i] = load(from + (i * side + j) * plane);
    transform_out(m, o);
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < produced; ++i) middle[i][j] = o[i];
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    Vector o[produced];
    transform_out(middle[i], o);
    float* to = image + i * width * lanes;
#pragma GCC unroll 4
    for (std::int64_t j = 0; j < produced; ++j) o[j] = o[j] + bias;
    for (const FusedStep& step : steps) {
      for (std::int64_t j = 0; j < columns; ++j) o[j] = step_of(step, o[j], to + j * lanes);
    }
    for (std::int64_t j = 0; j < columns; ++j) store(to + j * lanes, o[j]);
  }
}

// Rows of `a` by vectors of columns, of panels that lie one after the other.
template <int Rows, int Vectors>
HONE_TILE_INLINE void multiply_rows(const float* a, std::int64_t depth, const float* b, float* out, std::int64_t step) {
  Vector sum[Rows][Vectors];
  const float* low = a + tile_rows * depth;
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) sum[r][v] = all(0.0F);
  }
  if (Rows > tile_rows) asm("" : "+r"(low));  // as in exec/onednn/panel_tiles.h
  for (std::int64_t k = 0; k < depth; ++k)
    add_products<Rows, Vectors>(a + k, low + k, depth, b + k * panel_columns, depth * panel_columns, sum);
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) store(out + r * step + v * lanes, sum[r][v]);
  }
}

template <int Vectors>
HONE_TILE_INLINE void multiply_columns(const float* a, std::int64_t rows, std::int64_t depth, const float* b,
                                       float* out, std::int64_t step) {
  std::int64_t r = 0;
  if constexpr (lanes == 16) {  // 32 registers hold two tiles
    for (; r + 2 * tile_rows <= rows; r += 2 * tile_rows)
      multiply_rows<2 * tile_rows, Vectors>(a + r * depth, depth, b, out + r * step, step);
  }
  for (; r + tile_rows <= rows; r += tile_rows)
    multiply_rows<tile_rows, Vectors>(a + r * depth, depth, b, out + r * step, step);
  a += r * depth;
  out += r * step;
  switch (rows - r) {
    case 5:
      return multiply_rows<5, Vectors>(a, depth, b, out, step);
    case 4:
      return multiply_rows<4, Vectors>(a, depth, b, out, step);
    case 3:
      return multiply_rows<3, Vectors>(a, depth, b, out, step);
    case 2:
      return multiply_rows<2, Vectors>(a, depth, b, out, step);
    case 1:
      return multiply_rows<1, Vectors>(a, depth, b, out, step);
    default:
      return;
  }
}

// All rows by the panels from `first` to before `last`, of `columns` columns in all.
HONE_TILE void multiply(const float* a, std::int64_t rows, std::int64_t depth, const float* b, std::int64_t first,
                        std::int64_t last, std::int64_t columns, float* out) {
  const std::int64_t panel = depth * panel_columns;
  constexpr std::int64_t at_once = 2 / vectors_of_panel;
  std::int64_t p = first;
  for (; p + at_once <= last; p += at_once)
    multiply_columns<2>(a, rows, depth, b + p * panel, out + p * panel_columns, columns);
  if constexpr (at_once > 1) {
    if (p < last) multiply_columns<1>(a, rows, depth, b + p * panel, out + p * panel_columns, columns);
  }
}

HONE_TILE void run_block(const WinogradShape& shape, const Blocks& blocks, const Part& part, Multiply products_of,
                         const float* in, const float* transformed, const float* bias,
                         const std::vector<FusedStep>& steps, float* scratch, float* out) {
  float* inputs = scratch;
  float* products = scratch + points * blocks.in_plane;
  const std::int64_t in_size = shape.height * shape.width * lanes,
                     out_size = shape.out_height * shape.out_width * lanes;
  const std::int64_t columns = padded(shape.out_channels);
  for (std::int64_t t = 0; t < part.count; ++t) {
    const Tile tile = tile_at(part.first + t, blocks);
    const std::int64_t y = tile.row - shape.top, x = tile.column - shape.left;
    const std::int64_t top = std::max<std::int64_t>(0, -y), left = std::max<std::int64_t>(0, -x);
    const std::int64_t rows = std::min(side, shape.height - y) - top, wide = std::min(side, shape.width - x) - left;
    const float* image = in + tile.image * shape.in_channels / lanes * in_size + (y * shape.width + x) * lanes;
    for (std::int64_t c = 0; c < shape.in_channels; c += lanes) {
      take_tile(image + c / lanes * in_size, shape.width, top, left, rows, wide, inputs + t * shape.in_channels + c,
                blocks.in_plane);
    }
  }
  for (std::int64_t p = 0; p < points; ++p) {
    products_of(inputs + p * blocks.in_plane, part.count, shape.in_channels,
                transformed + p * shape.in_channels * columns, part.first_panel, part.last_panel, columns,
                products + p * blocks.out_plane);
  }
  for (std::int64_t t = 0; t < part.count; ++t) {
    const Tile tile = tile_at(part.first + t, blocks);
    const std::int64_t rows = std::min(produced, shape.out_height - tile.row),
                       wide = std::min(produced, shape.out_width - tile.column);
    float* image =
        out + tile.image * shape.out_channels / lanes * out_size + (tile.row * shape.out_width + tile.column) * lanes;
    const std::int64_t last = std::min(part.last_panel * panel_columns, shape.out_channels);
    for (std::int64_t c = part.first_panel * panel_columns; c < last; c += lanes) {
      give_tile(products + t * columns + c, blocks.out_plane, bias ? load(bias + c) : all(0.0F), steps,
                image + c / lanes * out_size, shape.out_width, rows, wide);
    }
  }
}
