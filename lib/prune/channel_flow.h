// Which channels are the same channel: followed through the graph one by one.
//
// A channel is one index of a dimension of a value. Every such index gets an id; operators that pass channels on (Relu), join
// them (Add), concatenate, flatten or split them say which ids are the same, and a disjoint-set forest keeps what must go
// together. An operator this does not understand pins the channels it sees: they stay.
//
// Only dimensions that a weight made (the output channels of Conv, Gemm, MatMul ...) carry ids; batch and space don't.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "hone/ir/model.h"

namespace hone::prune {

using Channel = std::uint32_t;
using Channels = std::vector<Channel>;  // by index of the dimension

// A dimension of a constant that has to shrink along with channels.
struct Slice {
  ir::Value* value;
  std::size_t axis;
  Channels channels;
  bool makes = false;    // it is where the channels come from: its rows are their weights
  std::size_t uses = 1;  // of the constant that see these channels there
};

class ChannelFlow {
 public:
  // Types must have been inferred. Follows the main graph; values that subgraphs capture are pinned.
  explicit ChannelFlow(ir::Model& model);

  Channel find(Channel channel);  // the representative
  bool is_pinned(Channel channel) { return pinned_[find(channel)] != 0; }
  const std::string& pinned_by(Channel channel) { return reasons_[pinned_[find(channel)]]; }
  const std::vector<Slice>& slices() const { return slices_; }
  // Nodes with an attribute or constant that counts channels; see ChannelRemoval.
  struct Counted {
    ir::Node* node;
    enum class What { groups, shape_constant, split_sizes } what;
    Channels channels;
    std::size_t place = 0;  // index in the shape constant
  };
  const std::vector<Counted>& counted() const { return counted_; }
  // Output channels by layer: the value a weight's node makes.
  struct Made {
    ir::Node* node;
    Channels channels;
  };
  const std::vector<Made>& made() const { return made_; }

 private:
  friend class Follower;
  Channels fresh(std::int64_t count);
  void join(Channel a, Channel b);
  void join(const Channels& a, const Channels& b);
  void pin(const Channels& channels, const std::string& reason);

  std::vector<Channel> parent_;
  std::vector<std::uint32_t> pinned_;  // by representative: index into reasons_, 0: not
  std::vector<std::string> reasons_{""};
  std::vector<Slice> slices_;
  std::vector<Counted> counted_;
  std::vector<Made> made_;
};

}  // namespace hone::prune
