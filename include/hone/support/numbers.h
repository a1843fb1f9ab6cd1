// Number types that C++20 lacks, as storage plus conversion to and from float.
//
// Conversions round once, to nearest, ties to even. Encodings follow the ONNX operator specification (Cast): float8 types
// e4m3fn (no infinity), e4m3fnuz, e5m2, e5m2fnuz, e8m0 (scale only), float4e2m1. A double is rounded to the type at
// once, not by way of float.
//
// NaN: float16 and bfloat16 keep sign and payload, and a signaling NaN becomes a quiet one, as the instructions of x86
// do; bfloat16 to float copies bits. float8 e4m3fn and e5m2 keep the sign. float4 has no NaN: it becomes a zero.
#pragma once

#include <bit>
#include <cstdint>

namespace hone {

struct float16 {
  std::uint16_t bits = 0;
};
struct bfloat16 {
  std::uint16_t bits = 0;
};
struct float8e4m3fn {
  std::uint8_t bits = 0;
};
struct float8e4m3fnuz {
  std::uint8_t bits = 0;
};
struct float8e5m2 {
  std::uint8_t bits = 0;
};
struct float8e5m2fnuz {
  std::uint8_t bits = 0;
};
struct float8e8m0 {
  std::uint8_t bits = 0;
};

float to_float(float16 value);
float to_float(float8e4m3fn value);
float to_float(float8e4m3fnuz value);
float to_float(float8e5m2 value);
float to_float(float8e5m2fnuz value);
float to_float(float8e8m0 value);
float float4e2m1_to_float(std::uint8_t nibble);  // the low four bits count
inline float to_float(bfloat16 value) { return std::bit_cast<float>(std::uint32_t{value.bits} << 16); }

float16 to_float16(float value);
float16 to_float16(double value);
bfloat16 to_bfloat16(float value);
bfloat16 to_bfloat16(double value);
// `saturate`: out of range and infinity become the largest finite value; otherwise NaN, or infinity where the type has
// one, as the Cast operator says.
float8e4m3fn to_float8e4m3fn(double value, bool saturate = true);
float8e4m3fnuz to_float8e4m3fnuz(double value, bool saturate = true);
float8e5m2 to_float8e5m2(double value, bool saturate = true);
float8e5m2fnuz to_float8e5m2fnuz(double value, bool saturate = true);
// A power of two. round_mode of Cast 24: 0 up, 1 down, 2 nearest, ties up. The sign is dropped; zero and what is below
// 2^-127 become 2^-127 with `saturate`, NaN without.
float8e8m0 to_float8e8m0(double value, bool saturate = true, int round_mode = 0);
std::uint8_t to_float4e2m1(double value);  // the nibble; saturates

// Arrays at once, on vector instructions where the CPU has them: the same bits as one by one.
void to_float(const float16* in, float* out, std::int64_t count);
void to_float16(const float* in, float16* out, std::int64_t count);
void to_float(const bfloat16* in, float* out, std::int64_t count);
void to_bfloat16(const float* in, bfloat16* out, std::int64_t count);

}  // namespace hone
