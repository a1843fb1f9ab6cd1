// QDQ: x -> QuantizeLinear -> DequantizeLinear -> users. A weight is int8 behind a DequantizeLinear, a bias int32 with the
// product of both scales.
#include "hone/support/error.h"
#include "quantize/integers.h"
#include "quantize/modes.h"

namespace hone::quantize {
namespace {

using ir::ElementType;

class Writer {
 public:
  Writer(ir::Model& model, const QuantizeOptions& options, QuantizeResult& result)
      : graph_(*model.graph), options_(options), result_(result) {}

  void pair(ir::Value& value, Parameters parameters, ir::Value* scale, ir::Value* zero_point) {
    const std::string name = value.name();
    if (!scale) {
      scale = add(name + "_scale", ir::Tensor::scalar(parameters.scale));
      zero_point = add(name + "_zero_point", ir::Tensor::scalar(parameters.zero_point));
    }
    made_[&value] = {parameters, scale, zero_point};

    // Everybody reads the dequantized value; a graph output keeps its name on it.
    std::vector<ir::Use> uses(value.uses().begin(), value.uses().end());
    ir::Node* before = value.producer() ? value.producer()->next() : graph_.first();
    ir::Node& quantize = graph_.insert("QuantizeLinear", {&value, scale, zero_point}, 1, before);
    ir::Node& dequantize = graph_.insert("DequantizeLinear", {quantize.output(0), scale, zero_point}, 1, before);
    quantize.set_name(name + "_QuantizeLinear");
    dequantize.set_name(name + "_DequantizeLinear");
    ir::Value& back = *dequantize.output(0);
    quantize.output(0)->set_type(ir::Type::tensor(ElementType::uint8, value.shape()));
    back.set_type(value.type());
    for (const ir::Use& use : uses) use.node->set_input(use.index, &back);
    if (value.is_graph_output() && value.producer()) {
      for (std::size_t i = 0; i < graph_.outputs().size(); ++i) {
        if (graph_.outputs()[i] == &value) graph_.set_output(i, &back);
      }
      back.adopt_declaration(value);
      graph_.exchange_names(value, back);
    }
    graph_.rename(*quantize.output(0), graph_.fresh_name(name + "_quantized"));
    if (!back.is_graph_output()) graph_.rename(back, graph_.fresh_name(name + "_dequantized"));
  }
  void pair_like(ir::Value& value, const ir::Value& other) {
    const Made& made = made_.at(&other);
    pair(value, made.parameters, made.scale, made.zero_point);
  }

  void weights(ir::Node& node) {
    ir::Value* original = node.input(1);
    const ir::Tensor weight = *ir::constant(original);
    const int most = largest_weight(options_);
    const std::size_t axis = channel_axis(node);
    const std::optional<std::size_t> channels = options_.per_channel ? std::optional(axis) : std::nullopt;
    std::vector<float> scales = symmetric_scales(weight, channels, most);

    std::optional<ir::Tensor> bias;
    if (node.input(2)) {
      // The scale of the activation: its DequantizeLinear is the producer by now.
      const float input_scale = ir::constant(node.input(0)->producer()->input(1))->to_floats()[0];
      bias = quantize_bias(ir::constant(node.input(2))->to_floats(), input_scale, scales);
      std::vector<float> bias_scales;
      for (const float scale : scales) bias_scales.push_back(input_scale * scale);
      const std::string name = node.input(2)->name();
      dequantized(node, 2, *bias, bias_scales, name, std::nullopt,
                  bias_scales.size() > 1 ? std::optional(0) : std::nullopt);
    }
    result_.weight_bytes_before += weight.byte_size();
    result_.weight_bytes_after += static_cast<std::uint64_t>(weight.element_count());
    dequantized(node, 1, quantize_symmetric(weight, channels, scales, most), scales, original->name(), std::int8_t{0},
                channels ? std::optional(static_cast<int>(axis)) : std::nullopt);
  }

  // ONNX Runtime makes one float Gemm of MatMul and the Add of a vector, also behind more than two dimensions, and then
  // dequantizes the weight in every run: 33 times slower than float for one row. A bias of three dimensions it leaves alone.
  // (Of two dimensions there is none left: hone convert makes a Gemm, which has an integer kernel.)
  void keep_bias_apart(ir::Node& product) {
    const ir::Value& output = *product.output(0);
    if (!product.is("MatMul") || !output.shape() || output.shape()->size() < 3) return;
    for (const ir::Use& use : std::vector<ir::Use>(output.uses().begin(), output.uses().end())) {
      if (!use.node->is("Add") || &use.node->graph() != &graph_) continue;
      const std::size_t slot = 1 - use.index;
      ir::Value* bias = use.node->input(slot);
      const ir::Tensor* tensor = ir::constant(bias);
      if (!tensor || tensor->rank() != 1) continue;
      use.node->set_input(slot, add(bias->name(), tensor->reshaped({1, 1, tensor->dims()[0]})));
      drop_unused(*bias);
    }
  }

 private:
  struct Made {
    Parameters parameters;
    ir::Value *scale, *zero_point;
  };

  ir::Value* add(const std::string& name, ir::Tensor tensor) {
    const ir::Dims dims = tensor.dims();
    const ElementType type = tensor.type();
    ir::Value* value = graph_.add_initializer(name, std::move(tensor));
    value->set_type(ir::Type::tensor(type, ir::Shape(dims.begin(), dims.end())));
    return value;
  }

  // Puts DequantizeLinear(integers) in the place of a constant input; the constant goes when nobody else has it.
  void dequantized(ir::Node& node, std::size_t slot, ir::Tensor integers, const std::vector<float>& scales,
                   const std::string& name, std::optional<std::int8_t> zero, std::optional<int> axis) {
    const bool scalar = scales.size() == 1;
    ir::Value* scale = add(name + "_scale", scalar ? ir::Tensor::scalar(scales[0]) : ir::Tensor::vector(scales));
    ir::Value* quantized = add(name + "_quantized", std::move(integers));
    std::vector<ir::Value*> inputs{quantized, scale};
    if (zero) {
      inputs.push_back(add(name + "_zero_point",
                           scalar ? ir::Tensor::scalar(*zero)
                                  : ir::Tensor::zeros(ElementType::int8, {static_cast<std::int64_t>(scales.size())})));
    } else {
      inputs.push_back(add(name + "_zero_point",
                           scalar ? ir::Tensor::scalar(std::int32_t{0})
                                  : ir::Tensor::zeros(ElementType::int32, {static_cast<std::int64_t>(scales.size())})));
    }
    ir::Node& dequantize = graph_.insert("DequantizeLinear", inputs, 1, &node);
    dequantize.set_name(quantized->name() + "_DequantizeLinear");  // weights may be shared
    if (axis && !scalar) dequantize.set_attribute("axis", static_cast<std::int64_t>(*axis));
    ir::Value& back = *dequantize.output(0);
    graph_.rename(back, graph_.fresh_name(name + "_dequantized"));
    const ir::Dims& dims = quantized->initializer()->dims();
    back.set_type(ir::Type::tensor(ElementType::float32, ir::Shape(dims.begin(), dims.end())));
    ir::Value* old = node.input(slot);
    node.set_input(slot, &back);
    drop_unused(*old);
  }
  void drop_unused(ir::Value& constant) {
    if (constant.has_uses() || constant.is_graph_output()) return;
    if (ir::Node* producer = constant.producer()) {
      graph_.erase(*producer);
    } else if (!constant.is_graph_input()) {
      graph_.remove_initializer(constant);
    }
  }

  ir::Graph& graph_;
  const QuantizeOptions& options_;
  QuantizeResult& result_;
  std::unordered_map<const ir::Value*, Made> made_;
};

}  // namespace

void write_static(ir::Model& model, const Placement& placement, const std::unordered_map<std::string, Extent>& extents,
                  const QuantizeOptions& options, QuantizeResult& result) {
  Writer writer(model, options, result);
  // Names change while pairs are written: look them up first.
  std::vector<std::pair<ir::Value*, std::string>> values;
  for (ir::Value* value : placement.values) values.emplace_back(value, value->name());
  for (auto& [value, name] : values) {
    const auto same = placement.same_as.find(value);
    if (same != placement.same_as.end()) {
      writer.pair_like(*value, *same->second);
      continue;
    }
    const auto found = extents.find(name);
    if (found == extents.end()) fail(ErrorKind::internal, "value {} was not calibrated", quote(name));
    const Parameters parameters = uint8_parameters(found->second.min, found->second.max);
    writer.pair(*value, parameters, nullptr, nullptr);
    result.ranges.push_back({name, found->second.min, found->second.max, parameters.scale, parameters.zero_point});
  }
  for (ir::Node* node : placement.weighted) {
    writer.weights(*node);
    writer.keep_bias_apart(*node);
  }
}

}  // namespace hone::quantize
