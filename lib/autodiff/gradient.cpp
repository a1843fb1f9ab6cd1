#include "hone/autodiff/gradient.h"

#include <algorithm>

#include "autodiff/inline_functions.h"
#include "autodiff/tape.h"
#include "hone/shapes/inference.h"

namespace hone::autodiff {
namespace {

// A value of unknown type (of a custom operator) may be one: better an error than a gradient that stops there unseen.
bool carries_gradient(const ir::Value& value) {
  const ir::ElementType type = value.element_type();
  return type == ir::ElementType::undefined || type == ir::ElementType::float32 || type == ir::ElementType::float64 ||
         type == ir::ElementType::float16 || type == ir::ElementType::bfloat16;
}

// Uses of active values anywhere in the node, its subgraphs included.
class Activity {
 public:
  explicit Activity(Tape& tape) : tape_(tape) {}

  bool reaches(const ir::Node& node) const {
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (tape_.is_active(node.input(i))) return true;
    }
    bool inside = false;
    node.for_each_subgraph([&](const ir::Graph& graph) { inside = inside || reaches(graph); });
    return inside;
  }

 private:
  bool reaches(const ir::Graph& graph) const {
    for (const ir::Value* output : graph.outputs()) {
      if (tape_.is_active(output)) return true;
    }
    for (const ir::Node& node : graph.nodes()) {
      if (reaches(node)) return true;
    }
    return false;
  }

  Tape& tape_;
};

ir::Value& find(ir::Graph& graph, std::string_view name, std::string_view what) {
  ir::Value* value = graph.find(name);
  if (!value) fail(ErrorKind::internal, "{} {} is no value of the main graph", what, quote(name));
  if (!carries_gradient(*value)) {
    unsupported("{} {} is of type {}: gradients need floating-point numbers", what, quote(name),
                ir::text(value->type()));
  }
  return *value;
}

std::string describe(const ir::Node& node) {
  return fmt::format("node {} ({}{}{})",
                     quote(node.name().empty() && node.output() ? node.output()->name() : node.name()), node.domain(),
                     node.domain().empty() ? "" : ".", node.op_type());
}

// The backward pass. Where a rule refuses, the node is noted and the walk goes on, so that all of them are named.
std::vector<Obstacle> walk(Tape& tape, ir::Value& loss) {
  std::vector<Obstacle> found;
  // Nodes of the backward pass come behind `last`; the walk stays before them.
  for (ir::Node* node = tape.graph().last(); node; node = node->previous()) {
    bool reached = false, more = false;
    for (std::size_t i = 0; i < node->output_count(); ++i) {
      const ir::Value* output = node->output(i);
      if (!output || !tape.has_gradient(*output)) continue;
      reached = true;
      more = more || i > 0;
    }
    if (!reached || !Activity(tape).reaches(*node)) continue;
    tape.current = node;
    Backward back(tape, *node);
    std::string reason;
    const Operator* rule = find_rule(*node);
    if (!rule) {
      reason = "the operator has no gradient";
    } else if (more && !rule->all_outputs) {
      reason = "only its first output has a gradient";
    } else {
      try {
        rule->rule(back);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::unsupported) throw Error(error).prepend("the gradient of " + describe(*node));
        reason = error.message();
      }
    }
    if (reason.empty()) continue;
    found.push_back(
        {node->name().empty() && node->output() ? node->output()->name() : node->name(), node->op_type(), reason});
    for (std::size_t i = 0; i < node->input_count(); ++i) {
      if (back.wants(i)) back.give(i, back.zeros_like(*node->input(i)));
    }
  }
  (void)loss;
  return found;
}

struct Result {
  std::vector<std::string> names;
  std::vector<Obstacle> obstacles;
};

Result differentiate(ir::Model& model, std::string_view loss_name, std::span<const std::string> with_respect_to) {
  ir::Graph& graph = *model.graph;
  shapes::Inference inference(model);
  inference.run();
  ir::Value& loss = find(graph, loss_name, "the loss");
  if (loss.shape() && provably_different(ir::element_count(*loss.shape()), ir::Dimension(1))) {
    bad_input("the loss {} has shape {}, not one element", quote(loss_name), ir::text(*loss.shape()));
  }
  std::vector<ir::Value*> sources;
  for (const std::string& name : with_respect_to) sources.push_back(&find(graph, name, "the gradient with respect to"));

  Tape tape(model);
  tape.mark_active(sources);
  const Activity activity(tape);
  for (ir::Node* node = graph.first(); node;) {
    if (!activity.reaches(*node)) {
      node = node->next();
      continue;
    }
    if (!find_rule(*node)) {
      if (ir::Node* inlined = inline_function(*node, model, inference)) {
        node = inlined;
        continue;
      }
    }
    for (std::size_t i = 0; i < node->output_count(); ++i) {
      ir::Value* output = node->output(i);
      if (output && carries_gradient(*output)) tape.mark_active({&output, 1});
    }
    node = node->next();
  }

  Result result;
  if (!tape.is_active(&loss)) {
    result.names.resize(with_respect_to.size());
    return result;
  }
  model.set_opset(own_domain, 1);
  if (loss.element_type() != ir::ElementType::float32 && loss.element_type() != ir::ElementType::float64)
    unsupported("a loss of element type {}", ir::name(loss.element_type()));
  ir::Tensor one =
      ir::Tensor::allocate(loss.element_type(), loss.shape() ? ir::Dims(loss.shape()->size(), 1) : ir::Dims{});
  if (loss.element_type() == ir::ElementType::float32) {
    one.mutable_data<float>()[0] = 1;
  } else {
    one.mutable_data<double>()[0] = 1;
  }
  tape.give(loss, tape.constant(std::move(one), std::string(loss_name) + "_gradient"));
  result.obstacles = walk(tape, loss);
  for (ir::Value* source : sources) {
    tape.current = nullptr;
    ir::Value* gradient = tape.gradient(*source);
    result.names.push_back(gradient ? gradient->name() : "");
  }
  return result;
}

}  // namespace

std::vector<std::string> gradient(ir::Model& model, std::string_view loss,
                                  std::span<const std::string> with_respect_to) {
  Result result = differentiate(model, loss, with_respect_to);
  if (!result.obstacles.empty()) {
    std::reverse(result.obstacles.begin(), result.obstacles.end());
    std::string list;
    // Ten name the problem; a list of thousands helps nobody.
    for (std::size_t i = 0; i < result.obstacles.size() && i < 10; ++i) {
      const Obstacle& each = result.obstacles[i];
      list += fmt::format("{}node {} ({}): {}", i == 0 ? "" : "; ", quote(each.node), each.op_type, each.reason);
    }
    if (result.obstacles.size() > 10) list += fmt::format("; and {} more nodes", result.obstacles.size() - 10);
    unsupported("no gradient: {}", list);
  }
  return std::move(result.names);
}

std::vector<Obstacle> obstacles(const ir::Model& model, std::string_view loss,
                                std::span<const std::string> with_respect_to) {
  ir::Model copy = model.clone();
  std::vector<Obstacle> found = differentiate(copy, loss, with_respect_to).obstacles;
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace hone::autodiff
