#include "autodiff/inline_functions.h"

#include <algorithm>

#include "hone/onnx/schema.h"

namespace hone::autodiff {
namespace {

// Attributes that refer to those of the call get the values they have there, or the function's defaults.
void bind_attributes(ir::Node& node, const ir::Node& call, const ir::Function& function) {
  for (std::size_t i = 0; i < node.attributes().size(); ++i) {
    const std::string reference = node.attributes()[i].reference;
    if (reference.empty()) continue;
    const std::string name = node.attributes()[i].name;
    const ir::Attribute* value = call.attribute(reference);
    if (!value) {
      for (const ir::Attribute& each : function.attribute_defaults) {
        if (each.name == reference) value = &each;
      }
    }
    if (value) {
      ir::ValueMap map;
      ir::Attribute bound = ir::clone_attribute(*value, node, map);
      bound.name = name;
      node.attributes()[i] = std::move(bound);
    } else {
      node.remove_attribute(name);
      --i;
    }
  }
  node.for_each_subgraph([&](ir::Graph& graph) {
    for (ir::Node& inner : graph.nodes()) bind_attributes(inner, call, function);
  });
}

// Whether an operator of ai.onnx means the same at two versions of the domain. From opset 13 on, new versions of operators
// only take more types and optional attributes, but for these.
bool means_the_same(const ir::Node& node, std::int64_t a, std::int64_t b) {
  const onnx::Schema* here = onnx::find_schema(node.op_type(), node.domain(), a);
  const onnx::Schema* there = onnx::find_schema(node.op_type(), node.domain(), b);
  if (!here || !there) return false;
  if (here->since_version == there->since_version) return true;
  if (!node.domain().empty() || std::min(a, b) < 13) return false;
  const std::string& op = node.op_type();
  // The version that changed it: axes as an input; num_outputs; training_mode; the shape of the scale.
  const std::int64_t changed = op.starts_with("Reduce") && op != "ReduceSum" ? 18
                               : op == "Split"                               ? 18
                               : op == "BatchNormalization"                  ? 14
                               : op == "GroupNormalization"                  ? 21
                                                                             : 0;
  return (a < changed) == (b < changed);
}

// Whether every operator of the body means the same under the model's imports; imports domains the model lacks.
bool versions_agree(const ir::Function& function, ir::Model& model) {
  for (const ir::OpsetImport& import : function.opsets) {
    const std::int64_t version = model.opset(import.domain);
    if (version == import.version || version == 0) continue;
    bool same = true;
    ir::for_each_graph(*function.body, [&](ir::Graph& graph) {
      for (const ir::Node& node : graph.nodes()) {
        if (node.domain() != import.domain) continue;
        same = same && means_the_same(node, version, import.version);
      }
    });
    if (!same) return false;
  }
  for (const ir::OpsetImport& import : function.opsets) {
    if (model.opset(import.domain) == 0) model.set_opset(import.domain, import.version);
  }
  return true;
}

}  // namespace

ir::Node* inline_function(ir::Node& node, ir::Model& model, shapes::Inference& inference) {
  const ir::Function* function = model.functions.called_by(node);
  std::unique_ptr<ir::Function> made;
  if (!function) {
    made = onnx::function_body(node, model);
    function = made.get();
  }
  if (!function || !versions_agree(*function, model)) return nullptr;

  ir::Graph& graph = node.graph();
  ir::ValueMap map;
  const auto parameters = function->body->inputs();
  for (std::size_t i = 0; i < parameters.size(); ++i) map[parameters[i]] = node.input(i);
  ir::Node* before_first = node.previous();
  ir::clone_into(*function->body, graph, &node, map);
  ir::Node* first = before_first ? before_first->next() : graph.first();
  for (ir::Node* each = first; each != &node; each = each->next()) {
    bind_attributes(*each, node, *function);
    // Optional inputs that the call leaves out are empty slots in the copies.
    each->trim_inputs();
  }
  const auto results = function->body->outputs();
  for (std::size_t i = 0; i < node.output_count() && i < results.size(); ++i) {
    ir::Value* output = node.output(i);
    if (!output) continue;
    ir::Value* result = map.at(results[i]);
    if (!result || result->producer() == nullptr || result->is_graph_output()) {
      // A parameter passed through: a value of its own, so that names of graph outputs stay.
      ir::Node& copy = graph.insert("Identity", {result}, 1, &node);
      if (first == &node) first = &copy;
      result = copy.output();
    }
    const bool is_output = output->is_graph_output();
    graph.replace_all_uses(*output, *result);
    if (is_output) graph.exchange_names(*output, *result);
  }
  for (ir::Node* each = first; each != &node; each = each->next()) inference.update(*each);
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (node.output(i)) inference.forget(*node.output(i));
  }
  ir::Node* next = first == &node ? node.next() : first;
  graph.erase(node);
  return next;
}

}  // namespace hone::autodiff
