// Sums of products of 8-bit codes by oneDNN's own primitives. Where the CPU has AMX or VNNI they add products of u8 by s8 in 32
// bits, and so are exact; elsewhere they saturate, and are not used (byte_way.h). What becomes of the sums is for
// finish_tile(), so that results are those of the kernels of our own, bit by bit.
#pragma once

#include <string>

#include "exec/onednn/runtime.h"

namespace hone::exec::onednn {

class IntegerPrimitive {
 public:
  IntegerPrimitive() = default;
  // Codes [rows, depth] by constant weights [depth, columns].
  static IntegerPrimitive product(std::int64_t rows, std::int64_t depth, std::int64_t columns);
  // Codes [height, width, channels] without padding by weights [group, out_channels / group, channels / group, kernel].
  struct Window {
    std::int64_t group = 1, channels = 0, out_channels = 0, height = 0, width = 0, out_height = 0, out_width = 0;
    std::int64_t kernel_h = 1, kernel_w = 1, step_h = 1, step_w = 1, apart_h = 1, apart_w = 1;
  };
  static IntegerPrimitive convolution(const Window& window);

  explicit operator bool() const { return static_cast<bool>(call_); }  // false: oneDNN has nothing fast
  const std::string& name() const { return name_; }
  // The weights in the primitive's own order, from row-major ones.
  template <typename Fill>
  const void* pack(PackedWeights& packed, Fill&& fill) const {
    return packed.get(weights_, plain_, std::forward<Fill>(fill));
  }
  std::uint64_t scratch_bytes() const { return call_ ? scratchpad_.get_size() : 0; }
  // Row-major sums, places before channels.
  void run(const std::uint8_t* codes, const void* weights, std::byte* scratch, std::int32_t* sums);

 private:
  template <typename Primitive>
  void take(const typename Primitive::primitive_desc& desc);

  Call call_;
  Desc codes_, weights_, plain_, sums_, scratchpad_;
  std::string name_;
};

}  // namespace hone::exec::onednn
