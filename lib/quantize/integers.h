// From float tensors to int8 and int32: scales, and the arithmetic of QuantizeLinear.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "hone/ir/tensor.h"

namespace hone::quantize {

// Scale and zero point of an asymmetric uint8 range that holds 0: as ONNX's DynamicQuantizeLinear computes them. A range of
// no width gets scale 1.
struct Parameters {
  float scale = 1;
  std::uint8_t zero_point = 0;
};
Parameters uint8_parameters(float min, float max);

// max|w| / most per index of `axis` (nullopt: one for the whole tensor); 1 where all weights are 0.
std::vector<float> symmetric_scales(const ir::Tensor& weight, std::optional<std::size_t> axis, int most);

// round(w / scale), ties to even, in [-most, most]; deferred: the weight is read when the bytes are wanted.
ir::Tensor quantize_symmetric(const ir::Tensor& weight, std::optional<std::size_t> axis, std::vector<float> scales,
                              int most);

// int32 bias with scale input_scale * weight_scales[c], the product in float as the kernels compute it. Where a bias would
// pass int32, the channel's weight scale is raised until it fits (`weight_scales` changes).
ir::Tensor quantize_bias(const std::vector<float>& bias, float input_scale, std::vector<float>& weight_scales);

}  // namespace hone::quantize
