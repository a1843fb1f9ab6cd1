// The model-local functions by name: for who looks one up for every node.
#pragma once

#include <string_view>
#include <unordered_map>

#include "hone/ir/model.h"

namespace hone::ir {

// Of the functions that the model has when it is made. Functions stay where they are while the model only loses others.
class FunctionIndex {
 public:
  explicit FunctionIndex(const Model& model) {
    for (const auto& function : model.functions) by_name_.emplace(function->name, function.get());
  }
  // Null: it is no call of a function.
  const Function* find(const Node& node) const {
    const auto [begin, end] = by_name_.equal_range(node.op_type());
    for (auto each = begin; each != end; ++each) {
      const Function& function = *each->second;
      const std::string_view domain = function.domain == "ai.onnx" ? std::string_view() : function.domain;
      if (domain == node.domain() && function.overload == node.overload()) return &function;
    }
    return nullptr;
  }

 private:
  std::unordered_multimap<std::string_view, const Function*> by_name_;
};

}  // namespace hone::ir
