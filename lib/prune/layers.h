// The layers that pruning looks at.
#pragma once

#include <string>
#include <vector>

#include "hone/ir/model.h"
#include "hone/prune/prune.h"

namespace hone::prune {

struct Layer {
  ir::Node* node = nullptr;
  ir::Value* weight = nullptr;
  std::size_t input = 1;        // slot of the weight
  std::size_t output_axis = 0;  // of the weight: one index an output channel (of a group)
  std::size_t summed_axis = 1;  // of the weight: the sum of an output runs along it
};

// Every layer with a constant weight, each weight once, in graph order, those of subgraphs too. Layers that options exclude,
// and weights that are shared or no float32, are listed in `results` with a reason and not returned.
std::vector<Layer> find_layers(ir::Model& model, const PruneOptions& options, std::vector<LayerResult>& results);

}  // namespace hone::prune
