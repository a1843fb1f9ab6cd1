// What a shape function sees of its node, and the table of shape functions.
//
// A shape function reads types, shapes and known elements of the inputs and sets those of the outputs. What it does not set
// stays unknown, which is always right. It never throws for a bad node: it returns, and the checker speaks later.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "hone/ir/model.h"

namespace hone::shapes {

using Elements = std::vector<ir::Dimension>;

// Integer tensors up to this many elements are followed: shapes, axes, pads, split sizes. Nothing that describes a shape
// is longer.
constexpr std::int64_t kMaxElements = 256;

class View {
 public:
  virtual ~View() = default;
  View(const ir::Node& node, std::int64_t opset) : node(node), opset(opset) {}

  const ir::Node& node;
  const std::int64_t opset;

  bool has(std::size_t i) const { return node.input(i) != nullptr; }
  ir::ElementType type(std::size_t i) const {
    return node.input(i) ? node.input(i)->element_type() : ir::ElementType::undefined;
  }
  // Null where the rank is unknown.
  const ir::Shape* shape(std::size_t i) const {
    const ir::Value* value = node.input(i);
    return value && value->type().is_tensor() && value->shape() ? &*value->shape() : nullptr;
  }
  // Null where nothing is known.
  virtual const Elements* elements(std::size_t i) const = 0;
  // Where all elements are numbers.
  std::optional<std::vector<std::int64_t>> ints(std::size_t i) const;
  // Attribute of older opsets, else input of newer ones (axes, split, ...): nullopt where it is absent or not known.
  // `present` says whether the node has it at all.
  std::optional<std::vector<std::int64_t>> ints(std::string_view attribute, std::size_t input, bool& present) const;

  virtual void set(std::size_t output, ir::ElementType type, std::optional<ir::Shape> shape) = 0;
  virtual void set_elements(std::size_t output, Elements elements) = 0;
};

using Function = void (*)(View&);
struct FunctionEntry {
  std::string_view op_type;
  Function function;
};

// Each family of operators, one file each.
std::vector<FunctionEntry> elementwise_functions();
std::vector<FunctionEntry> movement_functions();
std::vector<FunctionEntry> contraction_functions();
std::vector<FunctionEntry> reduction_functions();

// ---- shared by the families
// The first output is as the first input: its type and shape; its elements.
void same_as_input(View& view);
void copy_elements(View& view);
// An axis in [0, rank), or nullopt.
std::optional<std::size_t> normalize_axis(std::int64_t axis, std::size_t rank);
// Shape of a broadcast; unknown dimensions where two can't be reconciled.
ir::Shape broadcast(const ir::Shape& a, const ir::Shape& b);

}  // namespace hone::shapes
