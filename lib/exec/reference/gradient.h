// What kernels of the backward pass share. Operators of the domain ai.hone exist in training graphs only: gradients that
// standard operators don't say well (lib/autodiff makes them), losses, and random dropout. They compute in float and
// double; shapes that come as inputs are int64 tensors, as Shape gives them.
#pragma once

#include <array>

#include "exec/reference/broadcast.h"
#include "exec/reference/elements.h"
#include "exec/reference/list.h"
#include "exec/reference/shape.h"

namespace hone::exec {

constexpr KernelEntry own_kernel(std::string_view op_type, KernelFactory make) {
  return {op_type, 1, make, std::numeric_limits<std::int64_t>::max(), "ai.hone"};
}

// Calls f<T>() for float or double.
template <typename F>
void in_float(const Context& context, ir::ElementType type, F&& f) {
  if (!dispatch_real(type, std::forward<F>(f))) unsupported_type(context, type);
}

inline void require_dims(const Array& array, DimSpan dims, std::string_view what) {
  if (!std::equal(array.dims.begin(), array.dims.end(), dims.begin(), dims.end())) {
    bad_input("{} of shape {} where {} is expected", what, ir::text(array.dims),
              ir::text(ir::Dims(dims.begin(), dims.end())));
  }
}

// Sums of runs in a fixed order (16 lanes, then pairs), whatever the alignment and the thread count: float lanes are added
// up in double, so that long runs lose nothing.
template <typename T, typename F>
double sum_of(std::int64_t count, const F& f) {
  constexpr std::int64_t lanes = 16, block = 1024;  // a float lane adds 64 numbers before it is widened
  double total = 0;
  std::int64_t i = 0;
  while (count - i >= lanes) {
    std::array<T, lanes> sums{};
    const std::int64_t end = std::min(i + block, i + (count - i) / lanes * lanes);
    for (; i < end; i += lanes) {
      for (std::int64_t k = 0; k < lanes; ++k) sums[static_cast<std::size_t>(k)] += f(i + k);
    }
    for (const T sum : sums) total += static_cast<double>(sum);
  }
  for (; i < count; ++i) total += static_cast<double>(f(i));
  return total;
}

// The shape `dims` as it was reduced to, with 1 for each reduced axis, from what says so: keepdims and
// noop_with_empty_axes, axes as attribute or as input `axes_input`, and the reduced array itself.
ir::Dims reduced_dims(Context& context, const Array& reduced, DimSpan dims, std::size_t axes_input);

}  // namespace hone::exec
