// Aligned memory that is counted, so that --max-memory can hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace hone {

// A block of bytes, aligned to 64 (one cache line, the widest vector register). Contents start undefined.
class Buffer {
 public:
  // Raises resource_limit when the process-wide limit (memory_limit()) would be passed or the system has no more.
  explicit Buffer(std::size_t size);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

using SharedBuffer = std::shared_ptr<Buffer>;

// The most bytes that all Buffers together may hold; 0 is no limit. Tools set it from --max-memory.
void set_memory_limit(std::uint64_t bytes);
std::uint64_t memory_limit();
std::uint64_t memory_in_use();  // bytes held by Buffers now
std::uint64_t memory_peak();    // the most they held at once since reset_memory_peak()
void reset_memory_peak();

// Raises resource_limit, naming `what`, if `bytes` more would pass the limit. Call before an allocation whose size a
// model decides.
void require_memory(std::uint64_t bytes, const char* what);

}  // namespace hone
