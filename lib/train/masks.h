// Zeros of pruned weights, which stay zero.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hone/ir/model.h"
#include "hone/train/finetune.h"
#include "hone/train/weights.h"

namespace hone::train {

struct Mask {
  std::vector<std::uint8_t> keep;  // 0 where the weight is and stays 0; empty: nothing is kept
  std::int64_t zeros = 0;
};

// `policy`: on, off or auto. Only matrices and tables have masks: biases that are zero are so by chance.
Mask make_mask(const ir::Tensor& weight, Role role, std::string_view policy);
std::int64_t count_zeros(const float* values, std::int64_t count);
// Raises internal where a weight that has to be zero is not.
void check_mask(const Mask& mask, const float* values, std::string_view name);

}  // namespace hone::train
