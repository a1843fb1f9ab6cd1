// Extraction walks back from the outputs and stops at the inputs; what it reaches stays.
//
// Not handled: cutting inside subgraphs and function bodies.
#include "hone/surgery/extract.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "hone/shapes/inference.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "surgery/tensors.h"

namespace hone::surgery {
namespace {

// Types of values by name, inferred on a copy: what the model declares stays as it is.
class Types {
 public:
  explicit Types(const ir::Model& model) : copy_(model.clone()) { shapes::Inference(copy_).run(); }
  // The declared type where there is one, else what was inferred.
  ir::Type of(const ir::Value& value) const {
    if (value.type().is_tensor() && value.type().shape && value.type().element != ir::ElementType::undefined) {
      return value.type();
    }
    const ir::Value* inferred = copy_.graph->find(value.name());
    const ir::Type type = inferred ? inferred->type() : value.type();
    if (type.kind == ir::Type::Kind::unknown) {
      unsupported("the type of tensor {} is not known, and inputs and outputs need one", quote(value.name()));
    }
    return type;
  }

 private:
  ir::Model copy_;
};

// What is needed for some values: everything before them, up to others.
struct Reach {
  std::unordered_set<const ir::Value*> values;
  std::unordered_set<const ir::Node*> nodes;
  // A value, and the node through which it was first reached.
  std::unordered_map<const ir::Value*, const ir::Node*> through;
};

Reach reach(const ir::Graph& graph, const std::vector<ir::Value*>& from,
            const std::unordered_set<const ir::Value*>& stop) {
  Reach result;
  std::vector<const ir::Value*> pending;
  const auto visit = [&](const ir::Value& value, const ir::Node* node) {
    if (!result.values.insert(&value).second) return;
    result.through[&value] = node;
    if (!stop.contains(&value)) pending.push_back(&value);
  };
  for (const ir::Value* value : from) visit(*value, nullptr);
  while (!pending.empty()) {
    const ir::Node* node = pending.back()->producer();
    pending.pop_back();
    if (!node || !result.nodes.insert(node).second) continue;
    for_each_source(graph, *node, [&](ir::Value& source) { visit(source, node); });
  }
  return result;
}

bool is_required_input(const ir::Value& value) {
  return value.is_graph_input() && !value.initializer() && !value.sparse_initializer();
}

std::vector<ir::Value*> resolve(const ir::Graph& graph, const std::vector<std::string>& names, std::string_view what) {
  std::vector<ir::Value*> values;
  for (const std::string& name : names) {
    ir::Value& value = find_tensor(graph, name, what);
    if (std::find(values.begin(), values.end(), &value) != values.end()) {
      usage_error("{} {} is named twice", what, quote(name));
    }
    values.push_back(&value);
  }
  return values;
}

void set_outputs(ir::Graph& graph, const std::vector<ir::Value*>& outputs, const Types& types) {
  std::vector<ir::Type> of_outputs;
  for (const ir::Value* value : outputs) of_outputs.push_back(types.of(*value));
  while (!graph.outputs().empty()) graph.remove_output(graph.outputs().size() - 1);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    graph.add_output(outputs[i]);
    if (!outputs[i]->info()) {
      outputs[i]->set_type(of_outputs[i]);
      outputs[i]->declare();
    }
  }
}

}  // namespace

void extract(ir::Model& model, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) {
  ir::Graph& graph = *model.graph;
  if (outputs.empty()) usage_error("no output is named");
  const std::vector<ir::Value*> targets = resolve(graph, outputs, "output");
  const std::vector<ir::Value*> sources = resolve(graph, inputs, "input");
  for (const ir::Value* value : targets) {
    if (std::find(sources.begin(), sources.end(), value) != sources.end()) {
      usage_error("tensor {} is named as an input and as an output", quote(value->name()));
    }
  }
  const Reach needed = reach(graph, targets, {sources.begin(), sources.end()});
  if (!inputs.empty()) {
    std::string missing;
    for (const ir::Value* input : graph.inputs()) {
      if (!is_required_input(*input) || !needed.values.contains(input)) continue;
      if (std::find(sources.begin(), sources.end(), input) != sources.end()) continue;
      const ir::Node* node = needed.through.at(input);
      missing += fmt::format("{}{}{}", missing.empty() ? "" : ", ", quote(input->name()),
                             node ? ", which " + describe(*node) + " uses" : "");
    }
    if (!missing.empty()) {
      usage_error(
          "the inputs do not cut the graph: the outputs also need {}; name it as an input, or a tensor between it "
          "and the outputs",
          missing);
    }
    for (const ir::Value* source : sources) {
      if (needed.values.contains(source)) continue;
      usage_error(
          "input {} is not needed: no output depends on it, or all of them only through other inputs; leave it out",
          quote(source->name()));
    }
  }

  const Types types(model);
  set_outputs(graph, targets, types);
  for (ir::Value* source : sources) move_to_input(graph, *source, types.of(*source));
  remove_unused(model);
  for (std::size_t i = graph.inputs().size(); i-- > 0;) {
    ir::Value* input = graph.inputs()[i];
    const bool named = std::find(inputs.begin(), inputs.end(), input->name()) != inputs.end();
    if (named || input->has_uses()) continue;
    if (input->initializer() || input->sparse_initializer()) graph.remove_initializer(*input);
    graph.remove_input(i);
  }
}

Parts split(const ir::Model& model, const std::vector<std::string>& at) {
  const ir::Graph& graph = *model.graph;
  if (at.empty()) usage_error("no tensor to split at is named");
  const std::vector<ir::Value*> cut = resolve(graph, at, "tensor to split at");
  for (const ir::Value* value : cut) {
    if (!value->producer()) {
      usage_error("tensor to split at {} is an {} of the model; name a result of a node", quote(value->name()),
                  value->is_graph_input() ? "input" : "initializer");
    }
  }
  const std::unordered_set<const ir::Value*> stop(cut.begin(), cut.end());
  const Reach before = reach(graph, cut, {});

  // Nodes that give the same wherever they stand: no way back to an input, nothing random.
  std::unordered_set<const ir::Node*> constant;
  for (const ir::Node& node : graph.nodes()) {
    bool fixed = !node.op_type().starts_with("Random") && !node.is("Multinomial") && !node.is("Bernoulli") &&
                 !node.has_subgraphs() && !model.functions.called_by(node);
    for_each_source(graph, node, [&](ir::Value& source) {
      fixed &= source.producer() ? constant.contains(source.producer()) : !source.is_graph_input();
    });
    if (fixed) constant.insert(&node);
  }

  for (const ir::Value* value : cut) {
    if (constant.contains(value->producer())) {
      usage_error("tensor to split at {} depends on no input of the model", quote(value->name()));
    }
  }

  std::vector<std::string> first_outputs = at, second_outputs;
  std::vector<ir::Value*> rest;
  for (ir::Value* output : graph.outputs()) {
    const bool in_first = !output->producer() || before.nodes.contains(output->producer());
    std::vector<std::string>& outputs = in_first ? first_outputs : second_outputs;
    if (std::find(outputs.begin(), outputs.end(), output->name()) != outputs.end()) continue;
    outputs.push_back(output->name());
    if (!in_first) rest.push_back(output);
  }
  if (rest.empty()) {
    usage_error("nothing is left behind the split: every output of the model is before {}", quote(at.back()));
  }
  const Reach behind = reach(graph, rest, stop);
  std::vector<std::string> bypass;
  for (const ir::Node& node : graph.nodes()) {
    if (!behind.nodes.contains(&node) || before.nodes.contains(&node)) continue;
    for_each_source(graph, node, [&](ir::Value& source) {
      const ir::Node* producer = source.producer();
      if (!producer || stop.contains(&source) || !before.nodes.contains(producer) || constant.contains(producer))
        return;
      if (std::find(bypass.begin(), bypass.end(), source.name()) == bypass.end()) bypass.push_back(source.name());
    });
  }
  if (!bypass.empty()) {
    constexpr std::size_t kShown = 5;
    std::string names;
    for (std::size_t i = 0; i < std::min(kShown, bypass.size()); ++i) names += (i ? ", " : "") + quote(bypass[i]);
    if (bypass.size() > kShown) names += fmt::format(" and {} more", bypass.size() - kShown);
    usage_error("{} {} not separate the model: what is behind also uses {}; split there as well, or elsewhere",
                quote(at.front()) + (at.size() > 1 ? " and the others" : ""), at.size() > 1 ? "do" : "does", names);
  }
  std::vector<std::string> second_inputs = at;
  std::erase_if(second_inputs, [&](const std::string& name) { return !behind.values.contains(graph.find(name)); });
  for (const ir::Value* input : graph.inputs()) {
    if (behind.values.contains(input)) second_inputs.push_back(input->name());
  }
  if (second_inputs.empty()) usage_error("what is behind {} does not use it", quote(at.front()));

  Parts parts{model.clone(), model.clone()};
  extract(parts.first, {}, first_outputs);
  extract(parts.second, second_inputs, second_outputs);
  return parts;
}

}  // namespace hone::surgery
