#include "exec/fuse_elementwise.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "exec/fuse.h"

namespace hone::exec {
namespace {

using Kind = Instruction::Kind;
using Values = std::unordered_set<const ir::Value*>;

constexpr std::size_t most_instructions = 48;  // buffers of them all stay in the first-level cache

// A node as one instruction, its operands left out; how many it has.
struct Translation {
  Instruction instruction;
  std::size_t operands = 1;
};

std::optional<Translation> translate(const ir::Node& node, std::int64_t opset) {
  if (!node.domain().empty()) return std::nullopt;
  const std::string& op = node.op_type();
  const auto one = [](Kind kind, float alpha = 0, float beta = 0) { return Translation{{kind, 0, 0, alpha, beta}, 1}; };
  const auto two = [](Kind kind) { return Translation{{kind, 0, 0, 0, 0}, 2}; };
  if (opset >= 7 && node.input_count() == 2) {
    if (op == "Add") return two(Kind::add);
    if (op == "Sub") return two(Kind::subtract);
    if (op == "Mul") return two(Kind::multiply);
    if (op == "Div") return two(Kind::divide);
    if (op == "Min" && opset >= 8) return two(Kind::minimum);
    if (op == "Max" && opset >= 8) return two(Kind::maximum);
    if (op == "Pow") {
      // Of more than one dimension, the exponent would broadcast the base.
      const ir::Tensor* tensor = ir::constant(node.input(1));
      const auto exponent = tensor && tensor->rank() == 0 ? constant_float(node.input(1)) : std::nullopt;
      if (exponent == 2.0F) return one(Kind::square);
      if (exponent == 3.0F) return one(Kind::cube);
      return std::nullopt;
    }
  }
  if (op == "Clip") {
    float low = node.float_or("min", -std::numeric_limits<float>::infinity());
    float high = node.float_or("max", std::numeric_limits<float>::infinity());
    for (std::size_t i = 1; i <= 2; ++i) {
      if (!node.input(i)) continue;
      const auto bound = constant_float(node.input(i));
      if (!bound) return std::nullopt;
      (i == 1 ? low : high) = *bound;
    }
    return one(Kind::clip, low, high);
  }
  if (node.input_count() != 1) return std::nullopt;
  if (op == "Neg") return one(Kind::negate);
  if (op == "Abs") return one(Kind::magnitude);
  if (op == "Sqrt") return one(Kind::square_root);
  if (op == "Reciprocal") return one(Kind::reciprocal);
  if (op == "Exp") return one(Kind::exponential);
  if (op == "Log") return one(Kind::logarithm);
  if (op == "Erf") return one(Kind::error_function);
  if (op == "Sigmoid") return one(Kind::sigmoid);
  if (op == "Tanh") return one(Kind::hyperbolic_tangent);
  if (op == "Relu") return one(Kind::relu);
  if (op == "LeakyRelu") return one(Kind::leaky_relu, node.float_or("alpha", 0.01F));
  if (op == "HardSigmoid") return one(Kind::hard_sigmoid, node.float_or("alpha", 0.2F), node.float_or("beta", 0.5F));
  if (op == "HardSwish") return one(Kind::hard_swish, 1.0F / 6, 0.5F);
  if (op == "Swish") return one(Kind::swish, node.float_or("alpha", 1.0F));
  if (op == "Gelu") {
    const std::string approximate = node.string_or("approximate", "none");
    if (approximate == "none") return one(Kind::gelu_erf);
    if (approximate == "tanh") return one(Kind::gelu_tanh);
  }
  return std::nullopt;
}

// Operators whose first output has the type of their first input.
bool keeps_type(const ir::Node& node) {
  static const std::unordered_set<std::string_view> names = {"Add",
                                                             "Sub",
                                                             "Mul",
                                                             "Div",
                                                             "Min",
                                                             "Max",
                                                             "Neg",
                                                             "Abs",
                                                             "Relu",
                                                             "LeakyRelu",
                                                             "Clip",
                                                             "HardSigmoid",
                                                             "HardSwish",
                                                             "Swish",
                                                             "MatMul",
                                                             "Gemm",
                                                             "Conv",
                                                             "Reshape",
                                                             "Transpose",
                                                             "Squeeze",
                                                             "Unsqueeze",
                                                             "Flatten",
                                                             "Identity",
                                                             "Slice",
                                                             "Split",
                                                             "Concat",
                                                             "Expand",
                                                             "Gather",
                                                             "Tile",
                                                             "Pad",
                                                             "ReduceSum",
                                                             "ReduceMean",
                                                             "ReduceMax",
                                                             "ReduceMin",
                                                             "MaxPool",
                                                             "AveragePool",
                                                             "GlobalMaxPool",
                                                             "GlobalAveragePool",
                                                             "ConvTranspose",
                                                             "Resize",
                                                             "Pow",
                                                             "Sum",
                                                             "Softmax",
                                                             "LogSoftmax",
                                                             "Sqrt",
                                                             "Reciprocal",
                                                             "Exp",
                                                             "Log",
                                                             "Erf",
                                                             "Sigmoid",
                                                             "Tanh",
                                                             "Gelu",
                                                             "PRelu",
                                                             "LayerNormalization",
                                                             "BatchNormalization",
                                                             "InstanceNormalization",
                                                             "GatherND",
                                                             "GatherElements",
                                                             "DepthToSpace",
                                                             "SpaceToDepth",
                                                             "Elementwise",
                                                             "Attention"};
  return (node.domain().empty() || node.domain() == fused_domain) && names.contains(node.op_type());
}

// The values of a graph known to be float32: declared, or following from what is.
Values float_values(const ir::Graph& graph) {
  Values floats;
  const auto is_float = [&](const ir::Value* value) {
    if (!value) return false;
    const ir::Tensor* tensor = ir::constant(value);
    return (tensor && tensor->type() == ir::ElementType::float32) ||
           value->element_type() == ir::ElementType::float32 || floats.contains(value);
  };
  for (const ir::Node& node : graph.nodes()) {
    const bool cast = node.is("Cast") && node.int_or("to", 0) == static_cast<std::int64_t>(ir::ElementType::float32);
    const bool same = (keeps_type(node) && is_float(node.input(0))) || cast;
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      const ir::Value* output = node.output(i);
      if (!output) continue;
      const bool typed = output->element_type() != ir::ElementType::undefined;
      if (typed ? output->element_type() == ir::ElementType::float32 : same) floats.insert(output);
      if (!node.is("Split")) break;
    }
  }
  return floats;
}

class Group {
 public:
  Group(PrivateGraph& graph, const Values& kept, const Values& floats, ir::Node& root)
      : graph_(graph), kept_(kept), floats_(floats), root_(root) {}

  // Whether the node can be an instruction.
  std::optional<Translation> accept(const ir::Node& node) const {
    const auto translation = translate(node, graph_.opset(node));
    if (!translation || !node.output(0)) return std::nullopt;
    if (!floats_.contains(node.output(0))) return std::nullopt;
    for (std::size_t i = 0; i < translation->operands; ++i) {
      const ir::Value* value = node.input(i);
      if (!value) return std::nullopt;
      const ir::Tensor* tensor = ir::constant(value);
      if (tensor ? tensor->type() != ir::ElementType::float32
                 : !floats_.contains(value) && value->element_type() != ir::ElementType::float32)
        return std::nullopt;
    }
    return translation;
  }

  void grow() {
    take(root_, *accept(root_));
    // Producers whose every user is inside, from the end.
    for (bool grown = true; grown;) {
      grown = false;
      for (std::size_t i = 0; i < nodes_.size() && nodes_.size() < most_instructions; ++i) {
        const Translation& translation = translations_.at(nodes_[i]);
        for (std::size_t k = 0; k < translation.operands; ++k) {
          ir::Value* value = nodes_[i]->input(k);
          ir::Node* producer = value->producer();
          if (!producer || &producer->graph() != &root_.graph() || translations_.contains(producer)) continue;
          if (!is_inside(*value)) continue;
          const auto other = accept(*producer);
          if (!other || nodes_.size() >= most_instructions) continue;
          take(*producer, *other);
          grown = true;
        }
      }
    }
  }

  void replace() {
    std::sort(nodes_.begin(), nodes_.end(), [](const ir::Node* a, const ir::Node* b) { return a->is_before(*b); });
    ir::Graph& owner = root_.graph();
    ir::Node& fused = owner.insert("Elementwise", &root_, std::string(fused_domain));
    std::unordered_map<const ir::Value*, std::int64_t> places;
    std::vector<std::int64_t> kinds, left, right;
    std::vector<float> alphas, betas;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const Translation& translation = translations_.at(nodes_[i]);
      std::int64_t operands[2] = {};
      for (std::size_t k = 0; k < translation.operands; ++k) {
        ir::Value* value = nodes_[i]->input(k);
        auto at = places.find(value);
        if (at == places.end()) {
          at = places.emplace(value, static_cast<std::int64_t>(fused.input_count())).first;
          fused.add_input(value);
        }
        operands[k] = at->second;
      }
      if (translation.operands == 1) operands[1] = operands[0];
      kinds.push_back(static_cast<std::int64_t>(translation.instruction.kind));
      left.push_back(operands[0]);
      right.push_back(operands[1]);
      alphas.push_back(translation.instruction.alpha);
      betas.push_back(translation.instruction.beta);
      places.emplace(nodes_[i]->output(0), -1 - static_cast<std::int64_t>(i));
    }
    fused.set_attribute("fused_kinds", std::move(kinds));
    fused.set_attribute("fused_left", std::move(left));
    fused.set_attribute("fused_right", std::move(right));
    fused.set_attribute("fused_alphas", std::move(alphas));
    fused.set_attribute("fused_betas", std::move(betas));
    graph_.inherit(fused, root_);
    graph_.replace(std::move(nodes_), *root_.output(0), fused);
  }

 private:
  void take(ir::Node& node, const Translation& translation) {
    nodes_.push_back(&node);
    translations_.emplace(&node, translation);
  }
  // Only nodes of the group read it.
  bool is_inside(const ir::Value& value) const {
    if (value.is_graph_output() || kept_.contains(&value)) return false;
    return std::all_of(value.uses().begin(), value.uses().end(),
                       [&](const ir::Use& use) { return translations_.contains(use.node); });
  }

  PrivateGraph& graph_;
  const Values& kept_;
  const Values& floats_;
  ir::Node& root_;
  std::vector<ir::Node*> nodes_;
  std::unordered_map<const ir::Node*, Translation> translations_;
};

}  // namespace

std::vector<Instruction> read_program(const ir::Node& node) {
  std::vector<Instruction> program;
  if (!node.is(fused_domain, "Elementwise")) return program;
  const auto kinds = node.ints_or("fused_kinds", {}), left = node.ints_or("fused_left", {}),
             right = node.ints_or("fused_right", {});
  const auto alphas = node.floats_or("fused_alphas", {}), betas = node.floats_or("fused_betas", {});
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    program.push_back({static_cast<Kind>(kinds[i]), left[i], right[i], alphas[i], betas[i]});
  }
  return program;
}

void fuse_elementwise(PrivateGraph& graph, const std::vector<std::string>& keep) {
  Values kept;
  for (const std::string& name : keep) kept.insert(graph.find(name));
  for (ir::Graph* each : graph.running_graphs()) {
    const Values floats = float_values(*each);
    // From the end: a group grows towards what it reads. Nodes that a group took are gone when their turn would come.
    for (ir::Node* node = each->last(); node;) {
      Group group(graph, kept, floats, *node);
      if (!group.accept(*node)) {
        node = node->previous();
        continue;
      }
      group.grow();
      ir::Node* next = node->next();
      group.replace();
      node = next ? next->previous() : each->last();  // the fused node, which is not accepted
    }
  }
}

}  // namespace hone::exec
