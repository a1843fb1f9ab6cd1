#include "passes/heads.h"

#include <cmath>

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

rewrite::Match<Scores> scores(const ir::Node& softmax) {
  // What no score comes near to: their sum is the number itself, and its exponential is 0 beside that of any score.
  constexpr double kHidden = -1e30;
  Scores found;
  ir::Value* at = softmax.input(0);
  if (const ir::Node* add = rewrite::sole_producer(at, "Add")) {
    for (std::size_t i = 0; i < 2 && !found.added; ++i) {
      double inner = 1;
      ir::Value* sum = add->input(i);
      if (!same_shape(sum, at)) continue;
      if (!rewrite::producer(unscaled(sum, inner), "MatMul") && !rewrite::producer(sum, "Where")) continue;
      at = sum;
      found.added = add->input(1 - i);
    }
  }
  if (const ir::Node* where = rewrite::sole_producer(at, "Where")) {
    for (std::size_t i = 1; i < 3 && !found.choice; ++i) {
      const auto number = splat(where->input(i));
      ir::Value* other = where->input(3 - i);
      if (!number || !(*number <= kHidden) || !same_shape(other, at)) continue;
      at = other;
      found.choice = where;
      found.hidden = i;
    }
  }
  if (!at->only_use()) return rewrite::no("scores that anybody else sees");
  found.product = rewrite::sole_producer(unscaled(at, found.scale), "MatMul");
  if (!found.product) return rewrite::no("no scores of its own");
  return found;
}

ir::Value* mask(rewrite::Rewriter& rewriter, const Scores& found, ir::Node& before) {
  if (!found.choice) return found.added;
  ir::Value* condition = found.choice->input(0);
  const auto number = static_cast<float>(*splat(found.choice->input(found.hidden)));
  ir::Value& hidden = rewriter.constant(before, ir::Tensor::of<float>({}, {number}), "hidden");
  ir::Value& shown = rewriter.constant(before, ir::Tensor::of<float>({}, {0}), "shown");
  std::vector<ir::Value*> inputs{condition, &shown, &hidden};
  if (found.hidden == 1) std::swap(inputs[1], inputs[2]);
  ir::Value* chosen = rewriter.add("Where", inputs, {}, before).output(0);
  if (!found.added) return chosen;
  return rewriter.add("Add", {chosen, found.added}, {}, before).output(0);
}

}  // namespace hone::passes
