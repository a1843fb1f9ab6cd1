// Small number types, one value at a time.
//
// All encodings share one trick: written as an integer, exponent over mantissa, the magnitudes of a type are in order and
// without gaps, subnormals included. Rounding to that integer carries into the exponent by itself, and out of range is a
// comparison with the largest code.
#include "hone/support/numbers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace hone {
namespace {

// Shifts right by 1 to 62 bits, rounding to nearest, ties to even.
std::uint64_t shift_rounding(std::uint64_t value, int shift) {
  const std::uint64_t half = std::uint64_t{1} << (shift - 1);
  const std::uint64_t whole = value >> shift;
  const std::uint64_t rest = value & (2 * half - 1);
  return whole + (rest > half || (rest == half && (whole & 1) != 0));
}

// The code of |value|, which is not NaN; beyond the range of the type the codes go on. Infinity has a code, too: that of
// 2^1024.
template <int mantissa, int bias>
std::uint64_t magnitude_code(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const int exponent = static_cast<int>(bits >> 52 & 0x7ff) - 1023 + bias;
  const std::uint64_t fraction = bits & 0xfffffffffffffu;
  // A double that is subnormal itself is far below half of the least value of any type here.
  const std::uint64_t significand = fraction | std::uint64_t{1} << 52;
  if (exponent >= 1) {
    return (static_cast<std::uint64_t>(exponent - 1) << mantissa) + shift_rounding(significand, 52 - mantissa);
  }
  const int shift = 52 - mantissa + 1 - exponent;
  return shift > 62 ? 0 : shift_rounding(significand, shift);
}

template <int mantissa, int bias>
constexpr float magnitude_of(unsigned code) {
  const int exponent = static_cast<int>(code >> mantissa);
  float value = static_cast<float>(code & ((1u << mantissa) - 1));
  int power = 1 - bias - mantissa;
  if (exponent > 0) {
    value += 1u << mantissa;
    power += exponent - 1;
  }
  for (; power > 0; --power) value *= 2;
  for (; power < 0; ++power) value /= 2;
  return value;
}

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

// The values of all 256 codes. `special(code)` answers those that the formula does not.
template <int mantissa, int bias, typename Special>
constexpr std::array<float, 256> values_of(Special special) {
  std::array<float, 256> values{};
  for (unsigned code = 0; code < 256; ++code) {
    const float magnitude = magnitude_of<mantissa, bias>(code & 0x7f);
    values[code] = code & 0x80 ? -magnitude : magnitude;
    special(code, values[code]);
  }
  return values;
}

constexpr auto e4m3fn_values = values_of<3, 7>([](unsigned code, float& value) {
  if ((code & 0x7f) == 0x7f) value = code & 0x80 ? -nan : nan;
});
constexpr auto e4m3fnuz_values = values_of<3, 8>([](unsigned code, float& value) {
  if (code == 0x80) value = nan;
});
constexpr auto e5m2_values = values_of<2, 15>([](unsigned code, float& value) {
  if ((code & 0x7f) == 0x7c) value = code & 0x80 ? -infinity : infinity;
  if ((code & 0x7f) > 0x7c) value = code & 0x80 ? -nan : nan;
});
constexpr auto e5m2fnuz_values = values_of<2, 16>([](unsigned code, float& value) {
  if (code == 0x80) value = nan;
});
constexpr std::array<float, 16> e2m1_values = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

// Types without infinity and negative zero: the code of negative zero is the one NaN.
template <int mantissa, int bias>
std::uint8_t to_fnuz(double value, bool saturate) {
  if (std::isnan(value)) return 0x80;
  const std::uint64_t code = magnitude_code<mantissa, bias>(value);
  if (code > 0x7f && !saturate) return 0x80;
  const auto magnitude = static_cast<std::uint8_t>(std::min<std::uint64_t>(code, 0x7f));
  return std::signbit(value) && magnitude != 0 ? magnitude | 0x80 : magnitude;
}

std::uint8_t sign_bit(double value) { return std::signbit(value) ? 0x80 : 0; }

}  // namespace

float to_float(float16 value) {
  const std::uint32_t sign = std::uint32_t{value.bits} << 16 & 0x80000000u;
  const std::uint32_t exponent = value.bits >> 10 & 0x1fu;
  const std::uint32_t fraction = value.bits & 0x3ffu;
  if (exponent == 0) {  // zero or subnormal: a multiple of 2^-24, exact in float
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  if (exponent == 0x1f) {
    const std::uint32_t quiet = fraction != 0 ? 0x400000u : 0;
    return std::bit_cast<float>(sign | 0x7f800000u | quiet | fraction << 13);
  }
  return std::bit_cast<float>(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

float to_float(float8e4m3fn value) { return e4m3fn_values[value.bits]; }
float to_float(float8e4m3fnuz value) { return e4m3fnuz_values[value.bits]; }
float to_float(float8e5m2 value) { return e5m2_values[value.bits]; }
float to_float(float8e5m2fnuz value) { return e5m2fnuz_values[value.bits]; }
float float4e2m1_to_float(std::uint8_t nibble) { return e2m1_values[nibble & 0xf]; }

float to_float(float8e8m0 value) {
  if (value.bits == 0xff) return nan;
  if (value.bits == 0) return 0x1p-127f;  // subnormal in float
  return std::bit_cast<float>(std::uint32_t{value.bits} << 23);
}

float16 to_float16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) {
    return {static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | 0x7e00u | (bits >> 13 & 0x3ffu))};
  }
  return to_float16(static_cast<double>(value));
}

float16 to_float16(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const std::uint64_t sign = bits >> 48 & 0x8000u;
  if (std::isnan(value)) return {static_cast<std::uint16_t>(sign | 0x7e00u | (bits >> 42 & 0x3ffu))};
  return {static_cast<std::uint16_t>(sign | std::min<std::uint64_t>(magnitude_code<10, 15>(value), 0x7c00))};
}

bfloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return {static_cast<std::uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

bfloat16 to_bfloat16(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const std::uint64_t sign = bits >> 48 & 0x8000u;
  if (std::isnan(value)) return {static_cast<std::uint16_t>(sign | 0x7fc0u | (bits >> 45 & 0x7fu))};
  return {static_cast<std::uint16_t>(sign | std::min<std::uint64_t>(magnitude_code<7, 127>(value), 0x7f80))};
}

float8e4m3fn to_float8e4m3fn(double value, bool saturate) {
  const std::uint64_t code = std::isnan(value) ? 0x7f : magnitude_code<3, 7>(value);
  const std::uint64_t beyond = saturate && !std::isnan(value) ? 0x7e : 0x7f;
  return {static_cast<std::uint8_t>(std::min(code, beyond) | sign_bit(value))};
}

float8e5m2 to_float8e5m2(double value, bool saturate) {
  if (std::isnan(value)) return {static_cast<std::uint8_t>(0x7e | sign_bit(value))};
  const std::uint64_t beyond = saturate ? 0x7b : 0x7c;
  return {static_cast<std::uint8_t>(std::min(magnitude_code<2, 15>(value), beyond) | sign_bit(value))};
}

float8e4m3fnuz to_float8e4m3fnuz(double value, bool saturate) { return {to_fnuz<3, 8>(value, saturate)}; }
float8e5m2fnuz to_float8e5m2fnuz(double value, bool saturate) { return {to_fnuz<2, 16>(value, saturate)}; }

float8e8m0 to_float8e8m0(double value, bool saturate, int round_mode) {
  if (std::isnan(value)) return {0xff};
  const double magnitude = std::fabs(value);
  if (magnitude < 0x1p-127) return {static_cast<std::uint8_t>(saturate ? 0 : 0xff)};
  if (std::isinf(magnitude)) return {static_cast<std::uint8_t>(saturate ? 0xfe : 0xff)};
  int exponent = 0;
  const double fraction = std::frexp(magnitude, &exponent);  // in [0.5, 1): half of a number in [1, 2)
  const bool up = round_mode == 0 ? fraction > 0.5 : round_mode == 2 && fraction >= 0.75;
  const int code = exponent - 1 + 127 + (up ? 1 : 0);
  if (code > 0xfe) return {static_cast<std::uint8_t>(saturate ? 0xfe : 0xff)};
  return {static_cast<std::uint8_t>(code)};
}

std::uint8_t to_float4e2m1(double value) {
  // ONNX's own reference (ml_dtypes) makes NaN a zero of the other sign; the specification is silent.
  if (std::isnan(value)) return std::signbit(value) ? 0 : 8;
  const std::uint64_t code = std::min<std::uint64_t>(magnitude_code<1, 1>(value), 7);
  return static_cast<std::uint8_t>(code | (std::signbit(value) ? 8 : 0));
}

}  // namespace hone
