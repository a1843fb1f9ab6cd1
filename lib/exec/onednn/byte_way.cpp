#include "exec/onednn/byte_way.h"

#include <atomic>
#include <oneapi/dnnl/dnnl.hpp>

#include "exec/onednn/vnni_panels.h"

namespace hone::exec::onednn {
namespace {

std::atomic<int> assumed{-1};

ByteWay way_of_cpu() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx2_vnni:
    case dnnl::cpu_isa::avx2_vnni_2:
    case dnnl::cpu_isa::avx512_core_amx:
    case dnnl::cpu_isa::avx512_core_amx_fp16:
      return ByteWay::primitives;
    case dnnl::cpu_isa::avx512_core_vnni:
    case dnnl::cpu_isa::avx512_core_bf16:
    case dnnl::cpu_isa::avx512_core_fp16:
      return has_vnni_panels() ? ByteWay::vnni_panels : ByteWay::primitives;
    default:
      return ByteWay::windows;
  }
}

}  // namespace

ByteWay byte_way() {
  static const ByteWay way = way_of_cpu();
  const int value = assumed;
  return value < 0 ? way : static_cast<ByteWay>(value);
}

void assume_byte_way(std::optional<ByteWay> value) { assumed = value ? static_cast<int>(*value) : -1; }

}  // namespace hone::exec::onednn
