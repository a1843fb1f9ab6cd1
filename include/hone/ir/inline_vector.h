// A vector whose first N elements need no memory of their own: slots and uses of nodes are few, and there are many nodes.
//
// For trivially copyable elements, in objects that stay where they are: no copying or moving.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace hone::ir {

template <typename T, std::uint32_t N>
class InlineVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  InlineVector() = default;
  ~InlineVector() {
    if (data_ != first_) delete[] data_;
  }
  InlineVector(const InlineVector&) = delete;
  InlineVector& operator=(const InlineVector&) = delete;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](std::size_t index) { return data_[index]; }
  const T& operator[](std::size_t index) const { return data_[index]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }
  operator std::span<const T>() const { return {data_, size_}; }  // NOLINT: as a vector does
  std::vector<T> copy() const { return {begin(), end()}; }

  void push_back(T value) {
    if (size_ == capacity_) grow(size_ + 1);
    data_[size_++] = value;
  }
  void pop_back() { --size_; }
  void erase(std::size_t index) {
    std::copy(begin() + index + 1, end(), begin() + index);
    --size_;
  }
  void reserve(std::size_t count) {
    if (count > capacity_) grow(count);
  }
  // New elements are T().
  void resize(std::size_t count) {
    reserve(count);
    if (count > size_) std::fill(end(), begin() + count, T());
    size_ = static_cast<std::uint32_t>(count);
  }

 private:
  void grow(std::size_t least) {
    const std::size_t capacity = std::max<std::size_t>(least, std::size_t{2} * capacity_);
    auto larger = std::make_unique<T[]>(capacity);
    std::copy(begin(), end(), larger.get());
    if (data_ != first_) delete[] data_;
    data_ = larger.release();
    capacity_ = static_cast<std::uint32_t>(capacity);
  }

  T* data_ = first_;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = N;
  T first_[N];
};

}  // namespace hone::ir
