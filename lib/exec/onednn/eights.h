// Between row-major memory and blocks of 8 channels (nChw8c), without a primitive that would have to be made for the shape.
#pragma once

#include <optional>

#include "exec/onednn/runtime.h"

namespace hone::exec::onednn {

// [batch, channels / 8, places, 8]; only where channels fill the blocks.
struct Eights {
  std::int64_t blocks = 0, places = 0;  // blocks of all images
};

// Blocks of 8 or 16 channels.
Desc channel_blocks(std::span<const std::int64_t> dims, std::int64_t block);
inline Desc eights(std::span<const std::int64_t> dims) { return channel_blocks(dims, 8); }
// Float32 in that layout, on a CPU that has code for it.
std::optional<Eights> as_eights(const Desc& desc);

void pack_eights(const Eights& shape, const float* row_major, float* blocked);
void unpack_eights(const Eights& shape, const float* blocked, float* row_major);

}  // namespace hone::exec::onednn
