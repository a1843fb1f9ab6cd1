#include "exec/reference/elements.h"

namespace hone::exec {
namespace {

template <typename To>
bool convert_to(const Array& in, std::int64_t begin, std::int64_t count, To* out) {
  if (ir::is_sub_byte(in.type)) {
    const auto bits = static_cast<int>(ir::bit_width(in.type));
    const int per_byte = 8 / bits;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t at = begin + i;
      const auto byte = static_cast<unsigned>(in.data[at / per_byte]);
      const auto code = static_cast<std::uint8_t>((byte >> (at % per_byte * bits)) & ((1u << bits) - 1));
      if (in.type == ir::ElementType::float4e2m1) {
        out[i] = float4e2m1_to_float(code);
      } else {
        out[i] = static_cast<To>(ir::is_signed_integer(in.type) ? signed_code(code, bits) : code);
      }
    }
    return true;
  }
  if (in.type == ir::ElementType::boolean) {
    const bool* from = in.as<bool>() + begin;
    for (std::int64_t i = 0; i < count; ++i) out[i] = from[i] ? To{1} : To{0};
    return true;
  }
  if (is_narrow_float(in.type)) {
    if constexpr (std::is_same_v<To, float>) {
      widen(part(in, begin, count), out);
    } else {
      constexpr std::int64_t block = 1024;
      float values[block];
      for (std::int64_t i = 0; i < count; i += block) {
        const std::int64_t n = std::min(block, count - i);
        widen(part(in, begin + i, n), values);
        std::copy_n(values, n, out + i);
      }
    }
    return true;
  }
  return dispatch_number(in.type, [&]<typename T>() {
    const T* from = in.as<T>() + begin;
    for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<To>(from[i]);
  });
}

}  // namespace

bool convert(const Array& in, std::int64_t begin, std::int64_t count, float* out) {
  return convert_to(in, begin, count, out);
}
bool convert(const Array& in, std::int64_t begin, std::int64_t count, double* out) {
  return convert_to(in, begin, count, out);
}

void unpack(const Array& in, std::uint8_t* codes) {
  const auto bits = static_cast<unsigned>(ir::bit_width(in.type));
  const std::int64_t count = in.count(), per_byte = 8 / bits;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned>(in.data[i / per_byte]);
    codes[i] = static_cast<std::uint8_t>((byte >> (static_cast<unsigned>(i % per_byte) * bits)) & ((1u << bits) - 1));
  }
}

void pack(const std::uint8_t* codes, Array& out) {
  const auto bits = static_cast<unsigned>(ir::bit_width(out.type));
  const std::int64_t count = out.count(), per_byte = 8 / bits;
  for (std::int64_t i = 0; i < count; i += per_byte) {
    unsigned byte = 0;
    for (std::int64_t j = 0; j < std::min(per_byte, count - i); ++j) {
      byte |= (codes[i + j] & ((1u << bits) - 1)) << (static_cast<unsigned>(j) * bits);
    }
    out.data[i / per_byte] = static_cast<std::byte>(byte);
  }
}

}  // namespace hone::exec
