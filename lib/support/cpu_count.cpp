// Counts the CPUs that affinity and control groups leave to the process.
//
// Not handled: CPU shares (weights), which don't limit a process on an idle machine.
#include "support/cpu_count.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "hone/support/text.h"
#include "support/control_groups.h"

namespace hone {
namespace {

std::optional<double> quota_over_period(std::string_view quota, std::string_view period) {
  const auto used = parse_int64(trim(quota));  // "max" or -1: no limit
  const auto of = parse_int64(trim(period));
  if (!used || !of || *used <= 0 || *of <= 0) return std::nullopt;
  return static_cast<double>(*used) / static_cast<double>(*of);
}

std::optional<double> limit_of(const ControlGroup& group) {
  if (!group.version2) {
    return quota_over_period(kernel_file(group.folder + "/cpu.cfs_quota_us"),
                             kernel_file(group.folder + "/cpu.cfs_period_us"));
  }
  const std::string both = kernel_file(group.folder + "/cpu.max");
  const std::vector<std::string_view> pieces = split(both, ' ');
  return pieces.size() == 2 ? quota_over_period(pieces[0], pieces[1]) : std::nullopt;
}

}  // namespace

int cgroup_cpus(const std::string& membership, const std::string& root) {
  std::optional<double> least;
  for (const ControlGroup& group : control_groups(membership, root, "cpu")) {
    if (const auto cpus = limit_of(group)) least = std::min(least.value_or(*cpus), *cpus);
  }
  if (!least) return 0;
  const auto whole = static_cast<std::int64_t>(std::min(*least, 1e6));
  return static_cast<int>(std::max<std::int64_t>(1, whole + (static_cast<double>(whole) < *least)));
}

int usable_cpus() {
  int count = 0;
  // The mask of a machine with more CPUs than a cpu_set_t holds needs a larger one.
  for (int room = 1024; room <= 1 << 16 && count == 0; room *= 4) {
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(room));
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(room));
    if (sched_getaffinity(0, bytes, set) == 0) count = CPU_COUNT_S(bytes, set);
    CPU_FREE(set);
  }
  if (count == 0) count = static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  const int limit = cgroup_cpus(kernel_file("/proc/self/cgroup"), "/sys/fs/cgroup");
  return limit > 0 ? std::min(count, limit) : count;
}

}  // namespace hone
