// First values of weights.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hone/ir/model.h"
#include "hone/train/weights.h"

namespace hone::train {

// Names of the schemes, as --init takes them:
//   he, he-uniform            variance 2/fan_in (He et al., 2015): for Relu and its kin
//   xavier, xavier-normal     variance 2/(fan_in + fan_out) (Glorot and Bengio, 2010); xavier is the uniform one
//   lecun                     variance 1/fan_in, normal
//   torch                     uniform in +-1/sqrt(fan_in), biases too: what PyTorch's layers start from
//   orthogonal                orthonormal rows or columns (Saxe et al., 2014)
std::span<const std::string_view> initializations();

// New values for all weights: matrices by the scheme; the state's weights of recurrent operators orthogonal; tables
// normal with deviation 0.02; biases and means 0; scales and variances 1; slopes 0.25. A weight's values depend on the
// seed, its name and its shape alone. Raises usage for an unknown scheme.
void initialize(ir::Model& model, std::string_view scheme, std::uint64_t seed);

// The matrices that hold nothing but zeros: an architecture that was never trained.
std::vector<std::string> empty_matrices(const ir::Model& model);

// Gives a weight, an initializer or a Constant node, new contents.
void set_weight(ir::Model& model, std::string_view name, ir::Tensor tensor);
// Its contents, dense and in memory.
ir::Tensor weight(const ir::Model& model, std::string_view name);

}  // namespace hone::train
