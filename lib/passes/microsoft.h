// What the passes share that write com.microsoft operators.
#pragma once

#include <string>
#include <vector>

#include "hone/rewrite/pass.h"

namespace hone::passes {

// Rules of `--target onnxruntime`: see the file of each.
rewrite::Status fuse_gelu(ir::Node& node, rewrite::PassContext& context);
rewrite::Status fuse_attention(ir::Node& node, rewrite::PassContext& context);
rewrite::Status pack_attention(ir::Node& node, rewrite::PassContext& context);
rewrite::Status fuse_skip_normalization(ir::Node& node, rewrite::PassContext& context);
rewrite::Status fuse_matmul_transpose(ir::Node& node, rewrite::PassContext& context);
rewrite::Status fuse_matmul_nbits(ir::Node& node, rewrite::PassContext& context);

// A node of com.microsoft before `before`; the model imports the domain afterwards.
ir::Node& add_microsoft(rewrite::Rewriter& rewriter, std::string op_type, const std::vector<ir::Value*>& inputs,
                        rewrite::Attributes attributes, ir::Node& before, const ir::Node* origin,
                        std::size_t outputs = 1);

// Whether such a node may stand in for this one: not in a function, whose imports are its own; not where the model has
// functions of that domain or imports another version of it.
bool takes_microsoft(const rewrite::Rewriter& rewriter, const ir::Node& node);

// x where value is x + c, the constant c is one number for each place of the last dimension, and the sum is no wider than
// x; nobody else sees it if `alone`. Null for anything else.
struct Biased {
  ir::Value* x = nullptr;
  ir::Value* bias = nullptr;
};
Biased biased(const ir::Value* value, bool alone = true);

}  // namespace hone::passes
