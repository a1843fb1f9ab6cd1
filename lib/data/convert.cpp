// Exact conversion between number types, and scaling by channel.
//
// Not handled: float8 and sub-byte types, complex numbers, text: no data file of ours holds the first two, and no
// conversion makes sense of the others.
#include "data/convert.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "hone/support/error.h"
#include "hone/support/numbers.h"

namespace hone::data {
namespace {

using ir::ElementType;
using ir::Tensor;

// Calls f with a value of the C++ type.
template <typename F>
bool visit(ElementType type, F&& f) {
  switch (type) {
    case ElementType::boolean:
      f(bool{});
      return true;
    case ElementType::uint8:
      f(std::uint8_t{});
      return true;
    case ElementType::int8:
      f(std::int8_t{});
      return true;
    case ElementType::uint16:
      f(std::uint16_t{});
      return true;
    case ElementType::int16:
      f(std::int16_t{});
      return true;
    case ElementType::uint32:
      f(std::uint32_t{});
      return true;
    case ElementType::int32:
      f(std::int32_t{});
      return true;
    case ElementType::uint64:
      f(std::uint64_t{});
      return true;
    case ElementType::int64:
      f(std::int64_t{});
      return true;
    case ElementType::float16:
      f(float16{});
      return true;
    case ElementType::bfloat16:
      f(bfloat16{});
      return true;
    case ElementType::float32:
      f(float{});
      return true;
    case ElementType::float64:
      f(double{});
      return true;
    default:
      return false;
  }
}

template <typename T>
auto widen(T value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return value;
  } else {
    return to_float(value);
  }
}

template <typename T, typename F>
T narrow(F value) {
  if constexpr (std::is_same_v<T, float16>) {
    return to_float16(value);
  } else if constexpr (std::is_same_v<T, bfloat16>) {
    return to_bfloat16(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

// Whether `value` is exactly some integer of type I.
template <typename I, typename F>
bool is_integer_of(F value) {
  // 2^digits is exact in F; the largest I itself may not be.
  const F limit = std::ldexp(F{1}, std::numeric_limits<I>::digits);
  const F least = std::is_signed_v<I> ? -limit : F{0};
  return value >= least && value < limit && std::trunc(value) == value;
}

// `from` as To; false if its value changes.
template <typename To, typename From>
bool convert_one(From from, bool round, To& to) {
  const auto value = widen(from);
  using Value = decltype(value);
  using Plain = std::remove_const_t<Value>;
  if constexpr (std::is_same_v<To, bool>) {
    to = value != Plain{0};
    return value == Plain{0} || value == Plain{1};
  } else if constexpr (std::is_integral_v<To>) {
    if constexpr (std::is_same_v<Plain, bool>) {
      to = static_cast<To>(value);
      return true;
    } else if constexpr (std::is_integral_v<Plain>) {
      to = static_cast<To>(value);
      return std::in_range<To>(value);
    } else {
      const bool fits = is_integer_of<To>(value);
      to = fits ? static_cast<To>(value) : To{};
      return fits;
    }
  } else if constexpr (std::is_integral_v<Plain>) {
    // By way of double: exact up to 2^53, and checked on the way back.
    const double middle = static_cast<double>(value);
    to = narrow<To>(middle);
    const double back = static_cast<double>(widen(to));
    if constexpr (std::is_same_v<Plain, bool>) {
      return true;
    } else {
      return is_integer_of<Plain>(back) && static_cast<Plain>(back) == value;
    }
  } else {
    to = narrow<To>(value);
    const auto back = widen(to);
    if (std::isnan(value)) return true;
    if (round) return std::isinf(value) || !std::isinf(back);
    return static_cast<double>(back) == static_cast<double>(value);
  }
}

[[noreturn]] void no_conversion(ElementType from, ElementType to) {
  unsupported("{} can't become {}", ir::name(from), ir::name(to));
}

}  // namespace

Tensor convert(const Tensor& tensor, ElementType type, Rounding rounding, std::optional<std::size_t>& changed) {
  changed.reset();
  if (tensor.type() == type) return tensor;
  Tensor result = Tensor::allocate(type, tensor.dims());
  const bool known = visit(tensor.type(), [&](auto from_example) {
    using From = decltype(from_example);
    const auto in = tensor.data<From>();
    const bool to_known = visit(type, [&](auto to_example) {
      using To = decltype(to_example);
      const auto out = result.mutable_data<To>();
      for (std::size_t i = 0; i < in.size(); ++i) {
        if (!convert_one(in[i], rounding == Rounding::floats, out[i])) {
          changed = i;
          return;
        }
      }
    });
    if (!to_known) no_conversion(tensor.type(), type);
  });
  if (!known) no_conversion(tensor.type(), type);
  return result;
}

Tensor scale(const Tensor& tensor, ElementType type, const std::vector<double>& factor,
             const std::vector<double>& offset, std::size_t inner) {
  Tensor result = Tensor::allocate(type, tensor.dims());
  const std::size_t channels = factor.size();
  const bool known = visit(tensor.type(), [&](auto from_example) {
    using From = decltype(from_example);
    const auto in = tensor.data<From>();
    const auto run = [&](auto out) {
      using To = std::remove_reference_t<decltype(out[0])>;
      std::size_t channel = 0;
      for (std::size_t start = 0; start < in.size(); start += inner) {
        const std::size_t end = std::min(in.size(), start + inner);
        for (std::size_t i = start; i < end; ++i) {
          out[i] = narrow<To>(static_cast<double>(widen(in[i])) * factor[channel] + offset[channel]);
        }
        channel = channel + 1 == channels ? 0 : channel + 1;
      }
    };
    switch (type) {
      case ElementType::float32:
        return run(result.mutable_data<float>());
      case ElementType::float64:
        return run(result.mutable_data<double>());
      case ElementType::float16:
        return run(result.mutable_data<float16>());
      case ElementType::bfloat16:
        return run(result.mutable_data<bfloat16>());
      default:
        no_conversion(tensor.type(), type);
    }
  });
  if (!known) no_conversion(tensor.type(), type);
  return result;
}

std::string element_text(const Tensor& tensor, std::size_t index) {
  std::string result;
  visit(tensor.type(), [&](auto example) {
    const auto value = widen(tensor.data<decltype(example)>()[index]);
    result = fmt::format("{}", value);
  });
  return result;
}

}  // namespace hone::data
