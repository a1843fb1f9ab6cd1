// Nodes that are worth a look, each at most once, oldest first.
//
// A node's place is kept in Node::mark, so that an erased node leaves the list in O(1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hone/ir/graph.h"

namespace hone::rewrite {

class Worklist {
 public:
  void push(ir::Node& node) {
    if (node.mark != 0) return;
    if (queue_.size() == UINT32_MAX - 1) compact();
    queue_.push_back(&node);
    node.mark = static_cast<std::uint32_t>(queue_.size());
  }
  // Null when there is none left.
  ir::Node* pop() {
    while (head_ < queue_.size()) {
      ir::Node* node = queue_[head_++];
      if (node) {
        node->mark = 0;
        current_ = node;
        return node;
      }
    }
    queue_.clear();
    head_ = 0;
    current_ = nullptr;
    return nullptr;
  }
  void forget(ir::Node& node) {
    if (node.mark != 0) queue_[node.mark - 1] = nullptr;
    if (current_ == &node) current_ = nullptr;
  }
  // The node popped last, unless it has been erased since.
  ir::Node* current() const { return current_; }

 private:
  void compact() {
    std::vector<ir::Node*> rest;
    for (; head_ < queue_.size(); ++head_) {
      if (!queue_[head_]) continue;
      rest.push_back(queue_[head_]);
      rest.back()->mark = static_cast<std::uint32_t>(rest.size());
    }
    queue_ = std::move(rest);
    head_ = 0;
  }

  std::vector<ir::Node*> queue_;
  std::size_t head_ = 0;
  ir::Node* current_ = nullptr;
};

}  // namespace hone::rewrite
