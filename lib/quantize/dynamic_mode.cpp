// y = (x_q - x_zero) * W_q * (x_scale * w_scale) + bias, the pattern that ONNX Runtime runs as DynamicQuantizeMatMul.
// Activations that several products read are quantized once.
#include <unordered_map>

#include "hone/support/error.h"
#include "quantize/integers.h"
#include "quantize/modes.h"

namespace hone::quantize {
namespace {

// A matrix stored the other way round: [N,K] -> [K,N]. Loaded whole: a weight at a time, and int8 by then.
ir::Tensor transposed(const ir::Tensor& matrix) {
  const ir::Tensor loaded = matrix.loaded();
  const auto rows = static_cast<std::size_t>(matrix.dims()[0]), columns = static_cast<std::size_t>(matrix.dims()[1]);
  ir::Tensor result = ir::Tensor::allocate(ir::ElementType::int8, {matrix.dims()[1], matrix.dims()[0]});
  const auto from = loaded.data<std::int8_t>();
  auto to = result.mutable_data<std::int8_t>();
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
  }
  return result;
}

}  // namespace

void write_dynamic(ir::Model& model, const std::vector<ir::Node*>& nodes, const QuantizeOptions& options,
                   QuantizeResult& result) {
  ir::Graph& graph = *model.graph;
  const int most = largest_weight(options);
  std::unordered_map<const ir::Value*, ir::Node*> quantized;  // activations
  const auto constant = [&](const std::string& name, ir::Tensor tensor) {
    const ir::Dims dims = tensor.dims();
    const ir::ElementType type = tensor.type();
    ir::Value* value = graph.add_initializer(name, std::move(tensor));
    value->set_type(ir::Type::tensor(type, ir::Shape(dims.begin(), dims.end())));
    return value;
  };
  const auto add = [&](const char* op, const std::vector<ir::Value*>& inputs, std::size_t outputs, ir::Node& before,
                       const std::string& name) -> ir::Node& {
    ir::Node& node = graph.insert(op, inputs, outputs, &before);
    node.set_name(name + "_" + op);
    return node;
  };
  for (ir::Node* product : nodes) {
    ir::Node& node = *product;
    const std::string name = node.name().empty() ? node.output(0)->name() : node.name();
    ir::Value* activation = node.input(0);
    ir::Node*& dynamic = quantized[activation];
    if (!dynamic) {
      // Right behind what makes it, so that every product can read it.
      ir::Node* place = activation->producer() ? activation->producer()->next() : graph.first();
      dynamic = &graph.insert("DynamicQuantizeLinear", {activation}, 3, place);
      dynamic->set_name(activation->name() + "_DynamicQuantizeLinear");
      dynamic->output(0)->set_type(ir::Type::tensor(ir::ElementType::uint8, activation->shape()));
      dynamic->output(1)->set_type(ir::Type::tensor(ir::ElementType::float32, ir::Shape{}));
      dynamic->output(2)->set_type(ir::Type::tensor(ir::ElementType::uint8, ir::Shape{}));
    }
    ir::Value* original = node.input(1);
    const ir::Tensor weight = *ir::constant(original);
    const std::size_t axis = channel_axis(node);
    const std::optional<std::size_t> channels = options.per_channel ? std::optional(axis) : std::nullopt;
    const std::vector<float> scales = symmetric_scales(weight, channels, most);
    ir::Tensor integers = quantize_symmetric(weight, channels, scales, most);
    if (axis == 0) integers = transposed(integers);
    result.weight_bytes_before += weight.byte_size();
    result.weight_bytes_after += static_cast<std::uint64_t>(weight.element_count());

    const std::string base = original->name();
    const bool scalar = scales.size() == 1;
    ir::Value* scale = constant(base + "_scale", scalar ? ir::Tensor::scalar(scales[0]) : ir::Tensor::vector(scales));
    ir::Value* zero =
        constant(base + "_zero_point",
                 scalar ? ir::Tensor::scalar(std::int8_t{0})
                        : ir::Tensor::zeros(ir::ElementType::int8, {static_cast<std::int64_t>(scales.size())}));
    ir::Node& integer =
        add("MatMulInteger",
            {dynamic->output(0), constant(base + "_quantized", std::move(integers)), dynamic->output(2), zero}, 1, node,
            name);
    ir::Node& cast = add("Cast", {integer.output(0)}, 1, node, name);
    cast.set_attribute("to", static_cast<std::int64_t>(ir::ElementType::float32));
    ir::Node& scaling = add("Mul", {dynamic->output(1), scale}, 1, node, name + "_scales");
    ir::Node* last = &add("Mul", {cast.output(0), scaling.output(0)}, 1, node, name);
    if (node.input(2)) last = &add("Add", {last->output(0), node.input(2)}, 1, node, name);

    ir::Value& old = *node.output(0);
    ir::Value& fresh = *last->output(0);
    fresh.set_type(old.type());
    const bool is_output = old.is_graph_output();
    graph.replace_all_uses(old, fresh);
    if (is_output) fresh.adopt_declaration(old);
    graph.exchange_names(old, fresh);
    graph.erase(node);
    if (original->has_uses()) continue;
    if (ir::Node* producer = original->producer()) {
      graph.erase(*producer);
    } else if (!original->is_graph_input()) {
      graph.remove_initializer(*original);
    }
  }
}

}  // namespace hone::quantize
