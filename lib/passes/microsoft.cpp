#include "passes/microsoft.h"

#include <algorithm>

#include "hone/rewrite/match.h"
#include "passes/values.h"

namespace hone::passes {

constexpr const char* kDomain = "com.microsoft";

ir::Node& add_microsoft(rewrite::Rewriter& rewriter, std::string op_type, const std::vector<ir::Value*>& inputs,
                        rewrite::Attributes attributes, ir::Node& before, const ir::Node* origin, std::size_t outputs) {
  ir::Model& model = rewriter.model();
  if (model.opset(kDomain) == 0) model.set_opset(kDomain, 1);
  ir::Node& node = rewriter.add(std::move(op_type), inputs, std::move(attributes), before, origin, outputs, kDomain);
  // A domain that was spelled out as empty is this one's no more.
  if (node.rest().starts_with(std::string_view("\x3a\0", 2))) node.set_rest(node.rest().substr(2));
  return node;
}

bool takes_microsoft(const rewrite::Rewriter& rewriter, const ir::Node& node) {
  const ir::Model& model = rewriter.model();
  const std::int64_t version = model.opset(kDomain);
  return version <= 1 && in_main_graph(node, *model.graph) &&
         std::none_of(model.functions.begin(), model.functions.end(),
                      [](const auto& each) { return each->domain == kDomain; });
}

Biased biased(const ir::Value* value, bool alone) {
  const ir::Node* add = alone ? rewrite::sole_producer(value, "Add") : rewrite::producer(value, "Add");
  for (std::size_t i = 0; add && i < 2; ++i) {
    ir::Value *bias = add->input(i), *x = add->input(1 - i);
    const ir::Tensor* tensor = ir::constant(bias);
    if (!tensor || tensor->rank() != 1 || !x || !x->shape() || x->shape()->empty()) continue;
    if (x->shape()->back().number() == tensor->dims()[0] && same_shape(x, value)) return {x, bias};
  }
  return {};
}

}  // namespace hone::passes
