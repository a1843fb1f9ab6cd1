#include "prune/layers.h"

#include <regex>
#include <unordered_map>

#include "hone/support/error.h"

namespace hone::prune {
namespace {

std::optional<std::regex> compile(const std::string& text, const char* option) {
  if (text.empty()) return std::nullopt;
  try {
    return std::regex(text, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& error) {
    usage_error("--{} {} is not a regular expression: {}", option, quote(text), error.what());
  }
}

std::optional<Layer> as_layer(ir::Node& node) {
  Layer layer;
  layer.node = &node;
  if (node.is("Conv")) {
    layer.output_axis = 0;
    layer.summed_axis = 1;
  } else if (node.is("ConvTranspose")) {
    layer.output_axis = 1;
    layer.summed_axis = 0;
  } else if (node.is("Gemm")) {
    const bool transposed = node.int_or("transB", 0) != 0;
    layer.output_axis = transposed ? 0 : 1;
    layer.summed_axis = transposed ? 1 : 0;
  } else if (node.is("MatMul")) {
    // [..., K, N]; a constant on the left multiplies from there.
    layer.input = ir::constant(node.input(1)) ? 1 : 0;
    const ir::Tensor* weight = ir::constant(node.input(layer.input));
    if (!weight || weight->rank() < 2) return std::nullopt;
    layer.output_axis = weight->rank() - (layer.input == 1 ? 1 : 2);
    layer.summed_axis = weight->rank() - (layer.input == 1 ? 2 : 1);
  } else {
    return std::nullopt;
  }
  layer.weight = node.input(layer.input);
  return ir::constant(layer.weight) ? std::optional(layer) : std::nullopt;
}

}  // namespace

std::vector<Layer> find_layers(ir::Model& model, const PruneOptions& options, std::vector<LayerResult>& results) {
  const auto include = compile(options.include, "include");
  const auto exclude = compile(options.exclude, "exclude");
  const auto matches = [](const std::regex& expression, const Layer& layer) {
    return std::regex_search(layer.node->name(), expression) || std::regex_search(layer.weight->name(), expression);
  };
  std::vector<Layer> layers;
  std::unordered_map<const ir::Value*, bool> seen;
  bool selected = false;
  ir::for_each_graph(*model.graph, [&](ir::Graph& graph) {
    for (ir::Node& node : graph.nodes()) {
      const auto layer = as_layer(node);
      if (!layer || seen[layer->weight]) continue;
      seen[layer->weight] = true;
      const ir::Tensor& tensor = *ir::constant(layer->weight);
      LayerResult result;
      result.node = node.name();
      result.op_type = node.op_type();
      result.weight = layer->weight->name();
      if ((include && !matches(*include, *layer)) || (exclude && matches(*exclude, *layer))) {
        result.skipped = "excluded by name";
      } else if (selected = true; tensor.type() != ir::ElementType::float32) {
        result.skipped = "weight is " + std::string(ir::name(tensor.type())) + ", not float";
      } else if (tensor.rank() < 2 || tensor.element_count() == 0) {
        result.skipped = "weight is no matrix";
      } else {
        layers.push_back(*layer);
        continue;
      }
      results.push_back(std::move(result));
    }
  });
  if (include && !selected) usage_error("--include {} matches no layer of this model", quote(options.include));
  return layers;
}

}  // namespace hone::prune
