#include "exec/onednn/panels.h"

#include <algorithm>
#include <cstring>

#include "exec/onednn/avx2_tail.h"
#include "exec/onednn/avx512.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {

std::uint64_t panel_bytes(std::int64_t depth, std::int64_t columns) {
  return static_cast<std::uint64_t>(panel_count(columns) * panel_columns * depth) * sizeof(float);
}

// A panel of 16 columns and so much depth takes half of a first-level cache of 32 KiB; a tile's left-hand side fits beside it.
constexpr std::int64_t most_depth = 1024;
// Rows whose left-hand side of that depth stays in a second-level cache while all panels pass: up to 250 KiB.
constexpr std::int64_t most_tiles = 34;
// Tiles to each panel from which on fetching the next one is hidden by their work.
constexpr std::int64_t worth_fetching = 3;

std::int64_t panels_at_once() { return has_avx512() ? 2 : 1; }

bool keeps_sums(std::int64_t depth) { return depth > most_depth; }

#ifdef HONE_HAS_AVX2
namespace {

// A stretch of the depth.
struct Stretch {
  std::int64_t first = 0;  // k of its first element
  std::int64_t offset = 0;
  const std::int64_t* starts = nullptr;
  std::int64_t runs = 0, length = 0;
};

constexpr std::int64_t at_zero = 0;

std::int64_t stretches_of(const LeftSide& left) {
  return std::max<std::int64_t>(1, (left.depth() - 1) / most_depth + 1);
}

Stretch stretch(const LeftSide& left, std::int64_t index, std::int64_t count) {
  Stretch result;
  if (left.runs == 1) {
    result.first = left.length * index / count;
    result.offset = left.starts[0] + result.first;
    result.starts = &at_zero;
    result.runs = 1;
    result.length = left.length * (index + 1) / count - result.first;
    return result;
  }
  const std::int64_t first = left.runs * index / count;
  result.first = first * left.length;
  result.starts = left.starts + first;
  result.runs = left.runs * (index + 1) / count - first;
  result.length = left.length;
  return result;
}

struct TileArguments {
  const float* a;
  std::int64_t a_step;
  const Stretch* stretch;
  const float* b;
  std::int64_t b_step, b_panel_step;
  const float* start;  // of each row's sums: 16 floats for all rows, or where `start_step` apart each row has its own
  std::int64_t start_step, start_vector_step;
  float* out;
  std::int64_t out_step, out_vector_step;
  std::int64_t count;  // of tiles, one after the other
  const char* fetch;   // what is needed next, `fetch_lines` cache lines for each tile
  std::int64_t fetch_lines;
};
using Tiles = void (*)(const TileArguments&);

#define HONE_TILES "exec/onednn/panel_tiles.h"
#include "exec/onednn/tiles_for_both.h"

using avx2::apply_step, avx2::lanes, avx2::load, avx2::store, avx2::transpose, avx2::Vector;

// For so many eights of columns: 1 or 2, of one panel; or 4, of two, where panels_at_once() says so.
Tiles tiles_for(std::int64_t rows, std::int64_t columns, std::int64_t length, std::int64_t b_step) {
  return has_avx512() ? for_avx512::tiles_for(rows, (columns + 1) / 2, length, b_step)
                      : for_avx2::tiles_for(rows, columns, length, b_step);
}

// The steps on rows of `width` sums, of many tiles, so that a step is chosen once for them.
HONE_AVX2 void finish(const std::vector<FusedStep>& steps, float* sums, std::int64_t width, std::int64_t rows,
                      std::int64_t vectors, const float* held, float* out, std::int64_t row_step,
                      std::int64_t vector_step) {
  for (const FusedStep& step : steps) {
    if (step.kind != FusedStep::Kind::add) {
      apply_step(step, sums, rows * width / lanes);
      continue;
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t v = 0; v < vectors; ++v) {
        float* at = sums + r * width + v * lanes;
        store(at, load(at) + load(held + r * row_step + v * vector_step));
      }
    }
  }
  if (out == sums) return;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t v = 0; v < vectors; ++v)
      store(out + r * row_step + v * vector_step, load(sums + r * width + v * lanes));
  }
}

// Tiles of 6 rows but for the last two, which share what is left: of one row, or two, a core could do little at once.
struct Place {
  std::int64_t row, rows, count;  // of the first tile; tiles from it on that have as many rows
};
Place tile_at(std::int64_t index, std::int64_t rows, std::int64_t tiles) {
  const std::int64_t full = rows % tile_rows == 0 ? tiles : std::max<std::int64_t>(tiles - 2, 0);
  if (index < full) return {index * tile_rows, tile_rows, full - index};
  const std::int64_t left = rows - full * tile_rows, first = full + 1 == tiles ? left : (left + 1) / 2;
  return index == full ? Place{full * tile_rows, first, 1} : Place{full * tile_rows + first, left - first, 1};
}

// A panel that is not full, or whose results don't lie in vectors, at once for the whole depth.
HONE_AVX2 void odd_panel(const LeftSide& left, std::int64_t rows, const RightSide& right, const Results& results,
                         const Part& part, std::int64_t panel) {
  const std::int64_t columns = std::min(panel_columns, right.columns - panel * panel_columns);
  const std::int64_t vectors = columns > lanes ? 2 : 1, tiles = tile_count(rows);
  const bool filled = columns < panel_columns && right.last;
  const std::int64_t b_step = filled ? panel_columns : right.row_step;
  float start[panel_columns] = {}, sums[tile_rows * panel_columns], held[tile_rows * panel_columns] = {};
  if (results.bias)
    std::memcpy(start, results.bias + panel * panel_columns, static_cast<std::size_t>(columns) * sizeof(float));
  const Stretch whole = stretch(left, 0, 1);
  const auto place = [&](std::int64_t row, std::int64_t c) {
    return row * results.row_step + (2 * panel + c / lanes) * results.vector_step + c % lanes * results.column_step;
  };
  TileArguments arguments{};
  arguments.a_step = left.row_step;
  arguments.stretch = &whole;
  arguments.b = filled ? right.last : right.data + panel * right.panel_step;
  arguments.b_step = b_step;
  arguments.start = start;
  arguments.start_vector_step = lanes;
  arguments.out = sums;
  arguments.out_step = panel_columns;
  arguments.out_vector_step = lanes;
  arguments.count = 1;
  for (std::int64_t index = part.first_tile; index < part.last_tile; ++index) {
    const Place at = tile_at(index, rows, tiles);
    arguments.a = left.data + at.row * left.row_step + whole.offset;
    tiles_for(at.rows, vectors, whole.length, b_step)(arguments);
    if (results.steps && !results.steps->empty()) {
      if (results.held) {
        for (std::int64_t r = 0; r < at.rows; ++r) {
          for (std::int64_t c = 0; c < columns; ++c) held[r * panel_columns + c] = results.held[place(at.row + r, c)];
        }
      }
      finish(*results.steps, sums, panel_columns, at.rows, vectors, held, sums, panel_columns, lanes);
    }
    for (std::int64_t c = 0; c < columns; ++c) {
      for (std::int64_t r = 0; r < at.rows; ++r) results.data[place(at.row + r, c)] = sums[r * panel_columns + c];
    }
  }
}

}  // namespace

HONE_AVX2 void fill_panel(const float* from, std::int64_t depth, std::int64_t columns, std::int64_t row_step,
                          std::int64_t column_step, std::int64_t panel, float* panels) {
  const std::int64_t first = panel * panel_columns, count = std::min(panel_columns, columns - first);
  float* to = panels + panel * depth * panel_columns;
  std::int64_t k = 0;
  if (row_step == 1 && column_step > 1 && count == panel_columns) {
    for (; k + lanes <= depth; k += lanes, to += lanes * panel_columns) {
      for (std::int64_t half = 0; half < 2; ++half) {
        Vector rows[lanes];
#pragma GCC unroll 8
        for (int r = 0; r < lanes; ++r) rows[r] = load(from + k + (first + half * lanes + r) * column_step);
        transpose(rows);
#pragma GCC unroll 8
        for (int r = 0; r < lanes; ++r) store(to + r * panel_columns + half * lanes, rows[r]);
      }
    }
  }
  for (; k < depth; ++k, to += panel_columns) {
    const float* row = from + k * row_step + first * column_step;
    if (column_step == 1 && count == panel_columns) {
      std::memcpy(to, row, panel_columns * sizeof(float));
      continue;
    }
    for (std::int64_t c = 0; c < count; ++c) to[c] = row[c * column_step];
    for (std::int64_t c = count; c < panel_columns; ++c) to[c] = 0;
  }
}

void fill_panels(const float* from, std::int64_t depth, std::int64_t columns, std::int64_t row_step,
                 std::int64_t column_step, float* panels) {
  const std::int64_t count = panel_count(columns);
  // Copying 16 floats takes some 10 ns, most of it waiting for memory.
  const std::int64_t parts = worthwhile_threads(static_cast<double>(count * depth) * 1e-8);
  parallel_for(count, (count - 1) / parts + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) fill_panel(from, depth, columns, row_step, column_step, p, panels);
  });
}

void multiply(const LeftSide& left, std::int64_t rows, const RightSide& right, const Results& results,
              const Part& part) {
  const std::int64_t tiles = tile_count(rows), count = stretches_of(left);
  const std::int64_t full =
      results.column_step == 1 ? std::min(part.last_panel, right.columns / panel_columns) : part.first_panel;
  const bool has_steps = results.steps && !results.steps->empty();
  constexpr float nothing[2 * panel_columns] = {};
  float sums[rows_at_once * 2 * panel_columns];
  const std::int64_t all_tiles = part.last_tile - part.first_tile, blocks = (all_tiles - 1) / most_tiles + 1;
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t first = part.first_tile + all_tiles * block / blocks,
                       last = part.first_tile + all_tiles * (block + 1) / blocks;
    for (std::int64_t s = 0; s < count; ++s) {
      const Stretch depth = stretch(left, s, count);
      const bool steps = has_steps && s + 1 == count;
      for (std::int64_t panel = part.first_panel, panels = 0; panel < full; panel += panels) {
        panels = std::min(panels_at_once(), full - panel);
        TileArguments arguments{};
        arguments.a_step = left.row_step;
        arguments.stretch = &depth;
        arguments.b = right.data + panel * right.panel_step + depth.first * right.row_step;
        arguments.b_step = right.row_step;
        arguments.b_panel_step = right.panel_step;
        arguments.start = s > 0 ? nullptr : results.bias ? results.bias + panel * panel_columns : nothing;
        arguments.start_step = s > 0 ? results.row_step : 0;
        arguments.start_vector_step = s > 0 ? results.vector_step : lanes;
        arguments.out_step = steps ? panels * panel_columns : results.row_step;
        arguments.out_vector_step = steps ? lanes : results.vector_step;
        const std::int64_t column = 2 * panel * results.vector_step;
        // The next panel comes from far away while this one is in use.
        const bool fetches = panel + panels < full && right.row_step == panel_columns && last - first >= worth_fetching;
        arguments.fetch = reinterpret_cast<const char*>(arguments.b + panels * right.panel_step);
        arguments.fetch_lines = fetches ? depth.runs * depth.length / (last - first) : 0;
        for (std::int64_t index = first; index < last; index += arguments.count) {
          const Place at = tile_at(index, rows, tiles);
          arguments.count = std::min(at.count, last - index);
          if (steps) arguments.count = std::min(arguments.count, tiles_at_once);
          float* out = results.data + at.row * results.row_step + column;
          arguments.a = left.data + at.row * left.row_step + depth.offset;
          if (s > 0) arguments.start = out;
          arguments.out = steps ? sums : out;
          tiles_for(at.rows, 2 * panels, depth.length, right.row_step)(arguments);
          arguments.fetch += arguments.count * arguments.fetch_lines * 64;
          if (steps)
            finish(*results.steps, sums, panels * panel_columns, at.rows * arguments.count, 2 * panels,
                   results.held ? results.held + at.row * results.row_step + column : nullptr, out, results.row_step,
                   results.vector_step);
        }
      }
    }
  }
  for (std::int64_t panel = std::max(full, part.first_panel); panel < part.last_panel; ++panel)
    odd_panel(left, rows, right, results, part, panel);
}

void multiply(const LeftSide& left, std::int64_t rows, const RightSide& right, const Results& results) {
  const std::int64_t tiles = tile_count(rows), panels = panel_count(right.columns);
  const double operations = 2 * static_cast<double>(rows * left.depth()) * static_cast<double>(panels * panel_columns);
  const std::int64_t parts = worthwhile_threads(panel_seconds(operations));
  if (parts == 1) return multiply(left, rows, right, results, {0, tiles, 0, panels});
  // What is read by all is the smaller side.
  const bool by_panel = panels >= 4 * parts || panels >= tiles;
  const std::int64_t count = by_panel ? panels : tiles;
  parallel_for(count, (count - 1) / parts + 1, [&](std::int64_t begin, std::int64_t end) {
    multiply(left, rows, right, results, by_panel ? Part{0, tiles, begin, end} : Part{begin, end, 0, panels});
  });
}

#else
void fill_panel(const float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, float*) {}
void fill_panels(const float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, float*) {}
void multiply(const LeftSide&, std::int64_t, const RightSide&, const Results&, const Part&) {}
void multiply(const LeftSide&, std::int64_t, const RightSide&, const Results&) {}
#endif

}  // namespace hone::exec::onednn
