// Each kind of change has a list of places where it could be made; it is tried on runs of places, all of them first, then
// halves and so on down to one by one, each on a clone of the smallest model so far.
#include "hone/rewrite/reduce.h"

#include <algorithm>
#include <set>

#include "hone/shapes/inference.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"

namespace hone::rewrite {
namespace {

std::vector<ir::Graph*> graphs_of(ir::Model& model) {
  std::vector<ir::Graph*> graphs;
  ir::for_each_graph(*model.graph, [&](ir::Graph& graph) { graphs.push_back(&graph); });
  return graphs;
}

std::vector<ir::Node*> nodes_of(ir::Model& model) {
  std::vector<ir::Node*> nodes;
  for (ir::Graph* graph : graphs_of(model)) {
    for (ir::Node& node : graph->nodes()) nodes.push_back(&node);
  }
  return nodes;
}

// Nodes, initializers, inputs and functions that nothing uses; a valid model stays one, with the same results.
void drop_unused(ir::Model& model) {
  for (bool again = true; again;) {
    again = false;
    for (ir::Graph* graph : graphs_of(model)) {
      for (ir::Node* node = graph->last(); node;) {
        ir::Node* previous = node->previous();
        bool used = false;
        for (std::size_t i = 0; i < node->output_count(); ++i) used |= node->output(i) && node->output(i)->has_uses();
        if (!used) {
          graph->erase(*node);
          again = true;
        }
        node = previous;
      }
      if (again) break;  // subgraphs may have gone
      for (ir::Value* value : graph->initializers()) {
        if (!value->has_uses() && !value->is_graph_input()) graph->remove_initializer(*value);
      }
    }
  }
  std::set<std::pair<std::string, std::string>> called;
  std::set<std::string> domains;
  const auto look = [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) {
      called.emplace(node.domain(), node.op_type());
      domains.insert(node.domain());
    }
  };
  ir::for_each_graph(*model.graph, look);
  for (const auto& function : model.functions) ir::for_each_graph(*function->body, look);
  model.functions.erase_if([&](const ir::Function& each) { return !called.contains({each.domain, each.name}); });
  std::erase_if(model.opsets,
                [&](const ir::OpsetImport& each) { return !each.domain.empty() && !domains.contains(each.domain); });
}

void drop_unused_inputs(ir::Model& model) {
  ir::Graph& graph = *model.graph;
  for (std::size_t i = graph.inputs().size(); i-- > 0;) {
    ir::Value* input = graph.inputs()[i];
    if (!input->has_uses()) graph.remove_input(i);
  }
  drop_unused(model);
}

// ---- the changes: `count` places in a model, and the change at place `at` (false: it does not apply there).

struct Change {
  const char* name;
  std::size_t (*count)(ir::Model&);
  bool (*apply)(ir::Model&, std::size_t at);
};

std::size_t output_count(ir::Model& model) { return model.graph->outputs().size(); }
bool drop_output(ir::Model& model, std::size_t at) {
  if (model.graph->outputs().size() < 2) return false;
  model.graph->remove_output(at);
  return true;
}

// Output number at / 4 becomes input number at % 4 of the node that makes it.
std::size_t earlier_count(ir::Model& model) { return model.graph->outputs().size() * 4; }
bool earlier_output(ir::Model& model, std::size_t at) {
  ir::Graph& graph = *model.graph;
  ir::Value* output = graph.outputs()[at / 4];
  ir::Node* node = output->producer();
  ir::Value* input = node ? node->input(at % 4) : nullptr;
  if (!input || !input->producer() || &input->graph() != &graph || input->is_graph_output()) return false;
  graph.set_output(at / 4, input);
  input->declare();
  return true;
}

std::size_t node_count(ir::Model& model) { return nodes_of(model).size(); }
std::size_t bypass_count(ir::Model& model) { return node_count(model) * 3; }
bool bypass(ir::Model& model, std::size_t at) {
  const auto nodes = nodes_of(model);
  ir::Node& node = *nodes[at / 3];
  ir::Value* input = node.input(at % 3);
  ir::Value* output = node.output(0);
  if (!input || !output || output->is_graph_output() || !output->has_uses()) return false;
  if (output->type().is_tensor() && input->type().is_tensor() && output->element_type() != input->element_type())
    return false;
  node.graph().replace_all_uses(*output, *input, false);
  return true;
}

bool known_tensor(const ir::Value& value) {
  return value.type().is_tensor() && value.element_type() != ir::ElementType::undefined &&
         value.element_type() != ir::ElementType::string && value.shape();
}

// The first output becomes an input of the model.
bool make_input(ir::Model& model, std::size_t at) {
  ir::Node& node = *nodes_of(model)[at];
  ir::Value* output = node.output(0);
  if (!output || output->is_graph_output() || !output->has_uses() || !known_tensor(*output) || node.is("Constant"))
    return false;
  if (&node.graph() != model.graph.get()) return false;
  ir::Graph& graph = *model.graph;
  ir::Value* input = graph.add_input(graph.fresh_name(output->name()), output->type());
  input->declare();
  graph.replace_all_uses(*output, *input, false);
  return true;
}

// The first output becomes zeros of its shape.
bool make_zeros(ir::Model& model, std::size_t at) {
  ir::Node& node = *nodes_of(model)[at];
  ir::Value* output = node.output(0);
  if (!output || output->is_graph_output() || !output->has_uses() || !known_tensor(*output) || node.is("Constant"))
    return false;
  const auto dims = ir::static_dims(*output->shape());
  if (!dims) return false;
  ir::Value* zeros = node.graph().add_initializer(output->name(), ir::Tensor::zeros(output->element_type(), *dims));
  zeros->set_type(output->type());
  node.graph().replace_all_uses(*output, *zeros, false);
  return true;
}

std::size_t branch_count(ir::Model& model) { return node_count(model) * 2; }
bool take_branch(ir::Model& model, std::size_t at) {
  ir::Node& node = *nodes_of(model)[at / 2];
  if (!node.is("If")) return false;
  const ir::Graph* branch = node.subgraph(at % 2 == 0 ? "then_branch" : "else_branch");
  if (!branch) return false;
  ir::ValueMap map;
  ir::clone_into(*branch, node.graph(), &node, map);
  for (std::size_t i = 0; i < node.output_count() && i < branch->outputs().size(); ++i) {
    ir::Value* output = node.output(i);
    if (!output) continue;
    const auto found = map.find(branch->outputs()[i]);
    ir::Value* replacement = found != map.end() ? found->second : branch->outputs()[i];
    if (output->is_graph_output()) {
      ir::Node& identity = node.graph().insert("Identity", {replacement}, 1, &node);
      identity.output(0)->adopt_declaration(*output);
      replacement = identity.output(0);
    }
    node.graph().replace_all_uses(*output, *replacement);
  }
  return true;
}

std::size_t attribute_count(ir::Model& model) { return node_count(model) * 4; }
bool drop_attribute(ir::Model& model, std::size_t at) {
  ir::Node& node = *nodes_of(model)[at / 4];
  if (at % 4 >= node.attributes().size() || node.has_subgraphs()) return false;
  node.remove_attribute(std::string(node.attributes()[at % 4].name));
  return true;
}

std::size_t slot_count(ir::Model& model) { return node_count(model) * 6; }
bool drop_slot(ir::Model& model, std::size_t at) {
  ir::Node& node = *nodes_of(model)[at / 6];
  const std::size_t slot = at % 6 / 2;
  const std::size_t index = node.input_count() - 1 - slot;
  if (slot >= node.input_count() || index == 0) return false;
  if (at % 2 == 0) {
    node.remove_input(index);
    return true;
  }
  if (!node.input(index)) return false;
  node.set_input(index, nullptr);
  node.trim_inputs();
  return true;
}

std::size_t result_count(ir::Model& model) { return node_count(model) * 3; }
bool drop_result(ir::Model& model, std::size_t at) {
  ir::Node& node = *nodes_of(model)[at / 3];
  const std::size_t index = at % 3 + 1;
  if (!node.output(index) || node.output(index)->has_uses()) return false;
  node.drop_output(index);
  return true;
}

// ---- weights
std::vector<ir::Value*> weights_of(ir::Model& model) {
  std::vector<ir::Value*> weights;
  for (ir::Graph* graph : graphs_of(model)) {
    for (ir::Value* value : graph->initializers()) {
      if (value->initializer()) weights.push_back(value);
    }
  }
  return weights;
}
std::size_t weight_count(ir::Model& model) { return weights_of(model).size(); }
bool make_ones(ir::Model& model, std::size_t at) {
  ir::Value& weight = *weights_of(model)[at];
  if (weight.element_type() != ir::ElementType::float32 || ir::uniform<float>(*weight.initializer())) return false;
  ir::Tensor ones = ir::Tensor::allocate(ir::ElementType::float32, weight.initializer()->dims());
  for (float& each : ones.mutable_data<float>()) each = 1;
  weight.graph().set_initializer(weight, std::move(ones));
  return true;
}
bool make_plain(ir::Model& model, std::size_t at) {  // no longer an input
  ir::Value& weight = *weights_of(model)[at];
  if (!weight.is_graph_input()) return false;
  for (std::size_t i = 0; i < weight.graph().inputs().size(); ++i) {
    if (weight.graph().inputs()[i] != &weight) continue;
    if (weight.is_graph_output()) return false;
    weight.graph().remove_input(i);
    return true;
  }
  return false;
}

// ---- the rest
std::size_t one(ir::Model&) { return 1; }
bool plain_names(ir::Model& model, std::size_t) {
  bool changed = !model.metadata.empty() || !model.rest.empty() || !model.doc_string.empty();
  model.metadata.clear();
  model.rest.clear();
  model.doc_string.clear();
  for (ir::Node* node : nodes_of(model)) {
    changed |= !node->name().empty() || !node->rest().empty();
    node->set_name("");
    node->set_rest("");
  }
  return changed;
}
std::size_t dim_count(ir::Model& model) {
  std::size_t count = 0;
  for (const ir::Value* input : model.graph->inputs()) count += input->shape() ? input->shape()->size() : 0;
  return count;
}
bool fix_dimension(ir::Model& model, std::size_t at) {  // a named or unknown dimension becomes 2, everywhere
  for (ir::Value* input : model.graph->inputs()) {
    if (!input->shape()) continue;
    if (at >= input->shape()->size()) {
      at -= input->shape()->size();
      continue;
    }
    const ir::Dimension dim = (*input->shape())[at];
    if (dim.is_number()) return false;
    if (const auto symbol = dim.symbol_name()) {
      shapes::set_symbol(model, std::string(*symbol), 2);
    } else {
      ir::Type type = input->type();
      (*type.shape)[at] = 2;
      input->set_type(type);
      input->declare();
    }
    return true;
  }
  return false;
}

// Sizes: every dimension of `from` in inputs and weights, and every `from` in small integer constants, becomes `to`.
ir::Tensor cut(const ir::Tensor& tensor, std::int64_t from, std::int64_t to) {
  ir::Dims dims = tensor.dims();
  for (auto& dim : dims) dim = dim == from ? to : dim;
  const bool numbers = tensor.type() == ir::ElementType::int64 && tensor.element_count() <= 16 && tensor.rank() <= 1;
  if (dims == tensor.dims() && !numbers) return tensor;
  const std::size_t width = ir::bit_width(tensor.type()) / 8;
  if (width == 0) return tensor;  // strings and packed elements
  const ir::Tensor source = tensor.loaded();
  ir::Tensor result = ir::Tensor::allocate(tensor.type(), dims);
  const auto out = result.mutable_bytes();
  const auto in = source.bytes();
  std::vector<std::int64_t> index(dims.size(), 0);
  for (std::int64_t i = 0; i < result.element_count(); ++i) {
    std::int64_t rest = i, offset = 0, stride = 1;
    for (std::size_t d = dims.size(); d-- > 0;) {
      offset += rest % dims[d] * stride;
      rest /= dims[d];
      stride *= tensor.dims()[d];
    }
    std::copy_n(in.begin() + static_cast<std::ptrdiff_t>(offset * static_cast<std::int64_t>(width)), width,
                out.begin() + static_cast<std::ptrdiff_t>(i * static_cast<std::int64_t>(width)));
  }
  if (numbers) {
    for (std::int64_t& each : result.mutable_data<std::int64_t>()) each = each == from ? to : each;
  }
  return result;
}

bool resize(ir::Model& model, std::int64_t from, std::int64_t to) {
  for (ir::Value* input : model.graph->inputs()) {
    if (!input->shape() || input->initializer()) continue;
    ir::Type type = input->type();
    for (ir::Dimension& dim : *type.shape) {
      if (dim.number() == from) dim = to;
    }
    if (!ir::identical(type, input->type())) {
      input->set_type(type);
      input->declare();
    }
  }
  for (ir::Value* weight : weights_of(model)) {
    ir::Tensor smaller = cut(*weight->initializer(), from, to);
    if (weight->is_graph_input()) {
      weight->set_type(ir::Type::tensor(smaller.type(), ir::Shape(smaller.dims().begin(), smaller.dims().end())));
      weight->declare();
    }
    weight->graph().set_initializer(*weight, std::move(smaller));
  }
  for (ir::Node* node : nodes_of(model)) {
    for (ir::Attribute& attribute : node->attributes()) {
      if (attribute.name == "kernel_shape" || attribute.name == "shape" || attribute.name == "split") {
        if (auto* integers = attribute.get<std::vector<std::int64_t>>())
          std::replace(integers->begin(), integers->end(), from, to);
      } else if (node->is("Constant") && attribute.get<ir::Tensor>()) {
        attribute.payload = cut(*attribute.get<ir::Tensor>(), from, to);
      }
    }
  }
  return true;
}

// What intermediate values were declared or inferred as: stale after any change.
void forget_types(ir::Model& model) {
  for (ir::Graph* graph : graphs_of(model)) {
    graph->for_each_value([&](ir::Value& value) {
      if (!value.producer()) return;
      ir::Type type = value.is_graph_output() ? ir::Type::tensor(value.element_type()) : ir::Type{};
      if (value.is_graph_output()) {
        if (!value.type().is_tensor()) return;
        if (value.shape()) type.shape = ir::Shape(value.shape()->size());
      }
      value.set_type(std::move(type));
      if (!value.is_graph_output())
        value.undeclare();
      else
        value.declare();
    });
  }
}

class Reducer {
 public:
  Reducer(const ir::Model& model, const std::function<bool(const ir::Model&)>& fails, const ReduceOptions& options)
      : best_(model.clone()), fails_(fails), options_(options) {}

  ReduceResult run() {
    if (!fails_(best_)) usage_error("the model to be reduced does not fail");
    static constexpr Change kChanges[] = {
        {"outputs", output_count, drop_output},
        {"earlier outputs", earlier_count, earlier_output},
        {"branches", branch_count, take_branch},
        {"inputs in place of nodes", node_count, make_input},
        {"nodes passed by", bypass_count, bypass},
        {"zeros in place of nodes", node_count, make_zeros},
        {"unused inputs", one, [](ir::Model& model, std::size_t) { return drop_unused_inputs(model), true; }},
        {"plain names", one, plain_names},
        {"inputs with defaults", weight_count, make_plain},
        {"attributes", attribute_count, drop_attribute},
        {"optional inputs", slot_count, drop_slot},
        {"optional outputs", result_count, drop_result},
        {"weights", weight_count, make_ones},
        {"named dimensions", dim_count, fix_dimension},
    };
    for (bool again = true; again && !out_of_trials();) {
      again = false;
      for (const Change& change : kChanges) again |= try_change(change);
      again |= try_sizes();
    }
    return {std::move(best_), trials_, !out_of_trials()};
  }

 private:
  bool out_of_trials() const { return trials_ >= options_.max_trials; }

  // How much is left: a change that does not make this smaller is no progress (and could be undone by another for ever).
  static std::uint64_t weight(ir::Model& model) {
    std::uint64_t total = model.metadata.size() + model.graph->inputs().size() * 3 + model.graph->outputs().size() * 2 +
                          model.functions.size() + model.rest.size();
    for (const ir::Value* input : model.graph->inputs()) {
      if (!input->shape()) continue;
      for (const ir::Dimension& dim : *input->shape())
        total += dim.is_number() ? static_cast<std::uint64_t>(*dim.number()) : 1000;
    }
    for (const ir::Node* node : nodes_of(model)) {
      total += 10 + node->attributes().size() + node->input_count() + node->output_count() + !node->name().empty();
    }
    for (const ir::Value* each : weights_of(model)) {
      total += 3 + static_cast<std::uint64_t>(each->initializer()->element_count()) +
               (each->element_type() == ir::ElementType::float32 && !ir::uniform<float>(*each->initializer()));
    }
    return total;
  }

  template <typename Edit>
  bool attempt(Edit&& edit) {
    if (out_of_trials()) return false;
    check_interrupt();
    ir::Model trial = best_.clone();
    try {
      // Types that make_input and make_zeros ask for.
      shapes::Inference(trial).run();
      if (!edit(trial)) return false;
      drop_unused(trial);
      forget_types(trial);
      ir::verify(*trial.graph);
      if (weight(trial) >= weight(best_)) return false;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) throw;
      return false;  // the change makes no sense here
    }
    ++trials_;
    if (!fails_(trial)) return false;
    best_ = std::move(trial);
    if (options_.observer) {
      options_.observer->progress("reducing", trials_, options_.max_trials,
                                  fmt::format("{} nodes", ir::total_node_count(*best_.graph)));
    }
    return true;
  }

  bool try_change(const Change& change) {
    bool progress = false;
    for (std::size_t chunk = std::max<std::size_t>(change.count(best_), 1); chunk > 0; chunk /= 2) {
      for (std::size_t end = change.count(best_); end > 0 && !out_of_trials();) {
        const std::size_t begin = end > chunk ? end - chunk : 0;
        // From the back, so that places before it stay where they are.
        const bool done = attempt([&](ir::Model& trial) {
          bool any = false;
          for (std::size_t at = end; at-- > begin;) {
            if (at < change.count(trial)) any |= change.apply(trial, at);
          }
          return any;
        });
        progress |= done;
        end = std::min(begin, change.count(best_));
      }
    }
    return progress;
  }

  bool try_sizes() {
    std::set<std::int64_t, std::greater<>> sizes;
    for (const ir::Value* input : best_.graph->inputs()) {
      if (!input->shape()) continue;
      for (const ir::Dimension& dim : *input->shape()) {
        if (dim.number() && *dim.number() > 1) sizes.insert(*dim.number());
      }
    }
    for (const ir::Value* weight : weights_of(best_)) {
      for (const std::int64_t dim : weight->initializer()->dims()) {
        if (dim > 1) sizes.insert(dim);
      }
    }
    bool progress = false;
    for (const std::int64_t size : sizes) {
      for (const std::int64_t to : {std::int64_t{1}, std::int64_t{2}, size / 2, size - 1}) {
        if (to >= size || to < 1) continue;
        if (attempt([&](ir::Model& trial) { return resize(trial, size, to); })) {
          progress = true;
          break;
        }
      }
    }
    return progress;
  }

  ir::Model best_;
  const std::function<bool(const ir::Model&)>& fails_;
  const ReduceOptions& options_;
  std::uint64_t trials_ = 0;
};

}  // namespace

ReduceResult reduce(const ir::Model& model, const std::function<bool(const ir::Model&)>& fails,
                    const ReduceOptions& options) {
  return Reducer(model, fails, options).run();
}

}  // namespace hone::rewrite
