// What kernels on int8 and uint8 codes share: reading their steps, and falling back where they can't compute.
#pragma once

#include <optional>

#include "exec/onednn/integer_core.h"
#include "exec/onednn/runtime.h"

namespace hone::exec::onednn {

// The scale at input `index` and the zero point (0 where there is none) behind it; nullopt where they are not one float32
// and one code of `type`.
std::optional<QuantizationStep> step_at(Context& context, std::size_t index, ir::ElementType type);

// Calls f<std::int8_t>() or f<std::uint8_t>().
template <typename F>
void in_code_type(ir::ElementType type, F&& f) {
  if (type == ir::ElementType::int8) {
    f.template operator()<std::int8_t>();
  } else {
    f.template operator()<std::uint8_t>();
  }
}

class IntegerKernel : public PartialKernel {
 public:
  explicit IntegerKernel(const KernelInfo& info) : PartialKernel(info, integer_kernel_name) {}
};

}  // namespace hone::exec::onednn
