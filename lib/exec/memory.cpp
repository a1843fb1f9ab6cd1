#include "exec/memory.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "hone/support/error.h"

namespace hone::exec {
namespace {

constexpr std::uint64_t alignment = 64;
// The first chunk of a session that knows nothing of its sizes yet, and the most one chunk grows beyond what is asked.
constexpr std::uint64_t first_chunk = 256 << 10;
constexpr std::uint64_t most_growth = 32 << 20;

std::uint64_t rounded(std::uint64_t size) { return (size + alignment - 1) / alignment * alignment; }

constexpr std::uint32_t patience = 4;  // planned runs in a row before memory of dynamic ones is given back

// What allocations of no bytes point to.
alignas(64) std::byte nothing[64];

}  // namespace

MemoryPlan plan_memory(const std::vector<Traced>& trace, std::uint32_t steps) {
  const auto count = static_cast<std::uint32_t>(trace.size());
  MemoryPlan plan;
  plan.places.resize(count);
  std::vector<std::uint32_t> by_size(count);
  std::iota(by_size.begin(), by_size.end(), 0U);
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return trace[a].size > trace[b].size; });

  std::vector<std::uint32_t> by_offset;
  by_offset.reserve(count);
  for (const std::uint32_t each : by_size) {
    const std::uint64_t room = rounded(trace[each].size);
    std::uint64_t best = 0, best_gap = ~std::uint64_t{0}, end = 0;
    for (const std::uint32_t other : by_offset) {
      if (trace[other].last < trace[each].first || trace[each].last < trace[other].first) continue;
      const std::uint64_t start = plan.places[other].offset;
      if (start > end && start - end >= room && start - end < best_gap) {
        best = end;
        best_gap = start - end;
      }
      end = std::max(end, start + rounded(trace[other].size));
    }
    if (best_gap == ~std::uint64_t{0}) best = end;
    plan.places[each].offset = best;
    plan.places[each].size = trace[each].size;
    plan.size = std::max(plan.size, best + room);
    const auto at =
        std::upper_bound(by_offset.begin(), by_offset.end(), best,
                         [&](std::uint64_t offset, std::uint32_t other) { return offset < plan.places[other].offset; });
    by_offset.insert(at, each);
  }

  // Whose memory a place takes over: the last owner of each byte, in the order of time.
  struct Owned {
    std::uint64_t end;
    std::uint32_t owner;
  };
  std::map<std::uint64_t, Owned> owners;
  for (std::uint32_t i = 0; i < count; ++i) {
    MemoryPlan::Place& place = plan.places[i];
    const std::uint64_t start = place.offset, end = start + rounded(place.size);
    place.before_first = static_cast<std::uint32_t>(plan.before.size());
    auto at = owners.upper_bound(start);
    if (at != owners.begin() && std::prev(at)->second.end > start) --at;
    while (at != owners.end() && at->first < end) {
      const std::uint64_t from = at->first;
      const Owned owned = at->second;
      plan.before.push_back(owned.owner);
      at = owners.erase(at);
      if (from < start) owners.emplace(from, Owned{start, owned.owner});
      if (owned.end > end) at = owners.emplace(end, Owned{owned.end, owned.owner}).first;
    }
    place.before_last = static_cast<std::uint32_t>(plan.before.size());
    if (end > start) owners.emplace(start, Owned{end, i});
  }

  plan.step_start.resize(steps + 1);
  std::uint32_t next = 0;
  for (std::uint32_t step = 0; step <= steps; ++step) {
    while (next < count && trace[next].first < step) ++next;
    plan.step_start[step] = next;
  }
  return plan;
}

void Arena::begin_run(MemoryPlan* plan, bool trace, std::uint64_t keep) {
  if (live_ != 0) fail(ErrorKind::internal, "{} bytes of the run before are still in use", live_);
  // What dynamic runs needed is kept for a while, so that new shapes among known ones don't cost an allocation each.
  if (plan_) {
    ++planned_runs_;
  } else {
    planned_runs_ = 0;
    dynamic_need_ = reserved();
    if (chunks_.size() > 1) reset_chunks(dynamic_need_);
  }
  ++run_;
  plan_ = plan;
  tracing_ = trace;
  trace_.clear();
  step_ = next_place_ = 0;
  const std::uint64_t planned = plan ? plan->size : 0;
  if (plan) {
    keep = std::max(keep, planned);
    if (planned_runs_ < patience) keep = std::max(keep, dynamic_need_);
    const std::uint64_t have = chunks_.empty() ? 0 : chunks_[0].buffer->size();
    if (have < planned || (planned_runs_ == patience && have > keep)) reset_chunks(keep);
  }
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    const std::uint64_t start = i == 0 ? planned : 0, size = chunks_[i].buffer->size();
    chunks_[i].free.clear();
    if (size > start) chunks_[i].free.push_back({start, size - start});
  }
}

void Arena::begin_step(std::uint32_t step) {
  step_ = step;
  if (plan_) next_place_ = plan_->step_start[step];
}

void Arena::reset_chunks(std::uint64_t size) {
  chunks_.clear();  // before the new one: the peak is what counts
  if (size == 0) return;
  chunks_.push_back({std::make_shared<Buffer>(size), {}});
}

Block* Arena::allocate(std::uint64_t size, bool planned) {
  if (planned && plan_ && next_place_ < plan_->step_start[step_ + 1]) {
    MemoryPlan::Place& place = plan_->places[next_place_++];
    bool free = place.size == size;
    for (std::uint32_t i = place.before_first; free && i < place.before_last; ++i) {
      const MemoryPlan::Place& before = plan_->places[plan_->before[i]];
      free = before.run == run_ && before.block.references == 0;
    }
    if (free) {
      place.run = run_;
      Block& block = place.block;
      block.data = size > 0 ? chunks_[0].buffer->data() + place.offset : nothing;
      block.size = size;
      block.references = 1;
      return &block;
    }
  }
  Block* block = allocate_dynamic(size);
  if (planned && tracing_) {
    trace_.push_back({size, step_, ~std::uint32_t{0}});
    block->trace = static_cast<std::uint32_t>(trace_.size());
  }
  return block;
}

Block* Arena::allocate_dynamic(std::uint64_t size) {
  const std::uint64_t room = rounded(size);
  std::int32_t chunk = -1;
  std::size_t range = 0;
  std::uint64_t best = ~std::uint64_t{0};
  if (room > 0) {
    for (std::size_t c = 0; c < chunks_.size(); ++c) {
      for (std::size_t r = 0; r < chunks_[c].free.size(); ++r) {
        const std::uint64_t have = chunks_[c].free[r].size;
        if (have >= room && have < best) {
          chunk = static_cast<std::int32_t>(c);
          range = r;
          best = have;
        }
      }
    }
    if (chunk < 0) {
      std::uint64_t growth = std::clamp(reserved() / 2, first_chunk, most_growth);
      const std::uint64_t limit = memory_limit(), used = memory_in_use();
      if (limit > 0) growth = used < limit ? std::min(growth, (limit - used) / 4) : 0;
      const std::uint64_t bytes = rounded(std::max(room, growth));
      chunks_.push_back({std::make_shared<Buffer>(bytes), {{0, bytes}}});
      chunk = static_cast<std::int32_t>(chunks_.size()) - 1;
      range = 0;
    }
  }
  if (spare_.empty()) {
    blocks_.emplace_back();
    spare_.push_back(&blocks_.back());
  }
  Block* block = spare_.back();
  spare_.pop_back();
  *block = {};
  block->size = size;
  block->references = 1;
  block->chunk = chunk;
  block->dynamic = true;
  block->room = room;
  if (room == 0) {
    block->data = nothing;
    return block;
  }
  auto& free = chunks_[static_cast<std::size_t>(chunk)].free;
  Range& from = free[range];
  block->offset = from.offset;
  block->data = chunks_[static_cast<std::size_t>(chunk)].buffer->data() + from.offset;
  from.offset += room;
  from.size -= room;
  if (from.size == 0) free.erase(free.begin() + static_cast<std::ptrdiff_t>(range));
  live_ += room;
  return block;
}

void Arena::free(Block* block) {
  if (!block->dynamic) return;
  if (block->trace > 0 && block->trace <= trace_.size()) trace_[block->trace - 1].last = step_;
  if (block->room > 0) {
    live_ -= block->room;
    auto& free = chunks_[static_cast<std::size_t>(block->chunk)].free;
    auto at = std::lower_bound(free.begin(), free.end(), block->offset,
                               [](const Range& range, std::uint64_t offset) { return range.offset < offset; });
    const bool joins_next = at != free.end() && block->offset + block->room == at->offset;
    const bool joins_previous = at != free.begin() && std::prev(at)->offset + std::prev(at)->size == block->offset;
    if (joins_previous && joins_next) {
      std::prev(at)->size += block->room + at->size;
      free.erase(at);
    } else if (joins_previous) {
      std::prev(at)->size += block->room;
    } else if (joins_next) {
      at->offset -= block->room;
      at->size += block->room;
    } else {
      free.insert(at, {block->offset, block->room});
    }
  }
  spare_.push_back(block);
}

void Arena::abandon() {
  live_ = 0;
  spare_.clear();
  for (Block& block : blocks_) spare_.push_back(&block);
  plan_ = nullptr;
  chunks_.clear();
}

std::vector<Traced> Arena::take_trace() {
  tracing_ = false;
  return std::exchange(trace_, {});
}

SharedBuffer Arena::chunk_of(const Block& block) const {
  if (block.size == 0) return nullptr;
  return chunks_[block.dynamic ? static_cast<std::size_t>(block.chunk) : 0].buffer;
}

std::uint64_t Arena::reserved() const {
  std::uint64_t bytes = 0;
  for (const Chunk& chunk : chunks_) bytes += chunk.buffer->size();
  return bytes;
}

}  // namespace hone::exec
