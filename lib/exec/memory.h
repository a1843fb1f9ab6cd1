// Where a run's values lie.
//
// Two ways over the same memory. Dynamic: blocks are cut best-fit from a few chunks and given back when their last
// reference goes; the run leaves a trace of sizes and lifetimes. Planned: a Layout made of such a trace gives every
// allocation its place ahead, packed by lifetime, so that a run of the same shapes costs one comparison per value. Sizes
// can depend on data, and what shares memory with what can, too: an allocation whose size differs from the plan's, or
// whose place is still taken, is a dynamic one, and so are those planned on top of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "hone/support/buffer.h"

namespace hone::exec {

// Some memory with a count of those who need it.
struct Block {
  std::byte* data = nullptr;
  std::uint64_t size = 0;  // as asked for
  std::uint32_t references = 0;
  bool dynamic = false;
  std::int32_t chunk = -1;  // of a dynamic one
  std::uint64_t offset = 0, room = 0;
  std::uint32_t trace = 0;  // place in the trace + 1; 0: none
};

// One allocation of a traced run: between which steps it was needed, both inclusive.
struct Traced {
  std::uint64_t size = 0;
  std::uint32_t first = 0, last = 0;
};

// Places for the allocations of a trace.
struct MemoryPlan {
  struct Place {
    std::uint64_t offset = 0, size = 0;
    std::uint32_t before_first = 0, before_last = 0;  // range in `before`
    std::uint64_t run = 0;                            // the last run that used it
    Block block;
  };
  std::vector<Place> places;
  std::vector<std::uint32_t> before;      // places whose memory the place takes over
  std::vector<std::uint32_t> step_start;  // first place of each step
  std::uint64_t size = 0;
};

// Packs a trace: large ones first, each into the smallest gap that its lifetime leaves.
MemoryPlan plan_memory(const std::vector<Traced>& trace, std::uint32_t steps);

class Arena {
 public:
  // All blocks of the run before must be released. `plan` (or null) must live until the next run begins; memory beyond
  // `keep` bytes that neither it nor the last run needed is given back.
  void begin_run(MemoryPlan* plan, bool trace, std::uint64_t keep);
  void begin_step(std::uint32_t step);  // of the main graph
  // Aligned to 64 bytes, contents undefined, one reference. `planned` false inside subgraphs.
  Block* allocate(std::uint64_t size, bool planned);
  void release(Block* block) {
    if (--block->references == 0) free(block);
  }
  void abandon();                    // after a run that failed: blocks that nobody will release any more are free
  std::vector<Traced> take_trace();  // what is alive now counts as alive to the end
  // The chunk that holds a block, for results that share it.
  SharedBuffer chunk_of(const Block& block) const;
  std::uint64_t reserved() const;

 private:
  struct Range {
    std::uint64_t offset, size;
  };
  struct Chunk {
    SharedBuffer buffer;
    std::vector<Range> free;  // by offset, no two adjacent
  };

  Block* allocate_dynamic(std::uint64_t size);
  void free(Block* block);
  void reset_chunks(std::uint64_t size);

  std::vector<Chunk> chunks_;
  std::deque<Block> blocks_;
  std::vector<Block*> spare_;
  MemoryPlan* plan_ = nullptr;
  std::uint32_t next_place_ = 0, step_ = 0;
  std::uint64_t run_ = 0;
  bool tracing_ = false;
  std::vector<Traced> trace_;
  std::uint64_t live_ = 0;          // bytes of dynamic blocks
  std::uint64_t dynamic_need_ = 0;  // bytes that the last dynamic run had reserved
  std::uint32_t planned_runs_ = 0;  // in a row
};

}  // namespace hone::exec
