// fuse-clip: of Relu and Clip in a row one is left: Relu(Relu(x)) = Relu(x), Clip(Clip(x)) = Clip(x) with the tighter
// bounds, Relu(Clip(x)) and Clip(Relu(x)) = Clip(x) where the lower bound is the larger of both.
//
// Left alone: bounds that are not constant, or cross; a first node that anybody else sees; integers; opsets before 11,
// which have the bounds as attributes.
#include <algorithm>
#include <cmath>
#include <limits>

#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"
#include "passes/weights.h"

namespace hone::passes {
namespace {

struct Range {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};

std::optional<Range> range(const ir::Node& node) {
  Range found;
  if (node.is("Relu")) {
    found.low = 0;
    return found;
  }
  for (std::size_t i = 1; i < 3; ++i) {
    if (!node.input(i)) continue;
    const auto bound = ir::constant_scalar(node.input(i));
    if (!bound || std::isnan(*bound)) return std::nullopt;
    (i == 1 ? found.low : found.high) = *bound;
  }
  return found;
}

}  // namespace

Status fuse_clip(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (rewriter.opset(node) < 11) return rewriter.decline(node, "bounds are attributes");
  const ir::ElementType type = node.output(0)->element_type();
  if (!is_scalable(type)) return rewriter.decline(node, "element type");
  const ir::Node* before = node.input(0) && node.input(0)->only_use() ? node.input(0)->producer() : nullptr;
  if (!before || !(before->is("Relu") || before->is("Clip")))
    return rewriter.decline(node, "no Relu or Clip of its own before it");
  const auto first = range(*before), second = range(node);
  if (!first || !second) return rewriter.decline(node, "bounds are not constant");
  const Range both{std::max(first->low, second->low), std::min(first->high, second->high)};
  if (first->low > second->high || second->low > first->high || both.low > both.high) {
    return rewriter.decline(node, "bounds cross");
  }
  const bool unbounded = std::isinf(both.high);
  ir::Value* x = before->input(0);
  if (both.low == 0 && unbounded) return rewriter.replace(node, *rewriter.add("Relu", {x}, {}, node, &node).output(0));
  const auto bound = [&](double value, const char* name) -> ir::Value* {
    if (std::isinf(value)) return nullptr;
    return &rewriter.constant(node, from_doubles(type, {}, {value}), name);
  };
  std::vector<ir::Value*> inputs{x, bound(both.low, "min"), bound(both.high, "max")};
  while (!inputs.back()) inputs.pop_back();
  return rewriter.replace(node, *rewriter.add("Clip", std::move(inputs), {}, node, &node).output(0));
}

}  // namespace hone::passes
