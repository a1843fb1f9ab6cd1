// Operators that have no kernel but a function body in the ONNX standard.
#pragma once

#include <memory>

#include "hone/exec/kernel.h"

namespace hone::exec {

// Null where ONNX gives no body. The body may depend on the types of the inputs, so that it is fetched, and planned, when
// they are known: at the first run, and again when they change.
std::unique_ptr<Kernel> make_function_kernel(const KernelInfo& info, bool reference);

}  // namespace hone::exec
