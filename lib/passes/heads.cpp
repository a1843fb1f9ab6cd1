#include "passes/heads.h"

#include <cmath>

#include "hone/rewrite/match.h"

namespace hone::passes {

ir::Value* unscaled(ir::Value* value, double& scale) {
  for (int step = 0; value && step < 4; ++step) {
    const ir::Node* node = value->producer();
    if (!node || (!node->is("Mul") && !node->is("Div"))) return value;
    bool found = false;
    for (std::size_t i = node->is("Div") ? 1 : 0; i < 2 && !found; ++i) {
      const auto number = splat(node->input(i));
      ir::Value* x = node->input(1 - i);
      if (!number || !same_shape(x, value)) continue;
      const double factor = scale * (node->is("Div") ? 1 / *number : *number);
      if (!std::isnormal(static_cast<float>(factor))) continue;
      scale = factor;
      value = x;
      found = true;
    }
    if (!found) return value;
  }
  return value;
}

std::optional<Heads> heads_apart(ir::Value* apart_value, double& scale) {
  const ir::Node* reshape = rewrite::producer(unscaled(apart_value, scale), "Reshape");
  if (!reshape || !reshape->output(0)->shape() || !reshape->input(0)->shape()) return std::nullopt;
  const ir::Shape &apart = *reshape->output(0)->shape(), &together = *reshape->input(0)->shape();
  if (apart.size() != 4 || together.size() != 3 || !apart[2].number() || !apart[3].number()) return std::nullopt;
  if (!provably_equal(apart[0], together[0]) || !provably_equal(apart[1], together[1])) return std::nullopt;
  if (together[2].number() != *apart[2].number() * *apart[3].number()) return std::nullopt;
  return Heads{unscaled(reshape->input(0), scale), *apart[2].number(), *apart[3].number(), apart[0], apart[1]};
}

std::optional<Heads> heads(ir::Value* value, const Permutation& expected, double& scale) {
  const ir::Node* transpose = rewrite::producer(unscaled(value, scale), "Transpose");
  if (!transpose || permutation(*transpose) != expected) return std::nullopt;
  return heads_apart(transpose->input(0), scale);
}

}  // namespace hone::passes
