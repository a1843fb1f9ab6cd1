#include "exec/expand_gradients.h"

#include <string>
#include <unordered_set>
#include <vector>

#include "exec/inner_uses.h"
#include "exec/program.h"
#include "exec/string_list.h"
#include "hone/autodiff/gradient.h"
#include "hone/support/error.h"

namespace hone::exec {
namespace {

constexpr std::string_view training_domain = "ai.onnx.preview.training";

// Calls f for every value that the node uses, itself or in its subgraphs.
template <typename F>
void for_each_used(const ir::Node& node, const F& f) {
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    if (node.input(i)) f(*node.input(i));
  }
  for_each_inner_use(node, f);
}

std::vector<ir::Node*> gradients_of(ir::Graph& graph) {
  std::vector<ir::Node*> nodes;
  for (ir::Node& node : graph.nodes()) {
    if (node.is(training_domain, "Gradient")) nodes.push_back(&node);
  }
  return nodes;
}

class Expansion {
 public:
  Expansion(ir::Model& model, ir::Node& node) : model_(model), graph_(*model.graph), node_(node) {}

  void run() {
    const std::vector<std::string> xs = string_list(node_, "xs");
    std::vector<std::string> names = xs;
    for (std::string& name : string_list(node_, "zs")) names.push_back(std::move(name));
    if (node_.input_count() != names.size()) {
      bad_input("{} inputs for the {} values that xs and zs name", node_.input_count(), names.size());
    }
    if (node_.output_count() > xs.size()) bad_input("{} outputs for {} values in xs", node_.output_count(), xs.size());
    ir::Value& result = find(node_.string_or("y", ""));

    std::vector<std::string> sources;
    for (std::size_t i = 0; i < names.size(); ++i) {
      ir::Value& value = find(names[i]);
      if (!node_.input(i)) bad_input("no input for {}", quote(names[i]));
      // One each, so that a value that is given for two names has two derivatives.
      ir::Node& stand_in = graph_.insert("Identity", {node_.input(i)}, 1, &node_);
      stand_in.output()->set_type(value.type());
      if (!copies_.emplace(&value, stand_in.output()).second) bad_input("xs and zs name {} twice", quote(names[i]));
      if (i < xs.size()) sources.push_back(stand_in.output()->name());
    }
    copy_part(result);
    const auto copy = copies_.find(&result);
    std::vector<std::string> gradients(xs.size());
    if (copy != copies_.end()) gradients = autodiff::gradient(model_, copy->second->name(), sources);
    for (std::size_t i = 0; i < node_.output_count(); ++i) {
      if (node_.output(i)) give(*node_.output(i), gradients[i], *graph_.find(sources[i]));
    }
    graph_.erase(node_);
    // The derivatives stand at the end of the graph, and what names an input may stand behind what is computed from it.
    if (!graph_.sort()) fail(ErrorKind::internal, "the gradient made a cycle");
  }

 private:
  ir::Value& find(std::string_view name) const {
    ir::Value* value = graph_.find(name);
    if (!value) bad_input("it names {}, and no value of the graph is called that", quote(name));
    return *value;
  }

  // Copies the nodes between the named values and `result`; what does not depend on the named values is shared.
  void copy_part(ir::Value& result) {
    std::unordered_set<const ir::Node*> behind;
    std::vector<const ir::Node*> open;
    const auto reach = [&](const ir::Value& value) {
      const bool outside = &value.graph() != &graph_ || copies_.contains(&value);
      const ir::Node* producer = outside ? nullptr : value.producer();
      if (producer && behind.insert(producer).second) open.push_back(producer);
    };
    reach(result);
    while (!open.empty()) {
      const ir::Node& node = *open.back();
      open.pop_back();
      for_each_used(node, reach);
    }
    if (behind.contains(&node_)) bad_input("what it differentiates depends on its own outputs");
    for (ir::Node& node : graph_.nodes()) {
      if (!behind.contains(&node)) continue;
      bool depends = false;
      for_each_used(node, [&](const ir::Value& value) { depends = depends || copies_.contains(&value); });
      if (depends) ir::clone_into(node, graph_, &node_, copies_);
    }
  }

  // `output` becomes the gradient: zeros where the result does not depend on `source`.
  void give(ir::Value& output, const std::string& gradient, ir::Value& source) {
    ir::Node* maker = nullptr;
    if (!gradient.empty()) {
      maker = &graph_.insert("Identity", {graph_.find(gradient)}, 1);
    } else {
      ir::Node& shape = graph_.insert("Shape", {&source}, 1);
      maker = &graph_.insert("ConstantOfShape", {shape.output()}, 1);
      maker->set_attribute("value", ir::Tensor::zeros(source.element_type(), {1}));
    }
    maker->output()->set_type(output.type());
    graph_.replace_all_uses(output, *maker->output());
    graph_.exchange_names(output, *maker->output());
  }

  ir::Model& model_;
  ir::Graph& graph_;
  ir::Node& node_;
  ir::ValueMap copies_;  // of the part: stand-ins for the named values first
};

}  // namespace

std::optional<ir::Model> expand_gradients(const ir::Model& model) {
  if (model.opset(training_domain) == 0 || gradients_of(*model.graph).empty()) return std::nullopt;
  ir::Model copy = model.clone();
  for (ir::Node* node : gradients_of(*copy.graph)) {
    in_context([&] { return describe(*node); }, [&] { Expansion(copy, *node).run(); });
  }
  return copy;
}

}  // namespace hone::exec
