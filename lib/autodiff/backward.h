// What the gradient rule of one operator works with.
//
// A rule looks at a node of the forward pass, takes the gradients of its outputs, and gives the gradients of its inputs:
//
//   void mul(Backward& back) {
//     back.give_reduced(0, [&] { return back.add("Mul", {back.gradient(), back.input(1)}); });
//     back.give_reduced(1, [&] { return back.add("Mul", {back.gradient(), back.input(0)}); });
//   }
//
// One file per family of operators; rules.cpp names every family.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hone/ir/attribute_list.h"
#include "hone/ir/model.h"

namespace hone::autodiff {

// The domain of operators that only training uses: their kernels are in lib/exec/reference/gradient_*.cpp.
inline constexpr std::string_view own_domain = "ai.hone";

using ir::attributes;
using ir::Attributes;

class Tape;

class Backward {
 public:
  Backward(Tape& tape, ir::Node& node) : tape_(tape), node_(node) {}

  // ---- the node of the forward pass
  ir::Node& node() const { return node_; }
  std::int64_t opset() const;  // of ai.onnx
  ir::Value* input(std::size_t index) const { return node_.input(index); }
  ir::Value* output(std::size_t index = 0) const { return node_.output(index); }
  // Number of dimensions of a value; raises unsupported where it is not known.
  std::int64_t rank(const ir::Value* value) const;
  // An optional output that the gradient needs: made where the node left it out.
  ir::Value* need_output(std::size_t index, ir::Type type);

  // ---- gradients
  // Of an output; null where the loss does not depend on it.
  ir::Value* gradient(std::size_t output = 0) const;
  bool wants(std::size_t input) const;
  // Adds to the gradient of an input, which has the input's shape. Nothing where nobody wants it.
  void give(std::size_t input, ir::Value* gradient);
  // The same with a gradient that is made only where it is wanted.
  template <typename Make>
  void give(std::size_t input, Make&& make) {
    if (wants(input)) give(input, static_cast<ir::Value*>(make()));
  }
  // The same for an input that was broadcast: added up to its shape first.
  template <typename Make>
  void give_reduced(std::size_t input, Make&& make) {
    if (wants(input)) give(input, sum_to(static_cast<ir::Value*>(make()), *this->input(input)));
  }
  // Raises unsupported if the gradient of this input is wanted, or always.
  void refuse(std::size_t input, std::string_view what) const;
  [[noreturn]] void refuse(std::string_view what) const;

  // ---- making nodes of the backward pass
  // An operator of ai.onnx; the result has the element type of the first input, or as given.
  ir::Value* add(std::string op_type, std::vector<ir::Value*> inputs, Attributes attributes = {},
                 ir::ElementType type = ir::ElementType::undefined);
  // An operator of ai.hone.
  ir::Value* own(std::string op_type, std::vector<ir::Value*> inputs, Attributes attributes = {});
  // With several outputs; only those asked for are made, the others are null.
  std::vector<ir::Value*> own(std::string op_type, std::vector<ir::Value*> inputs, Attributes attributes,
                              const std::vector<bool>& outputs);
  // All attributes of the forward node, for an operator of ai.hone that means the same by them.
  Attributes same_attributes() const;

  // The dimensions of a value as an int64 tensor: a constant where they are known, else a Shape node beside the value's
  // producer, so that the value itself need not live until then.
  ir::Value* shape(ir::Value& value);
  ir::Value* scalar(double value, ir::ElementType type);
  ir::Value* ints(const std::vector<std::int64_t>& values);
  // `value` added up to the shape of `like`, which was broadcast to the shape that `value` has.
  ir::Value* sum_to(ir::Value* value, ir::Value& like);
  ir::Value* reshape_like(ir::Value* value, ir::Value& like);
  ir::Value* zeros_like(ir::Value& like);

 private:
  Tape& tape_;
  ir::Node& node_;
};

using Rule = void (*)(Backward&);

struct Operator {
  std::string_view op_type;
  Rule rule;
  std::string_view domain = "";
  bool all_outputs = false;  // gradients of outputs but the first are handled, too
};

// The rule of an operator whose gradient is one operator of ai.hone, <name>Gradient of the gradient and the input.
void from_input(Backward& back);

std::span<const Operator> arithmetic_rules();
std::span<const Operator> activation_rules();
std::span<const Operator> contraction_rules();
std::span<const Operator> normalization_rules();
std::span<const Operator> pooling_rules();
std::span<const Operator> movement_rules();
std::span<const Operator> reduction_rules();
std::span<const Operator> random_rules();
std::span<const Operator> loss_rules();

// Null where there is none.
const Operator* find_rule(const ir::Node& node);
std::span<const std::span<const Operator>> all_rules();

}  // namespace hone::autodiff
