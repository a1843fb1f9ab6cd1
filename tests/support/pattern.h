// Bytes that differ with their place.
#pragma once

#include <cstddef>
#include <string>

namespace hone::testing {

inline std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 2654435761U >> 13);
  return bytes;
}

}  // namespace hone::testing
