// Pruning that sets weights to zero.
#pragma once

#include <vector>

#include "hone/support/observer.h"
#include "prune/layers.h"

namespace hone::prune {

// Exactly floor(sparsity * weights) of the smallest magnitudes become zero, ties in file order; weights that are zero
// already count. Two passes over the weights and a histogram, no copy.
void zero_smallest(ir::Model& model, const std::vector<Layer>& layers, const PruneOptions& options,
                   std::vector<LayerResult>& results, Observer& observer);
// The m - n smallest of every m neighbours along the summed dimension become zero.
void zero_n_of_m(ir::Model& model, const std::vector<Layer>& layers, const PruneOptions& options,
                 std::vector<LayerResult>& results, Observer& observer);

}  // namespace hone::prune
