// The gradient of a graph, as more nodes of the same graph.
//
// The new nodes are standard ONNX operators where one says it well, and operators of the domain "ai.hone" where one
// kernel does what would take several nodes (docs/architecture.md lists them). They stand behind the forward nodes in
// reverse order; nodes of the forward pass stay, except that calls of functions (model-local ones, and operators that
// ONNX defines by others) are replaced by their bodies where the operator has no rule of its own.
//
// Values that are no floating-point numbers carry no gradient: what depends on weights only through Shape, a comparison
// or a Cast to integers is constant. Round, Floor, Ceil and Sign have gradient zero.
//
// Not handled: If, Loop and Scan on the way from a weight to the loss; gradients of gradients.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hone/ir/model.h"

namespace hone::autodiff {

// Appends to the main graph what computes the derivative of `loss`, a value of one element, with respect to each of the
// values `with_respect_to` (inputs, initializers or results of nodes), and returns the names of the values that hold the
// derivatives, in that order; "" where the loss does not depend on it. Raises unsupported, naming every node on the way
// whose operator has no gradient; the model is then no longer what it was only in that functions are inlined.
std::vector<std::string> gradient(ir::Model& model, std::string_view loss,
                                  std::span<const std::string> with_respect_to);

// The nodes that would make gradient() raise: with an operator or attributes that it does not handle.
struct Obstacle {
  std::string node, op_type, reason;
};
std::vector<Obstacle> obstacles(const ir::Model& model, std::string_view loss,
                                std::span<const std::string> with_respect_to);

// Operators of ai.onnx that have a rule, in alphabetical order.
std::vector<std::string> differentiable_operators();

}  // namespace hone::autodiff
