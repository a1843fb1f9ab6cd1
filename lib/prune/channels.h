// Structured pruning: channels leave the model.
#pragma once

#include <vector>

#include "hone/support/observer.h"
#include "prune/layers.h"

namespace hone::prune {

// Importance of a group of channels that go together: the L2 norm of the weights that make them (each layer's norms divided
// by their mean, so that layers compare), averaged over the layers in the group.
void remove_channels(ir::Model& model, const std::vector<Layer>& layers, const PruneOptions& options,
                     std::vector<LayerResult>& results, Observer& observer);

}  // namespace hone::prune
