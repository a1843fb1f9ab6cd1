#include "exec/lower_quantized.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "exec/lowering.h"
#include "exec/reference/quantization.h"

namespace hone::exec {

using ir::ElementType;

namespace {

bool is_quantizing(const ir::Node* node, std::string_view op_type) {
  return node && node->op_type() == op_type && (node->domain().empty() || node->domain() == "com.microsoft") &&
         node->int_or("block_size", 0) == 0 && node->int_or("precision", 0) <= 1;
}

// One positive float32.
std::optional<float> step_size(const ir::Value* value) {
  const ir::Tensor* tensor = ir::constant(value);
  if (!tensor || tensor->type() != ElementType::float32 || tensor->element_count() != 1) return std::nullopt;
  const float size = tensor->to_floats()[0];
  return std::isnormal(size) && size > 0 ? std::optional(size) : std::nullopt;
}

}  // namespace

std::optional<std::pair<float, float>> activation_bounds(const ir::Node& node) {
  std::pair<float, float> bounds(std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max());
  if (node.is("Relu")) {
    bounds.first = 0;
    return bounds;
  }
  if (!node.is("Clip")) return std::nullopt;
  if (node.has_attribute("min")) bounds.first = node.float_or("min", 0);
  if (node.has_attribute("max")) bounds.second = node.float_or("max", 0);
  for (std::size_t i = 1; i <= 2; ++i) {
    if (!node.input(i)) continue;
    const ir::Tensor* bound = ir::constant(node.input(i));
    if (!bound || bound->type() != ElementType::float32 || bound->element_count() != 1) return std::nullopt;
    (i == 1 ? bounds.first : bounds.second) = bound->to_floats()[0];
  }
  return bounds;
}

Lowering::Lowering(PrivateGraph& graph, const std::vector<std::string>& keep) : graph_(graph) {
  for (const std::string& name : keep) kept_.insert(graph.find(name));
}

ir::Node* Lowering::only_user(const ir::Value& value) const {
  if (value.is_graph_output() || kept_.contains(&value)) return nullptr;
  const ir::Use* use = value.only_use();
  return use && &use->node->graph() == &value.graph() ? use->node : nullptr;
}

ir::Value* Lowering::zero_of(ElementType type) {
  ir::Value*& value = zeros_[type];
  if (!value) {
    value =
        graph_.graph().add_initializer("zero_point", type == ElementType::int8 ? ir::Tensor::scalar(std::int8_t{0})
                                                                               : ir::Tensor::scalar(std::uint8_t{0}));
  }
  return value;
}

std::optional<Codes> Lowering::codes_of(const ir::Value* value) {
  const ir::Node* node = value ? value->producer() : nullptr;
  if (!is_quantizing(node, "DequantizeLinear") || node->int_or("output_dtype", 1) > 1 || !node->input(0)) return {};
  const auto size = step_size(node->input(1));
  if (!size) return std::nullopt;
  Codes result{node->input(0), {node->input(1), node->input(2), *size, 0, ElementType::undefined}};
  if (node->input(2)) {
    const ir::Tensor* zero = ir::constant(node->input(2));
    if (!zero || zero->element_count() != 1 || !is_code(zero->type())) return std::nullopt;
    result.step.type = zero->type();
    result.step.offset = static_cast<std::int32_t>(zero->to_ints()[0]);
    return result;
  }
  const ir::Tensor* constant = ir::constant(result.value);
  result.step.type = constant ? constant->type() : result.value->element_type();
  if (const ir::Node* maker = result.value->producer(); result.step.type == ElementType::undefined &&
                                                        is_quantizing(maker, "QuantizeLinear") && !maker->input(2) &&
                                                        maker->int_or("output_dtype", 0) == 0) {
    result.step.type = ElementType::uint8;
  }
  if (!is_code(result.step.type)) return std::nullopt;
  result.step.zero = zero_of(result.step.type);
  return result;
}

std::optional<QuantizedWeights> Lowering::weights_of(const ir::Value* value, std::size_t axis) {
  const ir::Node* node = value ? value->producer() : nullptr;
  if (!is_quantizing(node, "DequantizeLinear") || node->int_or("output_dtype", 1) > 1) return std::nullopt;
  const ir::Tensor *codes = ir::constant(node->input(0)), *scale = ir::constant(node->input(1)),
                   *zero = ir::constant(node->input(2));
  if (!codes || !is_code(codes->type()) || axis >= codes->rank()) return std::nullopt;
  if (!scale || scale->type() != ElementType::float32 || (node->input(2) && !zero)) return std::nullopt;
  const auto rank = static_cast<std::int64_t>(codes->rank());
  const std::int64_t given = node->int_or("axis", 1), count = scale->element_count();
  if (count != 1 && (scale->rank() != 1 || count != codes->dims()[axis] ||
                     (given < 0 ? given + rank : given) != static_cast<std::int64_t>(axis))) {
    return std::nullopt;
  }
  if (zero && (zero->type() != codes->type() || zero->element_count() != count)) return std::nullopt;
  QuantizedWeights result{node->input(0), node->input(1), node->input(2), codes, scale->to_floats()};
  for (const float size : result.sizes) {
    if (!std::isnormal(size) || size < 0) return std::nullopt;
  }
  if (!zero) result.zero = zero_of(codes->type());
  return result;
}

std::optional<Quantizer> Lowering::quantizer_of(const ir::Value& value) {
  ir::Node* node = only_user(value);
  if (!is_quantizing(node, "QuantizeLinear") || node->input(0) != &value) return std::nullopt;
  const auto size = step_size(node->input(1));
  const std::int64_t type = node->int_or("output_dtype", 0);
  if (!size) return std::nullopt;
  Quantizer result{node, {node->input(1), node->input(2), *size, 0, ElementType::uint8}};
  if (type != 0) result.step.type = static_cast<ElementType>(type);
  if (node->input(2)) {
    const ir::Tensor* zero = ir::constant(node->input(2));
    if (!zero || zero->element_count() != 1 || (type != 0 && zero->type() != result.step.type)) return std::nullopt;
    result.step.type = zero->type();
    if (!is_code(zero->type())) return std::nullopt;
    result.step.offset = static_cast<std::int32_t>(zero->to_ints()[0]);
  }
  if (!is_code(result.step.type)) return std::nullopt;
  if (!result.step.zero) result.step.zero = zero_of(result.step.type);
  return result;
}

std::optional<Quantizer> Lowering::quantizer_past_activations(const ir::Value& value, std::vector<ir::Node*>& nodes) {
  const ir::Value* current = &value;
  std::pair<float, float> bounds(std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max());
  for (;;) {
    if (auto quantizer = quantizer_of(*current)) {
      // Rounding keeps the order: cutting before it is cutting the codes at the rounded bounds.
      const QuantizationParameters& step = quantizer->step;
      const bool is_signed = step.type == ElementType::int8;
      const auto code = [&](float bound) {
        return std::nearbyint(bound / step.size) + static_cast<float>(step.offset);
      };
      if (!(code(bounds.first) <= (is_signed ? -128.0F : 0.0F) && code(bounds.second) >= (is_signed ? 127.0F : 255.0F)))
        return std::nullopt;
      nodes.push_back(quantizer->node);
      return quantizer;
    }
    ir::Node* node = only_user(*current);
    if (!node || node->input(0) != current) return std::nullopt;
    const auto more = activation_bounds(*node);
    // Clip's upper bound wins where the two cross, so that two of them are not just the intersection.
    if (!more || !(more->first <= more->second) || more->first > bounds.second || more->second < bounds.first)
      return std::nullopt;
    bounds = {std::max(bounds.first, more->first), std::min(bounds.second, more->second)};
    nodes.push_back(node);
    current = node->output(0);
  }
}

std::optional<ir::Value*> Lowering::integer_bias(const ir::Value* bias, const QuantizationParameters& input,
                                                 const QuantizedWeights& weights, std::int64_t channels,
                                                 std::int64_t depth, std::optional<float> output_step) {
  constexpr double most = std::numeric_limits<std::int32_t>::max();
  const double product = 255.0 * 255.0 * static_cast<double>(depth);
  if (product > most) return std::nullopt;
  if (!bias) return nullptr;
  std::vector<double> values;
  if (const ir::Tensor* tensor = ir::constant(bias)) {
    if (tensor->type() != ElementType::float32) return std::nullopt;
    values = tensor->to_doubles();
  } else {
    const ir::Node* node = bias->producer();
    if (!is_quantizing(node, "DequantizeLinear") || node->int_or("output_dtype", 1) > 1) return std::nullopt;
    const ir::Tensor *codes = ir::constant(node->input(0)), *scale = ir::constant(node->input(1)),
                     *zero = ir::constant(node->input(2));
    if (!codes || codes->type() != ElementType::int32 || !scale || scale->type() != ElementType::float32)
      return std::nullopt;
    if (node->input(2)) {
      if (!zero || zero->type() != ElementType::int32) return std::nullopt;
      for (const std::int64_t each : zero->to_ints()) {
        if (each != 0) return std::nullopt;
      }
    }
    const std::int64_t count = scale->element_count();
    if (count != 1 && (count != codes->element_count() || scale->rank() != 1)) return std::nullopt;
    const std::vector<float> sizes = scale->to_floats();
    values = codes->to_doubles();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] *= static_cast<double>(sizes[sizes.size() == 1 ? 0 : i]);
  }
  if (values.size() != static_cast<std::size_t>(channels)) return std::nullopt;
  std::vector<std::int32_t> codes;
  for (std::size_t c = 0; c < values.size(); ++c) {
    const auto step = static_cast<double>(input.size * weights.size(c));
    const double code = std::nearbyint(values[c] / step);
    if (!(std::abs(code) + product <= most)) return std::nullopt;
    // What rounding changes must not show.
    const double wrong = std::abs(code * step - values[c]);
    if (wrong > 1e-6 * std::abs(values[c]) && (!output_step || wrong > 0.05 * static_cast<double>(*output_step)))
      return std::nullopt;
    codes.push_back(static_cast<std::int32_t>(code));
  }
  return graph_.graph().add_initializer(bias->name() + "_codes", ir::Tensor::vector(codes));
}

ir::Node& Lowering::replace(const std::vector<ir::Node*>& nodes, std::string op_type, std::string domain,
                            std::vector<ir::Value*> inputs, ElementType type) {
  ir::Node& root = *nodes.front();
  ir::Node* last = nodes.back();
  ir::Graph& owner = root.graph();
  ir::Node& node = owner.insert(std::move(op_type), last, std::move(domain));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]) node.set_input(i, inputs[i]);
  }
  ir::ValueMap map;
  for (const ir::Attribute& attribute : root.attributes())
    node.attributes().push_back(ir::clone_attribute(attribute, node, map));
  ir::Value& old = *last->output(0);
  ir::Value& made = *node.add_output();
  made.set_type(old.shape() ? ir::Type::tensor(type, *old.shape()) : ir::Type::tensor(type));
  graph_.inherit(node, root);
  graph_.redirect(old.name(), made.name());
  if (kept_.contains(&old)) kept_.insert(&made);
  owner.replace_all_uses(old, made);
  for (auto each = nodes.rbegin(); each != nodes.rend(); ++each) {
    graph_.forget(**each);
    gone_.insert(*each);
    owner.erase(**each);
  }
  return node;
}

void Lowering::move_codes(ir::Node& node, const Codes& input, const std::vector<ir::Value*>& inputs) {
  ir::Graph& owner = node.graph();
  ir::Node& moved = owner.insert(node.op_type(), inputs, 1, &node);
  ir::ValueMap map;
  for (const ir::Attribute& attribute : node.attributes())
    moved.attributes().push_back(ir::clone_attribute(attribute, moved, map));
  const auto& shape = node.output(0)->shape();
  moved.output(0)->set_type(shape ? ir::Type::tensor(input.step.type, *shape) : ir::Type::tensor(input.step.type));
  graph_.inherit(moved, node);
  node.attributes().clear();  // replace() would take them over
  replace({&node}, "DequantizeLinear", "", {moved.output(0), input.step.scale, input.step.zero}, ElementType::float32);
}

bool Lowering::lower_convolution(ir::Node& node) {
  const auto input = codes_of(node.input(0));
  const auto weights = weights_of(node.input(1), 0);
  if (!input || !weights || weights->tensor->rank() < 3 || weights->tensor->rank() > 4) return false;
  std::vector<ir::Node*> nodes = {&node};
  const auto output = quantizer_past_activations(*node.output(0), nodes);
  if (!output) return false;
  const ir::Dims& dims = weights->tensor->dims();
  std::int64_t depth = 1;
  for (std::size_t i = 1; i < dims.size(); ++i) depth *= dims[i];
  const auto bias = integer_bias(node.input(2), input->step, *weights, dims[0], depth, output->step.size);
  if (!bias) return false;
  replace(nodes, "QLinearConv", "",
          {input->value, input->step.scale, input->step.zero, weights->codes, weights->scale, weights->zero,
           output->step.scale, output->step.zero, *bias},
          output->step.type);
  return true;
}

bool Lowering::lower(ir::Node& node) {
  if (!node.output(0)) return false;
  if (!node.domain().empty() || graph_.opset(node) < 10) return false;  // the integer operators came with that
  using Method = bool (Lowering::*)(ir::Node&);
  static const std::map<std::string_view, Method> methods = {
      {"Conv", &Lowering::lower_convolution},
      {"Gemm", &Lowering::lower_gemm},
      {"MatMul", &Lowering::lower_product},
      {"MatMulInteger", &Lowering::lower_integer_product},
      {"Add", &Lowering::lower_binary},
      {"Mul", &Lowering::lower_binary},
      {"Sigmoid", &Lowering::lower_unary},
      {"LeakyRelu", &Lowering::lower_unary},
      {"Softmax", &Lowering::lower_unary},
      {"AveragePool", &Lowering::lower_pool},
      {"GlobalAveragePool", &Lowering::lower_pool},
      {"Concat", &Lowering::lower_concat},
      {"MaxPool", &Lowering::lower_mover},
      {"Reshape", &Lowering::lower_mover},
      {"Transpose", &Lowering::lower_mover},
      {"Flatten", &Lowering::lower_mover},
      {"Squeeze", &Lowering::lower_mover},
      {"Unsqueeze", &Lowering::lower_mover},
      {"Slice", &Lowering::lower_mover},
      {"Gather", &Lowering::lower_mover},
      {"Expand", &Lowering::lower_mover},
      {"Tile", &Lowering::lower_mover},
      {"DepthToSpace", &Lowering::lower_mover},
      {"SpaceToDepth", &Lowering::lower_mover},
      {"Pad", &Lowering::lower_mover},
      {"Identity", &Lowering::lower_mover},
  };
  const auto found = methods.find(node.op_type());
  return found != methods.end() && (this->*found->second)(node);
}

void Lowering::sweep(ir::Graph& graph) {
  for (ir::Node& node : graph.nodes()) {
    if (!is_quantizing(&node, "DequantizeLinear") || !node.output(0) || node.output(0)->has_uses() ||
        kept_.contains(node.output(0))) {
      continue;
    }
    graph_.forget(node);
    graph.erase(node);
  }
}

void Lowering::run() {
  const std::vector<ir::Graph*> graphs = graph_.running_graphs();
  bool any = false;
  for (ir::Graph* each : graphs) {
    std::vector<ir::Node*> nodes;
    for (ir::Node& node : each->nodes()) nodes.push_back(&node);
    for (ir::Node* node : nodes) {
      if (!gone_.contains(node)) any = lower(*node) || any;
    }
  }
  if (!any) return;
  for (ir::Graph* each : graphs) sweep(*each);
}

void lower_quantized(PrivateGraph& graph, const std::vector<std::string>& keep) { Lowering(graph, keep).run(); }

}  // namespace hone::exec
