// Sums of products on AVX2 or AVX-512, in tiles of 6 rows by 16 columns (by 32, of two panels) that stay in registers: what products of matrices and direct
// convolutions are made of. Nothing is planned or generated for a shape, so that a new one costs what a known one does.
//
// The right-hand side is a matrix [depth, columns] cut into panels of 16 columns. The left-hand side may lie in pieces, so that
// a window over an image needs no copy. Each result is summed in an order that the sizes alone decide: results don't depend on
// threads.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/fuse.h"
#include "exec/onednn/tile.h"

namespace hone::exec::onednn {

// Panel after panel, each by rows, the last one filled up with zeros. Element (row, column) of `from` is at
// row * row_step + column * column_step.
std::uint64_t panel_bytes(std::int64_t depth, std::int64_t columns);
void fill_panels(const float* from, std::int64_t depth, std::int64_t columns, std::int64_t row_step,
                 std::int64_t column_step, float* panels);
void fill_panel(const float* from, std::int64_t depth, std::int64_t columns, std::int64_t row_step,
                std::int64_t column_step, std::int64_t panel, float* panels);

// Element (row, k) is at data[row * row_step + starts[k / length] + k % length].
struct LeftSide {
  const float* data = nullptr;
  std::int64_t row_step = 0;
  const std::int64_t* starts = nullptr;
  std::int64_t runs = 0, length = 0;
  std::int64_t depth() const { return runs * length; }
};

// Rows of `row_step` floats, 16 in a panel, the next panel `panel_step` further.
struct RightSide {
  const float* data = nullptr;
  std::int64_t row_step = panel_columns, panel_step = 0;
  std::int64_t columns = 0;
  // The last panel, where it has less than 16 columns and `data` does not hold it filled up; by rows of 16.
  const float* last = nullptr;
};

// Element (row, column) is at data[row * row_step + column / 8 * vector_step + column % 8 * column_step].
struct Results {
  float* data = nullptr;
  std::int64_t row_step = 0, vector_step = 8, column_step = 1;
  const float* bias = nullptr;                    // by column, or null
  const std::vector<FusedStep>* steps = nullptr;  // on each result
  const float* held = nullptr;                    // what a step that adds finds, laid out as the results
};

// Whether sums of that depth are kept in the results until they are complete: then `held` must lie elsewhere.
bool keeps_sums(std::int64_t depth);

// Tiles of up to 6 of the `rows` rows; they differ by one row at most.
inline std::int64_t tile_count(std::int64_t rows) { return (rows + tile_rows - 1) / tile_rows; }

// Panels that a tile takes: a part of as many is computed faster than one after the other.
std::int64_t panels_at_once();

struct Part {
  std::int64_t first_tile = 0, last_tile = 0, first_panel = 0, last_panel = 0;
};
void multiply(const LeftSide& left, std::int64_t rows, const RightSide& right, const Results& results,
              const Part& part);
// All of it, on as many threads as are worth it.
void multiply(const LeftSide& left, std::int64_t rows, const RightSide& right, const Results& results);

// The seconds that so many multiplications and additions take on one thread, roughly.
inline double panel_seconds(double operations) { return operations / 60e9; }

}  // namespace hone::exec::onednn
