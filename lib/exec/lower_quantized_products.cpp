// Matrix products: Gemm and MatMul between Q and DQ, or behind DQ alone (then their results are float), and the nodes that
// dynamic quantization puts behind a MatMulInteger.
#include <algorithm>
#include <limits>

#include "exec/lowering.h"

namespace hone::exec {

using ir::ElementType;

namespace {

// Sums of so many products of 8-bit codes fit 32 bits.
bool fits(std::int64_t depth) { return 255 * 255 * depth <= std::int64_t{std::numeric_limits<std::int32_t>::max()}; }

const ir::Tensor* float_constant(const ir::Value* value) {
  const ir::Tensor* tensor = ir::constant(value);
  return tensor && tensor->type() == ElementType::float32 ? tensor : nullptr;
}

}  // namespace

Lowering::Bias Lowering::float_bias(const ir::Value& value, std::int64_t columns) {
  ir::Node* node = only_user(value);
  if (!node || !node->is("Add") || node->input_count() != 2) return {};
  ir::Value* other = node->input(node->input(0) == &value ? 1 : 0);
  if (const ir::Tensor* tensor = float_constant(other)) {
    return tensor->dims() == ir::Dims{columns} ? Bias{node, other} : Bias{};
  }
  // Codes of 32 bits, dequantized once.
  const ir::Node* maker = other ? other->producer() : nullptr;
  if (!maker || !maker->is("DequantizeLinear") || maker->int_or("block_size", 0) != 0 ||
      maker->int_or("output_dtype", 1) > 1) {
    return {};
  }
  const ir::Tensor *codes = ir::constant(maker->input(0)), *scale = float_constant(maker->input(1)),
                   *zero = ir::constant(maker->input(2));
  if (!codes || codes->type() != ElementType::int32 || codes->dims() != ir::Dims{columns} || !scale) return {};
  const std::int64_t count = scale->element_count();
  if ((count != 1 && (count != columns || scale->rank() != 1)) || (maker->input(2) && !zero)) return {};
  if (zero) {
    const auto zeros = zero->to_ints();
    if (std::any_of(zeros.begin(), zeros.end(), [](std::int64_t each) { return each != 0; })) return {};
  }
  const std::vector<std::int64_t> steps = codes->to_ints();
  const std::vector<float> sizes = scale->to_floats();
  std::vector<float> values;
  for (std::size_t i = 0; i < steps.size(); ++i)
    values.push_back(static_cast<float>(steps[i]) * sizes[sizes.size() == 1 ? 0 : i]);
  return {node, graph_.graph().add_initializer(other->name() + "_values", ir::Tensor::vector(values))};
}

bool Lowering::lower_gemm(ir::Node& node) {
  if (node.int_or("transA", 0) != 0 || node.float_or("alpha", 1) != 1) return false;
  if (node.input(2) && node.float_or("beta", 1) != 1) return false;
  const bool transposed = node.int_or("transB", 0) != 0;
  const auto input = codes_of(node.input(0));
  const auto weights = weights_of(node.input(1), transposed ? 0 : 1);
  if (!input || !weights || weights->tensor->rank() != 2) return false;
  const std::int64_t columns = weights->tensor->dims()[transposed ? 0 : 1],
                     depth = weights->tensor->dims()[transposed ? 1 : 0];
  std::vector<ir::Node*> nodes = {&node};
  const auto output = quantizer_past_activations(*node.output(0), nodes);
  if (!output) nodes.resize(1);
  const auto bias = integer_bias(node.input(2), input->step, *weights, columns, depth,
                                 output ? std::optional(output->step.size) : std::nullopt);
  if (bias) {
    ir::Node& made =
        replace(nodes, "QGemm", "com.microsoft",
                {input->value, input->step.scale, input->step.zero, weights->codes, weights->scale, weights->zero,
                 *bias, output ? output->step.scale : nullptr, output ? output->step.zero : nullptr},
                output ? output->step.type : ElementType::float32);
    made.remove_attribute("beta");
    return true;
  }
  // A float bias that is no whole number of steps.
  const ir::Tensor* values = float_constant(node.input(2));
  if (transposed || !fits(depth) || !values || values->dims() != ir::Dims{columns}) return false;
  replace(
      {&node}, "MatMulIntegerToFloat", "com.microsoft",
      {input->value, weights->codes, input->step.scale, weights->scale, input->step.zero, weights->zero, node.input(2)},
      ElementType::float32);
  return true;
}

bool Lowering::lower_product(ir::Node& node) {
  const auto input = codes_of(node.input(0));
  if (!input) return false;
  if (const auto weights = weights_of(node.input(1), 1); weights && weights->tensor->rank() == 2) {
    if (!fits(weights->tensor->dims()[0])) return false;
    std::vector<ir::Node*> nodes = {&node};
    if (const auto output = quantizer_past_activations(*node.output(0), nodes)) {
      replace(nodes, "QLinearMatMul", "",
              {input->value, input->step.scale, input->step.zero, weights->codes, weights->scale, weights->zero,
               output->step.scale, output->step.zero},
              output->step.type);
      return true;
    }
    nodes.resize(1);
    const Bias bias = float_bias(*node.output(0), weights->tensor->dims()[1]);
    if (bias.node) nodes.push_back(bias.node);
    replace(
        nodes, "MatMulIntegerToFloat", "com.microsoft",
        {input->value, weights->codes, input->step.scale, weights->scale, input->step.zero, weights->zero, bias.value},
        ElementType::float32);
    return true;
  }
  const auto other = codes_of(node.input(1));
  // The depth of two activations: known, or as good as any that memory holds.
  const auto& shape = node.input(1)->shape();
  if (!other || (shape && shape->size() >= 2 && (*shape)[shape->size() - 2].number() &&
                 !fits(*(*shape)[shape->size() - 2].number()))) {
    return false;
  }
  if (!shape || shape->size() < 2 || !(*shape)[shape->size() - 2].number()) return false;
  std::vector<ir::Node*> nodes = {&node};
  if (const auto output = quantizer_past_activations(*node.output(0), nodes)) {
    replace(nodes, "QLinearMatMul", "",
            {input->value, input->step.scale, input->step.zero, other->value, other->step.scale, other->step.zero,
             output->step.scale, output->step.zero},
            output->step.type);
    return true;
  }
  replace({&node}, "MatMulIntegerToFloat", "com.microsoft",
          {input->value, other->value, input->step.scale, other->step.scale, input->step.zero, other->step.zero},
          ElementType::float32);
  return true;
}

bool Lowering::lower_integer_product(ir::Node& node) {
  const ir::Tensor* weights = ir::constant(node.input(1));
  const ir::Node* maker = node.input(0) ? node.input(0)->producer() : nullptr;
  if (!weights || weights->rank() != 2 || !maker || !maker->is("DynamicQuantizeLinear")) return false;
  if (maker->output(0) != node.input(0) || maker->output(2) != node.input(2)) return false;
  ir::Node* cast = only_user(*node.output(0));
  if (!cast || !cast->is("Cast") || cast->int_or("to", 0) != static_cast<std::int64_t>(ElementType::float32))
    return false;
  ir::Node* product = only_user(*cast->output(0));
  if (!product || !product->is("Mul") || product->input_count() != 2) return false;
  const ir::Value* scales = product->input(product->input(0) == cast->output(0) ? 1 : 0);
  const ir::Node* scaling = scales ? scales->producer() : nullptr;
  if (!scaling || !scaling->is("Mul") || scaling->input_count() != 2) return false;
  const std::size_t own = scaling->input(0) == maker->output(1) ? 0 : 1;
  ir::Value* by = scaling->input(1 - own);
  const ir::Tensor* sizes = float_constant(by);
  const std::int64_t columns = weights->dims()[1];
  if (scaling->input(own) != maker->output(1) || !sizes) return false;
  if (sizes->rank() > 1 || (sizes->element_count() != 1 && sizes->element_count() != columns)) return false;
  std::vector<ir::Node*> nodes = {&node, cast, product};
  const Bias bias = float_bias(*product->output(0), columns);
  if (bias.node) nodes.push_back(bias.node);
  replace(nodes, "MatMulIntegerToFloat", "com.microsoft",
          {node.input(0), node.input(1), maker->output(1), by, node.input(2), node.input(3), bias.value},
          ElementType::float32);
  return true;
}

}  // namespace hone::exec
