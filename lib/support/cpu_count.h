// How many CPUs the process may use.
#pragma once

#include <string>

namespace hone {

// The CPUs of the affinity mask, or fewer where a control group limits the process: a container given 2 CPUs of 64
// shows all 64, and 64 threads there are slower than 2.
int usable_cpus();

// The limit of the control groups in whole CPUs, rounded up; 0 when there is none. `membership` is what
// /proc/self/cgroup says, `root` where control groups are mounted (/sys/fs/cgroup). Versions 1 and 2.
int cgroup_cpus(const std::string& membership, const std::string& root);

}  // namespace hone
