#include "hone/support/buffer.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "error_message.h"
#include "hone/support/error.h"

namespace {

using hone::testing::error_kind;

// Lifts the limit again, however the test ends.
struct Limit {
  explicit Limit(std::uint64_t more) { hone::set_memory_limit(hone::memory_in_use() + more); }
  ~Limit() { hone::set_memory_limit(0); }
};

}  // namespace

TEST_CASE("buffers are aligned, never null, and counted") {
  const std::uint64_t before = hone::memory_in_use();
  for (const std::size_t size : {0, 1, 63, 64, 65, 100000}) {
    hone::Buffer buffer(size);
    CHECK(buffer.size() == size);
    REQUIRE(buffer.data() != nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
    CHECK(hone::memory_in_use() == before + size);
  }
  CHECK(hone::memory_in_use() == before);
}

TEST_CASE("the peak is the most held at once") {
  hone::reset_memory_peak();
  const std::uint64_t before = hone::memory_in_use();
  { hone::Buffer a(1000), b(500); }
  { hone::Buffer c(1200); }
  CHECK(hone::memory_peak() == before + 1500);
  hone::reset_memory_peak();
  CHECK(hone::memory_peak() == before);
}

TEST_CASE("the limit holds for the sum, and what was refused is not counted") {
  const Limit limit(1000);
  hone::Buffer first(600);
  CHECK(error_kind([] { hone::Buffer second(401); }) == hone::ErrorKind::resource_limit);
  hone::Buffer second(400);
  CHECK(error_kind([] { hone::Buffer third(1); }) == hone::ErrorKind::resource_limit);
}

TEST_CASE("sizes that no process can hold are refused without wrapping") {
  const std::uint64_t before = hone::memory_in_use();
  const auto huge = std::numeric_limits<std::size_t>::max();
  CHECK(error_kind([&] { hone::Buffer buffer(huge); }) == hone::ErrorKind::resource_limit);
  CHECK(error_kind([&] { hone::Buffer buffer(huge / 2 - 64); }) == hone::ErrorKind::resource_limit);
  CHECK(error_kind([&] { hone::require_memory(huge, "a test"); }) == hone::ErrorKind::resource_limit);
  CHECK(hone::memory_in_use() == before);
}

TEST_CASE("asking beforehand names who needs the memory") {
  const Limit limit(1000);
  hone::require_memory(1000, "folding");
  CHECK_THROWS_WITH(hone::require_memory(2000, "folding"), Catch::StartsWith("folding needs 2.0 kB of memory"));
}

TEST_CASE("threads count together") {
  const std::uint64_t before = hone::memory_in_use();
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int j = 0; j < 1000; ++j) hone::Buffer buffer(static_cast<std::size_t>(j));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(hone::memory_in_use() == before);
}
