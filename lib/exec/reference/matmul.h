// Stacks of matrices under MatMul's rules.
#pragma once

#include "exec/reference/broadcast.h"

namespace hone::exec {

// Operands of MatMul: vectors as matrices, stacks broadcast against each other.
struct MatMulShape {
  std::int64_t rows = 0, depth = 0, columns = 0;
  ir::Dims dims;                         // of the result
  std::int64_t stacks = 1;               // products to compute ...
  std::vector<std::int64_t> a_at, b_at;  // ... and which matrix of each operand they take

  MatMulShape(const ir::Dims& a, const ir::Dims& b);
};

}  // namespace hone::exec
