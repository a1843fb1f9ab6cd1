// lint() and check().
//
// Types are inferred afresh for the whole graph, so that a wrong declaration of an intermediate value, which nobody reads,
// does not count against the nodes after it.
#include "hone/onnx/check.h"

#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "hone/onnx/ir_version.h"
#include "hone/onnx/schema.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"
#include "onnx/emit.h"
#include "onnx/microsoft.h"
#include "onnx/parse_message.h"
#include "onnx/registry.h"
#include "onnx/structure.h"

namespace hone::onnx {
namespace {

constexpr Rule all_rules[] = {
    {"bad-attribute", "an attribute is damaged, given twice, or of another type than its operator gives it"},
    {"bad-node", "a node can't be read"},
    {"bad-quantization", "axis or block size of a quantization node don't fit its input"},
    {"bad-scale", "a scale of a quantization node is not a positive number"},
    {"bad-tensor", "data, shape and type of a tensor don't fit each other"},
    {"bad-type", "the declared type of a value can't be read"},
    {"cycle", "nodes need each other's results"},
    {"dangling-value-info", "a type is declared for a value that does not exist"},
    {"deep-function", "calls of functions by functions are nested too deep"},
    {"deprecated-operator", "the operator was withdrawn before the opset of the model"},
    {"duplicate-function", "two functions have one name"},
    {"duplicate-initializer", "two initializers have one name"},
    {"duplicate-input", "two graph inputs have one name"},
    {"duplicate-metadata", "two entries of the model's metadata have one key"},
    {"duplicate-node-name", "two nodes have one name"},
    {"duplicate-opset", "a domain is imported twice"},
    {"duplicate-output", "two values have one name"},
    {"external-data", "tensors share bytes of an external file in a way that no writer leaves behind"},
    {"function-arity", "a call of a function has more inputs or outputs than the function"},
    {"function-shadows-operator", "a function has the name of an operator of ONNX"},
    {"huge-function", "inlining the functions would not end in reasonable time"},
    {"initializer-of-body-input", "an input of a subgraph is also an initializer"},
    {"invalid-node", "ONNX's type and shape inference refuses the node"},
    {"missing-attribute", "an attribute that the operator needs is not there"},
    {"missing-input", "an input that the operator needs is not there"},
    {"missing-opset", "the domain of a node is not imported"},
    {"missing-subgraph", "control flow without its branch or body"},
    {"no-outputs", "the graph has no outputs"},
    {"non-finite-weights", "weights hold NaN or infinity"},
    {"onnx-checker", "ONNX's own checker refuses the model"},
    {"old-ir-version", "the ir_version is older than the opset allows"},
    {"outer-output", "a subgraph gives out a value of a graph around it"},
    {"output-type", "a graph output is declared with another type than its node makes"},
    {"recursive-function", "a function calls itself"},
    {"shadowing", "a value of a subgraph has the name of a value around it"},
    {"subgraph-arity", "inputs or outputs of a branch or body don't fit its node"},
    {"type-mismatch", "an input has a type that the operator does not take, or other inputs don't have"},
    {"undefined-input", "an input of a node is made by nobody"},
    {"undefined-output", "a graph output is made by nobody"},
    {"unknown-attribute", "the operator has no such attribute"},
    {"unknown-domain", "operators of this domain are not known here"},
    {"unknown-operator", "ONNX has no such operator in this opset"},
    {"unknown-reference", "an attribute refers to one that the function does not have"},
    {"unnamed-graph", "the graph has no name"},
    {"unreadable", "the file is not what it should be"},
    {"unsorted-nodes", "nodes come before those whose results they need"},
    {"untyped-input", "a graph input has no type"},
    {"untyped-output", "a graph output has no type"},
    {"unused-initializer", "nobody uses an initializer"},
    {"wrong-arity", "more inputs or outputs than the operator has"},
};

// As ONNX writes types in schemas: "tensor(float)". Empty for a type that is not known in full.
std::string schema_text(const ir::Type& type) {
  using Kind = ir::Type::Kind;
  const std::string inner = type.inner ? schema_text(*type.inner) : std::string();
  switch (type.kind) {
    case Kind::unknown:
    case Kind::opaque:
      return "";
    case Kind::tensor:
    case Kind::sparse_tensor:
      if (!ir::is_known(type.element)) return "";
      return fmt::format("{}({})", type.kind == Kind::tensor ? "tensor" : "sparse_tensor", ir::name(type.element));
    case Kind::sequence:
      return inner.empty() ? "" : fmt::format("seq({})", inner);
    case Kind::optional:
      return inner.empty() ? "" : fmt::format("optional({})", inner);
    case Kind::map:
      return inner.empty() ? "" : fmt::format("map({},{})", ir::name(type.element), inner);
  }
  return "";
}

class Linter {
 public:
  explicit Linter(const ir::Model& model) : model_(model) {}

  void run(bool weights) {
    check_structure(model_, [&](Problem problem) {
      if (problem.rule == "bad-scale") problem.error = true;
      problems_.push_back(std::move(problem));
    });
    check_model();
    imports_ = &model_.opsets;
    check_graph(*model_.graph, true);
    for (const auto& function : model_.functions) {
      function_ = function.get();
      imports_ = &function->opsets;
      check_graph(*function->body, false);
    }
    function_ = nullptr;
    infer();
    if (weights) check_weights();
  }

  std::vector<Problem> take() { return std::move(problems_); }

 private:
  template <typename... Args>
  void report(const char* rule, bool error, const ir::Node* node, fmt::format_string<Args...> format, Args&&... args) {
    std::string where;
    if (function_) where = "function " + hone::quote(function_->name);
    if (node) where += (where.empty() ? "" : ": ") + describe(*node);
    problems_.push_back({rule, error, std::move(where), fmt::format(format, std::forward<Args>(args)...)});
  }
  template <typename... Args>
  void error(const char* rule, const ir::Node* node, fmt::format_string<Args...> format, Args&&... args) {
    report(rule, true, node, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void warning(const char* rule, const ir::Node* node, fmt::format_string<Args...> format, Args&&... args) {
    report(rule, false, node, format, std::forward<Args>(args)...);
  }

  std::int64_t version(std::string_view domain) const {
    for (const ir::OpsetImport& opset : *imports_) {
      if (opset.domain == domain) return opset.version;
    }
    return 0;
  }

  void check_model();
  void check_graph(const ir::Graph& graph, bool main);
  void check_node(const ir::Node& node);
  void check_attributes(const ir::Node& node, const Schema& schema, bool open = false);  // open: it may have others
  void infer();
  void check_types(const ir::Node& node);
  void check_quantization(const ir::Node& node);
  void check_weights();

  const ir::Model& model_;
  const ir::Function* function_ = nullptr;
  const std::vector<ir::OpsetImport>* imports_ = nullptr;
  std::vector<Problem> problems_;
  std::unordered_set<std::string_view> node_names_;
};

void Linter::check_model() {
  std::unordered_set<std::string_view> keys;
  for (const auto& [key, value] : model_.metadata) {
    if (!keys.insert(key).second)
      warning("duplicate-metadata", nullptr, "two metadata entries have the key {}", hone::quote(key));
  }
  const std::int64_t needed = ir_version_for_opset(model_.opset());
  if (model_.ir_version < needed) {
    warning("old-ir-version", nullptr, "ir_version {}, and opset {} came with ir_version {}", model_.ir_version,
            model_.opset(), needed);
  }
}

void Linter::check_graph(const ir::Graph& graph, bool main) {
  if (graph.name().empty() && !function_) warning("unnamed-graph", graph.parent_node(), "a graph has no name");
  for (const ir::Value* value : graph.outputs()) {
    if (&value->graph() != &graph) {
      error("outer-output", graph.parent_node(),
            "output {} of its subgraph is a value of a graph around it: put an Identity "
            "in between",
            hone::quote(value->name()));
    }
    if (main && value->type().kind == ir::Type::Kind::unknown) {
      warning("untyped-output", nullptr, "graph output {} has no type", hone::quote(value->name()));
    }
  }
  if (main && graph.outputs().empty()) error("no-outputs", nullptr, "the graph has no outputs");
  for (const auto& [place, wire] : graph.dangling_infos) {
    if (place >= 0) {
      warning("dangling-value-info", graph.parent_node(), "entry {} of value_info is for a value that does not exist",
              place);
    }
  }
  for (const ir::Value* value : graph.initializers()) {
    if (!value->has_uses())
      warning("unused-initializer", graph.parent_node(), "nobody uses initializer {}", hone::quote(value->name()));
  }
  for (const ir::Node& node : graph.nodes()) {
    if (!node.name().empty() && !function_ && !node_names_.insert(node.name()).second) {
      warning("duplicate-node-name", &node, "another node has this name");
    }
    check_node(node);
    node.for_each_subgraph([&](const ir::Graph& inner) { check_graph(inner, false); });
  }
}

void Linter::check_node(const ir::Node& node) {
  if (model_.functions.called_by(node)) return;
  const std::int64_t opset = version(node.domain());
  if (opset == 0) {
    if (!(node.domain().empty() && imports_->empty() && !function_)) {
      error("missing-opset", &node, "the domain is not imported");
    }
    return;
  }
  const Schema* schema = find_schema(node.op_type(), node.domain(), opset);
  if (!schema) {
    if (const Schema* known = find_microsoft_schema(node.op_type(), node.domain())) {
      check_attributes(node, *known, true);
    } else if (latest_opset(node.domain()) == 0) {
      warning("unknown-domain", &node, "operators of domain {} are not known here", hone::quote(node.domain()));
    } else {
      warning("unknown-operator", &node, "ONNX has no such operator in opset {} of {}", opset,
              node.domain().empty() ? "ai.onnx" : node.domain());
    }
    return;
  }
  if (schema->deprecated) {
    return error("deprecated-operator", &node, "the operator was withdrawn in opset {}, and the model says {}",
                 schema->since_version, opset);
  }
  check_attributes(node, *schema);
}

// AttributeProto.AttributeType of a payload, 0 where that can't be said.
int type_of(const ir::Attribute& attribute) {
  if (!attribute.reference.empty()) return std::max(attribute.reference_type, 0);
  constexpr int types[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0};  // in the order of ir::Attribute::Payload
  return types[attribute.payload.index()];
}

void Linter::check_attributes(const ir::Node& node, const Schema& schema, bool open) {
  const std::vector<AttributeSchema>& known = schema.attributes;
  for (const ir::Attribute& attribute : node.attributes()) {
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const AttributeSchema& each) { return each.name == attribute.name; });
    if (found == known.end()) {
      // Names like __this are for tools, says ONNX.
      const bool internal = open || attribute.name.starts_with("__");
      if (!internal) error("unknown-attribute", &node, "the operator has no attribute {}", hone::quote(attribute.name));
    } else if (const int type = type_of(attribute); type != 0 && found->type != 0 && type != found->type) {
      error(
          "bad-attribute", &node, "attribute {} has type {}, and the operator wants {}", attribute.name,
          ::onnx::AttributeProto::AttributeType_Name(static_cast<::onnx::AttributeProto::AttributeType>(type)),
          ::onnx::AttributeProto::AttributeType_Name(static_cast<::onnx::AttributeProto::AttributeType>(found->type)));
    }
  }
  for (const AttributeSchema& each : known) {
    if (each.required && !node.has_attribute(each.name)) {
      error("missing-attribute", &node, "attribute {} is missing", each.name);
    }
  }
}

void Linter::infer() {
  // On a copy, which takes the types that come out.
  const ir::Model copy = model_.clone();
  imports_ = &model_.opsets;
  for (ir::Node& node : copy.graph->nodes()) {
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (node.output(i)) node.output(i)->set_type({});
    }
  }
  const auto declared = [&](const ir::Value& value) {
    const ir::Value* original = model_.graph->find(value.name());
    return original ? original->type() : ir::Type();
  };
  for (ir::Node& node : copy.graph->nodes()) {
    check_interrupt();
    std::vector<ir::Type> types(node.output_count());
    try {
      types = infer_types(node, copy);
      check_types(node);
      check_quantization(node);
    } catch (const Error& problem) {
      if (problem.kind() != ErrorKind::bad_input) throw;
      error("invalid-node", &node, "{}", problem.message());
    }
    for (std::size_t i = 0; i < types.size(); ++i) {
      ir::Value* value = node.output(i);
      if (!value) continue;
      ir::Type type = declared(*value);
      if (types[i].kind != ir::Type::Kind::unknown) {
        const bool other = value->is_graph_output() && type.kind != ir::Type::Kind::unknown &&
                           (type.kind != types[i].kind || type.element != types[i].element);
        if (other) {
          error("output-type", &node, "graph output {} is declared as {}, and the node makes {}",
                hone::quote(value->name()), ir::text(type), ir::text(types[i]));
        }
        type = std::move(types[i]);
      }
      value->set_type(std::move(type));
    }
  }
}

void Linter::check_types(const ir::Node& node) {
  const ::onnx::OpSchema* schema = find_op_schema(node.op_type(), node.domain(), version(node.domain()));
  if (!schema || model_.functions.called_by(node)) return;
  std::unordered_map<std::string, std::string> bound;  // type parameter to type
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    if (!node.input(i) || schema->inputs().empty()) continue;
    const auto& formal = schema->inputs()[std::min(i, schema->inputs().size() - 1)];
    const std::string type = schema_text(node.input(i)->type());
    if (type.empty()) continue;
    const auto& allowed = formal.GetTypes();
    const bool fits =
        std::any_of(allowed.begin(), allowed.end(), [&](const std::string* each) { return *each == type; });
    if (!allowed.empty() && !fits) {
      error("type-mismatch", &node, "input {} ({}) is {}, which the operator does not take", i, formal.GetName(), type);
      continue;
    }
    if (!formal.GetIsHomogeneous()) continue;
    const auto [found, is_new] = bound.try_emplace(formal.GetTypeStr(), type);
    if (!is_new && found->second != type && formal.GetTypeStr().find('(') == std::string::npos) {
      error("type-mismatch", &node, "input {} ({}) is {}, and an input before it that must be alike is {}", i,
            formal.GetName(), type, found->second);
    }
  }
}

void Linter::check_quantization(const ir::Node& node) {
  if (!node.is("QuantizeLinear") && !node.is("DequantizeLinear")) return;
  const ir::Value* input = node.input(0);
  const ir::Value* scale = node.input(1);
  if (!input || !scale || !input->shape() || !scale->shape() || scale->shape()->empty()) return;
  if (scale->shape()->size() == 1 && ir::provably_equal((*scale->shape())[0], 1)) return;
  const auto rank = static_cast<std::int64_t>(input->shape()->size());
  const std::int64_t axis = node.int_or("axis", 1);
  if (axis < -rank || axis >= rank) {
    return error("bad-quantization", &node, "axis {} of an input with {} dimensions", axis, rank);
  }
  const std::int64_t block = node.int_or("block_size", 0);
  if (block < 0) return error("bad-quantization", &node, "block size {}", block);
  if (block == 0 && scale->shape()->size() == 1) {
    const ir::Dimension& extent = (*input->shape())[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)];
    if (ir::provably_different(extent, (*scale->shape())[0])) {
      error("bad-quantization", &node, "{} scales for {} slices along axis {}", (*scale->shape())[0].text(),
            extent.text(), axis);
    }
  }
}

template <typename T>
std::int64_t count_non_finite(std::span<const std::byte> bytes) {
  std::int64_t count = 0;
  for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    if constexpr (std::is_floating_point_v<T>) {
      count += !std::isfinite(value);
    } else {
      count += !std::isfinite(to_float(value));
    }
  }
  return count;
}

void Linter::check_weights() {
  std::vector<std::byte> window(std::size_t{1} << 20);
  const auto check = [&](const ir::Tensor& tensor, const std::string& name, const ir::Node* node) {
    using ir::ElementType;
    const ElementType type = tensor.type();
    if (type != ElementType::float32 && type != ElementType::float64 && type != ElementType::float16 &&
        type != ElementType::bfloat16) {
      return;
    }
    std::int64_t count = 0;
    for (std::uint64_t at = 0; at < tensor.byte_size(); at += window.size()) {
      check_interrupt();
      const std::span<std::byte> part(window.data(), std::min<std::uint64_t>(window.size(), tensor.byte_size() - at));
      tensor.read(at, part);
      switch (type) {
        case ElementType::float32:
          count += count_non_finite<float>(part);
          break;
        case ElementType::float64:
          count += count_non_finite<double>(part);
          break;
        case ElementType::float16:
          count += count_non_finite<float16>(part);
          break;
        default:
          count += count_non_finite<bfloat16>(part);
          break;
      }
    }
    // One infinity alone is a mask or a bound, as attention and Clip have them.
    if (count > 0 && tensor.element_count() > 1) {
      warning("non-finite-weights", node, "{} of the {} elements of {} are NaN or infinite", count,
              tensor.element_count(), name);
    }
  };
  const std::function<void(const ir::Graph&)> walk = [&](const ir::Graph& graph) {
    for (const ir::Value* value : graph.initializers()) {
      if (value->initializer())
        check(*value->initializer(), "initializer " + hone::quote(value->name()), graph.parent_node());
    }
    for (const ir::Node& node : graph.nodes()) {
      for (const ir::Attribute& attribute : node.attributes()) {
        if (const auto* tensor = attribute.get<ir::Tensor>())
          check(*tensor, "attribute " + hone::quote(attribute.name), &node);
      }
      node.for_each_subgraph(walk);
    }
  };
  walk(*model_.graph);
  for (const auto& function : model_.functions) walk(*function->body);
}

// Operators that ONNX does not know must not fail its checker: they move to a domain that it does not know either.
void hide_unknown(ir::Model& model) {
  constexpr const char* domain = "hone.unknown";
  bool hidden = false;
  const auto hide = [&](ir::Graph& root, std::vector<ir::OpsetImport>& imports) {
    bool here = false;
    ir::for_each_graph(root, [&](ir::Graph& graph) {
      for (ir::Node& node : graph.nodes()) {
        if (latest_opset(node.domain()) == 0) continue;
        if (model.functions.called_by(node)) continue;
        std::int64_t version = imports.empty() && node.domain().empty() ? 1 : 0;
        for (const ir::OpsetImport& opset : imports) {
          if (opset.domain == node.domain()) version = opset.version;
        }
        if (find_op_schema(node.op_type(), node.domain(), version)) continue;
        node.set_op(node.op_type(), domain);
        here = true;
      }
    });
    if (here) imports.push_back({domain, 1, {}});
    hidden |= here;
  };
  hide(*model.graph, model.opsets);
  for (const auto& function : model.functions) hide(*function->body, function->opsets);
}

void run_onnx_checker(const ir::Model& model) {
  ir::Model copy = model.clone();
  hide_unknown(copy);
  Placements placements;
  constexpr std::uint64_t small = 64;
  for_each_tensor(copy, [&](const ir::Tensor& tensor, bool) {
    if (tensor.byte_size() > small) placements[&tensor].omitted = true;
  });
  ir::for_each_graph(*copy.graph, [&](ir::Graph& graph) {
    for (const ir::Value* value : graph.initializers()) {  // the two parts of one must fit each other
      if (const ir::SparseTensor* sparse = value->sparse_initializer()) {
        placements.erase(&sparse->values);
        placements.erase(&sparse->indices);
      }
    }
  });
  ::onnx::ModelProto proto;
  if (!parse_message(proto, model_bytes(copy, placements))) {
    fail(ErrorKind::internal, "protobuf can't read the model that was written");
  }
  ::onnx::checker::CheckerContext context;
  context.set_ir_version(static_cast<int>(model.ir_version));
  context.set_schema_registry(&lazy_registry());
  std::unordered_map<std::string, int> versions;
  for (const auto& opset : copy.opsets) versions[opset.domain] = static_cast<int>(opset.version);
  if (versions.empty()) versions[""] = 1;
  context.set_opset_imports(versions);
  try {
    const ::onnx::checker::LexicalScopeContext scope;
    ::onnx::checker::check_graph(proto.graph(), context, scope);
    if (model.ir_version >= 8) ::onnx::checker::check_model_local_functions(proto, context, scope);
  } catch (const ::onnx::checker::ValidationError& error) {
    std::string text = error.what();
    std::replace(text.begin(), text.end(), '\n', ' ');
    bad_input("{}", printable(text));
  }
}

}  // namespace

std::span<const Rule> rules() { return all_rules; }

bool has_errors(std::span<const Problem> problems) {
  return std::any_of(problems.begin(), problems.end(), [](const Problem& problem) { return problem.error; });
}

std::vector<Problem> lint(const ir::Model& model) {
  Linter linter(model);
  linter.run(true);
  return linter.take();
}

std::vector<Problem> lint_file(const std::string& path, ReadOptions options) {
  std::vector<Problem> problems;
  options.problems = &problems;
  try {
    const ir::Model model = read(path, options);
    std::vector<Problem> more = lint(model);
    problems.insert(problems.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    if (has_errors(problems)) return problems;
    // Whatever it knows and we don't.
    try {
      run_onnx_checker(model);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_input) throw;
      problems.push_back({"onnx-checker", true, "", error.message()});
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::bad_input) throw;
    problems.push_back({"unreadable", true, "", error.message()});
  }
  return problems;
}

void check(const ir::Model& model) {
  in_context([] { return "checking the model"; },
             [&] {
               Linter linter(model);
               linter.run(false);
               for (const Problem& problem : linter.take()) {
                 if (!problem.error) continue;
                 throw Error(ErrorKind::bad_input,
                             problem.node.empty() ? problem.message : problem.node + ": " + problem.message);
               }
               run_onnx_checker(model);
             });
}

}  // namespace hone::onnx
