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
Status fuse_scale(ir::Node& node, PassContext& context);

// Passes over the whole model.
Status eliminate_dead_code(PassContext& context);
Status eliminate_common_subexpressions(PassContext& context);
Status share_initializers(PassContext& context);
Status share_shapes(PassContext& context);
Status lift_initializers(PassContext& context);

}  // namespace hone::passes
