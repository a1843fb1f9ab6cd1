// Every family of reference kernels. A new family: its function here, and its name in list.cpp.
#pragma once

#include <span>

#include "hone/exec/kernel.h"

namespace hone::exec {

std::span<const KernelEntry> control_flow_kernels();
std::span<const KernelEntry> identity_kernels();

// The entries of all families, in the order of list.cpp: where two match a node, the first is taken.
std::span<const std::span<const KernelEntry>> reference_kernels();

}  // namespace hone::exec
