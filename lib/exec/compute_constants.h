// At plan time: what constants alone lead to is computed once, not in every run, in the bodies of If, Loop and Scan, too, where
// exporters reorder the weights of recurrent layers. Kernels that pack constant weights then know them.
//
// Operators that move elements, shape arithmetic, and elementwise and reducing ones (the norms of weights). Left alone: results and
// operands of more than 16 MiB, and more than 64 MiB in all; products, quantization, random numbers, subgraphs; values that are
// outputs, or that an observer or extra output asks for; nodes that fail, which do so again when they run.
#pragma once

#include <string>
#include <vector>

#include "exec/private_graph.h"

namespace hone::exec {

void compute_constants(PrivateGraph& graph, const std::vector<std::string>& keep);

}  // namespace hone::exec
