#include "exec/reference/list.h"

#include <vector>

namespace hone::exec {

std::span<const std::span<const KernelEntry>> reference_kernels() {
  static const std::vector<std::span<const KernelEntry>> families = {
      control_flow_kernels(),
      identity_kernels(),
  };
  return families;
}

}  // namespace hone::exec
