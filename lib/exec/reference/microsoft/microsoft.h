// What the families of com.microsoft operators share. Each is held to what ONNX Runtime's CPU provider computes
// (tests/exec/microsoft).
#pragma once

#include "exec/reference/broadcast.h"
#include "exec/reference/microsoft/list.h"

namespace hone::exec {

constexpr KernelEntry microsoft(std::string_view op_type, KernelFactory make) {
  return {op_type, 1, make, std::numeric_limits<std::int64_t>::max(), "com.microsoft"};
}

inline const Array* optional_input(Context& context, std::size_t index) {
  return context.has_input(index) ? &context.input(index) : nullptr;
}
inline void require_dims(const Array& array, const ir::Dims& dims, std::string_view name) {
  if (array.dims != dims) bad_input("{} has the shape {}, not {}", name, ir::text(array.dims), ir::text(dims));
}
// A kernel of a part of the operator would give wrong numbers: better none.
inline void require_absent(Context& context, std::size_t index, std::string_view name) {
  if (context.has_input(index)) {
    unsupported("node {} ({}): input {} is not supported", quote(context.node().name()), context.node().op_type(),
                name);
  }
}

}  // namespace hone::exec
