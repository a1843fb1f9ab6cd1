#include "hone/support/threads.h"

#include <sched.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "hone/support/error.h"
#include "hone/support/waking.h"
#include "support/cpu_count.h"
#include "temporary_folder.h"

namespace {

using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

Ranges ranges_of(std::int64_t count, std::int64_t grain) {
  Ranges ranges;
  std::mutex mutex;
  hone::parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    ranges.emplace_back(begin, end);
  });
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

struct Threads {
  explicit Threads(int count) { hone::set_threads(count); }
  ~Threads() { hone::set_threads(0); }
};

}  // namespace

TEST_CASE("ranges cover everything once, none shorter than the grain but the last") {
  for (const int threads : {1, 2, 3, 7}) {
    const Threads set(threads);
    for (const std::int64_t count : {0, 1, 2, 9, 10, 11, 100, 101}) {
      for (const std::int64_t grain : {0, 1, 10, 1000}) {
        INFO(threads << " threads, " << count << " items, grain " << grain);
        const Ranges ranges = ranges_of(count, grain);
        CHECK(ranges.size() <= static_cast<std::size_t>(threads));
        std::int64_t next = 0;
        for (const auto& [begin, end] : ranges) {
          CHECK(begin == next);
          CHECK(end > begin);
          if (end != count) CHECK(end - begin >= grain);
          next = end;
        }
        CHECK(next == count);
      }
    }
  }
}

#ifdef _OPENMP
TEST_CASE("threads are woken for work that is worth it, and where they come in time") {
  {
    const Threads one(1);
    CHECK(hone::worthwhile_threads(10) == 1);
  }
  const Threads set(3);
  CHECK(hone::worthwhile_threads(1e-6) == 1);
  CHECK(hone::worthwhile_threads(1e6) == 3);
}

TEST_CASE("work is shared between threads") {
  const Threads set(3);
  CHECK(ranges_of(90, 1).size() == 3);
  CHECK(ranges_of(20, 10).size() == 2);
}
#endif

TEST_CASE("a loop in a loop is serial") {
  const Threads set(4);
  std::atomic<int> bodies{0};
  hone::parallel_for(4, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      hone::parallel_for(1000, 1, [&](std::int64_t, std::int64_t) { ++bodies; });
    }
  });
  if (ranges_of(4, 1).size() == 4) CHECK(bodies == 4);
}

TEST_CASE("an exception leaves the loop") {
  for (const int threads : {1, 4}) {
    const Threads set(threads);
    CHECK_THROWS_WITH(hone::parallel_for(100, 1,
                                         [](std::int64_t, std::int64_t end) {
                                           if (end == 100) hone::bad_input("here");
                                         }),
                      "here");
  }
}

TEST_CASE("loops started from several threads don't disturb each other") {
  std::atomic<std::int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back(
        [&] { hone::parallel_for(1000, 1, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; }); });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(sum == 3000);
}

TEST_CASE("the thread count is the one set, or what the process may use") {
  {
    const Threads set(5);
    CHECK(hone::threads() == 5);
  }
  CHECK(hone::threads() >= 1);
  cpu_set_t set;
  REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
  CHECK(hone::threads() <= CPU_COUNT(&set));
  CHECK(hone::usable_cpus() == hone::threads());
}

TEST_CASE("the CPU quota of a control group limits the threads") {
  const hone::testing::TemporaryFolder root;
  const auto cpus = [&](const char* membership) { return hone::cgroup_cpus(membership, root.path()); };
  SECTION("none") {
    CHECK(cpus("0::/a/b\n") == 0);
    CHECK(cpus("") == 0);
    CHECK(cpus("nonsense") == 0);
  }
  SECTION("version 2: the least of the group and those above it, rounded up") {
    root.write("a/cpu.max", "150000 100000\n");
    root.write("a/b/cpu.max", "max 100000\n");
    CHECK(cpus("0::/a/b\n") == 2);
    root.write("a/b/cpu.max", "90000 100000\n");
    CHECK(cpus("0::/a/b\n") == 1);
    root.write("a/b/cpu.max", "900000 100000\n");
    root.write("cpu.max", "50000 100000\n");
    CHECK(cpus("0::/a/b\n") == 1);
  }
  SECTION("version 2 in a container: the mounted root is the container's group") {
    root.write("cpu.max", "200000 100000\n");
    CHECK(cpus("0::/\n") == 2);
    CHECK(cpus("0::/../../docker/0123\n") == 2);
  }
  SECTION("version 1") {
    root.write("cpu/docker/cpu.cfs_quota_us", "300000\n");
    root.write("cpu/docker/cpu.cfs_period_us", "100000\n");
    root.write("cpu/cpu.cfs_quota_us", "-1\n");
    root.write("cpu/cpu.cfs_period_us", "100000\n");
    CHECK(cpus("12:memory:/docker\n4:cpu,cpuacct:/docker\n") == 3);
    CHECK(cpus("4:cpuset:/docker\n") == 0);
  }
  SECTION("nonsense is no limit") {
    root.write("cpu.max", "-5 0\n");
    CHECK(cpus("0::/\n") == 0);
  }
}

TEST_CASE("an interrupt is noticed until it is taken back") {
  hone::check_interrupt();
  hone::request_interrupt(2);
  CHECK_THROWS_WITH(hone::check_interrupt(), "interrupted (SIGINT)");
  hone::request_interrupt(15);
  CHECK_THROWS_WITH(hone::check_interrupt(), "terminated (SIGTERM)");
  hone::request_interrupt(0);
  hone::check_interrupt();
}
