// Lowering the precision that a model computes in.
#pragma once

#include <functional>

#include "hone/rewrite/pass.h"

namespace hone::passes {

struct PrecisionOptions {
  ir::ElementType type = ir::ElementType::float16;  // or bfloat16
  // Nodes that stay in float32 besides those that always do; none if empty. Asked once a node.
  std::function<bool(const ir::Node&)> keep = {};
  bool convert_signature = false;  // float32 inputs and outputs of the model get the type, too
};

// Weights and computation of the main graph in `type`, with Casts around what stays in float32: operators whose sums or
// exponents leave the range or the precision of half, those that have no such type in the model's opset, nodes with
// subgraphs, and nodes that read a constant which the type can't hold.
rewrite::Status lower_precision(rewrite::PassContext& context, const PrecisionOptions& options);

// The passes of these names, which convert all that can be.
rewrite::Status convert_float16(rewrite::PassContext& context);
rewrite::Status convert_bfloat16(rewrite::PassContext& context);

// Largest finite value, smallest normal and smallest subnormal one of float16 or bfloat16.
struct Range {
  double largest, smallest_normal, smallest;
};
Range range_of(ir::ElementType type);

}  // namespace hone::passes
