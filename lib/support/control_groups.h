// The control groups (cgroups, versions 1 and 2) of the process: what a container may use of its machine.
#pragma once

#include <string>
#include <vector>

namespace hone {

struct ControlGroup {
  std::string folder;  // of its files
  bool version2;
};

// The groups that the controller ("cpu", "memory") holds the process in, each with all above it. `membership` is what
// /proc/self/cgroup says, `root` where control groups are mounted (/sys/fs/cgroup).
std::vector<ControlGroup> control_groups(const std::string& membership, const std::string& root,
                                         const std::string& controller);

// All of a file that the kernel makes; empty if it can't be read.
std::string kernel_file(const std::string& path);

}  // namespace hone
