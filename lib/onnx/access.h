// What only readers and writers of files may touch in a graph: how values are declared, and slots as the file has them.
#pragma once

#include <memory>
#include <utility>

#include "hone/ir/graph.h"

namespace hone::ir {

struct GraphAccess {
  static void declare(Value& value, std::string wire, std::int64_t order) {
    value.declared_ = true;
    value.info_ = std::make_unique<ValueInfo>();
    value.info_->wire = std::move(wire);
    value.declaration_order_ = order;
  }
  static ValueInfo* info(Value& value) { return value.info_.get(); }
  static std::int64_t order(const Value& value) { return value.declaration_order_; }
  static void add_empty_output(Node& node) { node.outputs_.push_back(nullptr); }
  static void reserve_inputs(Node& node, std::size_t count) { node.inputs_.reserve(count); }
};

}  // namespace hone::ir
