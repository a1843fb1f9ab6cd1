#include "exec/onednn/stacks.h"

#include <algorithm>

#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {
namespace {

// Fewer rows read the right-hand side once or twice: copying it first would cost more than it saves.
constexpr std::int64_t fewest_rows = 4;

std::int64_t count_of(const std::vector<std::int64_t>& dims) {
  std::int64_t count = 1;
  for (std::size_t i = 0; i + 2 < dims.size(); ++i) count *= dims[i];
  return count;
}

// Which matrix of a stack `dims` belongs to number `index` of the stack `out`.
std::int64_t matrix_of(std::int64_t index, const std::vector<std::int64_t>& dims,
                       const std::vector<std::int64_t>& out) {
  std::int64_t result = 0, stride = 1;
  for (std::size_t i = out.size() - 2; i-- > 0;) {
    if (dims[i] > 1) result += index % out[i] * stride;
    stride *= dims[i];
    index /= out[i];
  }
  return result;
}

std::int64_t floats_of(const StackShape& shape) {
  return static_cast<std::int64_t>(panel_bytes(shape.depth(), shape.columns()) / sizeof(float));
}

}  // namespace

std::uint64_t stack_bytes(const StackShape& shape) {
  return static_cast<std::uint64_t>(count_of(shape.b)) * panel_bytes(shape.depth(), shape.columns());
}

void fill_stack(const StackShape& shape, const float* b, float* panels) {
  const std::int64_t depth = shape.depth(), columns = shape.columns(), each = panel_count(columns),
                     count = count_of(shape.b) * each;
  const std::int64_t row_step = shape.transpose_b ? 1 : columns, column_step = shape.transpose_b ? depth : 1;
  // Copying 16 floats takes some 10 ns, most of it waiting for memory.
  const std::int64_t parts = worthwhile_threads(static_cast<double>(count * depth) * 1e-8);
  parallel_for(count, (count - 1) / parts + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t matrix = i / each;
      fill_panel(b + matrix * depth * columns, depth, columns, row_step, column_step, i % each,
                 panels + matrix * floats_of(shape));
    }
  });
}

void multiply_stacks(Context& context, const StackShape& shape, const float* a, const float* b, const float* panels,
                     const Results& results) {
  const std::int64_t rows = shape.rows(), columns = shape.columns(), depth = shape.depth();
  const std::int64_t batch = count_of(shape.out), matrices = count_of(shape.b);
  const bool direct = !panels && rows < fewest_rows && !shape.transpose_b;
  const std::int64_t odd = columns % panel_columns;
  float* last = nullptr;
  if (direct && odd > 0) {
    const std::int64_t first = columns - odd;
    last = reinterpret_cast<float*>(context.scratch(static_cast<std::uint64_t>(matrices) * panel_bytes(depth, odd)));
    for (std::int64_t m = 0; m < matrices; ++m)
      fill_panel(b + m * depth * columns + first, depth, odd, columns, 1, 0, last + m * depth * panel_columns);
  } else if (!direct && !panels) {
    auto* packed = reinterpret_cast<float*>(context.scratch(stack_bytes(shape)));
    fill_stack(shape, b, packed);
    panels = packed;
  }

  std::vector<std::int64_t> starts(shape.transpose_a ? static_cast<std::size_t>(depth) : 1, 0);
  for (std::size_t k = 1; k < starts.size(); ++k) starts[k] = static_cast<std::int64_t>(k) * rows;
  const auto one = [&](std::int64_t index, auto&& run) {
    const std::int64_t of_b = matrix_of(index, shape.b, shape.out);
    LeftSide left;
    left.data = a + matrix_of(index, shape.a, shape.out) * rows * depth;
    left.row_step = shape.transpose_a ? 1 : depth;
    left.starts = starts.data();
    left.runs = static_cast<std::int64_t>(starts.size());
    left.length = depth / left.runs;
    RightSide right;
    right.columns = columns;
    if (direct) {
      right.data = b + of_b * depth * columns;
      right.row_step = columns;
      right.panel_step = panel_columns;
      right.last = last ? last + of_b * depth * panel_columns : nullptr;
    } else {
      right.data = panels + of_b * floats_of(shape);
      right.panel_step = depth * panel_columns;
    }
    Results to = results;
    to.row_step = columns;
    to.data += index * rows * columns;
    if (to.held) to.held += index * rows * columns;
    run(left, right, to);
  };
  if (batch == 1) {
    one(0, [&](const LeftSide& left, const RightSide& right, const Results& to) { multiply(left, rows, right, to); });
    return;
  }
  const Part all{0, tile_count(rows), 0, panel_count(columns)};
  const double operations = 2 * static_cast<double>(batch * rows) * static_cast<double>(depth * columns);
  const std::int64_t parts = std::min<std::int64_t>(worthwhile_threads(panel_seconds(operations)), batch);
  parallel_for(batch, (batch - 1) / parts + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      one(i, [&](const LeftSide& left, const RightSide& right, const Results& to) {
        multiply(left, rows, right, to, all);
      });
    }
  });
}

}  // namespace hone::exec::onednn
