// The driver: takes each node over the versions at which its operator changed, one after another.
//
// Not handled: training_info, whose graphs the IR does not model.
#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "hone/onnx/ir_version.h"
#include "hone/onnx/schema.h"
#include "hone/passes/convert_opset.h"
#include "hone/support/error.h"
#include "passes/opset/rules.h"
#include "passes/rules.h"

namespace hone::passes {
namespace opset {

std::int64_t body_version(const ir::Function& body) {
  for (const ir::OpsetImport& import : body.opsets) {
    if (import.domain.empty()) return import.version;
  }
  fail(ErrorKind::internal, "the body of {} imports no operators of ai.onnx", body.name);
}

namespace {

const Entry* find_rule(const std::string& op_type, std::int64_t version) {
  static const auto table = [] {
    std::map<std::pair<std::string_view, std::int64_t>, Entry> result;
    for (const auto& family : {argument_rules(), axis_rules(), broadcast_rules(), softmax_rules(),
                               normalization_rules(), resize_rules(), recurrent_rules(), value_rules(), mode_rules()}) {
      for (const Entry& entry : family) result.emplace(std::pair(entry.op_type, entry.version), entry);
    }
    return result;
  }();
  const auto found = table.find({op_type, version});
  return found == table.end() ? nullptr : &found->second;
}

bool same_value(const ir::Attribute& a, const ir::Attribute& b) {
  if (a.payload.index() != b.payload.index()) return false;
  return std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, float> || std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::string> ||
                      std::is_same_v<T, std::vector<float>> || std::is_same_v<T, Ints> ||
                      std::is_same_v<T, std::vector<std::string>>) {
          return value == *b.get<T>();
        } else {
          return false;
        }
      },
      a.payload);
}

ir::Attribute::Payload copy_of(const ir::Attribute& attribute) {
  return std::visit(
      [](const auto& value) -> ir::Attribute::Payload {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::unique_ptr<ir::Graph>> ||
                      std::is_same_v<T, std::vector<std::unique_ptr<ir::Graph>>>) {
          fail(ErrorKind::internal, "a graph is no default");
        } else {
          return value;
        }
      },
      attribute.payload);
}

const ir::Attribute* default_of(const std::string& op_type, std::int64_t version, const std::string& name) {
  for (const auto& [each, value] : onnx::attribute_defaults(op_type, "", version)) {
    if (each == name) return &value;
  }
  return nullptr;
}

// What both versions mean alike, said as the other one says it: a default that changed is written out, an attribute that
// is gone goes where it says what is meant without it.
void translate_attributes(ir::Node& node, std::int64_t from, std::int64_t to) {
  for (const auto& [name, value] : onnx::attribute_defaults(node.op_type(), "", from)) {
    const ir::Attribute* other = default_of(node.op_type(), to, name);
    if (other && !node.has_attribute(name) && !same_value(value, *other)) node.set_attribute(name, copy_of(value));
  }
  std::vector<std::string> idle;
  const onnx::Schema* after = onnx::find_schema(node.op_type(), "", to);
  for (const ir::Attribute& attribute : node.attributes()) {
    const bool known = std::any_of(after->attributes.begin(), after->attributes.end(),
                                   [&](const onnx::AttributeSchema& each) { return each.name == attribute.name; });
    if (known) continue;
    const ir::Attribute* value = default_of(node.op_type(), from, attribute.name);
    // consumed_inputs was a hint about memory.
    if ((value && same_value(attribute, *value)) || attribute.name == "consumed_inputs") idle.push_back(attribute.name);
  }
  for (const std::string& name : idle) node.remove_attribute(name);
}

class Conversion {
 public:
  Conversion(ir::Model& model, shapes::Inference& shapes, std::int64_t target)
      : context_{model, shapes, target, nullptr, false, std::nullopt} {}

  void convert(ir::Graph& root, ir::OpsetImport& import, bool constants_are_nodes, std::string where);
  void raise() const;  // what could not be converted, if anything

 private:
  using Pending = std::vector<std::pair<ir::Node*, std::int64_t>>;
  void convert(ir::Node& node, std::int64_t version);
  void other_domain(ir::Node& node, std::int64_t version, Pending& made);
  // One step; false where it can't be made.
  bool step(ir::Node*& node, std::int64_t& version, Pending& made);
  Reason up(Step& step);
  Reason down(Step& step);
  void refuse(const ir::Node& node, std::int64_t version, const Reason& reason);
  void drop_idle();

  Context context_;
  std::unordered_set<ir::Value*> idle_;  // constants that lost a user
  std::string where_;
  // Operator with its version, and reason: names of nodes.
  std::map<std::pair<std::string, Reason>, std::vector<std::string>> refused_;
};

void Conversion::refuse(const ir::Node& node, std::int64_t version, const Reason& reason) {
  const std::string op = fmt::format("{} ({})", node.op_type(), version) + where_;
  std::string name = quote(node.name());
  if (node.name().empty() && node.output(0)) name = "of output " + quote(node.output(0)->name());
  refused_[{op, reason}].push_back(name);
}

void Conversion::raise() const {
  if (refused_.empty()) return;
  std::string text;
  for (const auto& [what, nodes] : refused_) {
    text += fmt::format("{}{}, node{} {}", text.empty() ? "" : "; ", what.first, nodes.size() > 1 ? "s" : "", nodes[0]);
    for (std::size_t i = 1; i < nodes.size() && i < 3; ++i) text += ", " + nodes[i];
    if (nodes.size() > 3) text += fmt::format(" and {} more", nodes.size() - 3);
    text += ": " + what.second;
  }
  unsupported("these operators can't be converted to opset {}: {}", context_.target, text);
}

Reason Conversion::up(Step& step) {
  ir::Node& node = step.node;
  const Entry* rule = find_rule(node.op_type(), step.version);
  if (rule && rule->up) {
    const std::string op = node.op_type();
    if (Reason reason = rule->up(step); !reason.empty() || step.gone() || node.op_type() != op) return reason;
  }
  translate_attributes(node, step.version - 1, step.version);
  return onnx::misfit(node, step.version - 1, step.version).value_or("");
}

Reason Conversion::down(Step& step) {
  ir::Node& node = step.node;
  const Entry* rule = find_rule(node.op_type(), step.version);
  if (rule && rule->down) {
    const std::string op = node.op_type();
    if (Reason reason = rule->down(step); !reason.empty() || step.gone() || node.op_type() != op) return reason;
  }
  Reason reason;
  if (onnx::find_schema(node.op_type(), "", step.version - 1)) {
    translate_attributes(node, step.version, step.version - 1);
    reason = onnx::misfit(node, step.version, step.version - 1).value_or("");
    if (reason.empty()) return {};
  } else {
    reason = fmt::format("the operator came with opset {}", step.version);
  }
  // What can't be this operator may be the nodes that ONNX says it stands for.
  // (Not one with graphs of its own, whose nodes are of another version than the body.)
  const onnx::Schema* schema = onnx::find_schema(node.op_type(), "", step.version);
  if (!schema->has_function_body || node.has_subgraphs()) return reason;
  const auto body = onnx::function_body(node, context_.model, step.version);
  if (!body) return reason + ", and too little is known of its inputs to write out what it does";
  step.replace_by(*body, body_version(*body));
  return {};
}

bool Conversion::step(ir::Node*& node, std::int64_t& version, Pending& made) {
  const std::vector<std::int64_t>& versions = onnx::schema_versions(node->op_type(), "");
  const bool rises = version < context_.target;
  std::int64_t boundary = 0;
  if (rises) {
    const auto next = std::upper_bound(versions.begin(), versions.end(), version);
    if (next == versions.end() || *next > context_.target) {
      version = context_.target;
      return true;
    }
    boundary = *next;
  } else {
    const auto next = std::upper_bound(versions.begin(), versions.end(), version);
    if (next == versions.begin()) {
      refuse(*node, version, "this build does not know the operator");
      return false;
    }
    boundary = *std::prev(next);
    if (boundary <= context_.target) {
      version = context_.target;
      return true;
    }
  }
  std::vector<ir::Value*> inputs;
  for (std::size_t i = 0; i < node->input_count(); ++i) inputs.push_back(node->input(i));
  Step step(context_, *node, boundary, rises);
  Reason reason;
  try {
    reason = rises ? up(step) : down(step);
  } catch (const Error& error) {
    // An attribute that refers to one of the function around it, or is of another type than the operator says.
    if (error.kind() != ErrorKind::bad_input) throw;
    reason = error.message();
  }
  if (!reason.empty()) {
    refuse(*node, rises ? *std::prev(std::upper_bound(versions.begin(), versions.end(), version)) : boundary, reason);
    return false;
  }
  for (ir::Value* input : inputs) {
    if (input && !input->has_uses() && ir::constant(input)) idle_.insert(input);
  }
  for (const auto& each : step.made()) made.push_back(each);
  if (step.gone()) node = nullptr;
  version = step.landing();
  return true;
}

// Axes and the like that are attributes now.
void Conversion::drop_idle() {
  for (ir::Value* value : idle_) {
    if (value->has_uses()) continue;
    if (value->producer()) {
      value->graph().erase(*value->producer());
    } else {
      value->graph().remove_initializer(*value);
    }
  }
  idle_.clear();
}

// An operator of another domain of ONNX's that is defined by operators of ai.onnx: where those are others at the target, the
// definition has to be written out.
void Conversion::other_domain(ir::Node& node, std::int64_t version, Pending& made) {
  const std::int64_t own = context_.model.opset(node.domain());
  const onnx::Schema* schema = onnx::find_schema(node.op_type(), node.domain(), own);
  if (!schema || !schema->has_function_body) return;
  const auto body = onnx::function_body(node, context_.model);
  if (!body) return refuse(node, own, "too little is known of its inputs to tell what it stands for");
  bool same = true;
  ir::for_each_graph(*body->body, [&](ir::Graph& graph) {
    for (const ir::Node& each : graph.nodes()) {
      if (!each.domain().empty()) continue;
      same = same &&
             onnx::find_schema(each.op_type(), "", version) == onnx::find_schema(each.op_type(), "", context_.target);
    }
  });
  if (same) return;
  if (node.has_subgraphs()) return refuse(node, own, "it stands for operators that are others there");
  Step step(context_, node, version, false);
  step.replace_by(*body, version);
  for (const auto& each : step.made()) made.push_back(each);
}

void Conversion::convert(ir::Node& first, std::int64_t version) {
  Pending pending{{&first, version}};
  while (!pending.empty()) {
    auto [node, at] = pending.back();
    pending.pop_back();
    // An operator of ai.onnx may be one of the model's own functions.
    if (context_.model.functions.called_by(*node)) continue;
    if (!node->domain().empty()) {
      other_domain(*node, at, pending);
      continue;
    }
    while (node && at != context_.target) {
      if (!step(node, at, pending)) break;
    }
  }
}

void Conversion::convert(ir::Graph& root, ir::OpsetImport& import, bool constants_are_nodes, std::string where) {
  context_.import = &import;
  context_.constants_are_nodes = constants_are_nodes;
  where_ = std::move(where);
  std::vector<ir::Node*> nodes;
  ir::for_each_graph(root, [&](ir::Graph& graph) {
    for (ir::Node& node : graph.nodes()) nodes.push_back(&node);
  });
  const std::int64_t from = import.version;
  for (ir::Node* node : nodes) convert(*node, from);
  drop_idle();
  import.version = context_.target;
}

ir::OpsetImport* import_of(std::vector<ir::OpsetImport>& imports) {
  for (ir::OpsetImport& import : imports) {
    if (import.domain.empty()) return &import;
  }
  return nullptr;
}

// ---- types of values in functions, from the calls: what all calls agree on

ir::Type common(const ir::Type& a, const ir::Type& b) {
  if (identical(a, b)) return a;
  if (!a.is_tensor() || !b.is_tensor() || a.element != b.element) return {};
  if (!a.shape || !b.shape || a.shape->size() != b.shape->size()) return ir::Type::tensor(a.element);
  ir::Shape shape = *a.shape;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!provably_equal(shape[i], (*b.shape)[i])) shape[i] = ir::Dimension();
  }
  return ir::Type::tensor(a.element, std::move(shape));
}

// Symbols of the caller's say nothing inside.
ir::Type without_symbols(ir::Type type) {
  if (!type.is_tensor() || !type.shape) return type;
  for (ir::Dimension& dim : *type.shape) {
    if (!dim.number()) dim = ir::Dimension();
  }
  return type;
}

// A node whose attributes refer to those of the function is not inferred; its schema may say that what it gives is of the
// type of what it takes.
ir::Type by_schema(const ir::Node& node, std::int64_t version) {
  if (node.is("Constant")) {
    const ir::Attribute& value = node.attributes().front();
    if (value.name == "value_float") return ir::Type::tensor(ir::ElementType::float32, ir::Shape{});
    if (value.name == "value_int") return ir::Type::tensor(ir::ElementType::int64, ir::Shape{});
    if (value.name == "value_floats") return ir::Type::tensor(ir::ElementType::float32, ir::Shape{ir::Dimension()});
    if (value.name == "value_ints") return ir::Type::tensor(ir::ElementType::int64, ir::Shape{ir::Dimension()});
    return {};
  }
  const onnx::Schema* schema = onnx::find_schema(node.op_type(), "", version);
  if (!schema || schema->outputs.empty()) return {};
  for (std::size_t i = 0; i < schema->inputs.size(); ++i) {
    const ir::Value* input = node.input(i);
    if (schema->inputs[i].type == schema->outputs[0].type && input && input->type().is_tensor())
      return ir::Type::tensor(input->element_type());
  }
  return {};
}

bool learn_by_schema(ir::Function& function) {
  const ir::OpsetImport* import = import_of(function.opsets);
  if (!import) return false;
  bool changed = false;
  ir::for_each_graph(*function.body, [&](ir::Graph& graph) {
    for (ir::Node& node : graph.nodes()) {
      const bool refers = std::any_of(node.attributes().begin(), node.attributes().end(),
                                      [](const ir::Attribute& each) { return !each.reference.empty(); });
      ir::Value* output = node.output(0);
      if (!refers || !node.domain().empty() || !output || output->type().kind != ir::Type::Kind::unknown) continue;
      ir::Type type = by_schema(node, import->version);
      if (type.kind == ir::Type::Kind::unknown) continue;
      output->set_type(std::move(type));
      changed = true;
    }
  });
  return changed;
}

bool learn_parameters(ir::Model& model) {
  std::unordered_map<const ir::Value*, std::optional<ir::Type>> types;
  const auto look = [&](ir::Graph& root) {
    ir::for_each_graph(root, [&](ir::Graph& graph) {
      for (const ir::Node& node : graph.nodes()) {
        const ir::Function* function = model.functions.called_by(node);
        if (!function) continue;
        const auto parameters = function->body->inputs();
        for (std::size_t i = 0; i < parameters.size(); ++i) {
          if (!node.input(i)) continue;
          ir::Type type = without_symbols(node.input(i)->type());
          auto& known = types[parameters[i]];
          known = known ? common(*known, type) : type;
        }
      }
    });
  };
  look(*model.graph);
  for (const auto& function : model.functions) look(*function->body);
  bool changed = false;
  for (const auto& function : model.functions) {
    for (ir::Value* parameter : function->body->inputs()) {
      const auto found = types.find(parameter);
      if (found == types.end() || identical(parameter->type(), *found->second)) continue;
      parameter->set_type(*found->second);
      changed = true;
    }
    changed |= learn_by_schema(*function);
  }
  return changed;
}

void infer_all(ir::Model& model, shapes::Inference& shapes) {
  shapes.run();
  if (model.functions.empty()) return;
  // Functions call functions: each round reaches one level deeper. A type that only an outer level contradicts is taken
  // back there; what was inferred from it inside is not, so that rounds end before that.
  constexpr int deepest = 16;
  for (int i = 0; i < deepest && learn_parameters(model); ++i) shapes.run();
}

}  // namespace
}  // namespace opset

void convert_opset(ir::Model& model, std::int64_t target, Observer& observer) {
  ir::OpsetImport* import = opset::import_of(model.opsets);
  if (import && import->version == target) return;
  const std::int64_t newest = onnx::latest_opset();
  if (target < 1 || target > newest)
    usage_error("opset {} does not exist: this build of hone knows 1 to {}", target, newest);
  if (!import) unsupported("the model imports no operators of ai.onnx, so that it has no opset to convert");
  if (onnx::has_training_info(model))
    unsupported("the model has training_info, which is not converted: remove it first");

  const std::int64_t needed = onnx::ir_version_for_opset(target);
  constexpr std::int64_t free_initializers = 4;  // since then, an initializer need not be an input that callers may set
  shapes::Inference shapes(model, &observer);
  if (model.ir_version < free_initializers && needed >= free_initializers) {
    rewrite::Rewriter rewriter(model, shapes);
    const rewrite::PassOptions options;
    PassContext context{rewriter, options};
    static_cast<void>(lift_initializers(context));
  }
  model.ir_version = std::max(model.ir_version, needed);
  opset::infer_all(model, shapes);

  opset::Conversion conversion(model, shapes, target);
  conversion.convert(*model.graph, *import, model.ir_version < free_initializers, "");
  for (const auto& function : model.functions) {
    ir::OpsetImport* own = opset::import_of(function->opsets);
    if (!own) continue;
    conversion.convert(*function->body, *own, true, " of function " + quote(function->name));
  }
  conversion.raise();
}

}  // namespace hone::passes
