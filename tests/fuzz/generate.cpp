#include "generate.h"

#include <limits>
#include <unordered_set>

#include "hone/onnx/ir_version.h"
#include "hone/onnx/write.h"
#include "hone/support/error.h"
#include "patterns.h"

namespace hone::fuzz {
namespace {

ir::Tensor other_values(Builder& b, ir::ElementType type, const ir::Dims& dims, bool special) {
  ir::Tensor result = b.tensor(type, dims);
  if (type != ir::ElementType::float32) return result;
  // Input values are any: what b.floats() leaves at one number is drawn again.
  result = ir::Tensor::allocate(type, dims);
  for (float& each : result.mutable_data<float>()) {
    each = static_cast<float>(b.random.normal() * 1.5);
    if (special && b.chance(0.1)) each = b.one_of<float>({0, -0.0F, 1, -1, 0.5F, 3, -3, 6});
  }
  return result;
}

// Whether sizes depend on values: those that choose a branch, or of which the others are counted.
bool has_varying_sizes(ir::Model& model) {
  bool found = false;
  const auto look = [&](ir::Graph& root) {
    ir::for_each_graph(root, [&](ir::Graph& graph) {
      found = found || graph.parent_node();
      for (const ir::Node& node : graph.nodes()) found = found || node.is("NonZero");
    });
  };
  look(*model.graph);
  for (const auto& function : model.functions) look(*function->body);
  return found;
}

// A node of anything there is; what comes of it may be refused a few times.
Item emit_of_any(Builder& b, const char* op) {
  for (int tries = 0; tries < 1000; ++tries) {
    try {
      return b.emit(op, {b.pick()});
    } catch (const Rejected&) {
    }
  }
  fail(ErrorKind::internal, "random model: {} takes nothing there is", op);
}

}  // namespace

Generated generate(std::uint64_t seed) {
  Random start(seed, 0);
  const auto roll = start.below(100);
  const std::int64_t opset = roll < 35   ? 17
                             : roll < 50 ? 13
                             : roll < 60 ? 11
                             : roll < 66 ? 9
                             : roll < 68 ? 7
                                         : static_cast<std::int64_t>(12 + start.below(13));
  // Old models list every initializer as an input.
  const std::int64_t ir_version = opset <= 9 && start.below(2) == 0 ? 3 : onnx::ir_version_for_opset(opset);
  Builder b(seed, opset, ir_version, start.below(100) < 40);
  const std::int64_t nodes = b.between(2, 14);
  for (int tries = 0; tries < 40; ++tries) {
    add_pattern(b);
    if (static_cast<std::int64_t>(b.model.graph->node_count()) >= nodes) break;
  }
  if (b.items().empty() || b.model.graph->node_count() == 0) emit_of_any(b, "Relu");

  // Outputs: what nothing uses, and now and then something in between.
  ir::Graph& graph = *b.model.graph;
  std::vector<Item> outputs;
  std::unordered_set<const ir::Value*> seen;
  for (const Item& item : b.items()) {
    const ir::Value* value = item.value;
    if (!value->producer() || value->producer()->op_type().starts_with("Random") || !seen.insert(value).second)
      continue;
    if (value->has_uses() ? b.chance(0.12) : b.chance(0.9)) outputs.push_back(item);
  }
  if (outputs.empty()) {
    for (std::size_t i = b.items().size(); i-- > 0 && outputs.empty();) {
      if (b.items()[i].value->producer()) outputs.push_back(b.items()[i]);
    }
  }
  if (outputs.empty()) outputs.push_back(emit_of_any(b, "Identity"));
  while (outputs.size() > 6) outputs.erase(outputs.begin() + b.below(static_cast<std::int64_t>(outputs.size())));
  for (const Item& item : outputs) {
    ir::Shape shape(item.rank());
    if (b.symbols().empty() && b.chance(0.5)) {
      // Known sizes; where the caller may override a weight, even of a shape, or they depend on values, they are not.
      bool fixed = !has_varying_sizes(b.model);
      for (const ir::Value* input : graph.inputs()) {
        fixed &= !input->initializer() && input->shape() && static_cast<bool>(ir::static_dims(*input->shape()));
      }
      if (fixed) shape = ir::Shape(item.dims().begin(), item.dims().end());
    }
    item.value->set_type(ir::Type::tensor(item.type(), shape));
    item.value->declare();
    graph.add_output(item.value);
  }
  if (b.chance(0.1) && !graph.inputs().empty()) {  // an input straight to an output
    ir::Node& node = graph.insert("Identity", {graph.inputs()[0]}, 1);
    node.output(0)->set_type(graph.inputs()[0]->type());
    node.output(0)->declare();
    graph.add_output(node.output(0));
  }

  Generated result;
  result.bytes = onnx::to_bytes(b.model);
  // Inputs that have to be given, and now and then those that may be.
  for (int variation = 0; variation < 3; ++variation) {
    std::map<std::string, std::int64_t> sizes = b.symbols();
    if (variation == 1) {
      for (auto& [name, size] : sizes) size = b.one_of<std::int64_t>({1, size, size + 1, 2});
    }
    std::vector<ir::NamedDatum> inputs;
    for (const Item& item : b.inputs()) {
      // Defaults are overridden now and then; before IR version 4 nobody may.
      const bool optional = item.value->initializer() != nullptr;
      if (optional && (variation == 0 || ir_version < 4 || !item.is_float() || b.chance(0.5))) continue;
      ir::Dims dims = item.dims();
      const ir::Shape& shape = *item.value->shape();
      for (std::size_t i = 0; i < dims.size(); ++i) {
        if (const auto symbol = shape[i].symbol_name()) dims[i] = sizes.at(std::string(*symbol));
      }
      ir::Tensor values = variation == 0 ? item.sample : other_values(b, item.type(), dims, variation == 2);
      inputs.push_back({item.value->name(), std::move(values)});
    }
    result.inputs.push_back(std::move(inputs));
  }
  return result;
}

}  // namespace hone::fuzz
