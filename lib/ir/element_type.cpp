// Element types: one table row for each, in the order of TensorProto.DataType.
//
// Not handled: conversion of elements (numbers.h, tensor.cpp).
#include "hone/ir/element_type.h"

#include <array>
#include <utility>

namespace hone::ir {
namespace {

enum class Family { none, real, signed_integer, unsigned_integer, other };

struct Row {
  std::string_view name;
  std::uint8_t bits = 0;
  Family family = Family::none;
};

constexpr std::array<Row, 27> rows = {{
    {"undefined", 0, Family::none},
    {"float", 32, Family::real},
    {"uint8", 8, Family::unsigned_integer},
    {"int8", 8, Family::signed_integer},
    {"uint16", 16, Family::unsigned_integer},
    {"int16", 16, Family::signed_integer},
    {"int32", 32, Family::signed_integer},
    {"int64", 64, Family::signed_integer},
    {"string", 0, Family::other},
    {"bool", 8, Family::other},
    {"float16", 16, Family::real},
    {"double", 64, Family::real},
    {"uint32", 32, Family::unsigned_integer},
    {"uint64", 64, Family::unsigned_integer},
    {"complex64", 64, Family::other},
    {"complex128", 128, Family::other},
    {"bfloat16", 16, Family::real},
    {"float8e4m3fn", 8, Family::real},
    {"float8e4m3fnuz", 8, Family::real},
    {"float8e5m2", 8, Family::real},
    {"float8e5m2fnuz", 8, Family::real},
    {"uint4", 4, Family::unsigned_integer},
    {"int4", 4, Family::signed_integer},
    {"float4e2m1", 4, Family::real},
    {"float8e8m0", 8, Family::real},
    {"uint2", 2, Family::unsigned_integer},
    {"int2", 2, Family::signed_integer},
}};

const Row& row(ElementType type) {
  const auto number = static_cast<std::int64_t>(type);
  return number > 0 && number < static_cast<std::int64_t>(rows.size()) ? rows[static_cast<std::size_t>(number)]
                                                                       : rows[0];
}

}  // namespace

std::string_view name(ElementType type) { return row(type).name; }

std::optional<ElementType> parse_element_type(std::string_view name) {
  constexpr std::pair<std::string_view, ElementType> aliases[] = {{"float32", ElementType::float32},
                                                                  {"float64", ElementType::float64},
                                                                  {"boolean", ElementType::boolean},
                                                                  {"half", ElementType::float16}};
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (rows[i].name == name) return static_cast<ElementType>(i);
  }
  for (const auto& [alias, type] : aliases) {
    if (alias == name) return type;
  }
  return std::nullopt;
}

bool is_known(ElementType type) { return row(type).family != Family::none; }

std::size_t bit_width(ElementType type) { return row(type).bits; }

std::optional<std::uint64_t> byte_size(ElementType type, std::uint64_t count) {
  std::uint64_t bits = 0;
  if (const std::uint64_t width = bit_width(type); width % 8 == 0) {
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(count, width / 8, &bytes)) return std::nullopt;
    return bytes;
  } else if (!__builtin_mul_overflow(count, width, &bits)) {
    return bits / 8 + (bits % 8 != 0);
  }
  return std::nullopt;
}

bool is_float(ElementType type) { return row(type).family == Family::real; }
bool is_signed_integer(ElementType type) { return row(type).family == Family::signed_integer; }
bool is_integer(ElementType type) {
  return row(type).family == Family::signed_integer || row(type).family == Family::unsigned_integer;
}
bool is_sub_byte(ElementType type) { return row(type).bits != 0 && row(type).bits < 8; }

}  // namespace hone::ir
