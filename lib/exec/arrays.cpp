#include "exec/arrays.h"

#include <cstring>

#include "exec/reference/dispatch.h"

namespace hone::exec {

std::uint64_t checked_byte_size(ir::ElementType type, std::span<const std::int64_t> dims) {
  std::uint64_t count = 1;
  bool empty = false, overflow = false;
  for (const std::int64_t dim : dims) {
    if (dim < 0) bad_input("an output of shape {}", ir::text(ir::Dims(dims.begin(), dims.end())));
    empty = empty || dim == 0;
    overflow = __builtin_mul_overflow(count, static_cast<std::uint64_t>(dim), &count) || overflow;
  }
  if (empty) return 0;
  const auto bytes = overflow ? std::nullopt
                     : type == ir::ElementType::string
                         ? ir::byte_size(ir::ElementType::complex128, count)  // 16 of the 32 bytes of a std::string
                         : ir::byte_size(type, count);
  if (!bytes || *bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    fail(ErrorKind::resource_limit, "an output of shape {} does not fit in memory",
         ir::text(ir::Dims(dims.begin(), dims.end())));
  }
  if (type == ir::ElementType::string) {
    require_memory(*bytes * 2, "a tensor of strings");
    return 0;
  }
  return *bytes;
}

Array to_array(const ir::Tensor& tensor) {
  Array array;
  array.type = tensor.type();
  array.dims = tensor.dims();
  if (tensor.is_string()) {
    array.strings = std::const_pointer_cast<std::vector<std::string>>(tensor.string_values());
    return array;
  }
  const std::uint64_t size = tensor.byte_size();
  if (size == 0) return array;
  const ir::Tensor loaded = tensor.loaded();
  SharedBuffer buffer = loaded.buffer();
  auto* data = const_cast<std::byte*>(loaded.bytes().data());
  if (reinterpret_cast<std::uintptr_t>(data) % 16 != 0) {  // a view into somebody's file image
    auto aligned = std::make_shared<Buffer>(size);
    std::memcpy(aligned->data(), data, size);
    data = aligned->data();
    buffer = std::move(aligned);
  }
  array.data = data;
  array.owner = std::move(buffer);
  return array;
}

ir::Tensor to_tensor(const Array& array) {
  if (array.layout) fail(ErrorKind::internal, "an array in a backend's layout can't become a tensor");
  if (array.type == ir::ElementType::undefined) return {};
  if (array.type == ir::ElementType::string) return ir::Tensor::strings(array.dims, *array.strings);
  const std::uint64_t size = array.byte_size();
  if (array.owner && size > 0) {
    SharedBuffer buffer = buffer_of(array);
    const auto offset = static_cast<std::size_t>(array.data - buffer->data());
    return ir::Tensor::from_buffer(array.type, array.dims, std::move(buffer), offset);
  }
  ir::Tensor tensor = ir::Tensor::allocate(array.type, array.dims);
  if (size > 0) std::memcpy(tensor.mutable_bytes().data(), array.data, size);
  return tensor;
}

namespace {

std::uint8_t nibble_at(const std::byte* data, std::int64_t index) {
  const auto byte = static_cast<std::uint8_t>(data[index / 2]);
  return index % 2 == 0 ? byte & 0x0F : byte >> 4;
}

template <typename T>
constexpr bool in_bulk = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

}  // namespace

void widen(const Array& in, float* out) {
  const std::int64_t count = in.count();
  if (in.type == ir::ElementType::float4e2m1) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = float4e2m1_to_float(nibble_at(in.data, i));
    return;
  }
  const bool known =
      dispatch<float16, bfloat16, float8e4m3fn, float8e4m3fnuz, float8e5m2, float8e5m2fnuz, float8e8m0, float>(
          in.type, [&]<typename T>() {
            const T* from = in.as<T>();
            if constexpr (std::is_same_v<T, float>) {
              if (count > 0) std::memcpy(out, from, static_cast<std::size_t>(count) * sizeof(float));
            } else if constexpr (in_bulk<T>) {
              to_float(from, out, count);
            } else {
              for (std::int64_t i = 0; i < count; ++i) out[i] = to_float(from[i]);
            }
          });
  if (!known) fail(ErrorKind::internal, "widen() of {}", ir::name(in.type));
}

void narrow(const float* in, Array& out) {
  const std::int64_t count = out.count();
  switch (out.type) {
    case ir::ElementType::float32:
      if (count > 0) std::memcpy(out.data, in, static_cast<std::size_t>(count) * sizeof(float));
      return;
    case ir::ElementType::float16:
      to_float16(in, out.as<float16>(), count);
      return;
    case ir::ElementType::bfloat16:
      to_bfloat16(in, out.as<bfloat16>(), count);
      return;
    case ir::ElementType::float4e2m1: {
      for (std::int64_t i = 0; i < count; i += 2) {
        const std::uint8_t low = to_float4e2m1(in[i]);
        const std::uint8_t high = i + 1 < count ? to_float4e2m1(in[i + 1]) : 0;
        out.data[i / 2] = static_cast<std::byte>(low | (high << 4));
      }
      return;
    }
    case ir::ElementType::float8e4m3fn:
      for (std::int64_t i = 0; i < count; ++i) out.as<float8e4m3fn>()[i] = to_float8e4m3fn(in[i]);
      return;
    case ir::ElementType::float8e4m3fnuz:
      for (std::int64_t i = 0; i < count; ++i) out.as<float8e4m3fnuz>()[i] = to_float8e4m3fnuz(in[i]);
      return;
    case ir::ElementType::float8e5m2:
      for (std::int64_t i = 0; i < count; ++i) out.as<float8e5m2>()[i] = to_float8e5m2(in[i]);
      return;
    case ir::ElementType::float8e5m2fnuz:
      for (std::int64_t i = 0; i < count; ++i) out.as<float8e5m2fnuz>()[i] = to_float8e5m2fnuz(in[i]);
      return;
    case ir::ElementType::float8e8m0:
      for (std::int64_t i = 0; i < count; ++i) out.as<float8e8m0>()[i] = to_float8e8m0(in[i]);
      return;
    default:
      fail(ErrorKind::internal, "narrow() to {}", ir::name(out.type));
  }
}

}  // namespace hone::exec
