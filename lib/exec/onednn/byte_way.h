// How products of bytes, exact ones of u8 by s8, are computed on this CPU.
#pragma once

#include <optional>

namespace hone::exec::onednn {

enum class ByteWay {
  windows,      // byte_panels.h: AVX2, whose sums of 16 bits saturate
  vnni_panels,  // vnni_panels.h: AVX-512 with VNNI
  primitives,  // integer_primitive.h: oneDNN's, where they are exact and the CPU has other instructions for them (AMX, AVX-VNNI)
};
ByteWay byte_way();
// For tests: as if it were so. Weights of at most 64 saturate nowhere.
void assume_byte_way(std::optional<ByteWay> value);

}  // namespace hone::exec::onednn
