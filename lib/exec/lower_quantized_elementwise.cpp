// What stands between integer convolutions and products: sums, activations, pooling, Concat, and operators that move
// elements, which stay on codes where Q and DQ around them have the same parameters.
#include <algorithm>

#include "exec/lowering.h"

namespace hone::exec {

using ir::ElementType;

bool Lowering::lower_binary(ir::Node& node) {
  const auto a = codes_of(node.input(0)), b = codes_of(node.input(1));
  if (!a || !b || node.input_count() != 2 || a->step.type != b->step.type) return false;
  std::vector<ir::Node*> nodes = {&node};
  const auto output = quantizer_past_activations(*node.output(0), nodes);
  if (!output || output->step.type != a->step.type) return false;
  replace(nodes, node.is("Add") ? "QLinearAdd" : "QLinearMul", "com.microsoft",
          {a->value, a->step.scale, a->step.zero, b->value, b->step.scale, b->step.zero, output->step.scale,
           output->step.zero},
          a->step.type);
  return true;
}

bool Lowering::lower_unary(ir::Node& node) {
  const auto input = codes_of(node.input(0));
  if (!input) return false;
  const auto output = quantizer_of(*node.output(0));
  if (!output || output->step.type != input->step.type) return false;
  const bool softmax = node.is("Softmax");
  const std::int64_t opset = graph_.opset(node);
  ir::Node& made = replace({&node, output->node}, "QLinear" + node.op_type(), "com.microsoft",
                           {input->value, input->step.scale, input->step.zero, output->step.scale, output->step.zero},
                           input->step.type);
  if (softmax) made.set_attribute("opset", opset);
  return true;
}

bool Lowering::lower_pool(ir::Node& node) {
  const auto input = codes_of(node.input(0));
  if (!input || node.int_or("ceil_mode", 0) != 0) return false;
  // What a window of padding alone averages to is not the same everywhere.
  for (const std::int64_t each : node.ints_or("dilations", {})) {
    if (each != 1) return false;
  }
  const auto output = quantizer_of(*node.output(0));
  if (!output || output->step.type != input->step.type) return false;
  replace({&node, output->node}, "QLinear" + node.op_type(), "com.microsoft",
          {input->value, input->step.scale, input->step.zero, output->step.scale, output->step.zero}, input->step.type);
  return true;
}

bool Lowering::lower_concat(ir::Node& node) {
  std::vector<Codes> inputs;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    const auto input = codes_of(node.input(i));
    if (!input || (i > 0 && input->step.type != inputs[0].step.type)) return false;
    inputs.push_back(*input);
  }
  if (inputs.empty() || !node.has_attribute("axis")) return false;
  const auto output = quantizer_of(*node.output(0));
  if (!output || output->step.type != inputs[0].step.type) return false;
  std::vector<ir::Value*> operands = {output->step.scale, output->step.zero};
  for (const Codes& each : inputs) {
    operands.insert(operands.end(), {each.value, each.step.scale, each.step.zero});
  }
  replace({&node, output->node}, "QLinearConcat", "com.microsoft", operands, output->step.type);
  return true;
}

bool Lowering::lower_mover(ir::Node& node) {
  const auto input = codes_of(node.input(0));
  if (!input) return false;
  for (std::size_t i = 1; i < node.output_count(); ++i) {
    if (node.output(i)) return false;  // MaxPool's indices
  }
  // 8-bit codes came to MaxPool with version 12, to Pad with 13, in all versions of the others.
  const std::int64_t opset = graph_.opset(node);
  if (node.is("MaxPool") && (opset < 12 || node.int_or("storage_order", 0) != 0)) return false;
  std::vector<ir::Value*> inputs = {input->value};
  for (std::size_t i = 1; i < node.input_count(); ++i) inputs.push_back(node.input(i));
  if (node.is("Pad") && node.string_or("mode", "constant") == "constant") {
    // Zeros are codes of the zero point.
    if (opset < 13 || (node.input(2) && ir::constant_scalar(node.input(2)) != 0.0)) return false;
    const ir::Tensor* zero = ir::constant(input->step.zero);
    if (!zero || zero->rank() != 0) return false;
    inputs.resize(std::max<std::size_t>(inputs.size(), 3));
    inputs[2] = input->step.zero;
  } else if (node.is("Pad") && opset < 13) {
    return false;
  }
  const auto output = quantizer_of(*node.output(0));
  const bool same = output && output->step.same(input->step);
  // Without a Q of the same parameters, the codes are dequantized behind it. That is no gain where elements are repeated.
  if (!same && (node.is("Expand") || node.is("Tile"))) return false;
  if (input->value->element_type() == ElementType::undefined) {
    const auto& shape = node.input(0)->shape();
    input->value->set_type(shape ? ir::Type::tensor(input->step.type, *shape) : ir::Type::tensor(input->step.type));
  }
  if (same) {
    replace({&node, output->node}, node.op_type(), "", inputs, input->step.type);
  } else {
    move_codes(node, *input, inputs);
  }
  return true;
}

}  // namespace hone::exec
