// Conversions held against numpy, ml_dtypes and ONNX's reference by digests; number_digests.py prints them.
#include "hone/support/numbers.h"

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "hone/support/sha256.h"

namespace {

using namespace hone;

const float infinity = std::numeric_limits<float>::infinity();
const float not_a_number = std::numeric_limits<float>::quiet_NaN();

const std::map<std::string, std::string> digests = {
    {"float16", "c284f59fb8d6f183711fb0ff9d5264840728d596235e3533100af888ab353be3"},
    {"bfloat16", "e0cd29370cee1f486864ea6363f55bf4edfeb1e9dd9822556da5b87bb3e01daa"},
    {"float8_e4m3fn", "edcc24c5a45ead65281738e50da84b332de6f2169ba6319cdd160516d879f827"},
    {"float8_e4m3fn saturated", "f56f2a66c2387554b224757cbbc34813925e97e43cfcfc78842ffdd87a670b3f"},
    {"float8_e4m3fn values", "f275e267d1b70f2c583fa6b5c47be61348a1aa22f7aa676cc5a0fb66798646a5"},
    {"float8_e4m3fnuz", "9d9fdfca922784d41ad2b79a148568c4a6bc331f199dd2e36bf510c463e77e97"},
    {"float8_e4m3fnuz saturated", "2a62a6a4a39cc5fd45f8cfaffc1d24da070296a40eff571bfdc4f7c18504da2d"},
    {"float8_e4m3fnuz values", "d7301e919505143c3f708cfc6d6395111c5498b65c18ca6a2e10522c7fb68c7a"},
    {"float8_e5m2", "cdaeb9feb62d596631289017d80adad1b515d03544f3560e1d78bce8b02258e9"},
    {"float8_e5m2 saturated", "2b06ad22dfff904a7f42db1ba9de7b07d0afface950743eaa60ba3389336e990"},
    {"float8_e5m2 values", "57efec4fe37066568dbeebe9133167e7145d3444b34fdc0064fc4da33f4f1b2b"},
    {"float8_e5m2fnuz", "2937500cbf356d2234f2a077f7ca1f913cd86c57c265d6e06acf44b7c626150f"},
    {"float8_e5m2fnuz saturated", "9a225df790d84b399468cabc4c37ada3b0bc19cf1cab73c7a7ce1cd409268dff"},
    {"float8_e5m2fnuz values", "3ea7f79efd79dafc0f888ebd3f4f16ea90c9047b162f3097ef0c0f9a5f8d8fd8"},
    {"float4_e2m1fn", "e3f2d33553bac00619a963236c167953cd10da9fb5266eb188a3853b54f8eb23"},
    {"float8_e8m0 up", "2554a2fae5891311c03dbe0aef3bd18d4abcd60f8d3e91335cc6ba1f462f4dba"},
    {"float8_e8m0 saturated up", "d2a13c570655a51106787dacdafab869b23a55ff94372b40931bb52cbb97aec3"},
    {"float8_e8m0 down", "14f6d428c2d830efb8f0c623a1bebfac1355c5d8423f4ab500c4fc88a9d9754e"},
    {"float8_e8m0 saturated down", "14f6d428c2d830efb8f0c623a1bebfac1355c5d8423f4ab500c4fc88a9d9754e"},
    {"float8_e8m0 nearest", "6fc26d562b4ebff9761ae6c6a2214bdde20d5c585c50dc773df533e5a06e9fa6"},
    {"float8_e8m0 saturated nearest", "686069cb9eb19448bc911dcf2b8297bdb6a3d607ada46f4ad480f6f957102f43"},
};

// Every upper half of a float with lower halves around the ties, without NaN.
const std::vector<float>& floats() {
  static const std::vector<float> all = [] {
    std::vector<float> values;
    for (const std::uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      for (std::uint32_t high = 0; high < 65536; ++high) {
        const auto value = std::bit_cast<float>(high << 16 | low);
        if (!std::isnan(value)) values.push_back(value);
      }
    }
    return values;
  }();
  return all;
}

template <typename T>
std::string digest(const std::vector<T>& values) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(values)));
  return hash.hex();
}

// The digest of the codes that `convert` makes of the floats it is given.
template <typename Convert>
std::string digest_of(const std::vector<float>& values, const Convert& convert) {
  std::vector<std::remove_const_t<decltype(convert(1.0f))>> codes;
  codes.reserve(values.size());
  for (const float value : values) codes.push_back(convert(value));
  return digest(codes);
}

// Checks a float8 type: every code comes back from its value, and conversions agree with the reference.
template <typename T, typename Convert>
void check_float8(const std::string& name, const Convert& convert) {
  std::vector<float> values;
  for (int code = 0; code < 256; ++code) {
    const T number{static_cast<std::uint8_t>(code)};
    const float value = to_float(number);
    if (!std::isnan(value)) {
      values.push_back(value);
      CHECK(convert(value, false).bits == code);
      if (!std::isinf(value)) CHECK(convert(value, true).bits == code);
    } else {
      CHECK(std::isnan(to_float(convert(value, false))));
      CHECK(std::isnan(to_float(convert(value, true))));
      CHECK(std::signbit(to_float(convert(value, true))) == std::signbit(value));
    }
  }
  CHECK(digest(values) == digests.at(name + " values"));
  CHECK(digest_of(floats(), [&](float value) { return convert(value, false).bits; }) == digests.at(name));
  CHECK(digest_of(floats(), [&](float value) { return convert(value, true).bits; }) == digests.at(name + " saturated"));
}

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

}  // namespace

TEST_CASE("every float16 comes back, a signaling NaN as a quiet one") {
  for (std::uint32_t code = 0; code < 65536; ++code) {
    const float16 half{static_cast<std::uint16_t>(code)};
    const bool is_nan = (code & 0x7fff) > 0x7c00;
    const float value = to_float(half);
    REQUIRE(std::isnan(value) == is_nan);
    REQUIRE(to_float16(value).bits == (is_nan ? code | 0x200 : code));
    REQUIRE(to_float16(static_cast<double>(value)).bits == (is_nan ? code | 0x200 : code));
    if (!is_nan && (code & 0x7fff) != 0x7c00) {
      const int exponent = static_cast<int>(code >> 10 & 0x1f);
      const double fraction = static_cast<double>(code & 0x3ff) / 1024;
      const double magnitude = exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15);
      REQUIRE(value == (code & 0x8000 ? -magnitude : magnitude));
      REQUIRE(std::signbit(value) == ((code & 0x8000) != 0));
    }
  }
}

TEST_CASE("floats become halves as in numpy") {
  CHECK(digest_of(floats(), [](float value) { return to_float16(value).bits; }) == digests.at("float16"));
  CHECK(to_float16(65504.0f).bits == 0x7bff);
  CHECK(to_float16(65519.99f).bits == 0x7bff);
  CHECK(to_float16(65520.0f).bits == 0x7c00);  // a tie, and the even neighbour is infinity
  CHECK(to_float16(0x1p-25f).bits == 0);       // a tie with zero
  CHECK(to_float16(0x1.000002p-25f).bits == 1);
  CHECK(to_float16(-0.0f).bits == 0x8000);
}

TEST_CASE("a double is rounded once") {
  // Just above the tie of 1 and the next half; by way of float it would be the tie, and go down.
  const double above = 1 + 0x1p-11 + 0x1p-40;
  CHECK(to_float16(static_cast<float>(above)).bits == 0x3c00);
  CHECK(to_float16(above).bits == 0x3c01);
  CHECK(to_bfloat16(1 + 0x1p-8 + 0x1p-40).bits == 0x3f81);
  CHECK(to_bfloat16(1 + 0x1p-8).bits == 0x3f80);
  CHECK(to_float8e4m3fn(1 + 0x1p-4 + 0x1p-40).bits == 0x39);
  CHECK(to_float16(1e300).bits == 0x7c00);
  CHECK(to_bfloat16(-1e300).bits == 0xff80);
  CHECK(to_float16(5e-324).bits == 0);
  CHECK(to_bfloat16(0x1p-133).bits == 1);  // the least bfloat16
  CHECK(to_bfloat16(0x1p-134).bits == 0);
}

TEST_CASE("every bfloat16 comes back, and floats become bfloat16 as in ml_dtypes") {
  for (std::uint32_t code = 0; code < 65536; ++code) {
    const float value = to_float(bfloat16{static_cast<std::uint16_t>(code)});
    REQUIRE(bits(value) == code << 16);
    const bool is_nan = (code & 0x7fff) > 0x7f80;
    REQUIRE(to_bfloat16(value).bits == (is_nan ? code | 0x40 : code));
    if (!is_nan) REQUIRE(to_bfloat16(static_cast<double>(value)).bits == code);
  }
  CHECK(digest_of(floats(), [](float value) { return to_bfloat16(value).bits; }) == digests.at("bfloat16"));
  CHECK(digest_of(floats(), [](float value) { return to_bfloat16(static_cast<double>(value)).bits; }) ==
        digests.at("bfloat16"));
  // The payload of a NaN may lie in the bits that are cut.
  CHECK(to_bfloat16(std::bit_cast<float>(0x7f800001u)).bits == 0x7fc0);
}

TEST_CASE("arrays have the bits of numbers one by one, whatever their length") {
  std::vector<float> values = floats();
  for (const std::uint32_t pattern : {0x7f800001u, 0x7fc00000u, 0xff812345u, 0xffffffffu, 0x7fa00000u}) {
    values.insert(values.begin(), std::bit_cast<float>(pattern));
  }
  std::vector<float16> halves(values.size());
  std::vector<bfloat16> brains(values.size());
  to_float16(values.data(), halves.data(), static_cast<std::int64_t>(values.size()));
  to_bfloat16(values.data(), brains.data(), static_cast<std::int64_t>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    REQUIRE(halves[i].bits == to_float16(values[i]).bits);
    REQUIRE(brains[i].bits == to_bfloat16(values[i]).bits);
  }

  std::vector<float16> all_halves(65536);
  std::vector<bfloat16> all_brains(65536);
  for (std::uint32_t code = 0; code < 65536; ++code) {
    all_halves[code].bits = all_brains[code].bits = static_cast<std::uint16_t>(code);
  }
  std::vector<float> from_halves(65536), from_brains(65536);
  to_float(all_halves.data(), from_halves.data(), 65536);
  to_float(all_brains.data(), from_brains.data(), 65536);
  for (std::uint32_t code = 0; code < 65536; ++code) {
    REQUIRE(bits(from_halves[code]) == bits(to_float(all_halves[code])));
    REQUIRE(bits(from_brains[code]) == bits(to_float(all_brains[code])));
  }

  for (std::int64_t count = 0; count < 20; ++count) {
    std::vector<float> few(21, -7);
    to_float(all_halves.data() + 0x3c00, few.data(), count);
    std::vector<float16> back(21, float16{77});
    to_float16(few.data(), back.data(), count);
    for (std::size_t i = 0; i < 21; ++i) {
      const bool inside = static_cast<std::int64_t>(i) < count;
      CHECK(few[i] == (inside ? to_float(all_halves[0x3c00 + i]) : -7));
      CHECK(back[i].bits == (inside ? 0x3c00 + i : 77));
    }
  }
}

TEST_CASE("float8e4m3fn") { check_float8<float8e4m3fn>("float8_e4m3fn", to_float8e4m3fn); }
TEST_CASE("float8e4m3fnuz") { check_float8<float8e4m3fnuz>("float8_e4m3fnuz", to_float8e4m3fnuz); }
TEST_CASE("float8e5m2") { check_float8<float8e5m2>("float8_e5m2", to_float8e5m2); }
TEST_CASE("float8e5m2fnuz") { check_float8<float8e5m2fnuz>("float8_e5m2fnuz", to_float8e5m2fnuz); }

TEST_CASE("float8 out of range, as the tables of Cast say") {
  struct Row {
    double value;
    int e4m3fn, e4m3fnuz, e5m2, e5m2fnuz;
  };
  for (const Row& row : {Row{0.0, 0, 0, 0, 0}, Row{-0.0, 0x80, 0, 0x80, 0}, Row{not_a_number, 0x7f, 0x80, 0x7e, 0x80},
                         Row{infinity, 0x7e, 0x7f, 0x7b, 0x7f}, Row{-infinity, 0xfe, 0xff, 0xfb, 0xff},
                         Row{1e6, 0x7e, 0x7f, 0x7b, 0x7f}, Row{-1e6, 0xfe, 0xff, 0xfb, 0xff}}) {
    INFO(row.value);
    CHECK(to_float8e4m3fn(row.value).bits == row.e4m3fn);
    CHECK(to_float8e4m3fnuz(row.value).bits == row.e4m3fnuz);
    CHECK(to_float8e5m2(row.value).bits == row.e5m2);
    CHECK(to_float8e5m2fnuz(row.value).bits == row.e5m2fnuz);
  }
  for (const Row& row :
       {Row{0.0, 0, 0, 0, 0}, Row{-0.0, 0x80, 0, 0x80, 0}, Row{not_a_number, 0x7f, 0x80, 0x7e, 0x80},
        Row{-not_a_number, 0xff, 0x80, 0xfe, 0x80}, Row{infinity, 0x7f, 0x80, 0x7c, 0x80},
        Row{-infinity, 0xff, 0x80, 0xfc, 0x80}, Row{1e6, 0x7f, 0x80, 0x7c, 0x80}, Row{-1e6, 0xff, 0x80, 0xfc, 0x80}}) {
    INFO(row.value);
    CHECK(to_float8e4m3fn(row.value, false).bits == row.e4m3fn);
    CHECK(to_float8e4m3fnuz(row.value, false).bits == row.e4m3fnuz);
    CHECK(to_float8e5m2(row.value, false).bits == row.e5m2);
    CHECK(to_float8e5m2fnuz(row.value, false).bits == row.e5m2fnuz);
  }
  // Out of range is what is so after rounding: 464 lies midway between 448 and what would be 480.
  CHECK(to_float8e4m3fn(464, false).bits == 0x7e);
  CHECK(to_float8e4m3fn(464.1, false).bits == 0x7f);
}

TEST_CASE("float8e8m0 is a power of two") {
  for (int code = 0; code < 255; ++code) {
    const float value = to_float(float8e8m0{static_cast<std::uint8_t>(code)});
    CHECK(value == std::ldexp(1.0f, code - 127));
    for (const int mode : {0, 1, 2}) CHECK(to_float8e8m0(value, false, mode).bits == code);
  }
  CHECK(std::isnan(to_float(float8e8m0{0xff})));
  std::vector<float> normal;
  std::copy_if(floats().begin(), floats().end(), std::back_inserter(normal),
               [](float value) { return value >= 0x1p-126f && std::isfinite(value); });
  const char* const modes[] = {"up", "down", "nearest"};
  for (const int mode : {0, 1, 2}) {
    CHECK(digest_of(normal, [&](float value) { return to_float8e8m0(value, false, mode).bits; }) ==
          digests.at(std::string("float8_e8m0 ") + modes[mode]));
    CHECK(digest_of(normal, [&](float value) { return to_float8e8m0(value, true, mode).bits; }) ==
          digests.at(std::string("float8_e8m0 saturated ") + modes[mode]));
  }
}

TEST_CASE("float8e8m0 out of range, as the table of Cast says") {
  const auto saturated = [](double value) { return to_float8e8m0(value, true, 0).bits; };
  const auto plain = [](double value) { return to_float8e8m0(value, false, 2).bits; };
  CHECK(saturated(0) == 0);
  CHECK(saturated(not_a_number) == 0xff);
  CHECK(saturated(infinity) == 0xfe);
  CHECK(saturated(0x1p128) == 0xfe);
  CHECK(saturated(0x1.1p127) == 0xfe);
  CHECK(saturated(0x1p-140) == 0);
  CHECK(saturated(0x1.1p-127) == 1);  // subnormal in float
  CHECK(plain(0) == 0xff);
  CHECK(plain(not_a_number) == 0xff);
  CHECK(plain(infinity) == 0xff);
  CHECK(plain(0x1p128) == 0xff);
  CHECK(plain(0x1p-140) == 0xff);
  CHECK(plain(1.5) == 128);  // ties go up
  CHECK(plain(0x1.7ffffep0) == 127);
  CHECK(saturated(-4) == saturated(4));
}

TEST_CASE("float4e2m1") {
  const float values[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (int code = 0; code < 16; ++code) {
    const float value = float4e2m1_to_float(static_cast<std::uint8_t>(code));
    CHECK(value == (code < 8 ? values[code] : -values[code - 8]));
    CHECK(std::signbit(value) == (code >= 8));
    CHECK(to_float4e2m1(value) == code);
    CHECK(float4e2m1_to_float(static_cast<std::uint8_t>(code | 0xf0)) == value);
  }
  CHECK(digest_of(floats(), to_float4e2m1) == digests.at("float4_e2m1fn"));
  CHECK(to_float4e2m1(infinity) == 7);
  CHECK(to_float4e2m1(-1000) == 15);
  CHECK(float4e2m1_to_float(to_float4e2m1(not_a_number)) == 0);
}
