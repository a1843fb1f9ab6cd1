// Tiles of sums that stay in the 16 registers of AVX2: 6 rows by 16 columns, of floats and of 32-bit integers alike.
#pragma once

#include <cstdint>

namespace hone::exec::onednn {

inline constexpr std::int64_t panel_columns = 16, tile_rows = 6;
// Rows whose sums stay in the first-level cache until they are finished.
inline constexpr std::int64_t tiles_at_once = 8, rows_at_once = tiles_at_once * tile_rows;

inline std::int64_t panel_count(std::int64_t columns) { return (columns + panel_columns - 1) / panel_columns; }

}  // namespace hone::exec::onednn
