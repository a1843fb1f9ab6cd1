#include "exec/onednn/integer_kernel.h"

namespace hone::exec::onednn {

std::optional<QuantizationStep> step_at(Context& context, std::size_t index, ir::ElementType type) {
  const Array& scale = context.input(index);
  if (scale.type != ir::ElementType::float32 || scale.count() != 1) return std::nullopt;
  if (context.has_input(index + 1)) {
    const Array& zero = context.input(index + 1);
    if (zero.type != type || zero.count() != 1) return std::nullopt;
  }
  return QuantizationStep{*scale.as<float>(), zero_point(context, index + 1)};
}

}  // namespace hone::exec::onednn
