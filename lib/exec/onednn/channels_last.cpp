#include "exec/onednn/channels_last.h"

namespace hone::exec::onednn {
namespace {

bool one_order(std::span<const std::int64_t> dims) {
  std::int64_t places = 1;
  for (std::size_t i = 2; i < dims.size(); ++i) places *= dims[i];
  return dims.size() < 3 || dims[1] == 1 || places == 1;
}

}  // namespace

Desc channels_last(std::span<const std::int64_t> dims, dnnl::memory::data_type type) {
  dnnl::memory::dims sizes(dims.begin(), dims.end()), strides(dims.size());
  std::int64_t stride = dims[1];
  strides[1] = 1;
  for (std::size_t i = dims.size(); i-- > 2;) {
    strides[i] = stride;
    stride *= dims[i];
  }
  strides[0] = stride;
  return Desc(sizes, type, strides);
}

bool is_channels_last(const Array& array) {
  if (!array.layout) return one_order(array.dims);
  const auto type = data_type(array.type);
  return type && array.rank() >= 3 && desc_of(array) == channels_last(array.dims, *type);
}

ChannelsLast::ChannelsLast(const Array& array) {
  if (!is_channels_last(array)) adapter_ = Adapter(desc_of(array), channels_last(array.dims, *data_type(array.type)));
}

const std::byte* ChannelsLast::get(Context& context, const Array& array) {
  return static_cast<const std::byte*>(adapter_.get(context, array.data));
}

std::shared_ptr<const Layout> channels_last_layout(std::span<const std::int64_t> dims, ir::ElementType type) {
  if (one_order(dims)) return nullptr;
  return blocked_layout(channels_last(dims, *data_type(type)));
}

}  // namespace hone::exec::onednn
