// The state of one gradient(): which values matter, and the gradients so far.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "autodiff/backward.h"
#include "hone/ir/model.h"

namespace hone::autodiff {

class Tape {
 public:
  explicit Tape(ir::Model& model) : model_(model), graph_(*model.graph) {}

  ir::Model& model() { return model_; }
  ir::Graph& graph() { return graph_; }

  // Marks the values that depend on one of `sources` through floating-point numbers.
  void mark_active(std::span<ir::Value* const> sources);
  bool is_active(const ir::Value* value) const { return value && active_.contains(value); }

  bool has_gradient(const ir::Value& value) const { return given_.contains(&value); }
  // The sum of what was given for a value; null if nothing was.
  ir::Value* gradient(ir::Value& value);
  void give(ir::Value& value, ir::Value* gradient);

  // ---- making nodes
  ir::Node& add(std::string op_type, std::vector<ir::Value*> inputs, Attributes attributes, std::string_view domain,
                const std::vector<bool>& outputs, ir::ElementType type);
  ir::Value* constant(ir::Tensor tensor, std::string_view name);
  ir::Value* shape(ir::Value& value);

  const ir::Node* current = nullptr;  // the forward node whose rule runs

 private:
  ir::Model& model_;
  ir::Graph& graph_;
  std::unordered_set<const ir::Value*> active_;
  std::unordered_map<const ir::Value*, std::vector<ir::Value*>> given_;
  std::unordered_map<const ir::Value*, ir::Value*> shapes_;
  std::map<std::vector<std::int64_t>, ir::Value*> int_constants_;
  std::map<std::pair<double, ir::ElementType>, ir::Value*> scalars_;
  friend class Backward;
};

}  // namespace hone::autodiff
