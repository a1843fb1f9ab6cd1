#include "surgery/tensors.h"

#include <algorithm>
#include <unordered_set>

#include "hone/onnx/metadata.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::surgery {

std::string describe(const ir::Node& node) { return fmt::format("node {} ({})", quote(node.name()), node.op_type()); }

ir::Value& find_tensor(const ir::Graph& graph, std::string_view name, std::string_view what) {
  if (ir::Value* value = graph.find(name)) return *value;
  std::string inside;
  ir::for_each_graph(const_cast<ir::Graph&>(graph), [&](ir::Graph& inner) {
    if (inside.empty() && &inner != &graph && inner.find(name)) inside = describe(*inner.parent_node());
  });
  if (!inside.empty()) {
    usage_error("{} {} is inside {}; only tensors of the main graph can be named", what, quote(name), inside);
  }
  std::vector<std::string> names;
  graph.for_each_value([&](const ir::Value& value) { names.push_back(value.name()); });
  std::sort(names.begin(), names.end());  // values come unordered
  const std::string near = nearest(name, names);
  usage_error("{}: the model has no tensor {}{}", what, quote(name),
              near.empty() ? "" : fmt::format(", did you mean {}?", quote(near)));
}

void for_each_source(const ir::Graph& graph, const ir::Node& node, const std::function<void(ir::Value&)>& f) {
  const auto take = [&](ir::Value* value) {
    if (value && &value->graph() == &graph) f(*value);
  };
  for (std::size_t i = 0; i < node.input_count(); ++i) take(node.input(i));
  node.for_each_subgraph([&](ir::Graph& subgraph) {
    ir::for_each_graph(subgraph, [&](ir::Graph& inner) {
      for (const ir::Node& each : inner.nodes()) {
        for (std::size_t i = 0; i < each.input_count(); ++i) take(each.input(i));
      }
      for (ir::Value* output : inner.outputs()) take(output);
    });
  });
}

ir::Value& move_to_input(ir::Graph& graph, ir::Value& value, const ir::Type& type) {
  if (value.is_graph_input() && value.sparse_initializer()) {
    unsupported("input {} has a sparse default value", quote(value.name()));
  }
  ir::Value& input = *graph.add_input(graph.fresh_name(value.name()), type);
  graph.replace_all_uses(value, input, true);
  graph.exchange_names(value, input);
  if (value.info()) {
    input.adopt_declaration(value);
  } else {
    input.declare();
    value.undeclare();
  }
  if (value.is_graph_input()) {
    if (const ir::Tensor* tensor = value.initializer()) graph.set_initializer(input, *tensor);
    const auto inputs = graph.inputs();
    const auto at = std::find(inputs.begin(), inputs.end(), &value) - inputs.begin();
    if (value.initializer() || value.sparse_initializer()) graph.remove_initializer(value);
    graph.remove_input(static_cast<std::size_t>(at));
  } else if (!value.producer()) {
    graph.remove_initializer(value);
  }
  return input;
}

namespace {

bool is_unused(const ir::Node& node) {
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (node.output(i) && node.output(i)->has_uses()) return false;
  }
  return true;
}

}  // namespace

void remove_unused(ir::Model& model) {
  ir::Graph& graph = *model.graph;
  // From the end: users come after what they use.
  for (ir::Node* node = graph.last(); node;) {
    ir::Node* previous = node->previous();
    if (is_unused(*node)) graph.erase(*node);
    node = previous;
  }
  for (ir::Value* value : graph.initializers()) {
    if (!value->has_uses() && !value->is_graph_input()) graph.remove_initializer(*value);
  }
  const std::unordered_set<const ir::Function*> reachable = ir::reachable_functions(model);
  model.functions.erase_if([&](const ir::Function& function) { return !reachable.contains(&function); });
  graph.dangling_infos.clear();
  onnx::set_annotations(graph, onnx::annotations(graph, [&](std::string_view name) {
                          return graph.find(name) ? std::optional(std::string(name)) : std::nullopt;
                        }));
  onnx::drop_training_info(model);
}

}  // namespace hone::surgery
