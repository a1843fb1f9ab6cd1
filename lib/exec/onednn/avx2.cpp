#include "exec/onednn/avx2.h"

namespace hone::exec::onednn {

bool has_avx2() {
#ifdef HONE_HAS_AVX2
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
#else
  return false;
#endif
}

bool has_only_avx2() {
#ifdef HONE_HAS_AVX2
  static const bool more = __builtin_cpu_supports("avx512f");
  return has_avx2() && !more;
#else
  return false;
#endif
}

}  // namespace hone::exec::onednn
