#include "quantize/placement.h"

#include <algorithm>
#include <array>
#include <regex>

#include "hone/support/error.h"

namespace hone::quantize {
namespace {

template <std::size_t N>
bool is_any(const ir::Node& node, const std::array<std::string_view, N>& ops) {
  return node.domain().empty() && std::find(ops.begin(), ops.end(), node.op_type()) != ops.end();
}

// Join a cluster: every data input and the output quantized, each with its own parameters.
constexpr std::array<std::string_view, 7> kJoining = {
    "Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "Sigmoid", "LeakyRelu"};
// Pass integers on: output with the parameters of the input.
constexpr std::array<std::string_view, 12> kMoving = {"MaxPool",      "Reshape",   "Transpose", "Flatten",
                                                      "Squeeze",      "Unsqueeze", "Slice",     "Gather",
                                                      "DepthToSpace", "Expand",    "Tile",      "Identity"};

std::optional<std::regex> compile(const std::string& text, const char* option) {
  if (text.empty()) return std::nullopt;
  try {
    return std::regex(text, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    usage_error("--{} {} is not a regular expression: {}", option, quote(text), error.what());
  }
}

bool is_float(const ir::Value* value) {
  return value && value->type().is_tensor() && value->element_type() == ir::ElementType::float32;
}

// A Relu or Clip that the Q behind it absorbs.
ir::Node* absorbed_activation(const ir::Node& node) {
  const ir::Use* use = node.output(0)->only_use();
  if (!use || use->index != 0 || &use->node->graph() != &node.graph()) return nullptr;
  ir::Node& activation = *use->node;
  if (activation.is("Relu")) return &activation;
  if (!activation.is("Clip")) return nullptr;
  const std::optional<double> low = activation.input_count() > 1 || !activation.has_attribute("min")
                                        ? ir::constant_scalar(activation.input(1))
                                        : std::optional<double>(activation.float_or("min", 0));
  // With a lower bound of 0 the calibrated range lies inside the clip's.
  return low && *low == 0 ? &activation : nullptr;
}

class Placer {
 public:
  Placer(ir::Model& model, const QuantizeOptions& options) : model_(model), options_(options) {}

  Placement run() {
    placement_.weighted = select_nodes(model_, options_, placement_.decisions);
    for (ir::Node* node : placement_.weighted) {
      placement_.integer.insert(node);
      wanted_.insert(node->input(0));
      if (node->is("Conv")) produced_.insert(effective_output(*node));
    }
    // Integers as far as they can be had, in order; then which of them anybody wants, backwards.
    for (ir::Node& node : model_.graph->nodes()) {
      if (can_join(node)) produced_.insert(effective_output(node));
      if (moves(node) && produced_.contains(node.input(0))) produced_.insert(node.output(0));
    }
    for (ir::Node* node = model_.graph->last(); node; node = node->previous()) {
      if (can_join(*node) && produced_.contains(effective_output(*node)) && wanted_.contains(effective_output(*node))) {
        for (std::size_t i = 0; i < node->input_count(); ++i) {
          if (is_float(node->input(i)) && !ir::constant(node->input(i))) wanted_.insert(node->input(i));
        }
        joined_.insert(node);
      } else if (moves(*node) && produced_.contains(node->input(0)) && wanted_.contains(node->output(0))) {
        wanted_.insert(node->input(0));
        joined_.insert(node);
      }
    }
    collect();
    return std::move(placement_);
  }

 private:
  ir::Value* effective_output(const ir::Node& node) {
    ir::Node* activation = absorbed_activation(node);
    return activation ? activation->output(0) : node.output(0);
  }

  bool can_join(const ir::Node& node) {
    if (!is_any(node, kJoining) || !is_float(node.output(0))) return false;
    if (node.is("AveragePool") && model_.opset() > 22) return false;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      const ir::Value* input = node.input(i);
      if (!input || !produced_.contains(input)) return false;
    }
    return node.input_count() > 0;
  }

  bool moves(const ir::Node& node) {
    if (!is_any(node, kMoving) || !is_float(node.input(0)) || !is_float(node.output(0))) return false;
    return !(node.is("MaxPool") && (model_.opset() < 12 || (node.output(1) && node.output(1)->has_uses())));
  }

  void collect() {
    std::unordered_set<const ir::Value*> done;
    const auto pair = [&](ir::Value* value, ir::Value* same) {
      if (!done.insert(value).second) return;
      placement_.values.push_back(value);
      if (same) {
        const auto root = placement_.same_as.find(same);
        placement_.same_as[value] = root == placement_.same_as.end() ? same : root->second;
      }
    };
    // Inputs of integer nodes first: a graph input comes before every node.
    for (ir::Value* input : model_.graph->inputs()) {
      if (wanted_.contains(input)) pair(input, nullptr);
    }
    for (ir::Node& node : model_.graph->nodes()) {
      const bool weighted = placement_.integer.contains(&node);
      if (joined_.contains(&node)) {
        placement_.integer.insert(&node);
        const bool mover = moves(node);
        placement_.decisions.push_back(
            {node.name(), node.op_type(), true, mover ? node.op_type() + " on integers" : "QLinear" + node.op_type()});
        for (std::size_t i = 0; i < node.input_count() && !mover; ++i) pair(node.input(i), nullptr);
        if (mover) {
          pair(node.input(0), nullptr);
          pair(node.output(0), node.input(0));
        } else {
          pair(effective_output(node), nullptr);
        }
      } else if (weighted) {
        pair(node.input(0), nullptr);
        if (node.is("Conv")) pair(effective_output(node), nullptr);
      }
    }
  }

  ir::Model& model_;
  const QuantizeOptions& options_;
  Placement placement_;
  std::unordered_set<const ir::Value*> produced_, wanted_;
  std::unordered_set<const ir::Node*> joined_;
};

}  // namespace

bool has_integer_kernel(const ir::Node& node, std::string& reason) {
  const ir::Tensor* weight = ir::constant(node.input(1));
  if (!weight) {
    reason = "its weight is not constant";
  } else if (weight->type() != ir::ElementType::float32) {
    reason = "its weight is " + std::string(ir::name(weight->type()));
  } else if (!is_float(node.input(0))) {
    reason = "its input is not known to be float";
  } else if (ir::constant(node.input(0))) {
    reason = "its input is constant";
  } else if (node.is("MatMul") && weight->rank() != 2) {
    reason = "its weight is not a matrix";
  } else if (node.is("Gemm") && (node.float_or("alpha", 1) != 1 || node.float_or("beta", 1) != 1)) {
    reason = "alpha and beta are not 1";
  } else if (node.is("Gemm") && node.int_or("transA", 0) != 0) {
    reason = "its input is transposed";
  } else if (node.is("Gemm") && node.input(2) &&
             !(ir::constant(node.input(2)) && ir::constant(node.input(2))->rank() <= 1 &&
               ir::constant(node.input(2))->element_count() == weight->dims()[node.int_or("transB", 0) != 0 ? 0 : 1])) {
    reason = "its bias is not one constant for each column";
  } else if (node.is("Conv") && node.input(2) && !ir::constant(node.input(2))) {
    reason = "its bias is not constant";
  } else {
    return true;
  }
  return false;
}

Placement place(ir::Model& model, const QuantizeOptions& options) { return Placer(model, options).run(); }

std::vector<ir::Node*> select_nodes(ir::Model& model, const QuantizeOptions& options,
                                    std::vector<NodeDecision>& decisions) {
  const auto include = compile(options.include, "include");
  const auto exclude = compile(options.exclude, "exclude");
  for (const std::string& op : options.operators) {
    if (op != "Conv" && op != "Gemm" && op != "MatMul") {
      usage_error("--operators {}: integer kernels exist for Conv, Gemm and MatMul", quote(op));
    }
  }
  const bool dynamic = options.mode == Mode::dynamic;
  std::vector<ir::Node*> selected;
  for (ir::Node& node : model.graph->nodes()) {
    if (!node.is("Conv") && !node.is("Gemm") && !node.is("MatMul") && !node.is("ConvTranspose")) continue;
    NodeDecision decision{node.name(), node.op_type(), false, ""};
    const auto named = [&](const std::regex& expression) { return std::regex_search(node.name(), expression); };
    if (node.is("ConvTranspose")) {
      decision.kernel_or_reason = "there is no integer kernel for ConvTranspose";
    } else if (dynamic && node.is("Conv")) {
      decision.kernel_or_reason = "ConvInteger is slower than float";
    } else if ((include && !named(*include)) || (exclude && named(*exclude))) {
      decision.kernel_or_reason = "excluded by name";
    } else if (!options.operators.empty() && std::find(options.operators.begin(), options.operators.end(),
                                                       node.op_type()) == options.operators.end()) {
      decision.kernel_or_reason = "excluded by operator";
    } else if (has_integer_kernel(node, decision.kernel_or_reason)) {
      decision.quantized = true;
      decision.kernel_or_reason = dynamic                            ? "DynamicQuantizeMatMul"
                                  : node.is("Conv")                  ? "QLinearConv"
                                  : node.is("Gemm") && node.input(2) ? "QGemm"
                                                                     : "MatMulIntegerToFloat";
      selected.push_back(&node);
    }
    decisions.push_back(std::move(decision));
  }
  if (selected.empty()) {
    std::string reasons;
    for (const NodeDecision& decision : decisions) {
      if (reasons.size() > 300) break;
      reasons += fmt::format("; {} ({}): {}", quote(decision.node), decision.op_type, decision.kernel_or_reason);
    }
    unsupported("there is nothing to quantize: no Conv, Gemm or MatMul with constant float weights{}", reasons);
  }
  return selected;
}

}  // namespace hone::quantize
