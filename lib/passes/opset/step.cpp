#include "passes/opset/step.h"

#include <utility>

#include "hone/support/error.h"
#include "passes/weights.h"

namespace hone::passes::opset {
namespace {

ir::Type type_of(const ir::Tensor& tensor) {
  return ir::Type::tensor(tensor.type(), ir::Shape(tensor.dims().begin(), tensor.dims().end()));
}

template <typename T>
ir::Tensor one(double value) {
  return ir::Tensor::scalar(static_cast<T>(value));
}

std::optional<ir::Tensor> number(double value, ir::ElementType type) {
  switch (type) {
    case ir::ElementType::int8:
      return one<std::int8_t>(value);
    case ir::ElementType::uint8:
      return one<std::uint8_t>(value);
    case ir::ElementType::int16:
      return one<std::int16_t>(value);
    case ir::ElementType::uint16:
      return one<std::uint16_t>(value);
    case ir::ElementType::int32:
      return one<std::int32_t>(value);
    case ir::ElementType::uint32:
      return one<std::uint32_t>(value);
    case ir::ElementType::int64:
      return one<std::int64_t>(value);
    case ir::ElementType::uint64:
      return one<std::uint64_t>(value);
    case ir::ElementType::boolean:
      return one<bool>(value);
    default:
      if (is_scalable(type)) return from_doubles(type, {}, {value});
      return std::nullopt;
  }
}

}  // namespace

void Context::infer(ir::Node& node, std::int64_t version) {
  const std::int64_t before = std::exchange(import->version, version);
  node.for_each_subgraph([&](ir::Graph& graph) {
    for (ir::Node& inner : graph.nodes()) infer(inner, version);
  });
  shapes.update(node);
  import->version = before;
}

std::string Context::node_name(const std::string& base) {
  if (!node_names) {
    node_names.emplace();
    const auto collect = [this](ir::Graph& graph) {
      for (const ir::Node& node : graph.nodes()) node_names->insert(node.name());
    };
    ir::for_each_graph(*model.graph, collect);
    for (const auto& function : model.functions) ir::for_each_graph(*function->body, collect);
  }
  std::string name = base;
  for (int i = 1; !node_names->insert(name).second; ++i) name = base + "_" + std::to_string(i);
  return name;
}

std::optional<Ints> Step::ints(const ir::Value* value) const {
  if (!value) return std::nullopt;
  if (auto constant = ir::constant_ints(value)) return constant;
  return context_.shapes.known_ints(*value);
}

std::optional<std::int64_t> Step::rank(const ir::Value* value) const {
  if (!value || !value->type().is_tensor() || !value->shape()) return std::nullopt;
  return static_cast<std::int64_t>(value->shape()->size());
}

ir::ElementType Step::element(const ir::Value* value) const {
  return value && value->type().is_tensor() ? value->element_type() : ir::ElementType::undefined;
}

void Step::name(ir::Node& made) {
  if (!node.name().empty()) made.set_name(context_.node_name(node.name() + "_" + made.op_type()));
}

ir::Value* Step::constant(ir::Tensor tensor, std::string_view suffix) {
  ir::Graph& graph = node.graph();
  const ir::Value* output = node.output(0);
  const std::string name = (output ? output->name() : node.name()) + "_" + std::string(suffix);
  ir::Type type = type_of(tensor);
  ir::Value* value = nullptr;
  if (context_.constants_are_nodes) {
    ir::Node& made = graph.insert("Constant", {}, 0, &node);
    made.set_attribute("value", std::move(tensor));
    value = made.add_output(graph.fresh_name(name));
    this->name(made);
    made_.emplace_back(&made, landing_);
  } else {
    value = graph.add_initializer(name, std::move(tensor));
  }
  value->set_type(std::move(type));
  return value;
}

ir::Value* Step::scalar(double value, ir::ElementType type, std::string_view suffix) {
  auto tensor = number(value, type);
  return tensor ? constant(std::move(*tensor), suffix) : nullptr;
}

ir::Value* Step::add(std::string op_type, const std::vector<ir::Value*>& inputs, Attributes attributes,
                     std::string_view suffix) {
  ir::Graph& graph = node.graph();
  const ir::Value* output = node.output(0);
  ir::Node& made = graph.insert(std::move(op_type), inputs, 0, &node);
  for (auto& [name, payload] : attributes) made.set_attribute(std::move(name), std::move(payload));
  ir::Value* value =
      made.add_output(graph.fresh_name((output ? output->name() : node.name()) + "_" + std::string(suffix)));
  made.set_rest(node.rest());
  name(made);
  made_.emplace_back(&made, landing_);
  context_.infer(made, landing_);
  return value;
}

ir::Node& Step::work_before(std::string_view suffix) {
  ir::Graph& graph = node.graph();
  std::vector<ir::Value*> inputs;
  for (std::size_t i = 0; i < node.input_count(); ++i) inputs.push_back(node.input(i));
  ir::Node& work = graph.insert(node.op_type(), inputs, 0, &node, node.domain());
  work.attributes() = std::move(node.attributes());
  node.attributes().clear();
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    const ir::Value* output = node.output(i);
    if (!output) continue;
    work.set_output(i, graph.fresh_name(output->name() + "_" + std::string(suffix)))->set_type(output->type());
  }
  work.set_name(node.name());
  work.set_rest(node.rest());
  while (node.input_count() > 0) node.remove_input(node.input_count() - 1);
  made_.emplace_back(&work, landing_);
  return work;
}

void Step::become(std::string op_type, const std::vector<ir::Value*>& inputs, Attributes attributes) {
  while (node.input_count() > 0) node.remove_input(node.input_count() - 1);
  node.set_op(std::move(op_type));
  node.attributes().clear();
  for (auto& [name, payload] : attributes) node.set_attribute(std::move(name), std::move(payload));
  for (ir::Value* input : inputs) node.add_input(input);
  node.trim_inputs();
  // The new node before it has its name.
  for (const auto& [made, landing] : made_) {
    if (made->name() == node.name()) {
      name(node);
      break;
    }
  }
}

void Step::after(ir::Value& output, std::string op_type, Attributes attributes, ir::Type inner) {
  ir::Graph& graph = node.graph();
  ir::Node& made = graph.insert(std::move(op_type), {}, 0, node.next());
  for (auto& [name, payload] : attributes) made.set_attribute(std::move(name), std::move(payload));
  ir::Value* outer = made.add_output(graph.fresh_name(output.name() + "_" + node.op_type()));
  outer->set_type(output.type());
  graph.replace_all_uses(output, *outer);
  outer->adopt_declaration(output);
  graph.exchange_names(output, *outer);
  output.set_type(std::move(inner));
  made.add_input(&output);
  made.set_rest(node.rest());
  name(made);
  made_.emplace_back(&made, landing_);
}

void Step::replace_by(const ir::Function& body, std::int64_t version) {
  ir::Graph& graph = node.graph();
  const auto parameters = body.body->inputs();
  ir::ValueMap map;
  for (std::size_t i = 0; i < parameters.size(); ++i) map[parameters[i]] = node.input(i);
  ir::Node* before = node.previous();
  ir::clone_into(*body.body, graph, &node, map);
  for (ir::Node* made = before ? before->next() : graph.first(); made != &node; made = made->next()) {
    made->trim_inputs();
    if (made->rest().empty()) made->set_rest(node.rest());
    made->set_name("");
    name(*made);
    made_.emplace_back(made, version);
    context_.infer(*made, version);
    made->for_each_subgraph([&](ir::Graph& subgraph) {
      ir::for_each_graph(subgraph, [&](ir::Graph& each) {
        for (ir::Node& inner : each.nodes()) made_.emplace_back(&inner, version);
      });
    });
  }
  const auto results = body.body->outputs();
  for (std::size_t i = 0; i < node.output_count() && i < results.size(); ++i) {
    ir::Value* output = node.output(i);
    if (!output) continue;
    ir::Value* result = map.at(results[i]);
    if (!result) fail(ErrorKind::internal, "the body of {} gives no output {}", node.op_type(), i);
    if (result->producer() == nullptr || &result->graph() != &graph || result->is_graph_output()) {
      // A parameter passed through: a value of its own, so that names of graph outputs stay.
      ir::Node& copy = graph.insert("Identity", {result}, 1, &node);
      made_.emplace_back(&copy, version);
      result = copy.output();
    }
    result->set_type(output->type());
    graph.replace_all_uses(*output, *result);
    result->adopt_declaration(*output);
    graph.exchange_names(*output, *result);
  }
  graph.erase(node);
  gone_ = true;
}

}  // namespace hone::passes::opset
