// Elements of arrays as something C++ computes with: ranges converted to float or double, float types narrower than 32
// bits computed in float, sub-byte elements spread to a byte each, and strings beside numbers for operators that only
// move elements.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "exec/reference/dispatch.h"
#include "exec/reference/shape.h"
#include "hone/support/threads.h"

// Put before a loop whose iterations don't depend on each other, though its pointers may be equal.
#if defined(__clang__)
#define HONE_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define HONE_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace hone::exec {

// Elements per piece of parallel work: a piece takes tens of microseconds, several times what handing it out costs.
inline constexpr std::int64_t cheap_grain = 32768;  // a few instructions an element
inline constexpr std::int64_t costly_grain = 4096;  // exp, pow, divisions

// Items per piece of parallel work, where one costs so many multiplications.
inline std::int64_t grain_for(double cost) {
  constexpr double piece = 1 << 17;  // as above: tens of microseconds
  return static_cast<std::int64_t>(std::max(1.0, piece / std::max(cost, 1.0)));
}

// Elements [begin, begin + count) of a number or boolean array; false for strings and complex numbers.
bool convert(const Array& in, std::int64_t begin, std::int64_t count, float* out);
bool convert(const Array& in, std::int64_t begin, std::int64_t count, double* out);

// Elements [begin, begin + count) of an array of a byte-sized type, sharing its memory.
inline Array part(const Array& array, std::int64_t begin, std::int64_t count) {
  Array result;
  result.type = array.type;
  result.dims = {count};
  result.data = array.data + begin * static_cast<std::int64_t>(ir::bit_width(array.type) / 8);
  return result;
}

// Packed int4, uint4, float4e2m1, int2, uint2 as one byte an element, with the unused high bits 0; and back.
void unpack(const Array& in, std::uint8_t* codes);
void pack(const std::uint8_t* codes, Array& out);
// Their numbers.
inline int signed_code(std::uint8_t code, int bits) { return (code ^ (1 << (bits - 1))) - (1 << (bits - 1)); }

// Calls f<T>() with the type to compute in: double for float64, float for float32 and everything narrower.
template <typename F>
void in_real(const Context& context, ir::ElementType type, F&& f) {
  if (type == ir::ElementType::float64) {
    f.template operator()<double>();
  } else if (ir::is_float(type)) {
    f.template operator()<float>();
  } else {
    unsupported_type(context, type);
  }
}
// As in_real(), and the integers as they are.
template <typename F>
void in_number(const Context& context, ir::ElementType type, F&& f) {
  if (ir::is_float(type)) return in_real(context, type, std::forward<F>(f));
  if (!dispatch<std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t,
                std::uint64_t>(type, std::forward<F>(f))) {
    unsupported_type(context, type);
  }
}

template <typename T>
T* scratch(Context& context, std::int64_t count) {
  return reinterpret_cast<T*>(context.scratch(static_cast<std::uint64_t>(size_product(count, sizeof(T)))));
}

// All elements as T: in place, or a converted copy.
template <typename T>
const T* view(Context& context, const Array& array) {
  if (array.type == ir::element_type_of<T>) return array.as<T>();
  if constexpr (std::is_floating_point_v<T>) {
    T* copy = scratch<T>(context, array.count());
    if (convert(array, 0, array.count(), copy)) return copy;
  }
  unsupported_type(context, array.type);
}

// An output filled as T and narrowed by finish() where its type is another.
template <typename T>
class Result {
 public:
  Result(Context& context, std::size_t index, ir::ElementType type, DimSpan dims)
      : array_(context.output(index, type, dims)) {
    data_ = type == ir::element_type_of<T> ? array_.as<T>() : scratch<T>(context, array_.count());
  }
  T* data() { return data_; }
  std::int64_t count() const { return array_.count(); }
  void finish() {
    if constexpr (std::is_same_v<T, float>) {
      if (array_.type != ir::ElementType::float32) narrow(data_, array_);
    }
  }

 private:
  Array& array_;
  T* data_ = nullptr;
};

// For operators that only move elements: calls f(const T* in, T* out) by element size, strings included. Sub-byte
// elements go through a byte each.
template <typename T>
const T* moved(const Array& array) {
  if constexpr (std::is_same_v<T, std::string>) {
    return array.strings->data();
  } else {
    return array.as<T>();
  }
}
template <typename T>
T* moved(Array& array) {
  if constexpr (std::is_same_v<T, std::string>) {
    return array.strings->data();
  } else {
    return array.as<T>();
  }
}
template <typename F>
void dispatch_moved(Context& context, ir::ElementType type, F&& f) {
  if (type == ir::ElementType::string) {
    f.template operator()<std::string>();
  } else if (!dispatch_size(type, f)) {
    unsupported_type(context, type);
  }
}
template <typename F>
void move_elements(Context& context, const Array& in, Array& out, F&& f) {
  if (ir::is_sub_byte(in.type)) {
    auto* codes = scratch<std::uint8_t>(context, in.count());
    auto* moved_codes = scratch<std::uint8_t>(context, out.count());
    unpack(in, codes);
    f(static_cast<const std::uint8_t*>(codes), moved_codes);
    pack(moved_codes, out);
    return;
  }
  dispatch_moved(context, in.type, [&]<typename T>() { f(moved<T>(in), moved<T>(out)); });
}

// One output of the type and shape of one input, f(T) of each element. Runs in the input's memory where that is free.
template <typename T, typename U, typename F>
void map_range(const T* in, U* out, std::int64_t count, std::int64_t grain, const F& f) {
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    HONE_INDEPENDENT
    for (std::int64_t i = begin; i < end; ++i) out[i] = f(in[i]);
  });
}
template <typename F>
void map_real(Context& context, std::int64_t grain, const F& f) {
  const Array& in = context.input(0);
  if (!ir::is_float(in.type)) unsupported_type(context, in.type);
  Array& out = context.output_over(0, 0, in.type, in.dims);
  const std::int64_t count = in.count();
  if (in.type == ir::ElementType::float32) return map_range(in.as<float>(), out.as<float>(), count, grain, f);
  if (in.type == ir::ElementType::float64) return map_range(in.as<double>(), out.as<double>(), count, grain, f);
  if (ir::is_sub_byte(in.type)) unsupported_type(context, in.type);
  constexpr std::int64_t block = 1024;  // both copies stay in the first-level cache
  parallel_for(ceil_div(count, block), ceil_div(grain, block), [&](std::int64_t begin, std::int64_t end) {
    float values[block];
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t n = std::min(block, count - b * block);
      widen(part(in, b * block, n), values);
      for (std::int64_t i = 0; i < n; ++i) values[i] = static_cast<float>(f(values[i]));
      Array to = part(out, b * block, n);
      narrow(values, to);
    }
  });
}
// As map_real(), for integers, too.
template <typename F>
void map_number(Context& context, std::int64_t grain, const F& f) {
  const Array& in = context.input(0);
  if (ir::is_float(in.type)) return map_real(context, grain, f);
  in_number(context, in.type, [&]<typename T>() {
    Array& out = context.output_over(0, 0, in.type, in.dims);
    map_range(in.as<T>(), out.as<T>(), in.count(), grain, [&](T x) { return static_cast<T>(f(x)); });
  });
}

}  // namespace hone::exec
