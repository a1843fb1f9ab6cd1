// From a run-time element type to a template argument, and computing in float for types that C++ has no arithmetic for.
#pragma once

#include <type_traits>

#include "hone/exec/kernel.h"

namespace hone::exec {

[[noreturn]] inline void unsupported_type(const Context& context, ir::ElementType type) {
  unsupported("node {} ({}): element type {} is not supported here", quote(context.node().name()),
              context.node().op_type(), ir::name(type));
}

// Calls f.template operator()<T>() for the C++ type of `type`, if it is one of Ts; false otherwise.
template <typename... Ts, typename F>
bool dispatch(ir::ElementType type, F&& f) {
  return ((type == ir::element_type_of<Ts> ? (f.template operator()<Ts>(), true) : false) || ...);
}

template <typename F>
bool dispatch_real(ir::ElementType type, F&& f) {  // float, double
  return dispatch<float, double>(type, std::forward<F>(f));
}
template <typename F>
bool dispatch_number(ir::ElementType type, F&& f) {  // what C++ computes with
  return dispatch<float, double, std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t, std::uint16_t,
                  std::uint32_t, std::uint64_t>(type, std::forward<F>(f));
}
// By size alone: for operators that only move elements. 16-byte elements are complex128.
struct Bytes16 {
  std::uint64_t low, high;
};
template <typename F>
bool dispatch_size(ir::ElementType type, F&& f) {
  switch (ir::bit_width(type)) {
    case 8:
      f.template operator()<std::uint8_t>();
      return true;
    case 16:
      f.template operator()<std::uint16_t>();
      return true;
    case 32:
      f.template operator()<std::uint32_t>();
      return true;
    case 64:
      f.template operator()<std::uint64_t>();
      return true;
    case 128:
      f.template operator()<Bytes16>();
      return true;
    default:
      return false;
  }
}

// True for the types that are stored but not computed with: float16, bfloat16, float8*. widen() and narrow() go through
// float.
inline bool is_narrow_float(ir::ElementType type) {
  return ir::is_float(type) && type != ir::ElementType::float32 && type != ir::ElementType::float64;
}
void widen(const Array& in, float* out);
void narrow(const float* in, Array& out);

}  // namespace hone::exec
