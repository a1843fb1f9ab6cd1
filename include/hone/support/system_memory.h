// How much memory the process may still take.
#pragma once

#include <cstdint>
#include <string>

namespace hone {

// Bytes that the machine has available for new work (free, or caches that give way; no swap), or fewer where a control
// group limits the process; 0 where neither can be told.
std::uint64_t available_memory();

// What the control groups leave, file caches counted as free; 0 without a limit, 1 where nothing is left. `membership` is
// what /proc/self/cgroup says, `root` where control groups are mounted (/sys/fs/cgroup). Versions 1 and 2.
std::uint64_t cgroup_memory(const std::string& membership, const std::string& root);

}  // namespace hone
