// Products of stacks of matrices, row-major, over panels (exec/onednn/panels.h).
#pragma once

#include <cstdint>
#include <vector>

#include "exec/onednn/panels.h"
#include "hone/exec/kernel.h"

namespace hone::exec::onednn {

// Of one rank, 2 or more, nothing of it 0; dimensions before the last two broadcast. `a` and `b` are the matrices as they are
// multiplied: a transposed one lies in memory the other way round.
struct StackShape {
  std::vector<std::int64_t> a, b, out;
  bool transpose_a = false, transpose_b = false;

  std::int64_t rows() const { return out[out.size() - 2]; }
  std::int64_t columns() const { return out.back(); }
  std::int64_t depth() const { return a.back(); }
};

// All matrices of the right-hand side as panels.
std::uint64_t stack_bytes(const StackShape& shape);
void fill_stack(const StackShape& shape, const float* b, float* panels);

// `panels` of fill_stack(), or null: then `b` is read, by way of scratch memory where that is worth it. Of `results`, data,
// bias, steps and held are set.
void multiply_stacks(Context& context, const StackShape& shape, const float* a, const float* b, const float* panels,
                     const Results& results);

}  // namespace hone::exec::onednn
