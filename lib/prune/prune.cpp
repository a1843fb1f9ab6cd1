#include "hone/prune/prune.h"

#include <algorithm>

#include "hone/shapes/inference.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "prune/channels.h"
#include "prune/zeroing.h"

namespace hone::prune {

void parse_structure(std::string_view text, PruneOptions& options) {
  if (text == "unstructured") {
    options.structure = Structure::unstructured;
  } else if (text == "channel") {
    options.structure = Structure::channel;
  } else {
    const auto parts = split(text, ':');
    const auto n = parts.size() == 2 ? parse_int64(parts[0]) : std::nullopt;
    const auto m = parts.size() == 2 ? parse_int64(parts[1]) : std::nullopt;
    if (!n || !m || *n < 1 || *m <= *n || *m > 64) {
      usage_error("--structure {} is none of unstructured, channel, N:M such as 2:4", quote(text));
    }
    options.structure = Structure::n_of_m;
    options.n = static_cast<int>(*n);
    options.m = static_cast<int>(*m);
  }
}

PruneResult prune(ir::Model& model, const PruneOptions& options, Observer& observer) {
  if (!(options.sparsity >= 0 && options.sparsity < 1)) {
    usage_error("sparsity {} is not in [0, 1)", options.sparsity);
  }
  shapes::Inference(model, &observer).run();
  PruneResult result;
  const std::vector<Layer> layers = find_layers(model, options, result.layers);
  const auto nothing = [&result](std::string_view wanted) {
    std::string reasons;
    for (const LayerResult& layer : result.layers) {
      if (reasons.size() > 300) break;
      reasons += fmt::format("; {}: {}", quote(layer.node), layer.skipped);
    }
    unsupported("there is no layer to prune: {}{}", wanted, reasons);
  };
  if (layers.empty()) nothing("Conv, ConvTranspose, Gemm or MatMul with constant float weights");
  switch (options.structure) {
    case Structure::unstructured:
      zero_smallest(model, layers, options, result.layers, observer);
      break;
    case Structure::n_of_m:
      zero_n_of_m(model, layers, options, result.layers, observer);
      break;
    case Structure::channel:
      remove_channels(model, layers, options, result.layers, observer);
      break;
  }
  const auto skipped = [](const LayerResult& layer) { return !layer.skipped.empty(); };
  if (std::all_of(result.layers.begin(), result.layers.end(), skipped)) {
    nothing(fmt::format("sums of at least {} weights", options.m));
  }
  for (const LayerResult& layer : result.layers) {
    if (layer.weights_before == 0) continue;
    result.weights_before += layer.weights_before;
    result.weights_after += layer.weights_after;
    result.zeros_after += layer.zeros_after;
  }
  if (result.weights_before > 0) {
    result.sparsity = static_cast<double>(result.zeros_after + result.weights_before - result.weights_after) /
                      static_cast<double>(result.weights_before);
  }
  return result;
}

}  // namespace hone::prune
