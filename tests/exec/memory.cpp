#include "exec/memory.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "hone/support/random.h"

namespace hone::exec {
namespace {

bool overlap(std::uint64_t a, std::uint64_t a_size, std::uint64_t b, std::uint64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

std::vector<Traced> random_trace(Random& random, std::uint32_t steps) {
  std::vector<Traced> trace;
  for (std::uint32_t step = 0; step < steps; ++step) {
    for (std::uint64_t i = random.below(3); i > 0; --i) {
      trace.push_back({random.below(5000), step, step + static_cast<std::uint32_t>(random.below(10))});
    }
  }
  return trace;
}

}  // namespace

TEST_CASE("memory: what lives at once never overlaps in a plan") {
  Random random(7);
  for (int round = 0; round < 50; ++round) {
    const auto trace = random_trace(random, 40);
    const MemoryPlan plan = plan_memory(trace, 40);
    REQUIRE(plan.places.size() == trace.size());
    for (std::size_t a = 0; a < trace.size(); ++a) {
      CHECK(plan.places[a].offset % 64 == 0);
      CHECK(plan.places[a].offset + trace[a].size <= plan.size);
      for (std::size_t b = a + 1; b < trace.size(); ++b) {
        const bool together = trace[a].first <= trace[b].last && trace[b].first <= trace[a].last;
        if (together) {
          CHECK_FALSE(overlap(plan.places[a].offset, trace[a].size, plan.places[b].offset, trace[b].size));
        }
      }
    }
  }
}

TEST_CASE("memory: a chain of equal sizes needs two places") {
  std::vector<Traced> trace;
  for (std::uint32_t i = 0; i < 100; ++i) trace.push_back({1000, i, i + 1});
  CHECK(plan_memory(trace, 100).size == 2048);
}

TEST_CASE("memory: a planned run allocates where the plan says, and a second one too") {
  const std::vector<Traced> trace = {{100, 0, 1}, {200, 1, 2}, {100, 2, 2}};
  MemoryPlan plan = plan_memory(trace, 3);
  Arena arena;
  for (int run = 0; run < 3; ++run) {
    arena.begin_run(&plan, false, 0);
    arena.begin_step(0);
    Block* a = arena.allocate(100, true);
    arena.begin_step(1);
    Block* b = arena.allocate(200, true);
    CHECK_FALSE(
        overlap(reinterpret_cast<std::uintptr_t>(a->data), 100, reinterpret_cast<std::uintptr_t>(b->data), 200));
    arena.release(a);
    arena.begin_step(2);
    Block* c = arena.allocate(100, true);
    CHECK(c->data == a->data);
    CHECK_FALSE(c->dynamic);
    arena.release(b);
    arena.release(c);
    CHECK(arena.reserved() == plan.size);
  }
}

TEST_CASE("memory: a place that is still taken, or of another size, is left alone") {
  const std::vector<Traced> trace = {{100, 0, 0}, {100, 1, 1}, {100, 2, 2}};
  MemoryPlan plan = plan_memory(trace, 3);
  Arena arena;
  arena.begin_run(&plan, false, 0);
  arena.begin_step(0);
  Block* kept = arena.allocate(100, true);  // longer than the plan knew
  arena.begin_step(1);
  Block* second = arena.allocate(100, true);
  CHECK(second->dynamic);
  CHECK(second->data != kept->data);
  arena.release(second);
  arena.begin_step(2);
  Block* third = arena.allocate(100, true);  // planned on top of the second, which went elsewhere
  CHECK(third->dynamic);
  CHECK(third->data != kept->data);
  arena.release(third);
  arena.release(kept);

  arena.begin_run(&plan, false, 0);
  arena.begin_step(0);
  Block* larger = arena.allocate(1000, true);
  CHECK(larger->dynamic);
  arena.release(larger);
}

TEST_CASE("memory: dynamic blocks never overlap and are used again") {
  Random random(3);
  Arena arena;
  std::uint64_t most = 0;
  for (int run = 0; run < 5; ++run) {
    arena.begin_run(nullptr, false, 0);
    std::vector<Block*> live;
    for (int i = 0; i < 2000; ++i) {
      if (live.size() > 20 || (!live.empty() && random.below(2) == 0)) {
        const auto at = static_cast<std::size_t>(random.below(live.size()));
        arena.release(live[at]);
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(at));
        continue;
      }
      Block* block = arena.allocate(random.below(100'000), false);
      const auto start = reinterpret_cast<std::uintptr_t>(block->data);
      CHECK(start % 64 == 0);
      for (const Block* other : live) {
        if (overlap(start, block->size, reinterpret_cast<std::uintptr_t>(other->data), other->size)) FAIL("overlap");
      }
      live.push_back(block);
    }
    for (Block* block : live) arena.release(block);
    if (run > 1) {
      CHECK(arena.reserved() <= std::max<std::uint64_t>(most, 1) * 2);
    }
    most = std::max(most, arena.reserved());
  }
}

TEST_CASE("memory: the limit holds for what a run asks for") {
  Arena arena;
  arena.begin_run(nullptr, false, 0);
  set_memory_limit(memory_in_use() + (1 << 20));
  CHECK_THROWS_WITH(arena.allocate(2 << 20, false), Catch::Contains("limit"));
  Block* block = arena.allocate(1 << 18, false);
  set_memory_limit(0);
  arena.release(block);
}

}  // namespace hone::exec
