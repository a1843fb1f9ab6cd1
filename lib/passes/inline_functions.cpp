// inline-functions: a call of a model-local function becomes the nodes of its body, which the other passes then see in
// their place.
//
// Left alone: functions written for other operator set versions than the model imports; calls with inputs left out;
// calls inside other functions (those are inlined once their caller is).
#include "passes/rules.h"

namespace hone::passes {
namespace {

bool same_opsets(const ir::Function& function, const ir::Model& model) {
  for (const ir::OpsetImport& import : function.opsets) {
    if (model.opset(import.domain) != import.version) return false;
  }
  return true;
}

// Attributes that refer to a parameter of the function get its value, or go where it has none.
void bind(ir::Node& node, const ir::Node& call, const ir::Function& function) {
  ir::ValueMap none;
  std::vector<std::string> absent;
  for (ir::Attribute& attribute : node.attributes()) {
    if (attribute.reference.empty()) continue;
    const ir::Attribute* value = call.attribute(attribute.reference);
    for (const ir::Attribute& fallback : function.attribute_defaults) {
      if (!value && fallback.name == attribute.reference) value = &fallback;
    }
    if (!value) {
      absent.push_back(attribute.name);
      continue;
    }
    ir::Attribute copy = ir::clone_attribute(*value, node, none);
    copy.name = attribute.name;
    attribute = std::move(copy);
  }
  for (const std::string& name : absent) node.remove_attribute(name);
}

// Calls in the order in which they are run, those in subgraphs at the place of the node around them: inlining one may
// take away what only it used, which then has been dealt with. Nesting is capped by the reader.
void collect_calls(const ir::Functions& functions, const ir::Graph& graph, std::vector<ir::Node*>& calls) {
  for (ir::Node& node : graph.nodes()) {
    if (functions.called_by(node)) calls.push_back(&node);
    node.for_each_subgraph([&](const ir::Graph& subgraph) { collect_calls(functions, subgraph, calls); });
  }
}

}  // namespace

Status inline_functions(PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  ir::Model& model = rewriter.model();
  if (model.functions.empty()) return Status::unchanged;
  Status status = Status::unchanged;
  std::vector<ir::Node*> calls;
  collect_calls(model.functions, *model.graph, calls);
  for (ir::Node* call : calls) {
    const ir::Function& function = *model.functions.called_by(*call);
    const ir::Graph& body = *function.body;
    bool complete = same_opsets(function, model) && call->input_count() == body.inputs().size() &&
                    call->output_count() <= body.outputs().size();
    for (std::size_t i = 0; i < call->input_count(); ++i) complete &= call->input(i) != nullptr;
    if (!complete) {
      (void)rewriter.decline(*call, "function and call don't fit");
      continue;
    }
    ir::ValueMap map;
    for (std::size_t i = 0; i < body.inputs().size(); ++i) map[body.inputs()[i]] = call->input(i);
    ir::Graph& graph = call->graph();
    ir::Node* before = call->previous();
    ir::clone_into(body, graph, call, map);
    for (ir::Node* made = before ? before->next() : graph.first(); made != call; made = made->next()) {
      bind(*made, *call, function);
      made->for_each_subgraph([&](ir::Graph& subgraph) {
        ir::for_each_graph(subgraph, [&](ir::Graph& inner) {
          for (ir::Node& node : inner.nodes()) bind(node, *call, function);
        });
      });
      rewriter.touched(*made);
    }
    for (std::size_t i = 0; i < call->output_count(); ++i) {
      ir::Value* old = call->output(i);
      if (!old || !old->has_uses()) continue;
      ir::Value* result = body.outputs()[i];
      if (const auto mapped = map.find(result); mapped != map.end()) result = mapped->second;
      if (rewriter.replace_value(*old, *result)) continue;
      rewriter.replace_value(*old, *rewriter.add("Identity", {result}, {}, *call).output(0));
    }
    rewriter.erase(*call);
    status = Status::changed;
  }
  return status;
}

}  // namespace hone::passes
