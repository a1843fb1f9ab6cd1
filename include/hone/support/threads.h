// The one compute pool: OpenMP's. oneDNN uses the same one.
#pragma once

#include <cstdint>
#include <functional>

namespace hone {

// 0: as many as the process may use, by its CPU affinity and the CPU quota of its control group; tools set it from
// --threads.
void set_threads(int count);
// How many; also tells OpenMP, for the calling thread, so that oneDNN calls that follow use as many.
int threads();

// Calls body(begin, end) for ranges that cover [0, count), on up to threads() threads, no range shorter than `grain`
// except the last. Serial when count <= grain, inside another parallel_for, or in a build without OpenMP. The cut into
// ranges depends on the thread count: a body that adds floating-point numbers across its range must not (use
// fixed-size blocks). The first exception is rethrown.
void parallel_for(std::int64_t count, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body);

// Set by the signal handlers of tools; long loops call check_interrupt(), which raises interrupted.
void request_interrupt(int signal);
int interrupt_signal();  // 0: none
void check_interrupt();

}  // namespace hone
