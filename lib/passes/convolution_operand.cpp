#include "passes/convolution_operand.h"

#include "passes/weights.h"

namespace hone::passes {

using rewrite::no;

rewrite::Match<ConvolutionOperand> convolution_operand(const ir::Node& node) {
  ir::Node* conv = nullptr;
  const ir::Value* other = nullptr;
  const std::size_t operands = node.is("Sub") || node.is("Div") ? 1 : 2;
  for (std::size_t i = 0; i < operands && !conv; ++i) {
    for (const char* op : {"Conv", "ConvTranspose"}) {
      conv = conv ? conv : rewrite::sole_producer(node.input(i), op);
    }
    other = node.input(1 - i);
  }
  if (!conv) return no("no operand is made by a convolution of its own");
  const ir::Tensor* constant = ir::constant(other);
  if (!constant) return no("operand is not constant");
  const ir::Tensor* weight = ir::constant(conv->input(1));
  const ir::Tensor* bias = ir::constant(conv->input(2));
  if (!weight || (conv->input(2) && !bias)) return no("convolution's weights are not constant");
  if (!is_scalable(weight->type()) || weight->rank() < 2) return no("weight type");
  return ConvolutionOperand{conv, weight, bias, constant};
}

}  // namespace hone::passes
