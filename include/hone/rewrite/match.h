// A small vocabulary for matching: bindings or a reason.
//
//   Match<T> match(const ir::Node&)         what a rule's match function returns
//   no("reason")                            a refusal
//   producer(value, "Relu")                 the node that makes a value, if it is that operator of ai.onnx
//   sole_producer(value, "Relu")            and nobody else (node or graph output) uses the value
//   sole_user(value, "Add")                 the one node that uses a value, if it is that operator
//   other_input(node, value)                the other operand of a binary node
//   commuted(node, is)                      a binary node's operands, ordered so that `is` holds for the first
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "hone/ir/graph.h"

namespace hone::rewrite {

struct No {
  std::string_view reason;  // a literal
};
constexpr No no(std::string_view reason) { return {reason}; }

template <typename T>
class [[nodiscard]] Match {
 public:
  Match(T bindings) : bindings_(std::move(bindings)) {}  // NOLINT: implicit by design
  Match(No refusal) : reason_(refusal.reason) {}         // NOLINT
  explicit operator bool() const { return bindings_.has_value(); }
  const T& operator*() const { return *bindings_; }
  const T* operator->() const { return &*bindings_; }
  std::string_view reason() const { return reason_; }

 private:
  std::optional<T> bindings_;
  std::string_view reason_;
};

inline ir::Node* producer(const ir::Value* value, std::string_view op_type) {
  ir::Node* node = value ? value->producer() : nullptr;
  return node && node->is(op_type) ? node : nullptr;
}
inline ir::Node* sole_producer(const ir::Value* value, std::string_view op_type) {
  ir::Node* node = producer(value, op_type);
  return node && value->only_use() ? node : nullptr;
}
inline ir::Node* sole_user(const ir::Value* value, std::string_view op_type) {
  const ir::Use* use = value ? value->only_use() : nullptr;
  return use && use->node->is(op_type) ? use->node : nullptr;
}
inline ir::Value* other_input(const ir::Node& node, const ir::Value* value) {
  return node.input(0) == value ? node.input(1) : node.input(0);
}
template <typename Is>
std::optional<std::pair<ir::Value*, ir::Value*>> commuted(const ir::Node& node, Is&& is) {
  if (is(node.input(0))) return std::pair(node.input(0), node.input(1));
  if (is(node.input(1))) return std::pair(node.input(1), node.input(0));
  return std::nullopt;
}

}  // namespace hone::rewrite
