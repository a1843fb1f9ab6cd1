// Small work on text: cutting, joining, strict numbers, sizes for people, suggestions, UTF-8.
//
// Numbers are read whole or not at all: no leading or trailing blanks, no '+', no locale, no silent clamping.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

// The pieces between separators: one more than there are separators, empty ones too. Views into `text`.
std::vector<std::string_view> split(std::string_view text, char separator);
// Without blanks, tabs and line ends at both ends.
std::string_view trim(std::string_view text);
std::string join(std::span<const std::string> pieces, std::string_view separator);
std::string join(std::span<const std::string_view> pieces, std::string_view separator);
// ASCII letters only.
std::string lowercase(std::string_view text);

std::optional<std::int64_t> parse_int64(std::string_view text);
std::optional<std::uint64_t> parse_uint64(std::string_view text);
// Decimal or with an exponent; "inf" and "nan" are numbers, a value too large for a double is not.
std::optional<double> parse_double(std::string_view text);

// "4096", "512MB", "1.5 GiB", "64k": B, k/M/G/T with or without B for powers of 1000, Ki/Mi/Gi/Ti with or without B for
// powers of 1024; any case. Rounded down to whole bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);
// "17 bytes", "4.2 MB", "1.5 GB": powers of 1000, two digits at least.
std::string human_bytes(std::uint64_t bytes);

// The candidate that `name` was most likely meant to be: the least number of letters changed, added, dropped or
// swapped with the next, at most a third of the name's length and at least one; empty when there is none. The first of
// equals.
std::string nearest(std::string_view name, std::span<const std::string> candidates);
std::size_t edit_distance(std::string_view a, std::string_view b);

// The code point at `at`, which moves past it; none and `at` unmoved for bytes that are not UTF-8 (too long an encoding,
// surrogates, beyond U+10FFFF, cut off) and at the end.
std::optional<char32_t> decode_utf8(std::string_view text, std::size_t& at);
bool is_utf8(std::string_view text);

}  // namespace hone
