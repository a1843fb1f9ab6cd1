#include "hone/support/system_memory.h"

#include <catch2/catch.hpp>
#include <cstdint>

#include "temporary_folder.h"

TEST_CASE("memory is available") {
  CHECK(hone::available_memory() > std::uint64_t{1} << 20);
  CHECK(hone::available_memory() < std::uint64_t{1} << 50);
}

TEST_CASE("memory that control groups leave") {
  hone::testing::TemporaryFolder root;
  const auto memory = [&](const char* membership) { return hone::cgroup_memory(membership, root.path()); };
  SECTION("none") {
    CHECK(memory("0::/a/b\n") == 0);
    CHECK(memory("nonsense") == 0);
    root.write("a/memory.max", "max\n");
    CHECK(memory("0::/a\n") == 0);
    root.write("memory/a/memory.limit_in_bytes", "9223372036854771712\n");
    CHECK(memory("4:memory:/a\n") == 0);
  }
  SECTION("version 2: the least of the group and those above it; file caches give way") {
    root.write("a/memory.max", "1000\n");
    root.write("a/memory.current", "700\n");
    root.write("a/memory.stat", "anon 100\ninactive_file 300\n");
    CHECK(memory("0::/a/b\n") == 600);
    root.write("a/b/memory.max", "500\n");
    root.write("a/b/memory.current", "100\n");
    CHECK(memory("0::/a/b\n") == 400);
    root.write("memory.max", "10\n");
    root.write("memory.current", "50\n");
    CHECK(memory("0::/a/b\n") == 1);
  }
  SECTION("version 1") {
    root.write("memory/a/memory.limit_in_bytes", "1000\n");
    root.write("memory/a/memory.usage_in_bytes", "400\n");
    root.write("memory/a/memory.stat", "total_inactive_file 100\n");
    CHECK(memory("5:cpu:/a\n4:memory:/a\n") == 700);
    CHECK(memory("5:cpu:/a\n") == 0);
  }
}
