// Arrays and their memory. An Array's owner, where it has one, is always a hone::Buffer.
#pragma once

#include "hone/exec/kernel.h"
#include "hone/support/buffer.h"

namespace hone::exec {

// Bytes of a tensor that a model asks for: bad_input where a dimension is negative, resource_limit where the count
// passes 64 bits. 0 for strings, whose count is checked against the memory limit.
std::uint64_t checked_byte_size(ir::ElementType type, std::span<const std::int64_t> dims);

// An Array over `buffer` from `data` on.
inline std::shared_ptr<const void> owner_of(SharedBuffer buffer) { return buffer; }
inline SharedBuffer buffer_of(const Array& array) {
  return std::static_pointer_cast<Buffer>(std::const_pointer_cast<void>(array.owner));
}

}  // namespace hone::exec
