// Tiles of sums that stay in the 16 registers of AVX2: 6 rows by 16 columns, of floats and of 32-bit integers alike. (AVX-512 has
// 32 registers of twice the size, and takes several of them at once.)
#pragma once

#include <cstdint>

namespace hone::exec::onednn {

inline constexpr std::int64_t panel_columns = 16, tile_rows = 6;
// Rows whose sums stay in the first-level cache until they are finished.
inline constexpr std::int64_t tiles_at_once = 8, rows_at_once = tiles_at_once * tile_rows;

inline std::int64_t panel_count(std::int64_t columns) { return (columns + panel_columns - 1) / panel_columns; }

// Calls f.template operator()<Rows>(first) for tiles of 6 rows and for what is left.
template <typename F>
void for_each_tile(std::int64_t rows, F&& f) {
  std::int64_t first = 0;
  for (; first + tile_rows <= rows; first += tile_rows) f.template operator()<tile_rows>(first);
  switch (rows - first) {
    case 5:
      return f.template operator()<5>(first);
    case 4:
      return f.template operator()<4>(first);
    case 3:
      return f.template operator()<3>(first);
    case 2:
      return f.template operator()<2>(first);
    case 1:
      return f.template operator()<1>(first);
    default:
      return;
  }
}

}  // namespace hone::exec::onednn
