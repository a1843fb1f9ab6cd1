// The graphs that training runs.
//
// Weights are made graph inputs with a default while passes clean the model up, so that no pass folds or fuses them away:
// the names of the file are what is trained. Dropout becomes RandomDropout, whose mask follows from the step alone;
// BatchNormalization becomes BatchNormalizationTraining, which also gives the next running statistics.
#include "train/graphs.h"

#include <algorithm>
#include <cmath>
#include <regex>
#include <unordered_map>
#include <unordered_set>

#include "hone/passes/passes.h"
#include "hone/rewrite/pass.h"
#include "hone/shapes/inference.h"
#include "hone/support/text.h"
#include "hone/train/initialize.h"
#include "train/head.h"

namespace hone::train {
namespace {

constexpr std::string_view own_domain = "ai.hone";

std::regex regex_of(const std::string& pattern) {
  try {
    return std::regex(pattern, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    usage_error("{} is no regular expression: {}", quote(pattern), error.what());
  }
}

ir::Type type_of(const ir::Tensor& tensor) {
  return ir::Type::tensor(tensor.type(), ir::Shape(tensor.dims().begin(), tensor.dims().end()));
}

// Nodes that nothing uses.
void erase_unused(ir::Graph& graph) {
  for (ir::Node* node = graph.last(); node;) {
    ir::Node* previous = node->previous();
    bool used = false;
    for (std::size_t i = 0; i < node->output_count(); ++i)
      used = used || (node->output(i) && node->output(i)->has_uses());
    if (!used) graph.erase(*node);
    node = previous;
  }
  for (ir::Value* value : graph.initializers()) {
    if (!value->has_uses() && !value->is_graph_input()) graph.remove_initializer(*value);
  }
}

void make_overridable(ir::Model& model, const Weight& weight) {
  ir::Graph& graph = *model.graph;
  ir::Value* old = graph.find(weight.name);
  ir::Tensor tensor = train::weight(model, weight.name);
  ir::Value* input = graph.add_input(graph.fresh_name(weight.name), type_of(tensor));
  graph.replace_all_uses(*old, *input);
  if (ir::Node* constant = old->producer()) {
    graph.erase(*constant);
  } else {
    graph.remove_initializer(*old);
  }
  graph.rename(*input, weight.name);
  graph.set_initializer(*input, std::move(tensor));
}

void make_constant(ir::Graph& graph) {
  for (std::size_t i = graph.inputs().size(); i-- > 0;) {
    if (graph.inputs()[i]->initializer() || graph.inputs()[i]->sparse_initializer()) graph.remove_input(i);
  }
}

// The model with one output, cleaned up; `logits` is what the loss is computed from.
struct Forward {
  ir::Model model;
  std::string logits;
  std::vector<Weight> weights;
};

Forward prepare(const ir::Model& model, const Task& task) {
  if (model.opset() < least_opset) {
    unsupported("the model is of opset {}: training needs {} at least; hone convert --opset {} lifts it", model.opset(),
                least_opset, least_opset);
  }
  Forward forward{model.clone(), "", {}};
  ir::Graph& graph = *forward.model.graph;
  make_constant(graph);
  forward.weights = find_weights(forward.model);
  for (const Weight& weight : forward.weights) {
    if (weight.type != ir::ElementType::float32) {
      unsupported("weight {} is of type {}: training needs float", quote(weight.name), ir::name(weight.type));
    }
  }
  for (std::size_t i = graph.outputs().size(); i-- > 0;) {
    if (graph.outputs()[i]->name() != task.output) graph.remove_output(i);
  }
  erase_unused(graph);
  std::erase_if(forward.weights, [&](const Weight& weight) { return graph.find(weight.name) == nullptr; });
  for (const Weight& weight : forward.weights) make_overridable(forward.model, weight);
  const auto pipeline = rewrite::parse_pipeline(
      "constant-to-initializer,fold-constants,eliminate-identity,eliminate-cast,eliminate-transpose,eliminate-reshape,"
      "fuse-matmul-add,eliminate-common-subexpressions",
      passes::list());
  rewrite::run_pipeline(forward.model, pipeline);
  make_constant(graph);

  const Head head = find_head(*graph.outputs()[0]);
  const bool stripped = (task.loss == Loss::cross_entropy &&
                         (head.kind == Head::Kind::softmax || head.kind == Head::Kind::log_softmax)) ||
                        (task.loss == Loss::binary_cross_entropy && head.kind == Head::Kind::sigmoid);
  forward.logits = (stripped ? head.logits : graph.outputs()[0])->name();
  return forward;
}

ir::Node& insert_after(ir::Value& value, std::string op_type, const std::vector<ir::Value*>& inputs) {
  ir::Graph& graph = value.graph();
  ir::Node& node = graph.insert(std::move(op_type), inputs, 1,
                                value.producer() ? value.producer()->next() : graph.first(), std::string(own_domain));
  node.output()->set_type(value.type());
  return node;
}

class DropoutMaker {
 public:
  DropoutMaker(ir::Model& model, const FinetuneOptions& options, Graphs& graphs)
      : model_(model), graph_(*model.graph), options_(options), graphs_(graphs) {}

  void run(const std::unordered_set<std::string>& matrices) {
    if (options_.dropout && !(*options_.dropout >= 0 && *options_.dropout < 1)) {
      usage_error("a dropout of {} is not at least 0 and below 1", *options_.dropout);
    }
    if (!options_.dropout_after.empty() && !options_.dropout) usage_error("dropout after a layer needs a rate");
    for (ir::Node& node : graph_.nodes()) {
      if (node.is("Dropout")) replace(node);
    }
    if (!options_.dropout || *options_.dropout == 0) return;
    if (!options_.dropout_after.empty()) {
      insert_where(regex_of(options_.dropout_after));
    } else if (graphs_.kept_dropouts == 0) {
      insert_between_layers(matrices);
    }
  }

 private:
  ir::Value* step() {
    if (!step_) {
      step_ = graph_.add_input(graph_.fresh_name("step"), ir::Type::tensor(ir::ElementType::int64, ir::Shape{}));
      graphs_.step = step_->name();
    }
    return step_;
  }

  void describe(ir::Node& node, double ratio) {
    node.set_attribute("ratio", static_cast<float>(ratio));
    node.set_attribute("seed", static_cast<std::int64_t>(options_.seed));
    node.set_attribute("stream", count_++);
  }

  // A Dropout of the model, with its own rate unless another one is asked for. One that is switched off in the file is
  // one that training was meant to have.
  void replace(ir::Node& node) {
    if (node.output(1) && node.output(1)->has_uses()) {
      unsupported("node {} (Dropout): its mask is used", quote(node.name()));
    }
    double ratio = node.float_or("ratio", 0.5F);
    if (model_.opset() >= 12) {
      ratio = 0.5;
      if (node.input(1)) ratio = ir::constant_scalar(node.input(1)).value_or(0.5);
    }
    if (options_.dropout) ratio = *options_.dropout;
    ir::Value& x = *node.input(0);
    ++graphs_.kept_dropouts;
    if (ratio > 0) {
      ir::Node& made = insert_after(x, "RandomDropout", {&x, step()});
      graph_.move_before(made, &node);
      describe(made, std::min(ratio, 1.0));
      graph_.replace_all_uses(*node.output(), *made.output());
    } else {
      graph_.replace_all_uses(*node.output(), x);
    }
    graph_.erase(node);
  }

  void insert(ir::Value& value, const std::function<bool(const ir::Use&)>& chosen) {
    ir::Node& node = insert_after(value, "RandomDropout", {&value, step()});
    describe(node, *options_.dropout);
    graph_.replace_uses_if(value, *node.output(), [&](const ir::Use& use) { return use.node != &node && chosen(use); });
    ++graphs_.added_dropouts;
  }

  void insert_where(const std::regex& pattern) {
    std::vector<ir::Value*> found;
    for (const ir::Node& node : graph_.nodes()) {
      if (node.domain() == own_domain || !node.output()) continue;
      if ((std::regex_search(node.name(), pattern) || std::regex_search(node.output()->name(), pattern)) &&
          node.output()->element_type() == ir::ElementType::float32) {
        found.push_back(node.output());
      }
    }
    if (found.empty())
      usage_error("no node or value matches {}, after which dropout is asked for", quote(options_.dropout_after));
    for (ir::Value* value : found) insert(*value, [](const ir::Use&) { return true; });
  }

  // Before each matrix product with weights that gets what another layer made.
  void insert_between_layers(const std::unordered_set<std::string>& matrices) {
    std::unordered_set<const ir::Value*> after_layer;
    std::vector<ir::Value*> found;
    const auto is_layer = [&](const ir::Node& node) {
      return (node.is("Gemm") || node.is("MatMul")) && node.input(1) && matrices.contains(node.input(1)->name());
    };
    for (const ir::Node& node : graph_.nodes()) {
      bool after = is_layer(node) || node.is("Conv");
      for (std::size_t i = 0; i < node.input_count(); ++i) after = after || after_layer.contains(node.input(i));
      if (is_layer(node) && after_layer.contains(node.input(0)) &&
          std::find(found.begin(), found.end(), node.input(0)) == found.end()) {
        found.push_back(node.input(0));
      }
      for (std::size_t i = 0; after && i < node.output_count(); ++i) after_layer.insert(node.output(i));
    }
    if (found.empty())
      usage_error("the model has no hidden layer that dropout could follow; --dropout-after names places");
    for (ir::Value* value : found) {
      insert(*value, [&](const ir::Use& use) { return use.index == 0 && is_layer(*use.node); });
    }
  }

  ir::Model& model_;
  ir::Graph& graph_;
  const FinetuneOptions& options_;
  Graphs& graphs_;
  ir::Value* step_ = nullptr;
  std::int64_t count_ = 0;
};

void drop_dropouts(ir::Graph& graph) {
  for (ir::Node& node : graph.nodes()) {
    if (!node.is("Dropout")) continue;
    graph.replace_all_uses(*node.output(), *node.input(0));
    if (!node.output(1) || !node.output(1)->has_uses()) graph.erase(node);
  }
}

// BatchNormalization with the statistics of the file, whatever mode the file asks for.
void infer_batch_normalization(ir::Graph& graph) {
  for (ir::Node& node : graph.nodes()) {
    if (!node.is("BatchNormalization")) continue;
    node.remove_attribute("training_mode");
    for (std::size_t i = node.output_count(); i-- > 1;) {
      if (node.output(i) && !node.output(i)->has_uses()) node.drop_output(i);
    }
  }
}

// With the statistics of the batch; notes which values hold the next running ones.
void train_batch_normalization(ir::Graph& graph, const std::unordered_map<std::string, Weight>& weights,
                               Graphs& graphs) {
  for (ir::Node& node : graph.nodes()) {
    if (!node.is("BatchNormalization")) continue;
    const ir::Value *mean = node.input(3), *variance = node.input(4);
    const auto is_known = [&](const ir::Value* value) { return value && weights.contains(value->name()); };
    if (!is_known(mean) || !is_known(variance)) continue;
    const float epsilon = node.float_or("epsilon", 1e-5F), momentum = node.float_or("momentum", 0.9F);
    node.set_op("BatchNormalizationTraining", std::string(own_domain));
    node.attributes().clear();
    node.set_attribute("epsilon", epsilon);
    node.set_attribute("momentum", momentum);
    for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
      const ir::Value* statistic = i == 1 ? mean : variance;
      ir::Value* next = node.set_output(i, graph.fresh_name(statistic->name() + "_next"));
      next->set_type(statistic->type());
      graphs.statistics.push_back(weights.at(statistic->name()));
      graphs.new_statistics.push_back(next->name());
    }
  }
}

void add_loss(ir::Model& model, const Task& task, const FinetuneOptions& options, Graphs& graphs) {
  ir::Graph& graph = *model.graph;
  model.set_opset(own_domain, 1);
  const bool numbers = task.loss == Loss::cross_entropy && !task.probabilities;
  ir::Value* target = graph.add_input(graph.fresh_name("target"),
                                      ir::Type::tensor(numbers ? ir::ElementType::int64 : ir::ElementType::float32));
  graphs.target = target->name();
  std::vector<ir::Value*> inputs{graph.find(graphs.predictions), target};
  if (!task.weights.empty()) {
    const std::vector<float> weights(task.weights.begin(), task.weights.end());
    inputs.push_back(graph.add_initializer("class_weights", ir::Tensor::vector(weights)));
    inputs.back()->set_type(type_of(*inputs.back()->initializer()));
  }
  const char* op = task.loss == Loss::cross_entropy          ? "SoftmaxCrossEntropy"
                   : task.loss == Loss::binary_cross_entropy ? "BinaryCrossEntropy"
                                                             : "RegressionLoss";
  ir::Node& node = graph.insert(op, inputs, 0, nullptr, std::string(own_domain));
  if (is_classification(task.loss)) {
    node.set_attribute("label_smoothing", static_cast<float>(options.label_smoothing));
    if (task.loss == Loss::cross_entropy) node.set_attribute("axis", task.class_axis);
  } else {
    node.set_attribute("kind", std::string(name(task.loss)));
    node.set_attribute("delta", static_cast<float>(options.huber_delta));
  }
  ir::Value* loss = node.set_output(0, graph.fresh_name("loss"));
  loss->set_type(ir::Type::tensor(ir::ElementType::float32, ir::Shape{}));
  graphs.loss = loss->name();
}

void set_outputs(ir::Graph& graph, const std::vector<std::string>& names) {
  for (std::size_t i = graph.outputs().size(); i-- > 0;) graph.remove_output(i);
  for (const std::string& name : names) graph.add_output(graph.find(name));
  erase_unused(graph);
}

// Everything but the gradients.
Graphs build(const ir::Model& model, const Task& task, const FinetuneOptions& options, std::int64_t fixed_batch) {
  if (options.label_smoothing != 0 && !is_classification(task.loss))
    usage_error("label smoothing needs a classification");
  if (!(options.label_smoothing >= 0 && options.label_smoothing < 1)) {
    usage_error("a label smoothing of {} is not at least 0 and below 1", options.label_smoothing);
  }
  Forward forward = prepare(model, task);
  Graphs graphs;
  graphs.predictions = forward.logits;

  std::vector<std::regex> frozen;
  for (const std::string& pattern : options.freeze) frozen.push_back(regex_of(pattern));
  std::unordered_map<std::string, Weight> by_name;
  std::unordered_set<std::string> matrices;
  std::vector<bool> used(frozen.size());
  for (const Weight& weight : forward.weights) {
    by_name.emplace(weight.name, weight);
    if (weight.role == Role::matrix) matrices.insert(weight.name);
    bool stays = is_statistic(weight.role);
    for (std::size_t i = 0; i < frozen.size(); ++i) {
      if (!std::regex_search(weight.name, frozen[i])) continue;
      used[i] = true;
      stays = true;
    }
    if (!stays) graphs.trained.push_back(weight);
  }
  for (std::size_t i = 0; i < frozen.size(); ++i) {
    if (!used[i]) usage_error("no weight matches {}, which is to be frozen", quote(options.freeze[i]));
  }

  if (options.batch_norm != "auto" && options.batch_norm != "train" && options.batch_norm != "frozen") {
    usage_error("batch normalization is auto, train or frozen, not {}", quote(options.batch_norm));
  }
  const std::int64_t rows = fixed_batch > 0           ? fixed_batch
                            : options.micro_batch > 0 ? options.micro_batch
                                                      : options.batch_size;
  const bool train_statistics = options.batch_norm == "train" || (options.batch_norm == "auto" && rows > 1);

  graphs.evaluation = forward.model.clone();
  drop_dropouts(*graphs.evaluation.graph);
  infer_batch_normalization(*graphs.evaluation.graph);
  {
    FinetuneOptions plain = options;
    plain.label_smoothing = 0;  // a property of training, not of the result
    Graphs names = {};
    names.predictions = forward.logits;
    add_loss(graphs.evaluation, task, plain, names);
    set_outputs(*graphs.evaluation.graph, {names.loss, names.predictions});
    graphs.target = names.target;
    graphs.loss = names.loss;
  }

  graphs.training = std::move(forward.model);
  if (train_statistics) train_batch_normalization(*graphs.training.graph, by_name, graphs);
  infer_batch_normalization(*graphs.training.graph);
  const std::string target = graphs.target;
  add_loss(graphs.training, task, options, graphs);
  if (graphs.target != target) fail(ErrorKind::internal, "two names for the targets");
  DropoutMaker(graphs.training, options, graphs).run(matrices);
  return graphs;
}

std::vector<std::string> names_of(const std::vector<Weight>& weights) {
  std::vector<std::string> names;
  for (const Weight& weight : weights) names.push_back(weight.name);
  return names;
}

}  // namespace

Graphs build_graphs(const ir::Model& model, const Task& task, const FinetuneOptions& options,
                    std::int64_t fixed_batch) {
  Graphs graphs = build(model, task, options, fixed_batch);
  std::vector<Weight> trained;
  const std::vector<std::string> gradients = autodiff::gradient(graphs.training, graphs.loss, names_of(graphs.trained));
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i].empty()) continue;  // the loss does not depend on it
    trained.push_back(graphs.trained[i]);
    graphs.gradients.push_back(gradients[i]);
  }
  graphs.trained = std::move(trained);
  if (graphs.trained.empty()) usage_error("nothing is left to train: the model has no weights, or all are frozen");
  std::vector<std::string> outputs{graphs.loss, graphs.predictions};
  outputs.insert(outputs.end(), graphs.new_statistics.begin(), graphs.new_statistics.end());
  outputs.insert(outputs.end(), graphs.gradients.begin(), graphs.gradients.end());
  set_outputs(*graphs.training.graph, outputs);
  return graphs;
}

std::vector<autodiff::Obstacle> find_obstacles(const ir::Model& model, const Task& task,
                                               const FinetuneOptions& options) {
  const Graphs graphs = build(model, task, options, 0);
  return autodiff::obstacles(graphs.training, graphs.loss, names_of(graphs.trained));
}

}  // namespace hone::train
