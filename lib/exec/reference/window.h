// A window that slides over the spatial dimensions of a tensor: the geometry of convolutions and pools.
#pragma once

#include "exec/reference/elements.h"

namespace hone::exec {

struct Window {
  std::size_t rank = 0;
  ir::Dims in, kernel, strides, dilations, before, after, out;  // one number a spatial dimension

  explicit Window(std::size_t rank) : rank(rank) {}  // for the caller to fill
  // From the attributes kernel_shape, strides, dilations, pads and auto_pad of `node` for an input of shape `dims`
  // ([N, C, spatial...]). `kernel` (empty: kernel_shape is required) must agree with kernel_shape where both are given.
  // `ceil`: a last window may hang over the end, but not start behind it. bad_input for what can't be.
  Window(const ir::Node& node, const ir::Dims& dims, ir::Dims kernel, bool ceil = false);

  std::int64_t taps() const { return product(kernel); }
  std::int64_t in_size() const { return product(in); }
  std::int64_t out_size() const { return product(out); }
};

// The window of the convolution that a ConvTranspose undoes: its `in` is the result's. `dims` and `kernel` as above. `after` is
// less than nothing where output_padding adds to the result.
Window transposed_window(const ir::Node& node, const ir::Dims& dims, const ir::Dims& kernel);

// `rank` numbers of an attribute, all at least `least`; `fallback` each where it is absent.
ir::Dims spatial_attribute(const ir::Node& node, std::string_view name, std::size_t rank, std::int64_t fallback,
                           std::int64_t least);

// The input patches of output places [begin, end) of one image, as a matrix: a row for each (channel, tap), a column for
// each place. Padding is `padding`.
template <typename T>
void gather_patches(const Window& window, const T* image, std::int64_t channels, std::int64_t begin, std::int64_t end,
                    T padding, T* columns);
// As gather_patches(), a row for each place: [place, channel, tap].
template <typename T>
void gather_patch_rows(const Window& window, const T* image, std::int64_t channels, std::int64_t begin,
                       std::int64_t end, T padding, T* rows);

}  // namespace hone::exec
