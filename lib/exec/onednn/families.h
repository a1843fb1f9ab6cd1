// The families of oneDNN kernels that list.cpp names.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "hone/exec/kernel.h"

namespace hone::exec::onednn {

// Of entries for domains that have one version of an operator.
inline constexpr auto last_version = std::numeric_limits<std::int64_t>::max();
inline constexpr std::string_view microsoft = "com.microsoft";

// For sizes and attributes such as strides and pads: whether no arithmetic on them can leave 64 bits. oneDNN takes none
// larger, and the reference kernels say what is wrong with them.
inline bool are_small(std::span<const std::int64_t> values) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  return std::all_of(values.begin(), values.end(), [](std::int64_t each) { return each >= -most && each <= most; });
}

std::span<const KernelEntry> attention_kernels();
std::span<const KernelEntry> convolution_kernels();
std::span<const KernelEntry> elementwise_kernels();
std::span<const KernelEntry> expression_kernels();
std::span<const KernelEntry> matmul_kernels();
std::span<const KernelEntry> normalization_kernels();
std::span<const KernelEntry> pooling_kernels();
std::span<const KernelEntry> quantized_convolution_kernels();
std::span<const KernelEntry> quantized_elementwise_kernels();
std::span<const KernelEntry> quantized_pooling_kernels();
std::span<const KernelEntry> quantized_product_kernels();
std::span<const KernelEntry> recurrent_kernels();

}  // namespace hone::exec::onednn
