// What ONNX says of operators, and its type inference for one node at a time.
//
// Types go to ONNX and come back serialized: a TypeProto of a node is some tens of bytes. Weights never go: constants only
// up to the sizes that shapes, axes, pads and scales have.
//
// Not handled: types of nodes whose attributes refer to those of a function; they stay unknown.
#include "hone/onnx/schema.h"

#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/attribute_binder.h>
#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "hone/ir/einsum.h"
#include "hone/support/error.h"
#include "onnx/emit.h"
#include "onnx/parse_message.h"
#include "onnx/parts.h"
#include "onnx/registry.h"
#include "onnx/types.h"

namespace hone::onnx {
namespace {

// The largest input that inference looks at is a list of sizes or scales, one for each dimension.
constexpr std::uint64_t largest_constant = 4096;

Parameter to_parameter(const ::onnx::OpSchema::FormalParameter& formal) {
  Parameter parameter;
  parameter.name = formal.GetName();
  parameter.type = formal.GetTypeStr();
  parameter.homogeneous = formal.GetIsHomogeneous();
  switch (formal.GetOption()) {
    case ::onnx::OpSchema::Single:
      parameter.option = Parameter::Option::single;
      break;
    case ::onnx::OpSchema::Optional:
      parameter.option = Parameter::Option::optional;
      break;
    case ::onnx::OpSchema::Variadic:
      parameter.option = Parameter::Option::variadic;
      break;
  }
  return parameter;
}

Schema to_schema(const ::onnx::OpSchema& op) {
  Schema schema;
  schema.name = op.Name();
  schema.domain = op.domain();
  schema.since_version = op.SinceVersion();
  schema.deprecated = op.Deprecated();
  schema.deterministic = op.GetNodeDeterminism() != ::onnx::OpSchema::NodeDeterminism::NonDeterministic;
  schema.has_function_body = op.HasFunction() || op.HasContextDependentFunction();
  for (const auto& formal : op.inputs()) schema.inputs.push_back(to_parameter(formal));
  for (const auto& formal : op.outputs()) schema.outputs.push_back(to_parameter(formal));
  schema.min_inputs = op.min_input();
  schema.max_inputs = op.max_input();
  schema.min_outputs = op.min_output();
  schema.max_outputs = op.max_output();
  for (const auto& [name, attribute] : op.attributes()) {
    schema.attributes.push_back({name, attribute.type, attribute.required, attribute.default_value.has_type()});
  }
  return schema;
}

std::int64_t version_of(const std::vector<ir::OpsetImport>& imports, std::string_view domain) {
  for (const ir::OpsetImport& opset : imports) {
    if (opset.domain == domain) return opset.version;
  }
  return 0;
}

std::unordered_map<std::string, int> version_map(const std::vector<ir::OpsetImport>& imports) {
  std::unordered_map<std::string, int> versions;
  for (const ir::OpsetImport& opset : imports) versions[opset.domain] = static_cast<int>(opset.version);
  return versions;
}

template <typename Proto>
void parse(Proto& proto, const std::string& bytes) {
  if (!parse_message(proto, bytes))
    fail(ErrorKind::internal, "protobuf can't read a {} that was written", proto.GetTypeName());
}

// Tensors too large to copy: their bytes are said to lie elsewhere.
Placements large_tensors(const ir::Node& node) {
  Placements placements;
  const auto add = [&](const ir::Tensor& tensor, bool) {
    if (tensor.byte_size() > largest_constant) placements[&tensor] = {"elsewhere", 0, tensor.byte_size(), nullptr};
  };
  for (const ir::Attribute& attribute : node.attributes()) {
    if (const auto* tensor = attribute.get<ir::Tensor>()) add(*tensor, true);
    if (const auto* tensors = attribute.get<std::vector<ir::Tensor>>()) {
      for (const ir::Tensor& tensor : *tensors) add(tensor, true);
    }
  }
  node.for_each_subgraph([&](const ir::Graph& graph) { for_each_tensor(graph, add); });
  return placements;
}

::onnx::NodeProto to_proto(const ir::Node& node) {
  ::onnx::NodeProto proto;
  proto.set_op_type(node.op_type());
  proto.set_domain(node.domain());
  proto.set_name(node.name());
  if (!node.overload().empty()) proto.set_overload(node.overload());
  for (std::size_t i = 0; i < node.input_count(); ++i) proto.add_input(node.input(i) ? node.input(i)->name() : "");
  for (std::size_t i = 0; i < node.output_count(); ++i) proto.add_output(node.output(i) ? node.output(i)->name() : "");
  const Placements placements = large_tensors(node);
  for (const ir::Attribute& attribute : node.attributes()) {
    parse(*proto.add_attribute(), attribute_bytes(attribute, placements));
  }
  return proto;
}

bool has_references(const ir::Node& node) {
  bool found = false;
  for (const ir::Attribute& attribute : node.attributes()) found |= !attribute.reference.empty();
  node.for_each_subgraph([&](const ir::Graph& graph) {
    for (const ir::Node& inner : graph.nodes()) found |= has_references(inner);
  });
  return found;
}

// Values of graphs around the node that its subgraphs use.
void collect_captured(const ir::Node& node, const ir::Graph& graph, std::vector<const ir::Value*>& values) {
  const auto add = [&](const ir::Value* value) {
    if (value && value->graph().encloses(node.graph())) values.push_back(value);
  };
  for (const ir::Node& inner : graph.nodes()) {
    for (std::size_t i = 0; i < inner.input_count(); ++i) add(inner.input(i));
    inner.for_each_subgraph([&](const ir::Graph& deeper) { collect_captured(node, deeper, values); });
  }
  for (const ir::Value* output : graph.outputs()) add(output);
}

ir::Type to_type(const ::onnx::TypeProto& proto) {
  const std::string bytes = proto.SerializeAsString();
  wire::Source source{std::string_view(bytes)};
  constexpr int deep_enough = 1000;  // what ONNX infers is as deep as what it was given
  DimensionCache cache;
  return read_type(source, {0, bytes.size()}, deep_enough, cache);
}

// Default values of attributes the node does not have: bodies of functions refer to them.
void add_defaults(::onnx::NodeProto& node, const ::onnx::OpSchema& schema) {
  for (const auto& attribute : schema.attributes()) {
    const auto& present = node.attribute();
    const bool has =
        std::any_of(present.begin(), present.end(), [&](const auto& each) { return each.name() == attribute.first; });
    if (has || !attribute.second.default_value.has_type()) continue;
    *node.add_attribute() = attribute.second.default_value;
    node.mutable_attribute()->rbegin()->set_name(attribute.first);
  }
}

// The protos of the local functions that inference of a node may get to, by ONNX's way to name them. Not of all: a model
// of thousands would be written out once for each of its calls.
struct LocalFunctions {
  LocalFunctions(const ir::Model& model, const ir::Node& node) {
    if (model.functions.empty()) return;
    add_callee(model, node);
    for (std::size_t i = 0; i < reached.size(); ++i) {
      for (const ir::Node& inner : reached[i]->body->nodes()) add_callee(model, inner);
    }
    for (const ir::Function* function : reached) {
      auto proto = std::make_unique<::onnx::FunctionProto>();
      parse(*proto, function_bytes(*function));
      std::string id = function->domain + ":" + function->name;
      if (!function->overload.empty()) id += ":" + function->overload;
      by_id[id] = proto.get();
      owned.push_back(std::move(proto));
    }
  }
  void add_callee(const ir::Model& model, const ir::Node& node) {
    const ir::Function* callee = model.functions.called_by(node);
    if (callee && seen.insert(callee).second) reached.push_back(callee);
    node.for_each_subgraph([&](const ir::Graph& graph) {
      for (const ir::Node& inner : graph.nodes()) add_callee(model, inner);
    });
  }

  std::vector<const ir::Function*> reached;
  std::unordered_set<const ir::Function*> seen;
  ::onnx::shape_inference::ModelLocalFunctionsMap by_id;
  std::vector<std::unique_ptr<::onnx::FunctionProto>> owned;
};

// ONNX's inference does not end where an equation holds anything that none may.
void check_equation(const ir::Node& node) {
  try {
    (void)ir::EinsumEquation(node.string_or("equation", ""));
  } catch (const Error& error) {
    bad_input("node {} (Einsum): {}", quote(node.name()), error.message());
  }
}

// The node, and all that inference would look at inside it.
void check_equations(const ir::Node& node) {
  if (node.is("Einsum")) check_equation(node);
  node.for_each_subgraph([](const ir::Graph& graph) {
    for (const ir::Node& inner : graph.nodes()) check_equations(inner);
  });
}

class NodeInference {
 public:
  NodeInference(const ir::Node& node, const ir::Model& model) : node_(node), model_(model), proto_(to_proto(node)) {}

  std::vector<ir::Type> run();

 private:
  void add_type(const ir::Value& value);
  void add_data(const ir::Value& value);

  const ir::Node& node_;
  const ir::Model& model_;
  ::onnx::NodeProto proto_;
  std::unordered_map<std::string, ::onnx::TypeProto> types_;
  std::unordered_map<std::string, ::onnx::TypeProto*> type_of_;
  std::unordered_map<std::string, ::onnx::TensorProto> tensors_;
  std::unordered_map<std::string, const ::onnx::TensorProto*> data_of_;
};

void NodeInference::add_type(const ir::Value& value) {
  if (value.type().kind == ir::Type::Kind::unknown || types_.contains(value.name())) return;
  ::onnx::TypeProto& proto = types_[value.name()];
  parse(proto, type_wire(value.type()));
  type_of_[value.name()] = &proto;
}

void NodeInference::add_data(const ir::Value& value) {
  const ir::Tensor* tensor = ir::constant(&value);
  if (!tensor || tensor->byte_size() > largest_constant || data_of_.contains(value.name())) return;
  if (tensor->is_string() && tensor->element_count() > 64) return;
  ::onnx::TensorProto& proto = tensors_[value.name()];
  parse(proto, tensor_bytes(*tensor, value.name()));
  data_of_[value.name()] = &proto;
}

std::vector<ir::Type> NodeInference::run() {
  std::vector<ir::Type> result(node_.output_count());
  const auto& imports = model_.imports_of(node_.graph());
  const ir::Function* local = model_.functions.called_by(node_);
  const ::onnx::OpSchema* schema =
      local ? nullptr : find_op_schema(node_.op_type(), node_.domain(), version_of(imports, node_.domain()));
  if (!local && !schema) return result;

  bool all_known = true, some_known = node_.input_count() == 0;
  for (std::size_t i = 0; i < node_.input_count(); ++i) {
    const ir::Value* value = node_.input(i);
    if (!value) continue;
    add_type(*value);
    add_data(*value);
    const bool known = value->type().kind != ir::Type::Kind::unknown;
    all_known &= known;
    some_known |= known;
  }
  // Within functions inputs have no types. ONNX would go through everything that is called, however deep, at each call,
  // and learn next to nothing; where the function is inlined, its nodes are looked at one by one.
  if (local && !some_known) return result;
  if (node_.has_subgraphs()) {
    std::vector<const ir::Value*> captured;
    node_.for_each_subgraph([&](const ir::Graph& graph) { collect_captured(node_, graph, captured); });
    for (const ir::Value* value : captured) add_type(*value);
  }
  const LocalFunctions functions(model_, node_);
  check_equations(node_);
  for (const ir::Function* function : functions.reached) {
    for (const ir::Node& inner : function->body->nodes()) check_equations(inner);
  }

  const bool by_body = schema && !schema->has_type_and_shape_inference_function();
  if (by_body && !schema->HasFunction()) return result;
  if (by_body) add_defaults(proto_, *schema);
  const ::onnx::ShapeInferenceOptions options(false, 1, false);
  ::onnx::shape_inference::GraphInferenceContext around(type_of_, version_map(imports), nullptr, functions.by_id,
                                                        &lazy_registry(), nullptr, model_.ir_version);
  ::onnx::shape_inference::InferenceContextImpl context(proto_, type_of_, data_of_, {}, options, nullptr, &around);
  try {
    if (local) {
      const ::onnx::FunctionProto* proto = functions.by_id.at(node_.domain() + ":" + node_.op_type() +
                                                              (node_.overload().empty() ? "" : ":" + node_.overload()));
      ::onnx::shape_inference::InferShapeForFunctionNode(*proto, &lazy_registry(), context, options, functions.by_id);
    } else if (by_body) {
      ::onnx::shape_inference::InferShapeForFunctionNode(*schema->GetFunction(), &lazy_registry(), context, options);
    } else {
      schema->GetTypeAndShapeInferenceFunction()(context);
    }
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    // Much of inference fails where the type of an input is not known; that says nothing about the node.
    if (!all_known) return result;
    bad_input("node {} ({}): {}", quote(node_.name()), node_.op_type(), error.what());
  }
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = to_type(context.allOutputTypes_[i]);
  return result;
}

class BodyContext final : public ::onnx::FunctionBodyBuildContext {
 public:
  BodyContext(const ::onnx::NodeProto& proto, std::vector<std::optional<::onnx::TypeProto>> types)
      : proto_(proto), types_(std::move(types)) {}

  const ::onnx::AttributeProto* getAttribute(const std::string& name) const override {
    for (const auto& attribute : proto_.attribute()) {
      if (attribute.name() == name) return &attribute;
    }
    return nullptr;
  }
  bool hasInput(int index) const override { return index < proto_.input_size() && !proto_.input(index).empty(); }
  // One that is left out before one that is not is made all the same, so that outputs keep their places.
  bool hasOutput(int index) const override { return index < proto_.output_size(); }
  const ::onnx::TypeProto* getInputType(int index) const override {
    const auto at = static_cast<std::size_t>(index);
    return at < types_.size() && types_[at] ? &*types_[at] : nullptr;
  }

 private:
  const ::onnx::NodeProto& proto_;
  std::vector<std::optional<::onnx::TypeProto>> types_;
};

// Whether an operator of the body is another one at `version` than it was when the body was written for `written`.
bool differs_between(const ::onnx::FunctionProto& body, std::int64_t written, std::int64_t version) {
  for (const auto& node : body.node()) {
    if (!node.domain().empty() && node.domain() != "ai.onnx") continue;
    if (find_op_schema(node.op_type(), "", written) != find_op_schema(node.op_type(), "", version)) return true;
  }
  return false;
}

void set_version(::onnx::FunctionProto& body, std::int64_t version) {
  for (auto& opset : *body.mutable_opset_import()) {
    if (opset.domain().empty() || opset.domain() == "ai.onnx") return opset.set_version(version);
  }
  auto& opset = *body.add_opset_import();
  opset.set_domain("");
  opset.set_version(version);
}

std::optional<std::int64_t> newest_at(const std::vector<int>& versions, std::int64_t limit) {
  std::optional<std::int64_t> newest;
  for (const int version : versions) {
    if (version <= limit && (!newest || version > *newest)) newest = version;
  }
  return newest;
}

}  // namespace

const Schema* find_schema(std::string_view op_type, std::string_view domain, std::int64_t version) {
  const ::onnx::OpSchema* op = find_op_schema(op_type, domain, version);
  if (!op) return nullptr;
  static std::mutex mutex;
  static std::unordered_map<const ::onnx::OpSchema*, Schema> schemas;
  const std::lock_guard lock(mutex);
  const auto [found, is_new] = schemas.try_emplace(op);
  if (is_new) found->second = to_schema(*op);
  return &found->second;
}

std::unique_ptr<ir::Function> function_body(const ir::Node& node, const ir::Model& model, std::int64_t version) {
  if (version == 0) version = version_of(model.imports_of(node.graph()), node.domain());
  const ::onnx::OpSchema* schema = find_op_schema(node.op_type(), node.domain(), version);
  if (!schema) return nullptr;
  const ::onnx::NodeProto proto = to_proto(node);
  ::onnx::FunctionProto body;
  std::int64_t written = 0;
  if (const auto fixed = newest_at(schema->function_opset_versions(), version)) {
    body = *schema->GetFunction(static_cast<int>(version));
    written = *fixed;
  } else if (const auto built = newest_at(schema->context_dependent_function_opset_versions(), version)) {
    std::vector<std::optional<::onnx::TypeProto>> types(node.input_count());
    for (std::size_t i = 0; i < types.size(); ++i) {
      if (node.input(i) && node.input(i)->type().kind != ir::Type::Kind::unknown) {
        parse(types[i].emplace(), type_wire(node.input(i)->type()));
      }
    }
    const BodyContext context(proto, std::move(types));
    try {
      if (!schema->BuildContextDependentFunction(context, body, static_cast<int>(version))) return nullptr;
    } catch (const Error&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception&) {
      return nullptr;  // the types of the inputs are not known well enough
    }
    written = *built;
  } else {
    return nullptr;
  }
  // The version of ai.onnx that the nodes of the body are to be read with.
  // Versions that a body was written for count in the operator's own domain: they say nothing where that is another.
  if (node.domain().empty()) {
    set_version(body, differs_between(body, written, version) ? written : version);
  } else {
    const std::int64_t imported = model.opset("");
    set_version(body, imported > 0 ? imported : latest_opset());
  }

  ::onnx::NodeProto call = proto;
  add_defaults(call, *schema);
  ::onnx::internal::AttributeBinder::BindAttributes(call, body);
  while (body.output_size() > proto.output_size()) body.mutable_output()->RemoveLast();
  body.clear_attribute();
  body.clear_attribute_proto();
  if (body.name().empty()) body.set_name(node.op_type());
  return read_function(body.SerializeAsString());
}

std::vector<ir::Type> infer_types(const ir::Node& node, const ir::Model& model) {
  if (has_references(node)) return std::vector<ir::Type>(node.output_count());
  return NodeInference(node, model).run();
}

}  // namespace hone::onnx
