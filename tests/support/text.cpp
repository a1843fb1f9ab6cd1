#include "hone/support/text.h"

#include <catch2/catch.hpp>
#include <limits>

using hone::parse_size;
using Pieces = std::vector<std::string_view>;

TEST_CASE("split keeps empty pieces") {
  CHECK(hone::split("a,b", ',') == Pieces{"a", "b"});
  CHECK(hone::split("", ',') == Pieces{""});
  CHECK(hone::split(",a,", ',') == Pieces{"", "a", ""});
}

TEST_CASE("join and trim") {
  CHECK(hone::join(std::vector<std::string>{"a", "", "b"}, ", ") == "a, , b");
  CHECK(hone::join(std::vector<std::string_view>{}, ", ").empty());
  CHECK(hone::trim(" \t a b\r\n") == "a b");
  CHECK(hone::trim(" \n").empty());
}

TEST_CASE("integers are read whole or not at all") {
  CHECK(hone::parse_int64("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  CHECK(hone::parse_int64("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  CHECK(hone::parse_uint64("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
  for (const char* bad : {"", "-", "+1", " 1", "1 ", "0x10", "1.0", "1e3", "9223372036854775808", "12a"}) {
    INFO(bad);
    CHECK_FALSE(hone::parse_int64(bad));
  }
  CHECK_FALSE(hone::parse_uint64("-1"));
  CHECK_FALSE(hone::parse_uint64("18446744073709551616"));
}

TEST_CASE("doubles are read whole or not at all") {
  CHECK(hone::parse_double("0.1") == 0.1);
  CHECK(hone::parse_double("-1e-300") == -1e-300);
  CHECK(hone::parse_double("inf") == std::numeric_limits<double>::infinity());
  CHECK(std::isnan(hone::parse_double("nan").value()));
  for (const char* bad : {"", ".", "1,5", "1e999", "1 ", "+1", "0x1p3", "1f"}) {
    INFO(bad);
    CHECK_FALSE(hone::parse_double(bad));
  }
}

TEST_CASE("sizes with units") {
  CHECK(parse_size("0") == 0u);
  CHECK(parse_size("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
  CHECK(parse_size("7B") == 7u);
  CHECK(parse_size("64k") == 64000u);
  CHECK(parse_size("512MB") == 512000000u);
  CHECK(parse_size("1GiB") == std::uint64_t{1} << 30);
  CHECK(parse_size("1.5 gib") == 3u * (std::uint64_t{1} << 29));
  CHECK(parse_size("2Ti") == std::uint64_t{2} << 40);
  CHECK(parse_size("0.0005kB") == 0u);
  for (const char* bad : {"", "MB", "-1", "1 MB x", "1XB", "1MBB", "1.2.3MB", "1e3", "nan", "18446744073709551616",
                          "20000000TB", "1 iB", "1mi b"}) {
    INFO(bad);
    CHECK_FALSE(parse_size(bad));
  }
}

TEST_CASE("sizes for people") {
  CHECK(hone::human_bytes(0) == "0 bytes");
  CHECK(hone::human_bytes(1) == "1 byte");
  CHECK(hone::human_bytes(999) == "999 bytes");
  CHECK(hone::human_bytes(1000) == "1.0 kB");
  CHECK(hone::human_bytes(9949) == "9.9 kB");
  CHECK(hone::human_bytes(9950) == "10 kB");
  CHECK(hone::human_bytes(999499) == "999 kB");
  CHECK(hone::human_bytes(999500) == "1.0 MB");
  CHECK(hone::human_bytes(438000000) == "438 MB");
  CHECK(hone::human_bytes(std::numeric_limits<std::uint64_t>::max()) == "18 EB");
}

TEST_CASE("edit distance counts changes, additions, losses and swaps") {
  CHECK(hone::edit_distance("", "abc") == 3);
  CHECK(hone::edit_distance("abc", "") == 3);
  CHECK(hone::edit_distance("kitten", "sitting") == 3);
  CHECK(hone::edit_distance("sparsity", "sparisty") == 1);
  CHECK(hone::edit_distance("ca", "abc") == 3);  // a swapped pair is not edited again
}

TEST_CASE("the nearest name is suggested, and only when it is near") {
  const std::vector<std::string> names = {"fold", "fuse-conv-bn", "eliminate-where", "eliminate-cast"};
  CHECK(hone::nearest("fuse-conv-nb", names) == "fuse-conv-bn");
  CHECK(hone::nearest("Eliminate_Where", names) == "eliminate-where");
  CHECK(hone::nearest("fol", names) == "fold");
  CHECK(hone::nearest("x", names).empty());
  CHECK(hone::nearest("fuse", names).empty());
  CHECK(hone::nearest("quantize", names).empty());
  CHECK(hone::nearest("a1", std::vector<std::string>{"a2", "a3"}) == "a2");  // the first of equals
  CHECK(hone::nearest("a", std::vector<std::string>{"b"}).empty());          // nothing in common
}

TEST_CASE("UTF-8 is checked as the standard says") {
  using std::string_view_literals::operator""sv;
  for (const auto good : {""sv, "a\0b"sv, "é"sv, "層"sv, "\U0001f600"sv, "\xf4\x8f\xbf\xbf"sv, "\xed\x9f\xbf"sv}) {
    INFO(good);
    CHECK(hone::is_utf8(good));
  }
  for (const auto bad : {"\x80"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv, "\xf0\x8f\xbf\xbf"sv,
                         "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xe5\xb1\xa4"sv.substr(0, 2), "a\xff"sv,
                         "\x90\x80"sv, "\xc3("sv}) {
    INFO(bad);
    CHECK_FALSE(hone::is_utf8(bad));
  }
}

TEST_CASE("decoding moves past what it read and stays before what it can't") {
  std::size_t at = 1;
  CHECK(hone::decode_utf8("a層b", at) == U'層');
  CHECK(at == 4);
  at = 0;
  CHECK_FALSE(hone::decode_utf8("\xff", at));
  CHECK(at == 0);
  CHECK_FALSE(hone::decode_utf8("", at));
}
