// What is computed on the results of a primitive before they are stored: the tail of elementwise nodes that the session
// fused into it (exec/fuse.h).
#pragma once

#include "exec/fuse.h"
#include "exec/onednn/runtime.h"

namespace hone::exec::onednn {

// The steps as post-ops. `add` becomes a sum with what the destination holds.
dnnl::post_ops post_ops(const std::vector<FusedStep>& steps);

}  // namespace hone::exec::onednn
