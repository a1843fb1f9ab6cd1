// The element types of ONNX tensors. Values are those of TensorProto.DataType.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "hone/support/numbers.h"

namespace hone::ir {

enum class ElementType : std::int32_t {
  undefined = 0,
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  string = 8,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  complex64 = 14,
  complex128 = 15,
  bfloat16 = 16,
  float8e4m3fn = 17,
  float8e4m3fnuz = 18,
  float8e5m2 = 19,
  float8e5m2fnuz = 20,
  uint4 = 21,
  int4 = 22,
  float4e2m1 = 23,
  float8e8m0 = 24,
  uint2 = 25,
  int2 = 26,
};

// ONNX's name in lower case ("float", "int64", "bfloat16", "float8e4m3fn"); "undefined" for a number unknown here.
std::string_view name(ElementType type);
std::optional<ElementType> parse_element_type(std::string_view name);  // also "float32", "float64", "boolean", "half"
bool is_known(ElementType type);                                       // one of the enumerators, and not undefined

std::size_t bit_width(ElementType type);  // 0 for string and undefined; 1 byte for boolean
// Bytes of `count` packed elements (two int4 or four int2 to a byte, the first in the low bits); nullopt on overflow.
std::optional<std::uint64_t> byte_size(ElementType type, std::uint64_t count);

bool is_float(ElementType type);    // float64, 32, 16, bfloat16, float8*, float4
bool is_integer(ElementType type);  // signed and unsigned, not boolean
bool is_signed_integer(ElementType type);
bool is_sub_byte(ElementType type);

// The C++ type that holds one element of a byte-sized type; element_type_of<T> is the way back. Sub-byte types have none.
template <typename T>
inline constexpr ElementType element_type_of = ElementType::undefined;
template <>
inline constexpr ElementType element_type_of<float> = ElementType::float32;
template <>
inline constexpr ElementType element_type_of<double> = ElementType::float64;
template <>
inline constexpr ElementType element_type_of<std::uint8_t> = ElementType::uint8;
template <>
inline constexpr ElementType element_type_of<std::int8_t> = ElementType::int8;
template <>
inline constexpr ElementType element_type_of<std::uint16_t> = ElementType::uint16;
template <>
inline constexpr ElementType element_type_of<std::int16_t> = ElementType::int16;
template <>
inline constexpr ElementType element_type_of<std::uint32_t> = ElementType::uint32;
template <>
inline constexpr ElementType element_type_of<std::int32_t> = ElementType::int32;
template <>
inline constexpr ElementType element_type_of<std::uint64_t> = ElementType::uint64;
template <>
inline constexpr ElementType element_type_of<std::int64_t> = ElementType::int64;
template <>
inline constexpr ElementType element_type_of<bool> = ElementType::boolean;
template <>
inline constexpr ElementType element_type_of<hone::float16> = ElementType::float16;
template <>
inline constexpr ElementType element_type_of<hone::bfloat16> = ElementType::bfloat16;
template <>
inline constexpr ElementType element_type_of<hone::float8e4m3fn> = ElementType::float8e4m3fn;
template <>
inline constexpr ElementType element_type_of<hone::float8e4m3fnuz> = ElementType::float8e4m3fnuz;
template <>
inline constexpr ElementType element_type_of<hone::float8e5m2> = ElementType::float8e5m2;
template <>
inline constexpr ElementType element_type_of<hone::float8e5m2fnuz> = ElementType::float8e5m2fnuz;
template <>
inline constexpr ElementType element_type_of<hone::float8e8m0> = ElementType::float8e8m0;

}  // namespace hone::ir
