// share-shapes: two small integer values whose elements are provably the same dimensions are one: exporters compute
// [batch, sequence, heads, 64] anew in every layer. A vector of neighbouring dimensions of a graph input becomes
// Shape<start, end>(input) (opset 15), whatever chain of Shape, Gather, Unsqueeze and Concat made it.
//
// Left alone: values with an element nobody knows; constants (fold-constants has them); graph outputs; nodes with several
// outputs in use.
#include <string>
#include <unordered_map>

#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

class Sharer {
 public:
  explicit Sharer(PassContext& context) : rewriter_(context.rewriter) {}

  Status run(ir::Graph& graph) {
    Status status = Status::unchanged;
    std::vector<std::string> entered;
    for (ir::Node& node : graph.nodes()) {
      if (node.has_subgraphs()) {
        node.for_each_subgraph([&](ir::Graph& subgraph) { status |= run(subgraph); });
        continue;
      }
      if (node.output_count() != 1 || !node.domain().empty() || node.is("Identity")) continue;
      ir::Value* value = node.output(0);
      if (!value || value->is_graph_output() || !value->has_uses()) continue;
      const auto key = key_of(*value);
      if (!key) continue;
      const auto [known, fresh] = table_.try_emplace(*key, value);
      ir::Value* same = fresh ? from_input(node, *value) : known->second;
      if (fresh) entered.push_back(*key);
      if (!same) continue;
      // What becomes unused goes afterwards: the table must not hold values that are gone.
      known->second = same;
      if (rewriter_.replace_value(*value, *same)) status = Status::changed;
    }
    for (const std::string& key : entered) table_.erase(key);
    return status;
  }

 private:
  // Type, rank and elements as text; nullopt where one is unknown or all are numbers.
  std::optional<std::string> key_of(const ir::Value& value) const {
    const auto* elements = rewriter_.shapes().elements(value);
    if (!elements || elements->empty() || !value.shape() || value.shape()->size() > 1) return std::nullopt;
    std::string key = std::to_string(static_cast<int>(value.element_type())) + (value.shape()->empty() ? "s" : "v");
    bool symbolic = false;
    for (const ir::Dimension& element : *elements) {
      if (element.is_unknown()) return std::nullopt;
      symbolic |= !element.is_number();
      key += ',' + element.text();
    }
    return symbolic ? std::optional(std::move(key)) : std::nullopt;
  }

  ir::Value* from_input(ir::Node& node, const ir::Value& value) {
    const auto& elements = *rewriter_.shapes().elements(value);
    if (rewriter_.opset(node) < 15 || value.element_type() != ir::ElementType::int64 || value.shape()->empty() ||
        !in_main_graph(node, *rewriter_.model().graph)) {
      return nullptr;
    }
    if (node.is("Shape") && node.input(0)->is_graph_input()) return nullptr;
    for (ir::Value* input : rewriter_.model().graph->inputs()) {
      if (input->initializer() || !input->type().is_tensor() || !input->shape()) continue;
      const ir::Shape& shape = *input->shape();
      for (std::size_t start = 0; start + elements.size() <= shape.size(); ++start) {
        bool all = true;
        for (std::size_t i = 0; i < elements.size() && all; ++i) all = provably_equal(shape[start + i], elements[i]);
        if (!all) continue;
        rewrite::Attributes attributes;
        if (start > 0) attributes.emplace_back("start", static_cast<std::int64_t>(start));
        if (start + elements.size() < shape.size()) {
          attributes.emplace_back("end", static_cast<std::int64_t>(start + elements.size()));
        }
        return rewriter_.add("Shape", {input}, std::move(attributes), node, &node).output(0);
      }
    }
    return nullptr;
  }

  rewrite::Rewriter& rewriter_;
  std::unordered_map<std::string, ir::Value*> table_;
};

}  // namespace

Status share_shapes(PassContext& context) {
  ir::Model& model = context.rewriter.model();
  Status status = Sharer(context).run(*model.graph);
  for (const auto& function : model.functions) status |= Sharer(context).run(*function->body);
  if (status == Status::changed) status |= eliminate_dead_code(context);
  return status;
}

}  // namespace hone::passes
