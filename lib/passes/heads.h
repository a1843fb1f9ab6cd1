// What the passes share that recognize attention: heads taken apart, scales and masks.
#pragma once

#include <cstdint>
#include <optional>

#include "hone/ir/graph.h"
#include "hone/rewrite/match.h"
#include "hone/rewrite/rewriter.h"
#include "passes/values.h"

namespace hone::passes {

// x where value is x times numbers, which go into `scale`.
ir::Value* unscaled(ir::Value* value, double& scale);

struct Heads {
  ir::Value* rows;  // [batch, length, count * size]
  std::int64_t count, size;
  ir::Dimension batch, length;
};

// Of a value [batch, length, count, size] behind a Transpose of `expected`.
std::optional<Heads> heads(ir::Value* value, const Permutation& expected, double& scale);
// Of the value before that Transpose.
std::optional<Heads> heads_apart(ir::Value* apart, double& scale);

// What a Softmax is taken of: scale * product + added, or a number that no score comes near to where a condition says so
// (then before anything is added). The result has provably the product's shape: each dimension of a mask is 1 or that of the
// scores, even where its expression does not say so.
struct Scores {
  const ir::Node* product = nullptr;  // MatMul of queries and keys
  double scale = 1;
  ir::Value* added = nullptr;
  const ir::Node* choice = nullptr;  // the Where, and which of its inputs holds the number
  std::size_t hidden = 0;
};
rewrite::Match<Scores> scores(const ir::Node& softmax);

// What is added to the scores, a choice as a number that leaves nothing of them; null: nothing.
ir::Value* mask(rewrite::Rewriter& rewriter, const Scores& found, ir::Node& before);

}  // namespace hone::passes
