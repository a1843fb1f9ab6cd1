// The functions behind the names in list.cpp: one a file, the file named like the function.
#pragma once

#include "hone/rewrite/pass.h"

namespace hone::passes {

using rewrite::PassContext;
using rewrite::Status;

// Rules: see the file of each.
Status constant_to_initializer(ir::Node& node, PassContext& context);
Status fold_constants(ir::Node& node, PassContext& context);
Status eliminate_identity(ir::Node& node, PassContext& context);
Status eliminate_dropout(ir::Node& node, PassContext& context);
Status eliminate_cast(ir::Node& node, PassContext& context);
Status eliminate_transpose(ir::Node& node, PassContext& context);
Status eliminate_reshape(ir::Node& node, PassContext& context);
Status fuse_conv_batch_normalization(ir::Node& node, PassContext& context);
Status fuse_conv_add(ir::Node& node, PassContext& context);
Status fuse_conv_mul(ir::Node& node, PassContext& context);
Status fuse_matmul_add(ir::Node& node, PassContext& context);
Status fuse_reshape_transpose(ir::Node& node, PassContext& context);
Status fuse_transpose_reshape(ir::Node& node, PassContext& context);
Status fuse_scale(ir::Node& node, PassContext& context);
Status inline_if(ir::Node& node, PassContext& context);
Status inline_loop(ir::Node& node, PassContext& context);
Status eliminate_slice(ir::Node& node, PassContext& context);
Status eliminate_split(ir::Node& node, PassContext& context);
Status fuse_split(ir::Node& node, PassContext& context);
Status eliminate_expand(ir::Node& node, PassContext& context);
Status eliminate_where(ir::Node& node, PassContext& context);
Status eliminate_neutral(ir::Node& node, PassContext& context);
Status eliminate_zero_state(ir::Node& node, PassContext& context);
Status eliminate_pad(ir::Node& node, PassContext& context);
Status sink_transpose(ir::Node& node, PassContext& context);
Status fuse_activation(ir::Node& node, PassContext& context);
Status fuse_normalization(ir::Node& node, PassContext& context);
Status fuse_clip(ir::Node& node, PassContext& context);
Status eliminate_quantize(ir::Node& node, PassContext& context);
Status fuse_matmul_batch_normalization(ir::Node& node, PassContext& context);
Status fuse_batch_normalization_conv(ir::Node& node, PassContext& context);
Status eliminate_einsum(ir::Node& node, PassContext& context);
Status eliminate_concat(ir::Node& node, PassContext& context);
Status recognize_attention(ir::Node& node, PassContext& context);
Status recognize_rotary_embedding(ir::Node& node, PassContext& context);
Status fuse_group_normalization(ir::Node& node, PassContext& context);

// Passes over the whole model.
Status eliminate_dead_code(PassContext& context);
Status eliminate_common_subexpressions(PassContext& context);
Status share_initializers(PassContext& context);
Status share_shapes(PassContext& context);
Status lift_initializers(PassContext& context);
Status inline_functions(PassContext& context);
Status convert_float16(PassContext& context);

// The nodes of `body` in place of `node`; `map` holds stand-ins for the body's inputs, and output i of the node is output
// i + skipped of the body.
Status inline_graph(const ir::Graph& body, ir::Node& node, ir::ValueMap& map, std::size_t skipped,
                    PassContext& context);

}  // namespace hone::passes
