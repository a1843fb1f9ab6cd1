// Threads: how many, loops over ranges, interrupts.
//
// Not handled: work stealing between ranges, nested parallelism, CPU affinity of single threads.
#include "hone/support/threads.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <functional>
#include <limits>

#include "hone/support/error.h"
#include "hone/support/waking.h"
#include "support/cpu_count.h"

namespace hone {
namespace {

std::atomic<int> wanted{0};
std::atomic<int> caught{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler sets it");

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// How much longer parallel loops took than their threads need for their shares, an average over the last ones; and when that
// was measured last, in seconds since the first look at the clock.
std::atomic<float> lateness{0};
std::atomic<double> measured{-1};
const Clock::time_point clock_start = Clock::now();

// Replaces `kept` by `value` where that is better.
template <typename Better>
void keep(std::atomic<float>& kept, float value, Better better) {
  float known = kept.load(std::memory_order_relaxed);
  while (better(value, known) && !kept.compare_exchange_weak(known, value, std::memory_order_relaxed)) {
  }
}

int available() {
  static const int count = usable_cpus();
  return count;
}

}  // namespace

void set_threads(int count) { wanted = std::max(count, 0); }

int threads() {
  const int set = wanted.load(std::memory_order_relaxed);
  const int count = set > 0 ? set : available();
#ifdef _OPENMP
  // A setting of the calling thread, which may be a new one.
  if (!omp_in_parallel() && omp_get_max_threads() != count) omp_set_num_threads(count);
#endif
  return count;
}

void parallel_for(std::int64_t count, std::int64_t grain, const std::function<void(std::int64_t, std::int64_t)>& body) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
#ifdef _OPENMP
  const std::int64_t most = count <= grain || omp_in_parallel() ? 1 : threads();
  if (most > 1) {
    const std::int64_t length = std::max(grain, (count - 1) / most + 1);
    const std::int64_t ranges = (count - 1) / length + 1;
    std::exception_ptr error;
    std::atomic<bool> failed{false};
    std::atomic<float> fastest{std::numeric_limits<float>::max()}, slowest{0};  // seconds of a range
    const auto begun = Clock::now();
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(ranges))
    for (std::int64_t range = 0; range < ranges; ++range) {
      if (failed.load(std::memory_order_relaxed)) continue;
      try {
        const std::int64_t begin = range * length, end = std::min(count, begin + length);
        const auto start = Clock::now();
        body(begin, end);
        const auto needed = static_cast<float>(seconds_since(start));
        keep(slowest, needed, std::greater<>());
        if (end - begin == length) keep(fastest, needed, std::less<>());
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
    // Unequal shares are not lateness; but what takes much longer than others was kept from its processor.
    const double needed = static_cast<double>(std::min(slowest.load(), 2 * fastest.load()));
    if (!failed) record_lateness(std::max(0.0, seconds_since(begun) - 1.125 * needed));
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  body(0, count);
}

void record_lateness(double seconds) {
  const float old = lateness.load(std::memory_order_relaxed);
  lateness.store(old + (static_cast<float>(seconds) - old) / 16, std::memory_order_relaxed);
  measured.store(seconds_since(clock_start), std::memory_order_relaxed);
}

int worthwhile_threads(double seconds) {
  const int count = threads();
  if (count == 1) return 1;
  if (seconds < least_worthwhile) return 1;
  // Looked at again when that costs no more than some tenth of the time since.
  const double stale = std::max(0.002, 20 * static_cast<double>(lateness.load(std::memory_order_relaxed)));
  const double last = measured.load(std::memory_order_relaxed);
  if (last < 0 || seconds_since(clock_start) - last > stale) {
    // What counts is how late threads are that are awake, as they are from loop to loop. Those that slept while loops ran on
    // one thread would be late each time they are asked, and never be taken again.
#ifdef _OPENMP
#pragma omp parallel num_threads(count)
    {}
#endif
    // A long wait is rare on a machine that nobody else uses, and soon forgotten; elsewhere the next one ends this.
    for (int i = 0; i < 8; ++i) {
      const auto start = Clock::now();
      parallel_for(count, 1, [](std::int64_t, std::int64_t) {});
      if (seconds_since(start) > least_worthwhile) break;
    }
  }
  const double saved = seconds * (1 - 1.0 / count);
  return saved > static_cast<double>(lateness.load(std::memory_order_relaxed)) ? count : 1;
}

void request_interrupt(int signal) { caught.store(signal, std::memory_order_relaxed); }
int interrupt_signal() { return caught.load(std::memory_order_relaxed); }

void check_interrupt() {
  const int signal = interrupt_signal();
  if (signal == 0) return;
  fail(ErrorKind::interrupted, "{}",
       signal == SIGINT    ? "interrupted (SIGINT)"
       : signal == SIGTERM ? "terminated (SIGTERM)"
                           : fmt::format("stopped by signal {}", signal));
}

}  // namespace hone
