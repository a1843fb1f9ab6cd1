// The families of kernels for ONNX Runtime's domain.
#pragma once

#include <span>

#include "hone/exec/kernel.h"

namespace hone::exec {

std::span<const KernelEntry> microsoft_activation_kernels();
std::span<const KernelEntry> microsoft_normalization_kernels();
std::span<const KernelEntry> microsoft_product_kernels();
std::span<const KernelEntry> microsoft_attention_kernels();
std::span<const KernelEntry> microsoft_quantize_kernels();
std::span<const KernelEntry> microsoft_integer_product_kernels();
std::span<const KernelEntry> microsoft_recurrent_kernels();

}  // namespace hone::exec
