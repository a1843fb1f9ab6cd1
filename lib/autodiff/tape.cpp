#include "autodiff/tape.h"

namespace hone::autodiff {

void Tape::mark_active(std::span<ir::Value* const> sources) { active_.insert(sources.begin(), sources.end()); }

ir::Value* Tape::gradient(ir::Value& value) {
  const auto found = given_.find(&value);
  if (found == given_.end() || found->second.empty()) return nullptr;
  std::vector<ir::Value*>& parts = found->second;
  if (parts.size() > 1) {
    ir::Node& sum = add("Sum", parts, {}, "", {true}, value.element_type());
    sum.output()->set_type(value.type());
    parts = {sum.output()};
  }
  return parts[0];
}

void Tape::give(ir::Value& value, ir::Value* gradient) {
  if (!gradient->shape()) gradient->set_type(value.type());
  given_[&value].push_back(gradient);
}

ir::Node& Tape::add(std::string op_type, std::vector<ir::Value*> inputs, Attributes attributes, std::string_view domain,
                    const std::vector<bool>& outputs, ir::ElementType type) {
  if (type == ir::ElementType::undefined && !inputs.empty()) type = inputs[0]->element_type();
  ir::Node& node = graph_.insert(std::move(op_type), nullptr, std::string(domain));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]) node.set_input(i, inputs[i]);
  }
  for (auto& [name, payload] : attributes) node.set_attribute(std::move(name), std::move(payload));
  const std::string base = (current && current->output() ? current->output()->name() : node.op_type()) + "_gradient";
  node.set_name(base);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i]) node.set_output(i, graph_.fresh_name(base))->set_type(ir::Type::tensor(type));
  }
  return node;
}

ir::Value* Tape::constant(ir::Tensor tensor, std::string_view name) {
  ir::Type type = ir::Type::tensor(tensor.type(), ir::Shape(tensor.dims().begin(), tensor.dims().end()));
  ir::Value* value = graph_.add_initializer(std::string(name), std::move(tensor));
  value->set_type(std::move(type));
  return value;
}

ir::Value* Tape::shape(ir::Value& value) {
  if (value.shape()) {
    if (const auto dims = ir::static_dims(*value.shape())) {
      ir::Value*& kept = int_constants_[*dims];
      if (!kept) kept = constant(ir::Tensor::vector(*dims), "shape");
      return kept;
    }
  }
  ir::Value*& kept = shapes_[&value];
  if (!kept) {
    // Beside the producer, so that a value whose shape alone is needed is not kept until the backward pass.
    ir::Node* before = value.producer() ? value.producer()->next() : graph_.first();
    ir::Node& node = graph_.insert("Shape", before);
    node.set_input(0, &value);
    kept = node.set_output(0, graph_.fresh_name(value.name() + "_shape"));
    ir::Type type = ir::Type::tensor(ir::ElementType::int64);
    if (value.shape()) type.shape = ir::Shape{static_cast<std::int64_t>(value.shape()->size())};
    kept->set_type(std::move(type));
  }
  return kept;
}

std::int64_t Backward::opset() const { return tape_.model().opset(); }

std::int64_t Backward::rank(const ir::Value* value) const {
  if (!value || !value->shape()) {
    refuse(fmt::format("the number of dimensions of {} is not known", value ? quote(value->name()) : "an empty input"));
  }
  return static_cast<std::int64_t>(value->shape()->size());
}

ir::Value* Backward::need_output(std::size_t index, ir::Type type) {
  if (ir::Value* output = node_.output(index)) return output;
  ir::Value* output =
      node_.set_output(index, node_.graph().fresh_name(fmt::format("{}_{}", node_.output()->name(), index)));
  output->set_type(std::move(type));
  return output;
}

ir::Value* Backward::gradient(std::size_t output) const {
  ir::Value* value = node_.output(output);
  return value ? tape_.gradient(*value) : nullptr;
}

bool Backward::wants(std::size_t input) const { return tape_.is_active(node_.input(input)); }

void Backward::give(std::size_t input, ir::Value* gradient) {
  if (wants(input)) tape_.give(*node_.input(input), gradient);
}

void Backward::refuse(std::size_t input, std::string_view what) const {
  if (wants(input)) refuse(fmt::format("no gradient with respect to {}", what));
}

void Backward::refuse(std::string_view what) const { unsupported("{}", what); }

ir::Value* Backward::add(std::string op_type, std::vector<ir::Value*> inputs, Attributes attributes,
                         ir::ElementType type) {
  return tape_.add(std::move(op_type), std::move(inputs), std::move(attributes), "", {true}, type).output();
}

ir::Value* Backward::own(std::string op_type, std::vector<ir::Value*> inputs, Attributes attributes) {
  return own(std::move(op_type), std::move(inputs), std::move(attributes), {true})[0];
}

std::vector<ir::Value*> Backward::own(std::string op_type, std::vector<ir::Value*> inputs, Attributes attributes,
                                      const std::vector<bool>& outputs) {
  const ir::Node& node = tape_.add(std::move(op_type), std::move(inputs), std::move(attributes), own_domain, outputs,
                                   ir::ElementType::undefined);
  std::vector<ir::Value*> values(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) values[i] = node.output(i);
  return values;
}

Attributes Backward::same_attributes() const {
  Attributes result;
  ir::ValueMap map;
  for (const ir::Attribute& attribute : node_.attributes()) {
    ir::Attribute copy = ir::clone_attribute(attribute, node_, map);
    result.emplace_back(std::move(copy.name), std::move(copy.payload));
  }
  return result;
}

ir::Value* Backward::shape(ir::Value& value) { return tape_.shape(value); }

ir::Value* Backward::scalar(double value, ir::ElementType type) {
  ir::Value*& kept = tape_.scalars_[{value, type}];
  if (kept) return kept;
  switch (type) {
    case ir::ElementType::float64:
      kept = tape_.constant(ir::Tensor::scalar(value), "scalar");
      break;
    case ir::ElementType::float32:
      kept = tape_.constant(ir::Tensor::scalar(static_cast<float>(value)), "scalar");
      break;
    default:
      refuse(fmt::format("gradients of element type {}", ir::name(type)));
  }
  return kept;
}

ir::Value* Backward::ints(const std::vector<std::int64_t>& values) {
  ir::Value*& kept = tape_.int_constants_[values];
  if (!kept) kept = tape_.constant(ir::Tensor::vector(values), "ints");
  return kept;
}

ir::Value* Backward::sum_to(ir::Value* value, ir::Value& like) {
  // What comes in is the gradient of an output: it has the output's shape.
  if (!value->shape()) value->set_type(ir::Type::tensor(value->element_type(), output()->shape()));
  if (value->shape() && like.shape() && ir::provably_same_shape(*value->shape(), *like.shape())) return value;
  return own("SumTo", {value, shape(like)});
}

ir::Value* Backward::reshape_like(ir::Value* value, ir::Value& like) {
  ir::Value* result = add("Reshape", {value, shape(like)});
  result->set_type(like.type());
  return result;
}

ir::Value* Backward::zeros_like(ir::Value& like) {
  ir::Value* result = own("Zeros", {shape(like)}, attributes("type", static_cast<std::int64_t>(like.element_type())));
  result->set_type(like.type());
  return result;
}

}  // namespace hone::autodiff
