#include "exec/compute_constants.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "hone/exec/evaluate.h"
#include "hone/support/error.h"

namespace hone::exec {
namespace {

constexpr std::uint64_t most_bytes = 16u << 20, most_in_all = 64u << 20;

// Of which each result takes a few operations, or what a reduction takes.
constexpr std::array<std::string_view, 50> computed = {
    "Abs",     "Add",        "And",      "Cast",       "Ceil",       "Concat",    "ConstantOfShape",
    "Cos",     "Div",        "Equal",    "Exp",        "Expand",     "Flatten",   "Floor",
    "Gather",  "Greater",    "Identity", "Less",       "Log",        "Max",       "Min",
    "Mod",     "Mul",        "Neg",      "Not",        "Or",         "Pad",       "Pow",
    "Range",   "Reciprocal", "ReduceL2", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceMax",
    "Reshape", "Shape",      "Sin",      "Size",       "Slice",      "Split",     "Sqrt",
    "Squeeze", "Sub",        "Sum",      "Tile",       "Transpose",  "Trilu",     "Unsqueeze",
    "Where",
};

class Constants {
 public:
  Constants(PrivateGraph& graph, const std::vector<std::string>& keep) : graph_(graph) {
    for (const std::string& name : keep) kept_.insert(graph.find(name));
  }

  void run() {
    for (ir::Graph* each : graph_.running_graphs()) {
      for (ir::Node* node = each->first(); node;) {
        ir::Node* next = node->next();
        if (is_computed(*node)) compute(*node);
        node = next;
      }
    }
  }

 private:
  bool is_computed(const ir::Node& node) const {
    if (!node.domain().empty() || node.has_subgraphs() || node.output_count() == 0 || node.input_count() == 0 ||
        std::find(computed.begin(), computed.end(), node.op_type()) == computed.end()) {
      return false;
    }
    if (graph_.opset(node) != opset_of(node, graph_.model())) return false;
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (!node.input(i)) continue;
      const ir::Tensor* tensor = ir::constant(node.input(i));
      if (!tensor || tensor->is_string()) return false;
      bytes += tensor->byte_size();
      if (bytes > most_bytes) return false;
    }
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      const ir::Value* value = node.output(i);
      if (value && (value->is_graph_output() || kept_.contains(value))) return false;
    }
    return true;
  }

  std::optional<std::vector<ir::Datum>> results_of(const ir::Node& node) const {
    std::vector<std::optional<ir::Datum>> inputs(node.input_count());
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (node.input(i)) inputs[i] = ir::Datum(*ir::constant(node.input(i)));
    }
    EvaluateOptions options;
    options.max_output_bytes = std::min(most_bytes, most_in_all - made_);
    try {
      return evaluate(node, graph_.model(), inputs, options);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) throw;
      return std::nullopt;
    }
  }

  void compute(ir::Node& node) {
    if (made_ >= most_in_all) return;
    std::optional<std::vector<ir::Datum>> results = results_of(node);
    if (!results) return;
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (node.output(i) && !(*results)[i].tensor()) return;
    }
    ir::Graph& graph = node.graph();
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      ir::Value* value = node.output(i);
      if (!value) continue;
      const ir::Tensor& tensor = *(*results)[i].tensor();
      made_ += tensor.byte_size();
      ir::Value& constant = *graph.add_initializer(graph.fresh_name(value->name()), tensor);
      graph_.redirect(value->name(), constant.name());
      graph.replace_all_uses(*value, constant);
    }
    graph_.forget(node);
    graph.erase(node);
  }

  PrivateGraph& graph_;
  std::unordered_set<const ir::Value*> kept_;
  std::uint64_t made_ = 0;
};

}  // namespace

void compute_constants(PrivateGraph& graph, const std::vector<std::string>& keep) { Constants(graph, keep).run(); }

}  // namespace hone::exec
