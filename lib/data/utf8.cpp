// UTF-8, both ways, as Unicode defines it: no surrogates, no longer form than needed, nothing past 0x10ffff.
#include "data/utf8.h"

namespace hone::data {
namespace {

bool is_scalar(std::uint32_t point) { return point < 0xd800 || (point > 0xdfff && point <= 0x10ffff); }

}  // namespace

bool append_utf8(std::string& text, std::uint32_t point) {
  if (!is_scalar(point)) return false;
  const auto add = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  const auto continuation = [&](int shift) { add(0x80 | (point >> shift & 0x3f)); };
  if (point < 0x80) {
    add(point);
  } else if (point < 0x800) {
    add(0xc0 | point >> 6);
    continuation(0);
  } else if (point < 0x10000) {
    add(0xe0 | point >> 12);
    continuation(6);
    continuation(0);
  } else {
    add(0xf0 | point >> 18);
    continuation(12);
    continuation(6);
    continuation(0);
  }
  return true;
}

std::optional<std::u32string> decode_utf8(std::string_view text) {
  std::u32string points;
  for (std::size_t at = 0; at < text.size();) {
    const auto first = static_cast<unsigned char>(text[at]);
    const int length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
    if (length == 0 || at + length > text.size()) return std::nullopt;
    std::uint32_t point = length == 1 ? first : first & (0x7f >> length);
    for (int i = 1; i < length; ++i) {
      const auto byte = static_cast<unsigned char>(text[at + i]);
      if (byte >> 6 != 2) return std::nullopt;
      point = point << 6 | (byte & 0x3f);
    }
    constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[length] || !is_scalar(point)) return std::nullopt;
    points += static_cast<char32_t>(point);
    at += length;
  }
  return points;
}

}  // namespace hone::data
