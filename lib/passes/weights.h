// Arithmetic on weights that is done when their bytes are needed: small ones at once, large ones as deferred tensors, so
// that no pass holds more than a window of a weight.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "hone/ir/graph.h"

namespace hone::passes {

// tensor[..., c, ...] * factors[c] along `axis`, rounded once to the tensor's type (float32, float64, float16, bfloat16).
ir::Tensor scale_along(const ir::Tensor& tensor, std::size_t axis, std::vector<double> factors);

// True for the element types scale_along takes.
bool is_scalable(ir::ElementType type);

// Whether a number is so far from the largest of its type that no order of sums and products with it passes that one. What is
// made of constants has to be, or a product that was small enough with the factors apart is not with them together.
bool is_moderate(ir::ElementType type, double number);
// Whether the tensor times the largest of `factors` is; infinities and NaN stay what they are. Reads the tensor.
bool is_moderate(const ir::Tensor& tensor, const std::vector<double>& factors);

// Matrices of one type and as many rows, as one: [rows, sum of columns].
ir::Tensor side_by_side(std::vector<ir::Tensor> matrices);

// `values` as a tensor of `type`, rounded once. Same types as scale_along.
ir::Tensor from_doubles(ir::ElementType type, ir::Dims dims, const std::vector<double>& values);

// The constant as one number per channel, where adding or multiplying it to a value of `rank` dimensions acts per channel
// on axis `axis` of size `channels`: a scalar, or a shape that is 1 everywhere but there, aligned at the last axis as
// broadcasting does. nullopt for anything else, also for one that would enlarge the value's rank.
std::optional<std::vector<double>> per_channel(const ir::Tensor& constant, std::size_t rank, std::size_t axis,
                                               std::int64_t channels);

}  // namespace hone::passes
