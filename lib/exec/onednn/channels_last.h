// Tensors of one byte an element with the channels of a place beside each other, as the integer kernels read and write
// them.
#pragma once

#include "exec/onednn/runtime.h"

namespace hone::exec::onednn {

// [N, C, places...] with the channels innermost.
Desc channels_last(std::span<const std::int64_t> dims, dnnl::memory::data_type type);

// Whether the memory of `array` is that already: in a layout, or since it has one channel or one place.
bool is_channels_last(const Array& array);

// Reads an array of any layout, in scratch memory if it has another.
class ChannelsLast {
 public:
  ChannelsLast() = default;
  explicit ChannelsLast(const Array& array);
  const std::byte* get(Context& context, const Array& array);

 private:
  Adapter adapter_;
};

// The layout of an output; null where row-major memory is the same.
std::shared_ptr<const Layout> channels_last_layout(std::span<const std::int64_t> dims, ir::ElementType type);
inline Array& output_in(Context& context, std::size_t index, ir::ElementType type, std::span<const std::int64_t> dims,
                        const std::shared_ptr<const Layout>& layout) {
  return layout ? context.output_with_layout(index, type, dims, layout) : context.output(index, type, dims);
}

}  // namespace hone::exec::onednn
