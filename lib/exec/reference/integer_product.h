// Products of 8-bit matrices, for the operators that hold one.
#pragma once

#include "exec/reference/quantization.h"

namespace hone::exec {

// A list of values for rows, as a column; others as they are.
ir::Dims by_row(const Array& array);

// MatMul of int8 or uint8 operands less their zero points (null: none; a's by row, b's by column), in scratch memory.
std::int32_t* integer_mat_mul(Context& context, const Array& a, const Array* a_zero, const Array& b,
                              const Array* b_zero, ir::Dims& dims);

// out = round(sums * multipliers) + zero point, where multipliers and zero points broadcast to `dims`.
void requantize(Context& context, const std::int32_t* sums, const ir::Dims& dims, const float* multipliers,
                const ir::Dims& multiplier_dims, const Array* zero_point, const ir::Dims& zero_dims, Array& out);

}  // namespace hone::exec
