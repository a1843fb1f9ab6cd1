// Buffers: memory aligned to cache lines, counted across the process.
//
// Not counted: memory of the standard containers, of protobuf and of oneDNN's own scratch. Freed blocks go back to the
// allocator, which maps large ones and returns them to the system.
#include "hone/support/buffer.h"

#include <atomic>
#include <cstdlib>
#include <string>

#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone {
namespace {

constexpr std::size_t alignment = 64;
// Half a tebibyte for one block: more than any tensor has, less than what makes the allocators of sanitizers abort.
constexpr std::uint64_t largest = std::uint64_t{1} << 39;
// What a process can address on the machines of today.
constexpr std::uint64_t address_space = std::uint64_t{1} << 47;

std::atomic<std::uint64_t> limit{0};
std::atomic<std::uint64_t> in_use{0};
std::atomic<std::uint64_t> peak{0};

[[noreturn]] void refuse(std::uint64_t bytes, const char* what) {
  fail(ErrorKind::resource_limit,
       "{} needs {} of memory: with {} in use that passes the limit of {} (--max-memory, or 90 % of what is available)",
       what, human_bytes(bytes), human_bytes(in_use.load()), human_bytes(limit.load()));
}

// Adds to the count, where the limit allows it.
bool reserve(std::uint64_t bytes) {
  std::uint64_t held = in_use.load(std::memory_order_relaxed);
  do {
    const std::uint64_t most = limit.load(std::memory_order_relaxed);
    if (most != 0 && (held > most || bytes > most - held)) return false;
  } while (!in_use.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
  const std::uint64_t now = held + bytes;
  std::uint64_t before = peak.load(std::memory_order_relaxed);
  while (before < now && !peak.compare_exchange_weak(before, now, std::memory_order_relaxed)) {
  }
  return true;
}

}  // namespace

Buffer::Buffer(std::size_t size) : size_(size) {
  if (size > largest) fail(ErrorKind::resource_limit, "a buffer of {} is more than hone makes", human_bytes(size));
  if (!reserve(size)) refuse(size, "a buffer");
  // At least one line, so that data() is never null: memcpy of nothing from null is undefined.
  const std::size_t rounded = (size + alignment - (size == 0 ? 0 : 1)) / alignment * alignment;
  data_ = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
  if (data_ == nullptr) {
    in_use -= size;
    fail(ErrorKind::resource_limit, "the system has no {} of memory more ({} in use)", human_bytes(size),
         human_bytes(in_use.load()));
  }
}

Buffer::~Buffer() {
  std::free(data_);
  in_use -= size_;
}

void set_memory_limit(std::uint64_t bytes) { limit = bytes; }
std::uint64_t memory_limit() { return limit; }
std::uint64_t memory_in_use() { return in_use; }
std::uint64_t memory_peak() { return peak; }
void reset_memory_peak() { peak = in_use.load(); }

void require_memory(std::uint64_t bytes, const char* what) {
  const std::uint64_t most = limit.load();
  const std::uint64_t held = in_use.load();
  if (bytes > address_space) fail(ErrorKind::resource_limit, "{} needs more memory than any process can hold", what);
  if (most != 0 && (held > most || bytes > most - held)) refuse(bytes, what);
}

}  // namespace hone
