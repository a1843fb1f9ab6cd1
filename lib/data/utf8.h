// Code points in UTF-8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hone::data {

// False, and nothing added, for what is not a Unicode scalar value.
bool append_utf8(std::string& text, std::uint32_t point);
// The code points; nullopt if the text is not valid UTF-8.
std::optional<std::u32string> decode_utf8(std::string_view text);

}  // namespace hone::data
