// Reads what the kernel says about memory.
//
// Not handled: limits of address space (RLIMIT_AS), which the allocator reports by itself; memory that other processes are
// about to take.
#include "hone/support/system_memory.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "hone/support/text.h"
#include "support/control_groups.h"

namespace hone {
namespace {

// The number behind `key` in lines such as "MemAvailable:  123 kB" and "inactive_file 123".
std::optional<std::uint64_t> entry(std::string_view lines, std::string_view key) {
  for (std::string_view line : split(lines, '\n')) {
    if (!line.starts_with(key)) continue;
    line = trim(line.substr(key.size()));
    const auto number = parse_int64(line.substr(0, line.find(' ')));
    if (number && *number >= 0) return static_cast<std::uint64_t>(*number);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number(const std::string& path) {
  const std::string text = kernel_file(path);
  const auto value = parse_int64(trim(text));  // "max": no limit
  return value && *value >= 0 ? std::optional(static_cast<std::uint64_t>(*value)) : std::nullopt;
}

}  // namespace

std::uint64_t cgroup_memory(const std::string& membership, const std::string& root) {
  std::optional<std::uint64_t> least;
  for (const auto& [folder, version2] : control_groups(membership, root, "memory")) {
    const auto most = number(folder + (version2 ? "/memory.max" : "/memory.limit_in_bytes"));
    // Version 1 says that there is no limit with a number near 2^63.
    if (!most || *most >= std::uint64_t{1} << 60) continue;
    const std::uint64_t used = number(folder + (version2 ? "/memory.current" : "/memory.usage_in_bytes")).value_or(0);
    const std::uint64_t caches =
        entry(kernel_file(folder + "/memory.stat"), version2 ? "inactive_file " : "total_inactive_file ").value_or(0);
    const std::uint64_t held = used - std::min(used, caches);
    least = std::min(least.value_or(*most), *most - std::min(*most, held));
  }
  return least ? std::max<std::uint64_t>(1, *least) : 0;
}

std::uint64_t available_memory() {
  const std::uint64_t machine = entry(kernel_file("/proc/meminfo"), "MemAvailable:").value_or(0) * 1024;
  const std::uint64_t group = cgroup_memory(kernel_file("/proc/self/cgroup"), "/sys/fs/cgroup");
  return machine == 0 || group == 0 ? std::max(machine, group) : std::min(machine, group);
}

}  // namespace hone
