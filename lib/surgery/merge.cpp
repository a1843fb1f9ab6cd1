// Merging copies the nodes of the second model behind those of the first; ir::clone_into gives them names of their own.
//
// Not handled: conversion between versions of operator sets (hone convert --opset does that first); the training
// information of either model, which is dropped.
#include "hone/surgery/merge.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "hone/onnx/metadata.h"
#include "hone/onnx/schema.h"
#include "hone/onnx/write.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "surgery/tensors.h"

namespace hone::surgery {
namespace {

using ir::Dimension;

// ---- operator sets

// The first operator of the domain in the main graph and its subgraphs that is another one in version `to`.
const ir::Node* changed_operator(const ir::Model& model, const std::string& domain, std::int64_t from,
                                 std::int64_t to) {
  const ir::Node* found = nullptr;
  ir::for_each_graph(*model.graph, [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) {
      if (found || node.domain() != domain) continue;
      if (model.functions.called_by(node)) continue;
      const onnx::Schema* a = onnx::find_schema(node.op_type(), domain, from);
      const onnx::Schema* b = onnx::find_schema(node.op_type(), domain, to);
      if (!a || !b || a->since_version != b->since_version || b->deprecated) found = &node;
    }
  });
  return found;
}

void reconcile_opsets(ir::Model& first, const ir::Model& second) {
  for (const ir::OpsetImport& import : second.opsets) {
    const std::int64_t has = first.opset(import.domain);
    if (has == import.version) continue;
    if (has == 0) {
      first.opsets.push_back(import);
      continue;
    }
    const std::int64_t newer = std::max(has, import.version), older = std::min(has, import.version);
    const ir::Model& old_one = has < import.version ? first : second;
    if (const ir::Node* node = changed_operator(old_one, import.domain, older, newer)) {
      const std::string domain = import.domain.empty() ? "ai.onnx" : import.domain;
      unsupported(
          "the models import versions {} and {} of the operators {}, and {} is not known to be the same in both; "
          "convert one of them first (hone convert --opset {})",
          has, import.version, quote(domain), describe(*node), newer);
    }
    first.set_opset(import.domain, newer);
  }
}

// ---- functions

std::string bytes_of(const ir::Function& function) {
  ir::Model alone;
  alone.functions.add(ir::clone_function(function));
  return onnx::to_bytes(alone);
}

void rename_function(ir::Model& model, const ir::Function& function, const std::string& name) {
  const auto rename_calls = [&](ir::Graph& root) {
    ir::for_each_graph(root, [&](ir::Graph& graph) {
      for (ir::Node& node : graph.nodes()) {
        if (node.domain() == function.domain && node.op_type() == function.name &&
            node.overload() == function.overload) {
          node.set_op(name, node.domain(), node.overload());
        }
      }
    });
  };
  rename_calls(*model.graph);
  for (const auto& each : model.functions) rename_calls(*each->body);
  model.functions.rename(function, name);
}

// Functions of `second`, which is ours to change, go to the first.
void merge_functions(ir::Model& first, ir::Model& second) {
  for (const auto& function : second.functions) {
    const ir::Function* same = first.functions.find(function->domain, function->name, function->overload);
    if (!same || bytes_of(*same) == bytes_of(*function)) continue;
    std::string name;
    for (int i = 1;; ++i) {
      name = fmt::format("{}_{}", function->name, i);
      if (!first.functions.find(function->domain, name, function->overload) &&
          !second.functions.find(function->domain, name, function->overload)) {
        break;
      }
    }
    rename_function(second, *function, name);
  }
  // Renaming changes bodies that call the function, so equality is asked for again.
  for (auto& function : second.functions.release()) {
    const ir::Function* same = first.functions.find(function->domain, function->name, function->overload);
    if (!same) {
      first.functions.add(std::move(function));
    } else if (bytes_of(*same) != bytes_of(*function)) {
      unsupported(
          "function {} of domain {} calls functions that differ in the two models; inline functions first (hone "
          "convert --passes inline-functions)",
          quote(function->name), quote(function->domain));
    }
  }
}

// ---- connections

using Connections = std::vector<std::pair<ir::Value*, ir::Value*>>;  // tensor of the first, input of the second

Connections connect(const ir::Model& first, const ir::Model& second, const MergeOptions& options) {
  Connections result;
  const auto add = [&](ir::Value& from, ir::Value& to) {
    for (const auto& [other, input] : result) {
      if (input == &to) usage_error("input {} of the second model is fed twice", quote(to.name()));
    }
    result.emplace_back(&from, &to);
  };
  if (!options.connections.empty()) {
    for (const auto& [from, to] : options.connections) {
      ir::Value& source = find_tensor(*first.graph, from, "tensor of the first model");
      ir::Value& input = find_tensor(*second.graph, to, "input of the second model");
      if (!input.is_graph_input()) usage_error("tensor {} of the second model is no input of it", quote(to));
      add(source, input);
    }
    return result;
  }
  bool feeds = false;
  for (ir::Value* input : second.graph->inputs()) {
    if (input->initializer() || input->sparse_initializer()) continue;
    ir::Value* same = first.graph->find(input->name());
    if (!same || !(same->is_graph_output() || same->is_graph_input())) continue;
    feeds |= same->is_graph_output();
    add(*same, *input);
  }
  if (feeds) return result;
  std::vector<std::string> outputs, inputs;
  for (const ir::Value* value : first.graph->outputs()) outputs.push_back(quote(value->name()));
  for (const ir::Value* value : second.graph->inputs()) {
    if (!value->initializer()) inputs.push_back(quote(value->name()));
  }
  usage_error("no output of the first model ({}) has the name of an input of the second ({}); say which feeds which",
              join(outputs, ", "), join(inputs, ", "));
}

void check_types(const ir::Value& from, const ir::Value& to) {
  const ir::Type &a = from.type(), &b = to.type();
  if (a.kind == ir::Type::Kind::unknown || b.kind == ir::Type::Kind::unknown) return;
  bool fits = a.kind == b.kind && a.element == b.element;
  if (fits && a.shape && b.shape) {
    fits = a.shape->size() == b.shape->size();
    for (std::size_t i = 0; fits && i < a.shape->size(); ++i) fits = !provably_different((*a.shape)[i], (*b.shape)[i]);
  }
  if (!fits) {
    usage_error("tensor {} of the first model is {}, input {} of the second is {}", quote(from.name()), ir::text(a),
                quote(to.name()), ir::text(b));
  }
}

// ---- symbols

void collect_symbols(const ir::Model& model, std::set<std::string>& symbols) {
  ir::for_each_graph(*model.graph, [&](ir::Graph& graph) {
    graph.for_each_value([&](ir::Value& value) {
      if (!value.shape()) return;
      for (const Dimension& dim : *value.shape()) {
        for (std::string& symbol : dim.symbols()) symbols.insert(std::move(symbol));
      }
    });
  });
}

// Symbols of the second model: what those of fed inputs are in the first, fresh names for others that the first has too.
void unify_symbols(const ir::Model& first, ir::Model& second, const Connections& connections, MergeResult& result) {
  std::map<std::string, Dimension, std::less<>> meaning;
  for (const auto& [from, to] : connections) {
    if (!from->shape() || !to->shape() || from->shape()->size() != to->shape()->size()) continue;
    for (std::size_t i = 0; i < to->shape()->size(); ++i) {
      const auto symbol = (*to->shape())[i].symbol_name();
      if (symbol && !(*from->shape())[i].is_unknown()) meaning.try_emplace(std::string(*symbol), (*from->shape())[i]);
    }
  }
  std::set<std::string> of_first, of_second;
  collect_symbols(first, of_first);
  collect_symbols(second, of_second);
  for (const std::string& symbol : of_second) {
    if (meaning.contains(symbol) || !of_first.contains(symbol)) continue;
    std::string name;
    for (int i = 1;; ++i) {
      name = fmt::format("{}_{}", symbol, i);
      if (!of_first.contains(name) && !of_second.contains(name)) break;
    }
    meaning.emplace(symbol, Dimension::symbol(name));
    result.renamed.emplace_back(symbol, name);
  }
  if (meaning.empty()) return;
  ir::for_each_graph(*second.graph, [&](ir::Graph& graph) {
    graph.for_each_value([&](ir::Value& value) {
      if (!value.type().is_tensor() || !value.shape()) return;
      ir::Type type = value.type();
      bool changed = false;
      for (Dimension& dim : *type.shape) {
        const Dimension better = dim.substitute([&](std::string_view name) -> std::optional<Dimension> {
          const auto found = meaning.find(name);
          return found == meaning.end() ? std::nullopt : std::optional(found->second);
        });
        changed |= !identical(better, dim);
        dim = better;
      }
      if (!changed) return;
      const bool declared = value.is_declared() || value.is_graph_input() || value.is_graph_output();
      value.set_type(std::move(type));
      if (declared) value.declare();
    });
  });
}

// ---- names

// Values that are neither inputs nor outputs of the first give way to the names of the second's signature.
void make_way(ir::Graph& first, const ir::Graph& second, const std::unordered_set<const ir::Value*>& fed) {
  const auto free_name = [&](const ir::Value& value) {
    ir::Value* holder = first.find(value.name());
    if (!holder || holder->is_graph_input() || holder->is_graph_output()) return;
    first.rename(*holder, first.fresh_name(holder->name()));
  };
  for (const ir::Value* value : second.outputs()) free_name(*value);
  for (const ir::Value* value : second.inputs()) {
    if (!fed.contains(value)) free_name(*value);
  }
}

void make_node_names_unique(const ir::Graph& first, ir::Graph& second) {
  std::set<std::string> taken;
  for (const ir::Node& node : first.nodes()) taken.insert(node.name());
  std::set<std::string> own;
  for (const ir::Node& node : second.nodes()) own.insert(node.name());
  for (ir::Node& node : second.nodes()) {
    if (node.name().empty() || !taken.contains(node.name())) continue;
    std::string name;
    for (int i = 1;; ++i) {
      name = fmt::format("{}_{}", node.name(), i);
      if (!taken.contains(name) && !own.contains(name)) break;
    }
    own.insert(name);
    node.set_name(name);
  }
}

}  // namespace

MergeResult merge(ir::Model& first, const ir::Model& original, const MergeOptions& options) {
  MergeResult result;
  ir::Model second = original.clone();
  ir::Graph &graph = *first.graph, &other = *second.graph;
  const Connections connections = connect(first, second, options);
  for (const auto& [from, to] : connections) {
    check_types(*from, *to);
    result.connected.emplace_back(from->name(), to->name());
  }
  reconcile_opsets(first, second);
  merge_functions(first, second);
  unify_symbols(first, second, connections, result);
  first.ir_version = std::max(first.ir_version, second.ir_version);

  ir::ValueMap map;
  std::unordered_set<const ir::Value*> fed;
  for (const auto& [from, to] : connections) {
    map[to] = from;
    fed.insert(to);
  }
  if (!options.keep_connected) {
    for (std::size_t i = graph.outputs().size(); i-- > 0;) {
      const ir::Value* output = graph.outputs()[i];
      const bool feeds = std::any_of(connections.begin(), connections.end(),
                                     [&](const auto& connection) { return connection.first == output; });
      if (feeds) graph.remove_output(i);
    }
  }
  make_way(graph, other, fed);
  make_node_names_unique(graph, other);

  // Inputs nobody feeds; those with a default value keep it.
  std::vector<ir::Value*> made;
  for (ir::Value* input : other.inputs()) {
    if (fed.contains(input)) continue;
    if (input->sparse_initializer()) {
      unsupported("input {} of the second model has a sparse default value", quote(input->name()));
    }
    ir::Value* copy = graph.add_input(graph.fresh_name(input->name()), input->type());
    copy->adopt_declaration(*input);
    if (const ir::Tensor* tensor = input->initializer()) graph.set_initializer(*copy, *tensor);
    map[input] = copy;
    if (copy->name() != input->name()) result.renamed.emplace_back(input->name(), copy->name());
  }
  ir::clone_into(other, graph, nullptr, map);
  std::unordered_set<const ir::Value*> outputs(graph.outputs().begin(), graph.outputs().end());
  for (ir::Value* output : other.outputs()) {
    ir::Value* copy = map.contains(output) ? map.at(output) : output;
    if (outputs.contains(copy) || !copy->producer()) {
      // An output of the second that is a value of the first, or no result of a node: a name of its own.
      ir::Node& identity = graph.insert("Identity", {copy}, 0);
      copy = identity.add_output(graph.fresh_name(output->name()));
      copy->set_type(output->type());
      copy->declare();
    } else if (copy->name() != output->name() && !graph.find(output->name())) {
      graph.rename(*copy, output->name());
    }
    outputs.insert(copy);
    graph.add_output(copy);
    if (copy->name() != output->name()) result.renamed.emplace_back(output->name(), copy->name());
  }
  for (const ir::MetadataEntry& entry : second.metadata) {
    if (!first.find_metadata(entry.first)) first.metadata.push_back(entry);
  }
  if (first.doc_string.empty()) first.doc_string = second.doc_string;

  const std::string annotations =
      onnx::annotations(graph, [](std::string_view name) { return std::optional(std::string(name)); }) +
      onnx::annotations(other, [&](std::string_view name) -> std::optional<std::string> {
        const ir::Value* value = other.find(name);
        const auto found = map.find(value);
        return found == map.end() ? std::nullopt : std::optional(found->second->name());
      });
  onnx::set_annotations(graph, annotations);
  onnx::drop_training_info(first);
  return result;
}

}  // namespace hone::surgery
