// Memory for the many small objects of one kind that a graph is made of: pieces that grow, whole pages of 2 MiB where
// there are many (walking a large graph then misses fewer address translations, and the kernel clears fewer pages).
// Private to lib/ir.
//
// Gives memory, neither constructs nor destroys: whoever takes does. Memory given back is used again, and returned to the
// system when the pool goes.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

namespace hone::ir {

template <typename T>
class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    for (void* piece : pieces_) std::free(piece);
  }

  void* take() {
    if (free_) {
      Free* first = free_;
      free_ = first->next;
      return first;
    }
    if (at_ == end_) grow();
    void* memory = at_;
    at_ += sizeof(T);
    return memory;
  }
  void give(void* memory) { free_ = new (memory) Free{free_}; }

 private:
  struct Free {
    Free* next;
  };
  static_assert(sizeof(T) >= sizeof(Free) && alignof(T) <= alignof(std::max_align_t));
  static constexpr std::size_t smallest = 4 << 10, largest = 2 << 20;

  void grow() {
    size_ = std::clamp(size_ * 2, smallest, largest);
    void* piece = std::aligned_alloc(size_ == largest ? largest : alignof(std::max_align_t), size_);
    if (!piece) throw std::bad_alloc();
    pieces_.push_back(piece);
#ifdef MADV_HUGEPAGE
    if (size_ == largest) ::madvise(piece, size_, MADV_HUGEPAGE);  // a wish: where it is refused, small pages do
#endif
    at_ = static_cast<std::byte*>(piece);
    end_ = at_ + size_ / sizeof(T) * sizeof(T);
  }

  std::vector<void*> pieces_;
  std::size_t size_ = 0;
  std::byte* at_ = nullptr;
  std::byte* end_ = nullptr;
  Free* free_ = nullptr;
};

}  // namespace hone::ir
