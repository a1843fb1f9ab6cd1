// What the passes share that recognize attention: heads taken apart, and scales.
#pragma once

#include <cstdint>
#include <optional>

#include "hone/ir/graph.h"
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

}  // namespace hone::passes
