// CRC-32C (Castagnoli), as TensorBoard's records have it. The distribution has no C++ library of it; zlib's and nettle's
// checksums are others.
#pragma once

#include <cstdint>
#include <string_view>

namespace hone::report {

std::uint32_t crc32c(std::string_view bytes);
// Rotated and shifted, since a checksum of data that hold checksums would be weak.
std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace hone::report
