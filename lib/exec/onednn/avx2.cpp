#include "exec/onednn/avx2.h"

#include <oneapi/dnnl/dnnl.hpp>

namespace hone::exec::onednn {

bool has_avx2() {
#ifdef HONE_HAS_AVX2
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
#else
  return false;
#endif
}

bool has_avx512() {
#ifdef HONE_HAS_AVX2
  // oneDNN asks for the same parts of AVX-512, and may have been told to do without it.
  static const bool has = [] {
    constexpr auto wanted = static_cast<unsigned>(dnnl::cpu_isa::avx512_core);
    return has_avx2() && (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & wanted) == wanted;
  }();
  return has;
#else
  return false;
#endif
}

bool has_only_avx2() { return has_avx2() && !has_avx512(); }

}  // namespace hone::exec::onednn
