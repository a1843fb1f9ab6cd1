// Whether other threads are worth waking. A thread that sleeps takes some 50 microseconds to come; on a machine that others
// use it may take milliseconds, and whoever calls waits at the end of the loop.
//
// Only for work whose result does not depend on the number of threads: what this says depends on the machine's load.
#pragma once

namespace hone {

// Below so many seconds of work handing out costs what it saves.
inline constexpr double least_worthwhile = 2e-5;

// For work of so many seconds on one thread: threads(), or 1 where threads came so late to the last parallel loops that they
// would only delay it.
int worthwhile_threads(double seconds);

// That a loop of somebody else's took so many seconds more than it does when all threads come in time. parallel_for() measures
// its own.
void record_lateness(double seconds);

}  // namespace hone
