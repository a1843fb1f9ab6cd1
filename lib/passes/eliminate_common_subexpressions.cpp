// eliminate-common-subexpressions: of two nodes that compute the same from the same inputs, the first serves both.
// Nodes are numbered by a hash of operator, attributes and inputs; one sweep over each graph, in order, finds them all.
// A node of a subgraph may also be served by one of the graphs around it.
//
// Left alone: nodes that draw random numbers or train (Dropout, BatchNormalization in training mode), nodes with
// subgraphs, custom domains (they may have effects), and a later node whose output is a graph output when the first one's
// is too; a later node with more outputs than the first.
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "hone/onnx/schema.h"
#include "passes/rules.h"

namespace hone::passes {
namespace {

std::size_t combine(std::size_t seed, std::size_t value) {
  return seed ^ (value + 0x9e3779b97f4a7c15ull + (seed << 6) + (seed >> 2));
}

struct HashPayload {
  std::size_t operator()(std::monostate) const { return 0; }
  std::size_t operator()(float value) const { return std::hash<float>()(value); }
  std::size_t operator()(std::int64_t value) const { return std::hash<std::int64_t>()(value); }
  std::size_t operator()(const std::string& value) const { return std::hash<std::string>()(value); }
  std::size_t operator()(const ir::Tensor& value) const { return ir::fingerprint(value); }
  std::size_t operator()(const ir::OpaqueAttribute& value) const { return std::hash<std::string>()(value.wire); }
  template <typename T>
  std::size_t operator()(const std::vector<T>& values) const {
    std::size_t hash = values.size();
    for (const T& value : values) hash = combine(hash, (*this)(value));
    return hash;
  }
  std::size_t operator()(const std::unique_ptr<ir::Graph>& graph) const {
    return std::hash<const void*>()(graph.get());
  }
};

struct EqualPayload {
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return a == b;
  }
  bool operator()(const ir::Tensor& a, const ir::Tensor& b) const { return ir::equal(a, b); }
  bool operator()(const ir::OpaqueAttribute& a, const ir::OpaqueAttribute& b) const { return a.wire == b.wire; }
  template <typename T>
  bool operator()(const std::vector<T>& a, const std::vector<T>& b) const {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (!(*this)(a[i], b[i])) return false;
    }
    return true;
  }
  template <typename T, typename U>
  bool operator()(const T&, const U&) const {
    return false;
  }
};

std::size_t hash_of(const ir::Node& node) {
  std::size_t hash = std::hash<std::string>()(node.op_type());
  for (std::size_t i = 0; i < node.input_count(); ++i) hash = combine(hash, std::hash<const void*>()(node.input(i)));
  std::size_t unordered = 0;  // the order of attributes means nothing
  for (const ir::Attribute& attribute : node.attributes()) {
    unordered += combine(std::hash<std::string>()(attribute.name), std::visit(HashPayload(), attribute.payload));
  }
  return combine(hash, unordered);
}

bool same(const ir::Node& a, const ir::Node& b) {
  if (a.op_type() != b.op_type() || a.domain() != b.domain() || a.input_count() != b.input_count() ||
      a.attributes().size() != b.attributes().size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.input_count(); ++i) {
    if (a.input(i) != b.input(i)) return false;
  }
  for (const ir::Attribute& attribute : a.attributes()) {
    const ir::Attribute* other = b.attribute(attribute.name);
    if (!other || attribute.reference != other->reference ||
        !std::visit(EqualPayload(), attribute.payload, other->payload)) {
      return false;
    }
  }
  return true;
}

struct HashNode {
  std::size_t operator()(const ir::Node* node) const { return hash_of(*node); }
};
struct SameNode {
  bool operator()(const ir::Node* a, const ir::Node* b) const { return same(*a, *b); }
};
using Table = std::unordered_set<ir::Node*, HashNode, SameNode>;

class Eliminator {
 public:
  explicit Eliminator(rewrite::Rewriter& rewriter) : rewriter_(rewriter) {}

  Status run(ir::Graph& root) {
    std::vector<Table::iterator> entered;  // by this graph
    Status status = Status::unchanged;
    for (ir::Node& node : root.nodes()) {
      if (node.has_subgraphs()) {
        node.for_each_subgraph([&](ir::Graph& subgraph) { status |= run(subgraph); });
        continue;
      }
      if (!may_have_twin(node) || !is_pure(node)) continue;
      const auto [first, is_new] = table_.insert(&node);
      if (is_new) {
        entered.push_back(first);
      } else if (merge(**first, node)) {
        status = Status::changed;
      }
    }
    if (root.parent_node()) {  // what follows a subgraph does not see its values
      for (const auto& each : entered) table_.erase(each);
    }
    return status;
  }

 private:
  // A node that alone uses one of its inputs has none. Most do, and need no place in the table.
  static bool may_have_twin(const ir::Node& node) {
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (node.input(i) && node.input(i)->uses().size() == 1) return false;
    }
    return true;
  }
  bool is_pure(const ir::Node& node) {
    if (!node.domain().empty() || node.is("Dropout") || node.is("Constant")) return false;
    if (node.is("BatchNormalization") && node.int_or("training_mode", 0) != 0) return false;
    // All of one root graph: one version of the operators.
    const auto [known, is_new] = pure_.try_emplace(node.op_type());
    if (is_new) {
      const onnx::Schema* schema = onnx::find_schema(node.op_type(), "", rewriter_.opset(node));
      known->second = schema && schema->deterministic && !is_random(node.op_type());
    }
    return known->second;
  }
  static bool is_random(const std::string& op) {
    return op.starts_with("Random") || op == "Multinomial" || op == "Bernoulli";
  }

  bool merge(ir::Node& first, ir::Node& second) {
    for (std::size_t i = 0; i < second.output_count(); ++i) {
      const ir::Value* output = second.output(i);
      if (output && (i >= first.output_count() || !first.output(i))) return false;
      if (output && output->is_graph_output() &&
          (first.output(i)->is_graph_output() || &first.graph() != &second.graph())) {
        return false;
      }
    }
    for (std::size_t i = 0; i < second.output_count(); ++i) {
      ir::Value* output = second.output(i);
      if (output && output->has_uses()) rewriter_.replace_value(*output, *first.output(i));
    }
    rewriter_.erase(second);
    return true;
  }

  rewrite::Rewriter& rewriter_;
  std::unordered_map<std::string, bool> pure_;
  Table table_;
};

}  // namespace

Status eliminate_common_subexpressions(PassContext& context) {
  ir::Model& model = context.rewriter.model();
  Status status = Eliminator(context.rewriter).run(*model.graph);
  for (const auto& function : model.functions) status |= Eliminator(context.rewriter).run(*function->body);
  return status;
}

}  // namespace hone::passes
