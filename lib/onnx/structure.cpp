// Checks of the number of inputs and outputs, of control flow, functions and scales.
//
// Left to lint(): types, and attributes. Outputs that are left out though the operator has no way to leave them out are
// accepted: optimizers write such nodes, and runtimes run them.
//
// Functions call each other; every call must end, and inlining all of them must stay within bounds: a chain of functions
// in which each calls the next one twice is small in the file and endless in every tool that inlines.
#include "onnx/structure.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "hone/onnx/schema.h"
#include "hone/support/error.h"
#include "onnx/microsoft.h"
#include "onnx/registry.h"

namespace hone::onnx {
namespace {

constexpr int deepest_call = 100;
constexpr std::uint64_t most_inlined_nodes = 10'000'000;  // fifty times the largest graph that tools are made for
constexpr std::uint64_t largest_scale = 1 << 16;          // bytes; scales are one for each channel or block

class Checker {
 public:
  Checker(const ir::Model& model, const Report& report) : model_(model), report_(report) {}

  void run() {
    versions_ = &model_.opsets;
    main_ = true;
    check_graph(*model_.graph);
    main_ = false;
    for (const auto& function : model_.functions) {
      function_ = function.get();
      versions_ = &function->opsets;
      schemas_.clear();
      check_function_name();
      check_graph(*function->body);
    }
    check_calls();
  }

 private:
  template <typename... Args>
  void report(const char* rule, bool error, const ir::Node* node, fmt::format_string<Args...> format, Args&&... args) {
    std::string where;
    if (function_) where = "function " + quote(function_->name);
    if (node) where += (where.empty() ? "" : ": ") + describe(*node);
    report_({rule, error, std::move(where), fmt::format(format, std::forward<Args>(args)...)});
  }
  template <typename... Args>
  void wrong(const char* rule, const ir::Node* node, fmt::format_string<Args...> format, Args&&... args) {
    report(rule, true, node, format, std::forward<Args>(args)...);
  }

  std::int64_t version(std::string_view domain) const {
    for (const ir::OpsetImport& opset : *versions_) {
      if (opset.domain == domain) return opset.version;
    }
    return 0;
  }

  void check_graph(const ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) {
      if (const Schema* schema = schema_of(node)) check_arity(node, *schema);
      if (node.domain().empty()) {
        check_standard(node);
      } else if (!model_.functions.empty()) {
        check_call(node);
      }
      if (function_) check_references(node);
      node.for_each_subgraph([&](const ir::Graph& inner) { check_graph(inner); });
    }
  }

  // Null where ONNX does not know the operator, or a function stands for it.
  const Schema* schema_of(const ir::Node& node) {
    if (model_.functions.called_by(node)) return nullptr;
    if (!node.domain().empty()) {
      const Schema* schema = find_schema(node.op_type(), node.domain(), version(node.domain()));
      return schema ? schema : find_microsoft_schema(node.op_type(), node.domain());
    }
    // A look-up for each operator instead of each node: what find_schema() costs is felt in a graph of 200,000.
    const auto [found, is_new] = schemas_.try_emplace(node.op_type());
    if (is_new) {
      const std::int64_t opset = versions_->empty() && main_ ? 1 : version("");  // IR versions 1 and 2 name none
      found->second = find_schema(node.op_type(), "", opset);
      if (!found->second) found->second = find_microsoft_schema(node.op_type(), "");
    }
    return found->second;
  }

  void check_arity(const ir::Node& node, const Schema& schema) {
    const auto check_most = [&](std::size_t count, int most, const char* what) {
      if (count > static_cast<std::size_t>(std::max(most, 0))) {
        wrong("wrong-arity", &node, "it has {} {}, and the operator takes no more than {}", count, what, most);
      }
    };
    check_most(node.input_count(), schema.max_inputs, "inputs");
    check_most(node.output_count(), schema.max_outputs, "outputs");
    for (std::size_t i = 0; i < schema.inputs.size(); ++i) {
      const Parameter& formal = schema.inputs[i];
      const bool needed = formal.option == Parameter::Option::single || static_cast<int>(i) < schema.min_inputs;
      if (needed && formal.option != Parameter::Option::optional && !node.input(i)) {
        wrong("missing-input", &node, "input {}{} is missing", i, formal.name.empty() ? "" : " (" + formal.name + ")");
      }
    }
    if (node.output_count() < static_cast<std::size_t>(std::max(schema.min_outputs, 0))) {
      wrong("wrong-arity", &node, "it has {} outputs, and the operator gives at least {}", node.output_count(),
            schema.min_outputs);
    }
  }

  void check_standard(const ir::Node& node) {
    const std::string& op = node.op_type();
    if (op == "If") {
      check_branch(node, "then_branch");
      check_branch(node, "else_branch");
    } else if (op == "Loop") {
      check_loop(node);
    } else if (op == "Scan") {
      check_scan(node);
    } else if (op == "QuantizeLinear" || op == "DequantizeLinear") {
      check_scale(node);
    } else if (!model_.functions.empty()) {
      check_call(node);
    }
  }

  // The graph of an attribute; null, and reported, if it is missing. Null in silence for a reference.
  const ir::Graph* body(const ir::Node& node, const char* name) {
    const ir::Attribute* attribute = node.attribute(name);
    if (attribute && !attribute->reference.empty()) return nullptr;
    const ir::Graph* graph = node.subgraph(name);
    if (!graph) wrong("missing-subgraph", &node, "attribute {} is no graph, and the operator needs one", name);
    return graph;
  }

  void check_branch(const ir::Node& node, const char* name) {
    const ir::Graph* branch = body(node, name);
    if (!branch) return;
    if (!branch->inputs().empty()) {
      wrong("subgraph-arity", &node, "{} has {} inputs, where branches have none", name, branch->inputs().size());
    }
    if (branch->outputs().size() != node.output_count()) {
      wrong("subgraph-arity", &node, "{} has {} outputs, and the node has {}", name, branch->outputs().size(),
            node.output_count());
    }
  }

  void check_body(const ir::Node& node, const ir::Graph& graph, std::size_t inputs, std::size_t outputs) {
    if (graph.inputs().size() != inputs) {
      wrong("subgraph-arity", &node, "its body has {} inputs, and by the inputs of the node it must have {}",
            graph.inputs().size(), inputs);
    }
    if (graph.outputs().size() != outputs) {
      wrong("subgraph-arity", &node, "its body has {} outputs, and by the outputs of the node it must have {}",
            graph.outputs().size(), outputs);
    }
  }

  void check_loop(const ir::Node& node) {
    const ir::Graph* graph = body(node, "body");
    if (graph) check_body(node, *graph, std::max<std::size_t>(node.input_count(), 2), node.output_count() + 1);
  }

  void check_scan(const ir::Node& node) {
    const ir::Graph* graph = body(node, "body");
    if (!graph) return;
    const std::size_t lengths = version("") == 8 ? 1 : 0;  // the first input of Scan 8
    const std::size_t inputs = node.input_count() - std::min(node.input_count(), lengths);
    check_body(node, *graph, inputs, node.output_count());
    const ir::Attribute* count = node.attribute("num_scan_inputs");
    const auto* number = count ? count->get<std::int64_t>() : nullptr;
    if (number && (*number < 1 || static_cast<std::uint64_t>(*number) > inputs)) {
      wrong("subgraph-arity", &node, "num_scan_inputs is {} for {} inputs", *number, inputs);
    }
  }

  void check_scale(const ir::Node& node) {
    const ir::Tensor* scale = ir::constant(node.input(1));
    if (!scale || !ir::is_float(scale->type()) || scale->byte_size() > largest_scale) return;
    std::int64_t index = 0;
    for (const double value : scale->to_doubles()) {
      if (!(value > 0) || !std::isfinite(value)) {
        return report("bad-scale", false, &node, "scale {} is {}, and scales are positive numbers", index, value);
      }
      ++index;
    }
  }

  // Functions.

  void check_function_name() {
    const ir::Function& function = *function_;
    const std::int64_t version = model_.opset(function.domain);
    if (find_op_schema(function.name, function.domain, version > 0 ? version : INT32_MAX)) {
      wrong("function-shadows-operator", nullptr, "ONNX has an operator of this name in domain {}",
            function.domain.empty() ? "ai.onnx" : function.domain);
    }
  }

  void check_references(const ir::Node& node) {
    for (const ir::Attribute& attribute : node.attributes()) {
      if (attribute.reference.empty()) continue;
      const auto& names = function_->attributes;
      bool found = std::find(names.begin(), names.end(), attribute.reference) != names.end();
      for (const ir::Attribute& each : function_->attribute_defaults) found |= each.name == attribute.reference;
      if (!found) {
        wrong("unknown-reference", &node, "attribute {} refers to {}, which the function does not have",
              quote(attribute.name), quote(attribute.reference));
      }
    }
  }

  void check_call(const ir::Node& node) {
    const ir::Function* called = model_.functions.called_by(node);
    if (!called) return;
    const ir::Function& callee = *called;
    if (function_) calls_[function_].push_back(&callee);
    if (node.input_count() > callee.body->inputs().size() || node.output_count() > callee.body->outputs().size()) {
      wrong("function-arity", &node, "{} inputs and {} outputs for a function of {} and {}", node.input_count(),
            node.output_count(), callee.body->inputs().size(), callee.body->outputs().size());
    }
    for (const std::string& name : callee.attributes) {
      if (!node.has_attribute(name)) wrong("missing-attribute", &node, "the function needs attribute {}", quote(name));
    }
  }

  void check_calls() {
    // Depth first, without recursion. A function is done when all it calls are.
    struct Facts {
      bool open = false, done = false;
      int depth = 1;
      std::uint64_t nodes = 0;
    };
    struct Step {
      const ir::Function* function;
      std::size_t next;
    };
    std::unordered_map<const ir::Function*, Facts> facts;
    for (const auto& start : model_.functions) {
      if (facts[start.get()].done) continue;
      std::vector<Step> path{{start.get(), 0}};
      facts[start.get()].open = true;
      while (!path.empty()) {
        Step& step = path.back();
        const auto& callees = calls_[step.function];
        if (step.next < callees.size()) {
          const ir::Function* callee = callees[step.next++];
          Facts& of_callee = facts[callee];
          function_ = step.function;
          if (of_callee.open) {
            return wrong("recursive-function", nullptr,
                         "it calls {}, and that calls it, perhaps through others: no end", quote(callee->name));
          }
          if (!of_callee.done) {
            of_callee.open = true;
            path.push_back({callee, 0});
          }
          continue;
        }
        Facts& own = facts[step.function];
        own.nodes = ir::total_node_count(*step.function->body);
        for (const ir::Function* callee : callees) {
          own.depth = std::max(own.depth, facts[callee].depth + 1);
          own.nodes = std::min(own.nodes + facts[callee].nodes, most_inlined_nodes + 1);
        }
        own.open = false;
        own.done = true;
        function_ = step.function;
        if (own.depth > deepest_call) {
          return wrong("deep-function", nullptr, "calls of functions by functions go more than {} deep", deepest_call);
        }
        if (own.nodes > most_inlined_nodes) {
          return wrong("huge-function", nullptr, "with the functions it calls it has more than {} nodes",
                       most_inlined_nodes);
        }
        path.pop_back();
      }
    }
    function_ = nullptr;
  }

  const ir::Model& model_;
  const Report& report_;
  const ir::Function* function_ = nullptr;
  const std::vector<ir::OpsetImport>* versions_ = nullptr;
  bool main_ = false;
  std::unordered_map<std::string_view, const Schema*> schemas_;  // of the ai.onnx domain
  std::unordered_map<const ir::Function*, std::vector<const ir::Function*>> calls_;
};

}  // namespace

void check_structure(const ir::Model& model, const Report& report) { Checker(model, report).run(); }

std::string describe(std::string_view name, std::string_view domain, std::string_view op_type) {
  std::string text = "node";
  if (!name.empty()) text += ' ' + quote(name);
  if (!op_type.empty()) {
    text += fmt::format(" ({}{}{})", printable(domain), domain.empty() ? "" : ".", printable(op_type));
  }
  return text;
}

std::string describe(const ir::Node& node) { return describe(node.name(), node.domain(), node.op_type()); }

}  // namespace hone::onnx
