#include "prune/channels.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "hone/shapes/inference.h"
#include "hone/support/error.h"
#include "prune/channel_flow.h"

namespace hone::prune {
namespace {

// Squared L2 norm of the slice at each index of an axis.
std::vector<double> squared_norms(const ir::Tensor& tensor, std::size_t axis) {
  const ir::Tensor loaded = tensor.loaded();
  const auto values = loaded.data<float>();
  std::size_t inner = 1;
  for (std::size_t i = axis + 1; i < tensor.rank(); ++i) inner *= static_cast<std::size_t>(tensor.dims()[i]);
  std::vector<double> norms(static_cast<std::size_t>(tensor.dims()[axis]), 0.0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    norms[i / inner % norms.size()] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  return norms;
}

// The slices at `kept` indices of an axis.
ir::Tensor take(const ir::Tensor& tensor, std::size_t axis, const std::vector<std::size_t>& kept) {
  const ir::Tensor loaded = tensor.loaded();
  ir::Dims dims = tensor.dims();
  const auto along = static_cast<std::size_t>(dims[axis]);
  dims[axis] = static_cast<std::int64_t>(kept.size());
  ir::Tensor result = ir::Tensor::allocate(tensor.type(), dims);
  std::size_t inner = ir::bit_width(tensor.type()) / 8, outer = 1;
  for (std::size_t i = axis + 1; i < tensor.rank(); ++i) inner *= static_cast<std::size_t>(dims[i]);
  for (std::size_t i = 0; i < axis; ++i) outer *= static_cast<std::size_t>(dims[i]);
  const std::byte* from = loaded.bytes().data();
  std::byte* to = result.mutable_bytes().data();
  for (std::size_t o = 0; o < outer; ++o) {
    for (const std::size_t index : kept) {
      std::copy_n(from + (o * along + index) * inner, inner, to);
      to += inner;
    }
  }
  return result;
}

struct Group {
  double importance = 0;
  int layers = 0;
  std::uint32_t space = 0;  // groups of one space are ranked together
};

class Removal {
 public:
  Removal(ir::Model& model, const PruneOptions& options) : model_(model), options_(options), flow_(model) {}

  // Which channels (representatives) may go, with their importance; the layers that say why not.
  void rank(const std::vector<Layer>& layers) {
    std::set<const ir::Node*> selected;
    for (const Layer& layer : layers) selected.insert(layer.node);
    for (const ChannelFlow::Made& made : flow_.made()) {
      const Slice* slice = nullptr;
      for (const Slice& each : flow_.slices()) {
        if (each.makes && each.channels == made.channels) slice = &each;
      }
      if (!slice) continue;
      const bool float_weight = ir::constant(slice->value)->type() == ir::ElementType::float32;
      if (!selected.contains(made.node) || !float_weight) {
        for (const Channel channel : made.channels) excluded_.insert(flow_.find(channel));
        continue;
      }
      std::vector<double> norms = squared_norms(*ir::constant(slice->value), slice->axis);
      double mean = 0;
      for (double& norm : norms) mean += (norm = std::sqrt(norm));
      mean /= static_cast<double>(norms.size());
      for (std::size_t i = 0; i < norms.size(); ++i) {
        Group& group = groups_[flow_.find(made.channels[i])];
        group.importance += mean > 0 ? norms[i] / mean : 0;
        ++group.layers;
      }
    }
    // Spaces: groups that share a layer are ranked together.
    std::map<Channel, std::uint32_t> space_of;
    for (const ChannelFlow::Made& made : flow_.made()) {
      std::set<std::uint32_t> touched;
      for (const Channel channel : made.channels) {
        const auto found = space_of.find(flow_.find(channel));
        if (found != space_of.end()) touched.insert(found->second);
      }
      const std::uint32_t space = touched.empty() ? next_space_++ : *touched.begin();
      for (auto& [channel, old] : space_of) {
        if (touched.contains(old)) old = space;
      }
      for (const Channel channel : made.channels) space_of[flow_.find(channel)] = space;
    }
    for (auto& [channel, group] : groups_) {
      group.importance /= std::max(1, group.layers);
      group.space = space_of[channel];
    }
  }

  void choose() {
    std::map<std::uint32_t, std::vector<std::pair<double, Channel>>> spaces;
    std::vector<std::pair<double, Channel>> all;
    for (const auto& [channel, group] : groups_) {
      if (flow_.is_pinned(channel) || excluded_.contains(channel)) continue;
      spaces[group.space].emplace_back(group.importance, channel);
      all.emplace_back(group.importance, channel);
    }
    const bool global = options_.scope.value_or(Scope::layer) == Scope::global;
    double limit = 0;
    if (global && !all.empty()) {
      std::sort(all.begin(), all.end());
      const auto count = static_cast<std::size_t>(options_.sparsity * static_cast<double>(all.size()) + 1e-9);
      limit = count < all.size() ? all[count].first : INFINITY;
    }
    for (auto& [space, channels] : spaces) {
      std::sort(channels.begin(), channels.end());
      std::size_t count = 0;
      if (global) {
        while (count < channels.size() && channels[count].first < limit) ++count;
      } else {
        count = static_cast<std::size_t>(options_.sparsity * static_cast<double>(channels.size()) + 1e-9);
      }
      const auto floor = static_cast<std::size_t>(std::max<std::int64_t>(1, options_.min_channels));
      std::size_t kept = std::max(channels.size() - count, std::min(floor, channels.size()));
      const auto multiple = static_cast<std::size_t>(std::max<std::int64_t>(1, options_.round_to));
      kept = std::min(channels.size(), (kept + multiple - 1) / multiple * multiple);
      for (std::size_t i = 0; i + kept < channels.size(); ++i) removed_.insert(channels[i].second);
    }
  }

  bool anything() const { return !removed_.empty(); }

  void apply() {
    std::map<ir::Value*, ir::Tensor> tensors;
    for (const Slice& slice : flow_.slices()) {
      const std::vector<std::size_t> kept = kept_of(slice.channels);
      if (kept.size() == slice.channels.size()) continue;
      const auto at = tensors.try_emplace(slice.value, *ir::constant(slice.value)).first;
      at->second = take(at->second, slice.axis, kept);
    }
    for (auto& [value, tensor] : tensors) {
      if (ir::Node* producer = value->producer()) {
        producer->attributes().clear();
        producer->set_attribute("value", std::move(tensor));
      } else {
        value->graph().set_initializer(*value, tensor);
      }
      const ir::Dims& dims = ir::constant(value)->dims();
      value->set_type(ir::Type::tensor(ir::constant(value)->type(), ir::Shape(dims.begin(), dims.end())));
    }
    for (const ChannelFlow::Counted& counted : flow_.counted()) {
      const auto kept = static_cast<std::int64_t>(kept_of(counted.channels).size());
      if (kept == static_cast<std::int64_t>(counted.channels.size())) continue;
      if (counted.what == ChannelFlow::Counted::What::groups) {
        counted.node->set_attribute("group", kept);
      } else {
        std::vector<std::int64_t> target = *ir::constant_ints(counted.node->input(1));
        target[counted.place] = kept;
        ir::Value* constant =
            counted.node->graph().add_initializer(counted.node->input(1)->name(), ir::Tensor::vector(target));
        constant->set_type(
            ir::Type::tensor(ir::ElementType::int64, ir::Shape{static_cast<std::int64_t>(target.size())}));
        counted.node->set_input(1, constant);
      }
    }
    forget_shapes();
  }

  // Why the layer's channels stayed, if they did.
  std::string reason(const ir::Node& node) {
    for (const ChannelFlow::Made& made : flow_.made()) {
      if (made.node != &node) continue;
      for (const Channel channel : made.channels) {
        if (flow_.is_pinned(channel)) return "its channels are needed: " + flow_.pinned_by(channel);
      }
      return "";
    }
    return "not followed: grouped, or weights are not constant";
  }
  std::pair<std::int64_t, std::int64_t> channels_of(const ir::Node& node) {
    for (const ChannelFlow::Made& made : flow_.made()) {
      if (made.node == &node) {
        return {static_cast<std::int64_t>(made.channels.size()),
                static_cast<std::int64_t>(kept_of(made.channels).size())};
      }
    }
    return {0, 0};
  }

 private:
  std::vector<std::size_t> kept_of(const Channels& channels) {
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < channels.size(); ++i) {
      if (!removed_.contains(flow_.find(channels[i]))) kept.push_back(i);
    }
    return kept;
  }
  void forget_shapes() {
    for (ir::Node& node : model_.graph->nodes()) {
      for (std::size_t i = 0; i < node.output_count(); ++i) {
        ir::Value* output = node.output(i);
        if (!output || output->is_graph_output() || !output->type().is_tensor()) continue;
        output->set_type(ir::Type::tensor(output->element_type()));
      }
    }
    shapes::Inference(model_).run();
  }

  ir::Model& model_;
  const PruneOptions& options_;
  ChannelFlow flow_;
  std::map<Channel, Group> groups_;
  std::set<Channel> excluded_, removed_;
  std::uint32_t next_space_ = 0;
};

}  // namespace

void remove_channels(ir::Model& model, const std::vector<Layer>& layers, const PruneOptions& options,
                     std::vector<LayerResult>& results, Observer& observer) {
  std::vector<std::uint64_t> weights_before;
  for (const Layer& layer : layers) {
    weights_before.push_back(static_cast<std::uint64_t>(ir::constant(layer.weight)->element_count()));
  }
  Removal removal(model, options);
  removal.rank(layers);
  removal.choose();
  std::vector<LayerResult> described;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    LayerResult result;
    result.node = layers[i].node->name();
    result.op_type = layers[i].node->op_type();
    result.weight = layers[i].weight->name();
    std::tie(result.channels_before, result.channels_after) = removal.channels_of(*layers[i].node);
    if (result.channels_before == result.channels_after) result.skipped = removal.reason(*layers[i].node);
    described.push_back(std::move(result));
  }
  if (!removal.anything()) {
    std::string reasons;
    for (const LayerResult& result : described) {
      if (reasons.size() > 300) break;
      reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", quote(result.node),
                             result.skipped.empty() ? "too few channels" : result.skipped);
    }
    unsupported("no channel can be removed at this sparsity: {}",
                reasons.empty() ? "no layer has constant weights" : reasons);
  }
  removal.apply();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    described[i].weights_before = weights_before[i];
    described[i].weights_after = static_cast<std::uint64_t>(ir::constant(layers[i].weight)->element_count());
    if (described[i].weights_after < described[i].weights_before) described[i].skipped.clear();
    results.push_back(std::move(described[i]));
  }
  observer.progress("pruning", layers.size(), layers.size(), "");
}

}  // namespace hone::prune
