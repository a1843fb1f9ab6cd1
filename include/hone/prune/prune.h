// Pruning a trained model: fewer weights that are not zero, or fewer channels.
//
// Weights are the constant float matrices and filters of Conv, ConvTranspose, Gemm and MatMul; biases, norms and
// embeddings stay. Unstructured and N:M pruning set weights to zero, and hold no more than a window of a weight in memory
// (the new weights are deferred tensors). Channel pruning removes whole channels: the model gets smaller and faster.
//
// Magnitude as importance: Han et al., "Learning both weights and connections for efficient neural networks", NIPS 2015,
// section 3. N:M: Mishra et al., "Accelerating sparse deep neural networks", 2021. Groups of channels that must go together:
// Fang et al., "DepGraph: towards any structural pruning", CVPR 2023; ours follow single channels instead of layers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hone/ir/model.h"
#include "hone/support/observer.h"

namespace hone::prune {

enum class Structure { unstructured, n_of_m, channel };
enum class Scope {
  global,  // one ranking over all layers
  layer,   // each layer loses the same share
};

struct PruneOptions {
  double sparsity = 0.5;  // share of weights to be zero (with those that are already), or of channels to go
  Structure structure = Structure::unstructured;
  std::optional<Scope> scope = {};         // unset: global for unstructured, layer for channel
  int n = 2, m = 4;                        // n_of_m: at most n of m neighbours along the summed dimension are not zero
  std::string include = {}, exclude = {};  // regular expressions (ECMAScript) over the names of nodes and weights
  // Never below: a layer whose every weight or channel went would cut the network.
  double keep_at_least = 0.01;  // share of a layer's weights
  std::int64_t min_channels = 1;
  std::int64_t round_to = 1;  // channels left are a multiple of this, where the layer had as many
};

struct LayerResult {
  std::string node, op_type, weight;
  std::uint64_t weights_before = 0, weights_after = 0;
  std::uint64_t zeros_before = 0, zeros_after = 0;
  std::int64_t channels_before = 0, channels_after = 0;  // channel pruning: output channels
  std::string skipped;                                   // why it was left alone; empty: it took part
};

struct PruneResult {
  std::vector<LayerResult> layers;
  std::uint64_t weights_before = 0, weights_after = 0, zeros_after = 0;  // of the layers that took part
  double sparsity = 0;  // reached: zeros (or removed weights) per weight before
};

// Changes `model`. Raises usage for a sparsity outside [0, 1) or a bad expression, unsupported where no layer can be
// pruned, naming the reasons.
PruneResult prune(ir::Model& model, const PruneOptions& options, Observer& observer);

// "unstructured", "channel", "2:4" into options. Raises usage.
void parse_structure(std::string_view text, PruneOptions& options);

}  // namespace hone::prune
