#include "exec/fuse.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_set>

#ifdef HONE_ONEDNN
#include "exec/onednn/avx2.h"
#endif

namespace hone::exec {

std::optional<float> constant_float(const ir::Value* value) {
  const ir::Tensor* tensor = ir::constant(value);
  if (!tensor || tensor->type() != ir::ElementType::float32 || tensor->element_count() != 1) return std::nullopt;
  return tensor->to_floats()[0];
}

namespace {

using StepKind = FusedStep::Kind;

// Where a node of its own is faster than oneDNN's tanh at the end of a product (6 times, 3.2).
bool slow_tanh() {
#ifdef HONE_ONEDNN
  return onednn::has_only_avx2();
#else
  return false;
#endif
}

// Clip's bounds, from inputs (version 11) or attributes; nullopt where they are not constant.
std::optional<std::pair<float, float>> clip_bounds(const ir::Node& node) {
  std::pair<float, float> bounds(std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max());
  if (node.has_attribute("min")) bounds.first = node.float_or("min", 0);
  if (node.has_attribute("max")) bounds.second = node.float_or("max", 0);
  for (std::size_t i = 1; i <= 2; ++i) {
    if (!node.input(i)) continue;
    const auto bound = constant_float(node.input(i));
    if (!bound) return std::nullopt;
    (i == 1 ? bounds.first : bounds.second) = *bound;
  }
  return bounds;
}

// x by a factor and a summand, where the other operand is constant: one value, or one a channel (then as many as
// `channels`). `rank` is that of x.
struct Affine {
  std::vector<float> factor, summand;
};
std::optional<Affine> affine(const ir::Node& node, const ir::Value& x, std::size_t rank, std::int64_t channels,
                             bool channels_last) {
  const bool add = node.is("Add"), sub = node.is("Sub"), mul = node.is("Mul"), div = node.is("Div");
  if (!add && !sub && !mul && !div) return std::nullopt;
  const std::size_t at = node.input(0) == &x ? 1 : 0;
  const ir::Tensor* tensor = ir::constant(node.input(at));
  if (!tensor || tensor->type() != ir::ElementType::float32 || tensor->rank() > rank) return std::nullopt;
  const std::int64_t count = tensor->element_count();
  if (count != 1) {
    const std::size_t from_end = channels_last ? 1 : rank - 1;
    if (count != channels || tensor->rank() < from_end || tensor->dims()[tensor->rank() - from_end] != channels)
      return std::nullopt;
  }
  std::vector<float> values = tensor->to_floats();
  Affine result;
  for (const float value : values) {
    if (add) {
      result.factor.push_back(1);
      result.summand.push_back(value);
    } else if (sub) {
      result.factor.push_back(at == 1 ? 1.0F : -1.0F);
      result.summand.push_back(at == 1 ? -value : value);
    } else if (mul || at == 1) {
      result.factor.push_back(mul ? value : 1.0F / value);
      result.summand.push_back(0);
    } else {
      return std::nullopt;  // constant / x
    }
    if (!std::isfinite(result.factor.back()) || !std::isfinite(result.summand.back())) return std::nullopt;
  }
  return result;
}

struct Fusion {
  PrivateGraph& graph;
  const std::unordered_set<const ir::Value*>& kept;
  ir::Node& root;
  std::size_t rank = 0;  // of the result, or less where it is not known
  bool rank_known = true;
  std::int64_t channels = 0;
  bool channels_last = false, folds = false;

  FusedTail tail;
  std::vector<ir::Node*> nodes;  // what is fused, in order
  std::vector<ir::Value*> operands;
  ir::Value* current = nullptr;

  bool is_private(const ir::Value& value) const {
    if (value.is_graph_output() || kept.contains(&value)) return false;
    return std::all_of(value.uses().begin(), value.uses().end(),
                       [&](const ir::Use& use) { return &use.node->graph() == &root.graph(); });
  }
  ir::Node* only_user(const ir::Value& value) const {
    const ir::Use* use = value.only_use();
    return use && is_private(value) ? use->node : nullptr;
  }
  void take(std::initializer_list<ir::Node*> more, ir::Node& last) {
    nodes.insert(nodes.end(), more);
    current = last.output(0);
  }
  void step(StepKind kind, float alpha = 0, float beta = 0) { tail.steps.push_back({kind, alpha, beta, 0}); }

  void fold(const Affine& affine) {
    if (tail.scale.empty()) {
      tail.scale.assign(static_cast<std::size_t>(channels), 1.0F);
      tail.shift.assign(static_cast<std::size_t>(channels), 0.0F);
    }
    for (std::size_t c = 0; c < tail.scale.size(); ++c) {
      const std::size_t at = affine.factor.size() == 1 ? 0 : c;
      tail.scale[c] *= affine.factor[at];
      tail.shift[c] = tail.shift[c] * affine.factor[at] + affine.summand[at];
    }
  }

  bool take_activation(ir::Node& node) {
    if (!node.domain().empty() || node.input(0) != current) return false;
    const std::string& op = node.op_type();
    if (slow_tanh() && (op == "Tanh" || (op == "Gelu" && node.string_or("approximate", "none") == "tanh")))
      return false;
    if (op == "Relu") {
      step(StepKind::relu);
    } else if (op == "LeakyRelu") {
      step(StepKind::leaky_relu, node.float_or("alpha", 0.01F));
    } else if (op == "Sigmoid") {
      step(StepKind::sigmoid);
    } else if (op == "Tanh") {
      step(StepKind::tanh);
    } else if (op == "HardSigmoid") {
      step(StepKind::hard_sigmoid, node.float_or("alpha", 0.2F), node.float_or("beta", 0.5F));
    } else if (op == "HardSwish") {
      step(StepKind::hard_swish, 1.0F / 6, 0.5F);
    } else if (op == "Elu") {
      step(StepKind::elu, node.float_or("alpha", 1.0F));
    } else if (op == "Gelu") {
      step(node.string_or("approximate", "none") == "tanh" ? StepKind::gelu_tanh : StepKind::gelu_erf);
    } else if (op == "Clip") {
      const auto bounds = clip_bounds(node);
      if (!bounds) return false;
      step(StepKind::clip, bounds->first, bounds->second);
    } else {
      return false;
    }
    take({&node}, node);
    return true;
  }

  bool take_normalization(ir::Node& node) {
    if (!node.is("BatchNormalization") || node.input(0) != current || !folds || channels_last || !tail.steps.empty())
      return false;
    if (node.int_or("training_mode", 0) != 0 || node.int_or("is_test", 1) == 0) return false;
    for (std::size_t i = 1; i < node.output_count(); ++i) {
      if (node.output(i) && node.output(i)->has_uses()) return false;
    }
    std::vector<float> parameters[4];
    for (std::size_t i = 0; i < 4; ++i) {
      const ir::Tensor* tensor = ir::constant(node.input(1 + i));
      if (!tensor || tensor->type() != ir::ElementType::float32 || tensor->element_count() != channels) return false;
      parameters[i] = tensor->to_floats();
    }
    const float epsilon = node.float_or("epsilon", 1e-5F);
    Affine affine;
    for (std::size_t c = 0; c < parameters[0].size(); ++c) {
      const float factor = parameters[0][c] / std::sqrt(parameters[3][c] + epsilon);
      affine.factor.push_back(factor);
      affine.summand.push_back(parameters[1][c] - parameters[2][c] * factor);
      if (!std::isfinite(factor) || !std::isfinite(affine.summand.back())) return false;
    }
    fold(affine);
    take({&node}, node);
    return true;
  }

  bool take_affine(ir::Node& node) {
    const auto found = affine(node, *current, rank, channels, channels_last);
    if (!found) return false;
    if (folds && tail.steps.empty()) {
      fold(*found);
    } else if (found->factor.size() == 1) {
      step(StepKind::linear, found->factor[0], found->summand[0]);
    } else {
      return false;
    }
    take({&node}, node);
    return true;
  }

  bool take_sum(ir::Node& node) {
    if (!node.is("Add") || node.input_count() != 2) return false;
    for (const FusedStep& each : tail.steps) {
      if (each.kind == StepKind::add) return false;
    }
    ir::Value* other = node.input(node.input(0) == current ? 1 : 0);
    if (!other || other == current || ir::constant(other)) return false;
    // Shapes that are known must be the same; of the others the kernel decides when it runs.
    if (other->shape()) {
      if (rank_known && other->shape()->size() != rank) return false;
      for (const ir::Dimension& dim : *other->shape()) {
        if (rank > 2 && dim.number() == 1 && &dim - other->shape()->data() >= 2) return false;  // broadcast over space
      }
    }
    tail.steps.push_back({StepKind::add, 0, 0, std::max<std::size_t>(root.input_count(), 3) + operands.size()});
    operands.push_back(other);
    take({&node}, node);
    return true;
  }

  // x * (erf(x / sqrt(2)) + 1) * 0.5
  bool take_gelu(ir::Node& product, ir::Node& gate) {
    const auto close = [](const std::optional<Affine>& found, float factor, float summand) {
      return found && found->factor.size() == 1 && std::abs(found->factor[0] - factor) < 1e-5F * std::abs(factor) &&
             found->summand[0] == summand;
    };
    const auto step_of = [&](const ir::Node& node, const ir::Value* x) {
      return affine(node, *x, rank, channels, channels_last);
    };
    if (!close(step_of(gate, current), 0.70710678F, 0)) return false;
    ir::Node* erf = only_user(*gate.output(0));
    if (!erf || !erf->is("Erf")) return false;
    ir::Node* plus = only_user(*erf->output(0));
    if (!plus || !close(step_of(*plus, erf->output(0)), 1, 1) || only_user(*plus->output(0)) != &product) return false;
    ir::Node* half = only_user(*product.output(0));
    if (!half || !close(step_of(*half, product.output(0)), 0.5F, 0)) return false;
    step(StepKind::gelu_erf);
    take({&gate, erf, plus, &product, half}, *half);
    return true;
  }

  // x * sigmoid(x), x * hardsigmoid(x), and x * clip(x + 3, 0, 6) / 6 spelled out.
  bool take_gate() {
    if (current->uses().size() != 2 || !is_private(*current)) return false;
    ir::Node* product = nullptr;
    ir::Node* gate = nullptr;
    for (const ir::Use& use : current->uses()) (use.node->is("Mul") ? product : gate) = use.node;
    if (!product || !gate || product == gate || gate->input(0) != current) return false;
    const auto other_is = [&](const ir::Value* value) {
      return (product->input(0) == current && product->input(1) == value) ||
             (product->input(1) == current && product->input(0) == value);
    };
    if (gate->is("Sigmoid") || gate->is("HardSigmoid")) {
      if (only_user(*gate->output(0)) != product || !other_is(gate->output(0))) return false;
      if (gate->is("Sigmoid")) {
        step(StepKind::swish, 1);
      } else {
        step(StepKind::hard_swish, gate->float_or("alpha", 0.2F), gate->float_or("beta", 0.5F));
      }
      take({gate, product}, *product);
      return true;
    }
    if (take_gelu(*product, *gate)) return true;
    if (!gate->is("Add")) return false;
    const auto offset = affine(*gate, *current, rank, channels, channels_last);
    if (!offset || offset->factor.size() != 1) return false;
    ir::Node* clip = only_user(*gate->output(0));
    if (!clip || !clip->is("Clip")) return false;
    const auto bounds = clip_bounds(*clip);
    if (!bounds || bounds->first != 0 || bounds->second <= 0) return false;
    ir::Node* next = only_user(*clip->output(0));
    if (!next) return false;
    const auto scale_of = [&](ir::Node& node, const ir::Value& x) -> float {
      const auto found = affine(node, x, rank, channels, channels_last);
      return found && found->factor.size() == 1 && found->summand[0] == 0 ? found->factor[0] : 0.0F;
    };
    const auto gives_one = [&](float factor) { return factor > 0 && std::abs(factor * bounds->second - 1) < 1e-6F; };
    if (next != product) {  // divided before the product
      const float factor = scale_of(*next, *clip->output(0));
      if (!gives_one(factor) || only_user(*next->output(0)) != product || !other_is(next->output(0))) return false;
      step(StepKind::hard_swish, factor, offset->summand[0] * factor);
      take({gate, clip, next, product}, *product);
      return true;
    }
    if (!other_is(clip->output(0))) return false;
    ir::Node* last = only_user(*product->output(0));
    const float factor = last ? scale_of(*last, *product->output(0)) : 0.0F;
    if (!gives_one(factor)) return false;
    step(StepKind::hard_swish, factor, offset->summand[0] * factor);
    take({gate, clip, product, last}, *last);
    return true;
  }

  bool extend() {
    if (take_gate()) return true;
    ir::Node* next = only_user(*current);
    if (!next || !next->domain().empty()) return false;
    return take_activation(*next) || take_normalization(*next) || take_affine(*next) || take_sum(*next);
  }

  void replace() {
    ir::Graph& owner = root.graph();
    ir::Node* last = nodes.back();
    // Operands may be made after the root: the fused node stands where the last of the nodes stood.
    for (ir::Node* node : nodes) {
      if (last->is_before(*node)) last = node;
    }
    std::vector<ir::Value*> inputs;
    for (std::size_t i = 0; i < std::max<std::size_t>(root.input_count(), 3); ++i) inputs.push_back(root.input(i));
    inputs.insert(inputs.end(), operands.begin(), operands.end());
    ir::Node& fused = owner.insert(root.op_type(), last, std::string(fused_domain));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i]) fused.set_input(i, inputs[i]);
    }
    ir::ValueMap map;
    for (const ir::Attribute& attribute : root.attributes()) {
      fused.attributes().push_back(ir::clone_attribute(attribute, fused, map));
    }
    write_tail(fused);
    graph.inherit(fused, root);
    nodes.push_back(&root);
    graph.replace(std::move(nodes), *current, fused);
  }

  void write_tail(ir::Node& fused) const {
    std::vector<std::int64_t> kinds, places;
    std::vector<float> alphas, betas;
    for (const FusedStep& each : tail.steps) {
      kinds.push_back(static_cast<std::int64_t>(each.kind));
      places.push_back(static_cast<std::int64_t>(each.input));
      alphas.push_back(each.alpha);
      betas.push_back(each.beta);
    }
    fused.set_attribute("fused_kinds", std::move(kinds));
    fused.set_attribute("fused_inputs", std::move(places));
    fused.set_attribute("fused_alphas", std::move(alphas));
    fused.set_attribute("fused_betas", std::move(betas));
    fused.set_attribute("fused_scale", tail.scale);
    fused.set_attribute("fused_shift", tail.shift);
  }
};

void fuse_node(PrivateGraph& graph, const std::unordered_set<const ir::Value*>& kept, ir::Node& node) {
  const bool conv = node.is("Conv"), transposed = node.is("ConvTranspose"), gemm = node.is("Gemm"),
             matmul = node.is("MatMul");
  if (!conv && !transposed && !gemm && !matmul) return;
  const ir::Tensor* weights = ir::constant(node.input(1));
  if (!weights || weights->type() != ir::ElementType::float32 || !node.output(0)) return;
  Fusion fusion{graph, kept, node, 0, true, 0, false, true, {}, {}, {}, nullptr};
  if (conv || transposed) {
    if (weights->rank() < 3) return;
    fusion.rank = weights->rank();
    fusion.channels = conv ? weights->dims()[0] : weights->dims()[1] * node.int_or("group", 1);
    // What is multiplied into the weights and the bias must be constant itself.
    fusion.folds = !node.input(2) || ir::constant(node.input(2));
  } else if (gemm) {
    fusion.rank = 2;
    if (weights->rank() != 2) return;
    fusion.channels = weights->dims()[node.int_or("transB", 0) != 0 ? 0 : 1];
    fusion.channels_last = true;
    const ir::Tensor* bias = ir::constant(node.input(2));
    fusion.folds = node.float_or("alpha", 1) == 1 && node.float_or("beta", 1) == 1 &&
                   (!node.input(2) || (bias && bias->element_count() == fusion.channels));
  } else {
    if (weights->rank() != 2) return;
    const auto& shape = node.output(0)->shape();
    fusion.rank_known = shape.has_value();
    fusion.rank = shape ? shape->size() : 1;
    fusion.channels = weights->dims()[1];
    fusion.channels_last = true;
  }
  if (fusion.channels < 1) return;
  fusion.current = node.output(0);
  while (fusion.extend()) {
  }
  if (!fusion.nodes.empty()) fusion.replace();
}

}  // namespace

FusedTail read_tail(const ir::Node& node) {
  FusedTail tail;
  if (node.domain() != fused_domain) return tail;
  tail.scale = node.floats_or("fused_scale", {});
  tail.shift = node.floats_or("fused_shift", {});
  const auto kinds = node.ints_or("fused_kinds", {}), places = node.ints_or("fused_inputs", {});
  const auto alphas = node.floats_or("fused_alphas", {}), betas = node.floats_or("fused_betas", {});
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    tail.steps.push_back({static_cast<StepKind>(kinds[i]), alphas[i], betas[i], static_cast<std::size_t>(places[i])});
  }
  return tail;
}

void fuse(PrivateGraph& graph, const std::vector<std::string>& keep) {
  std::unordered_set<const ir::Value*> kept;
  for (const std::string& name : keep) kept.insert(graph.find(name));
  for (ir::Graph* each : graph.running_graphs()) {
    // From the end: of two convolutions that are added, the later one takes the sum.
    std::vector<ir::Node*> roots;
    for (ir::Node& node : each->nodes()) {
      if (node.is("Conv") || node.is("ConvTranspose") || node.is("Gemm") || node.is("MatMul")) roots.push_back(&node);
    }
    for (auto root = roots.rbegin(); root != roots.rend(); ++root) fuse_node(graph, kept, **root);
  }
}

}  // namespace hone::exec
