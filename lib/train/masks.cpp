#include "train/masks.h"

#include <algorithm>

namespace hone::train {
namespace {

// Trained float weights are hardly ever exactly zero; pruning leaves percents. A matrix of zeros alone was never trained.
constexpr double least_share = 0.01;

}  // namespace

std::int64_t count_zeros(const float* values, std::int64_t count) {
  return std::count_if(values, values + count, [](float x) { return x == 0; });
}

Mask make_mask(const ir::Tensor& weight, Role role, std::string_view policy) {
  const auto values = weight.data<float>();
  Mask mask;
  mask.zeros = count_zeros(values.data(), static_cast<std::int64_t>(values.size()));
  if (policy == "off" || !is_decayed(role) || mask.zeros == 0) return mask;
  const auto count = static_cast<std::int64_t>(values.size());
  if (policy == "auto" &&
      (mask.zeros == count || static_cast<double>(mask.zeros) < least_share * static_cast<double>(count))) {
    return mask;
  }
  mask.keep.resize(values.size());
  std::transform(values.begin(), values.end(), mask.keep.begin(),
                 [](float x) { return static_cast<std::uint8_t>(x != 0); });
  return mask;
}

void check_mask(const Mask& mask, const float* values, std::string_view name) {
  for (std::size_t i = 0; i < mask.keep.size(); ++i) {
    if (mask.keep[i] == 0 && values[i] != 0) {
      fail(ErrorKind::internal, "weight {}: element {} was pruned and is {} after training", quote(name), i, values[i]);
    }
  }
}

}  // namespace hone::train
