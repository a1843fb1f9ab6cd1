// Which tensors of a model are its weights, and what each is for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hone/ir/model.h"

namespace hone::train {

enum class Role {
  matrix,     // weights of Conv, ConvTranspose, Gemm, MatMul, recurrent operators
  embedding,  // a table that Gather reads
  bias,
  scale,  // of a normalization, or of anything else that multiplies
  slope,  // of PRelu
  mean,   // running statistics of BatchNormalization: updated while training, never by a gradient
  variance,
};
std::string_view name(Role role);
inline bool is_statistic(Role role) { return role == Role::mean || role == Role::variance; }
// What regularization is for: decaying biases and scales only moves what the next layer makes up for.
inline bool is_decayed(Role role) { return role == Role::matrix || role == Role::embedding; }

struct Weight {
  std::string name;
  Role role = Role::matrix;
  ir::ElementType type = ir::ElementType::float32;
  ir::Dims dims;
  // How many inputs meet in one output of the operator, and how many outputs one input goes to; for initialization.
  std::int64_t fan_in = 0, fan_out = 0;
  bool recurrent = false;  // the state's weights of a recurrent operator
};

// Floating-point initializers of the main graph (and dense Constant nodes there) that are weights by what uses them:
// operands of the operators above, directly or through Transpose, Reshape, Cast, Identity and the like; and operands of
// Add and Mul that follow such an operator. A constant of one element, a mask (elements of -1e4 and below), and anything
// before the first weighted operator (the normalization of inputs) is none. In the order of the graph.
std::vector<Weight> find_weights(const ir::Model& model);

}  // namespace hone::train
