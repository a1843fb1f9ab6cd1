// The families of oneDNN kernels that list.cpp names.
#pragma once

#include <span>

#include "hone/exec/kernel.h"

namespace hone::exec::onednn {

std::span<const KernelEntry> convolution_kernels();
std::span<const KernelEntry> elementwise_kernels();
std::span<const KernelEntry> matmul_kernels();
std::span<const KernelEntry> pooling_kernels();
std::span<const KernelEntry> recurrent_kernels();

}  // namespace hone::exec::onednn
