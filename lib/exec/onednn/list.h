// Every family of oneDNN kernels. Each factory may decline a node: the reference kernel then takes it.
#pragma once

#include <span>

#include "hone/exec/kernel.h"

namespace hone::exec {

std::span<const std::span<const KernelEntry>> onednn_kernels();

}  // namespace hone::exec
