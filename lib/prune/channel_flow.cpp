#include "prune/channel_flow.h"

#include <algorithm>
#include <functional>
#include <set>
#include <string_view>

namespace hone::prune {

Channels ChannelFlow::fresh(std::int64_t count) {
  Channels result(static_cast<std::size_t>(count));
  for (Channel& channel : result) {
    channel = static_cast<Channel>(parent_.size());
    parent_.push_back(channel);
    pinned_.push_back(0);
  }
  return result;
}

Channel ChannelFlow::find(Channel channel) {
  while (parent_[channel] != channel) {
    parent_[channel] = parent_[parent_[channel]];
    channel = parent_[channel];
  }
  return channel;
}

void ChannelFlow::join(Channel a, Channel b) {
  a = find(a);
  b = find(b);
  if (a == b) return;
  if (b < a) std::swap(a, b);  // the first made stands for all: deterministic
  parent_[b] = a;
  if (!pinned_[a]) pinned_[a] = pinned_[b];
}

void ChannelFlow::join(const Channels& a, const Channels& b) {
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) join(a[i], b[i]);
}

void ChannelFlow::pin(const Channels& channels, const std::string& reason) {
  std::uint32_t index = 0;
  for (const Channel channel : channels) {
    const Channel root = find(channel);
    if (pinned_[root]) continue;
    if (index == 0) {
      index = static_cast<std::uint32_t>(reasons_.size());
      reasons_.push_back(reason);
    }
    pinned_[root] = index;
  }
}

// What is known of one value: which of its axes carry channels.
using Axes = std::map<std::size_t, Channels>;

class Follower {
 public:
  Follower(ChannelFlow& flow, ir::Model& model) : flow_(flow), graph_(*model.graph), opset_(model.opset()) {}

  void run() {
    for (ir::Node& node : graph_.nodes()) {
      if (node.has_subgraphs()) pin_captures(node);
      visit(node);
    }
    for (const ir::Value* output : graph_.outputs()) pin_value(output, "graph output");
    // A constant sliced along an axis for one user and taken whole there, or sliced differently, by another can't shrink.
    for (const Slice& slice : flow_.slices_) {
      if (slice.uses != slice.value->uses().size() || conflicts_.contains(slice.value) ||
          slice.value->is_graph_output()) {
        flow_.pin(slice.channels, "weight is shared");
      }
    }
  }

 private:
  static std::string describe(const ir::Node& node) { return node.op_type(); }

  const Axes* axes(const ir::Value* value) const {
    const auto found = values_.find(value);
    return found == values_.end() ? nullptr : &found->second;
  }
  void pin_value(const ir::Value* value, const std::string& reason) {
    if (const Axes* known = axes(value)) {
      for (const auto& [axis, channels] : *known) flow_.pin(channels, reason);
    }
  }
  void pin_inputs(const ir::Node& node, const std::string& reason) {
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (node.input(i)) pin_value(node.input(i), reason);
    }
  }
  void pin_captures(const ir::Node& node) {
    node.for_each_subgraph([&](ir::Graph& subgraph) {
      ir::for_each_graph(subgraph, [&](ir::Graph& graph) {
        for (const ir::Node& inner : graph.nodes()) pin_inputs(inner, "used in a subgraph");
        for (const ir::Value* output : graph.outputs()) pin_value(output, "used in a subgraph");
      });
    });
  }
  static std::optional<std::vector<std::int64_t>> dims(const ir::Value* value) {
    return value && value->shape() ? ir::static_dims(*value->shape()) : std::nullopt;
  }
  static std::optional<std::size_t> rank(const ir::Value* value) {
    return value && value->shape() ? std::optional(value->shape()->size()) : std::nullopt;
  }

  void slice(ir::Value* constant, std::size_t axis, const Channels& channels, bool makes = false) {
    for (Slice& known : flow_.slices_) {
      if (known.value == constant && known.axis == axis) {
        if (known.channels.size() != channels.size()) conflicts_.insert(constant);
        flow_.join(known.channels, channels);
        ++known.uses;
        return;
      }
    }
    flow_.slices_.push_back({constant, axis, channels, makes});
  }

  // A constant operand of an elementwise operator: sliced where it has the channel's dimension.
  void slice_operand(ir::Value* constant, std::size_t value_rank, const Axes& known) {
    const ir::Tensor* tensor = ir::constant(constant);
    for (const auto& [axis, channels] : known) {
      if (tensor->rank() + axis < value_rank) continue;
      const std::size_t own = axis + tensor->rank() - value_rank;
      if (tensor->dims()[own] == 1) continue;
      if (tensor->dims()[own] != static_cast<std::int64_t>(channels.size())) {
        flow_.pin(channels, "constant of another size");
        continue;
      }
      slice(constant, own, channels);
    }
  }

  void made(ir::Node& node, ir::Value* output, std::size_t axis, Channels channels) {
    flow_.made_.push_back({&node, channels});
    values_[output][axis] = std::move(channels);
  }

  void conv(ir::Node& node) {
    ir::Value* weight = node.input(1);
    const ir::Tensor* tensor = ir::constant(weight);
    if (!tensor || tensor->rank() < 3 || (node.input(2) && !ir::constant(node.input(2)))) {
      return pin_inputs(node, "weights are not constant");
    }
    const bool transposed = node.is("ConvTranspose");
    const std::int64_t groups = node.int_or("group", 1);
    const Axes* input = axes(node.input(0));
    const auto in = input && input->contains(1) ? &input->at(1) : nullptr;
    const std::int64_t outputs = transposed ? tensor->dims()[1] * groups : tensor->dims()[0];
    const bool depthwise = !transposed && groups > 1 && tensor->dims()[1] == 1 && groups == tensor->dims()[0];
    Channels out;
    if (groups == 1) {
      out = flow_.fresh(outputs);
      const std::size_t out_axis = transposed ? 1 : 0;
      slice(weight, out_axis, out, true);
      if (in) slice(weight, 1 - out_axis, *in);
    } else if (depthwise) {
      out = in ? *in : flow_.fresh(outputs);
      if (!in) flow_.pin(out, "depthwise convolution of channels nobody makes");
      slice(weight, 0, out);
      flow_.counted_.push_back({&node, ChannelFlow::Counted::What::groups, out, 0});
      if (in) values_[node.output(0)][1] = out;
      if (node.input(2)) slice(node.input(2), 0, out);
      return;
    } else {
      // Grouped: the input channels of the groups must stay equal in number.
      if (in) flow_.pin(*in, "grouped convolution");
      return;
    }
    if (node.input(2)) slice(node.input(2), 0, out);
    made(node, node.output(0), 1, std::move(out));
  }

  void gemm(ir::Node& node) {
    const ir::Tensor* tensor = ir::constant(node.input(1));
    const bool left_transposed = node.int_or("transA", 0) != 0;
    if (!tensor || tensor->rank() != 2 || left_transposed) return pin_inputs(node, "weights are not constant");
    const std::size_t out_axis = node.int_or("transB", 0) != 0 ? 0 : 1;
    const Axes* input = axes(node.input(0));
    if (input && input->contains(0)) flow_.pin(input->at(0), "rows of a matrix");
    if (input && input->contains(1)) slice(node.input(1), 1 - out_axis, input->at(1));
    Channels out = flow_.fresh(tensor->dims()[out_axis]);
    slice(node.input(1), out_axis, out, true);
    if (ir::Value* bias = node.input(2)) {
      if (ir::constant(bias)) {
        slice_operand(bias, 2, {{1, out}});
      } else {
        flow_.pin(out, "bias is not constant");
        pin_value(bias, "bias of a matrix product");
      }
    }
    made(node, node.output(0), 1, std::move(out));
  }

  void matmul(ir::Node& node) {
    const ir::Tensor* tensor = ir::constant(node.input(1));
    const auto input_rank = rank(node.input(0));
    if (!tensor || tensor->rank() != 2 || !input_rank || *input_rank < 2) {
      return pin_inputs(node, "matrix product of two values");
    }
    const Axes* input = axes(node.input(0));
    const std::size_t last = *input_rank - 1;
    Axes result;
    if (input) {
      for (const auto& [axis, channels] : *input) {
        if (axis == last) {
          slice(node.input(1), 0, channels);
        } else {
          result[axis] = channels;
        }
      }
    }
    Channels out = flow_.fresh(tensor->dims()[1]);
    slice(node.input(1), 1, out, true);
    values_[node.output(0)] = std::move(result);
    made(node, node.output(0), last, std::move(out));
  }

  void norm(ir::Node& node) {
    const Axes* input = axes(node.input(0));
    if (!input) return;
    for (std::size_t i = 1; i < node.input_count(); ++i) {
      if (node.input(i) && !ir::constant(node.input(i))) return pin_inputs(node, "parameters are not constant");
    }
    for (const auto& [axis, channels] : *input) {
      if (axis != 1) flow_.pin(channels, "normalized over");
    }
    if (!input->contains(1)) return;
    for (std::size_t i = 1; i < node.input_count(); ++i) {
      if (!node.input(i)) continue;
      slice(node.input(i), 0, input->at(1));
    }
    values_[node.output(0)][1] = Channels(input->at(1));
  }

  // Elementwise with broadcasting, any number of inputs.
  void elementwise(ir::Node& node) {
    const auto output_rank = rank(node.output(0));
    Axes joined;
    bool any = false;
    for (std::size_t i = 0; i < node.input_count(); ++i) any |= node.input(i) && axes(node.input(i)) != nullptr;
    if (!any) return;
    if (!output_rank) return pin_inputs(node, "rank is not known");
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      const Axes* known = axes(node.input(i));
      const auto own_rank = rank(node.input(i));
      if (!known || !own_rank) continue;
      for (const auto& [axis, channels] : *known) {
        const std::size_t place = axis + *output_rank - *own_rank;
        if (channels.size() == 1 && (*node.output(0)->shape())[place].number() != 1) {
          flow_.pin(channels, "one channel over many");
          continue;
        }
        const auto [at, is_new] = joined.try_emplace(place, channels);
        if (!is_new) flow_.join(at->second, channels);
      }
    }
    // Operands that carry no channels there must broadcast, or be constants that can be sliced.
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      ir::Value* input = node.input(i);
      if (!input || axes(input)) {
        // One with channels on some axes may be a full operand on others.
        if (!input) continue;
      }
      if (ir::constant(input)) {
        slice_operand(input, *output_rank, joined);
        continue;
      }
      const auto own_rank = rank(input);
      const Axes* known = axes(input);
      for (const auto& [place, channels] : joined) {
        if (!own_rank) {
          flow_.pin(channels, "rank is not known");
          continue;
        }
        if (place + *own_rank < *output_rank) continue;  // broadcast
        const std::size_t own = place + *own_rank - *output_rank;
        if (known && known->contains(own)) continue;
        if ((*input->shape())[own].number() == 1) continue;
        flow_.pin(channels, "combined with a value of fixed size");
      }
    }
    if (ir::Value* output = node.output(0)) values_[output] = std::move(joined);
  }

  // Activations and pooling: channels pass through; the axes named are computed over, and pinned.
  void pass_through(ir::Node& node, const std::vector<std::size_t>& mixed = {}) {
    const Axes* input = axes(node.input(0));
    if (!input) return;
    for (std::size_t i = 1; i < node.input_count(); ++i) {
      if (node.input(i)) pin_value(node.input(i), describe(node));
    }
    for (const std::size_t axis : mixed) {
      if (input->contains(axis)) flow_.pin(input->at(axis), describe(node));
    }
    const Axes copy = *input;
    values_[node.output(0)] = copy;
  }

  void pool(ir::Node& node) {
    const Axes* input = axes(node.input(0));
    if (!input) return;
    Axes result;
    for (const auto& [axis, channels] : *input) {
      if (axis < 2) {
        result[axis] = channels;
      } else {
        flow_.pin(channels, describe(node));
      }
    }
    if (node.output(1)) return pin_inputs(node, "indices of pooling");
    values_[node.output(0)] = std::move(result);
  }

  void softmax(ir::Node& node) {
    const auto own_rank = rank(node.input(0));
    if (!own_rank) return pin_inputs(node, "rank is not known");
    const bool flattens = opset_ < 13;  // from the axis on, everything is one dimension
    const std::int64_t given = node.int_or("axis", flattens ? 1 : -1);
    const auto axis = static_cast<std::size_t>(given < 0 ? given + static_cast<std::int64_t>(*own_rank) : given);
    std::vector<std::size_t> mixed{axis};
    for (std::size_t next = axis + 1; flattens && next < *own_rank; ++next) mixed.push_back(next);
    pass_through(node, mixed);
  }

  void reduce(ir::Node& node) {
    const Axes* input = axes(node.input(0));
    const auto in_rank = rank(node.input(0)), out_rank = rank(node.output(0));
    if (!input) return;
    if (!in_rank || !out_rank) return pin_inputs(node, "rank is not known");
    const auto attribute = node.ints_or("axes", {});
    const auto given = node.has_attribute("axes") ? std::optional(attribute) : ir::constant_ints(node.input(1));
    if (!given) return pin_inputs(node, "axes are not known");
    std::vector<bool> reduced(*in_rank, given->empty());
    for (const std::int64_t axis : *given) {
      reduced[static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(*in_rank) : axis) % *in_rank] = true;
    }
    const bool keep = node.int_or("keepdims", 1) != 0;
    Axes result;
    std::size_t place = 0;
    for (std::size_t axis = 0; axis < *in_rank; ++axis) {
      if (input->contains(axis)) {
        if (reduced[axis]) {
          flow_.pin(input->at(axis), describe(node));
        } else {
          result[place] = input->at(axis);
        }
      }
      place += !reduced[axis] || keep;
    }
    values_[node.output(0)] = std::move(result);
  }

  void concat(ir::Node& node) {
    const auto out_rank = rank(node.output(0));
    if (!out_rank) return pin_inputs(node, "rank is not known");
    const std::int64_t raw = node.int_or("axis", 0);
    const auto axis = static_cast<std::size_t>(raw < 0 ? raw + static_cast<std::int64_t>(*out_rank) : raw);
    Channels along;
    bool any = false, complete = true;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      const Axes* known = axes(node.input(i));
      if (known) {
        for (const auto& [other, channels] : *known) {
          if (other != axis) flow_.pin(channels, describe(node));
        }
      }
      if (known && known->contains(axis)) {
        along.insert(along.end(), known->at(axis).begin(), known->at(axis).end());
        any = true;
      } else if (const auto shape = node.input(i)->shape(); shape && (*shape)[axis].number()) {
        // Channels from elsewhere: they stay, in their place.
        Channels fixed = flow_.fresh(*(*shape)[axis].number());
        flow_.pin(fixed, "input of the model");
        along.insert(along.end(), fixed.begin(), fixed.end());
        if (ir::constant(node.input(i))) complete = complete && true;
      } else {
        complete = false;
      }
    }
    if (!any) return;
    if (!complete) return pin_inputs(node, "size is not known");
    values_[node.output(0)][axis] = std::move(along);
  }

  void split(ir::Node& node) {
    const Axes* input = axes(node.input(0));
    if (!input) return;
    const auto in_rank = rank(node.input(0));
    if (!in_rank) return pin_inputs(node, "rank is not known");
    const std::int64_t raw = node.int_or("axis", 0);
    const auto axis = static_cast<std::size_t>(raw < 0 ? raw + static_cast<std::int64_t>(*in_rank) : raw);
    if (input->contains(axis)) return pin_inputs(node, describe(node));
    const Axes copy = *input;
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (node.output(i)) values_[node.output(i)] = copy;
    }
  }

  void transpose(ir::Node& node) {
    const Axes* input = axes(node.input(0));
    if (!input) return;
    const auto in_rank = rank(node.input(0));
    if (!in_rank) return pin_inputs(node, "rank is not known");
    std::vector<std::int64_t> perm = node.ints_or("perm", {});
    if (perm.empty()) {
      for (std::size_t i = *in_rank; i-- > 0;) perm.push_back(static_cast<std::int64_t>(i));
    }
    Axes result;
    for (std::size_t i = 0; i < perm.size(); ++i) {
      const auto found = input->find(static_cast<std::size_t>(perm[i]));
      if (found != input->end()) result[i] = found->second;
    }
    values_[node.output(0)] = std::move(result);
  }

  // Reshape, Flatten, Squeeze, Unsqueeze: dimensions are walked side by side; a run of input dimensions becomes a run of
  // output dimensions of the same product. Channels survive a run that merges ([C,H,W] -> [C*H*W]: each stands for H*W
  // indices) or keeps; a run that splits channels pins them.
  void reshape(ir::Node& node) {
    const Axes* input = axes(node.input(0));
    if (!input) return;
    const auto& in_shape = node.input(0)->shape();
    const auto& out_shape = node.output(0)->shape();
    if (!in_shape || !out_shape) return pin_inputs(node, "shape is not known");
    Axes result;
    std::size_t i = 0, o = 0;
    while (i < in_shape->size() || o < out_shape->size()) {
      // One run: from (i, o) until both products agree.
      std::size_t i_end = i, o_end = o;
      ir::Dimension in_product = 1, out_product = 1;
      if (i_end < in_shape->size()) in_product = in_product * (*in_shape)[i_end++];
      if (o_end < out_shape->size()) out_product = out_product * (*out_shape)[o_end++];
      while (!provably_equal(in_product, out_product)) {
        const bool in_done = i_end >= in_shape->size(), out_done = o_end >= out_shape->size();
        if (in_done && out_done) return pin_inputs(node, "reshaped beyond recognition");
        const bool in_smaller = in_product.number() && out_product.number()
                                    ? *in_product.number() < *out_product.number()
                                    : exact_div(out_product, in_product).has_value();
        if ((in_smaller && !in_done) || out_done) {
          in_product = in_product * (*in_shape)[i_end++];
        } else {
          out_product = out_product * (*out_shape)[o_end++];
        }
      }
      if (!run(node, *input, i, i_end, o, o_end, result)) return;
      i = i_end;
      o = o_end;
    }
    // A constant target counts channels itself.
    if (node.is("Reshape")) {
      const auto target = ir::constant_ints(node.input(1));
      if (!target) return pin_inputs(node, "target is not constant");
      for (const auto& [axis, channels] : result) {
        if (axis < target->size() && (*target)[axis] > 0) {
          flow_.counted_.push_back({&node, ChannelFlow::Counted::What::shape_constant, channels, axis});
        }
      }
    }
    values_[node.output(0)] = std::move(result);
  }

  bool run(ir::Node& node, const Axes& input, std::size_t i, std::size_t i_end, std::size_t o, std::size_t o_end,
           Axes& result) {
    std::vector<std::size_t> carrying;
    for (std::size_t axis = i; axis < i_end; ++axis) {
      if (input.contains(axis)) carrying.push_back(axis);
    }
    if (carrying.empty()) return true;
    // Dimensions of size 1 beside the one that counts don't matter.
    const auto& in_shape = *node.input(0)->shape();
    const auto& out_shape = *node.output(0)->shape();
    std::vector<std::size_t> outs;
    for (std::size_t axis = o; axis < o_end; ++axis) {
      if (out_shape[axis].number() != 1) outs.push_back(axis);
    }
    if (outs.empty() && o < o_end) outs.push_back(o);
    if (carrying.size() != 1 || outs.size() != 1) {
      pin_inputs(node, "channels are split");
      return false;
    }
    const Channels& channels = input.at(carrying[0]);
    std::int64_t before = 1, after = 1;
    for (std::size_t axis = i; axis < i_end; ++axis) {
      if (axis == carrying[0]) continue;
      const auto number = in_shape[axis].number();
      if (!number) {
        pin_inputs(node, "merged with a dimension of unknown size");
        return false;
      }
      (axis < carrying[0] ? before : after) *= *number;
    }
    if (before * after * static_cast<std::int64_t>(channels.size()) > std::int64_t{1} << 26) {
      pin_inputs(node, "too many elements");
      return false;
    }
    Channels merged;
    for (std::int64_t b = 0; b < before; ++b) {
      for (const Channel channel : channels) merged.insert(merged.end(), static_cast<std::size_t>(after), channel);
    }
    result[outs[0]] = std::move(merged);
    return true;
  }

  void visit(ir::Node& node) {
    static const std::unordered_map<std::string_view, void (Follower::*)(ir::Node&)> table = [] {
      std::unordered_map<std::string_view, void (Follower::*)(ir::Node&)> rules{
          {"Conv", &Follower::conv},
          {"ConvTranspose", &Follower::conv},
          {"Gemm", &Follower::gemm},
          {"MatMul", &Follower::matmul},
          {"BatchNormalization", &Follower::norm},
          {"InstanceNormalization", &Follower::norm},
          {"Softmax", &Follower::softmax},
          {"LogSoftmax", &Follower::softmax},
          {"Concat", &Follower::concat},
          {"Split", &Follower::split},
          {"Transpose", &Follower::transpose},
          {"Reshape", &Follower::reshape},
          {"Flatten", &Follower::reshape},
          {"Squeeze", &Follower::reshape},
          {"Unsqueeze", &Follower::reshape}};
      for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Pow", "PRelu", "Where"}) {
        rules[op] = &Follower::elementwise;
      }
      for (const char* op : {"MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"}) {
        rules[op] = &Follower::pool;
      }
      for (const char* op : {"ReduceMean", "ReduceMax", "ReduceSum", "ReduceMin", "ReduceL2"}) {
        rules[op] = &Follower::reduce;
      }
      return rules;
    }();
    static const std::vector<std::string_view> unary = {"Relu",       "LeakyRelu",
                                                        "Elu",        "Selu",
                                                        "Celu",       "Sigmoid",
                                                        "Tanh",       "HardSigmoid",
                                                        "HardSwish",  "Softplus",
                                                        "Softsign",   "Mish",
                                                        "Swish",      "Gelu",
                                                        "Erf",        "Exp",
                                                        "Log",        "Sqrt",
                                                        "Reciprocal", "Abs",
                                                        "Neg",        "Clip",
                                                        "Identity",   "Dropout",
                                                        "Cast",       "ThresholdedRelu",
                                                        "Round",      "Floor",
                                                        "Ceil"};
    if (node.domain().empty()) {
      if (const auto found = table.find(node.op_type()); found != table.end()) return (this->*found->second)(node);
      if (std::find(unary.begin(), unary.end(), node.op_type()) != unary.end()) {
        if (node.is("Dropout") && node.output(1) && node.output(1)->has_uses())
          return pin_inputs(node, "mask is in use");
        return pass_through(node);
      }
    }
    pin_inputs(node, node.op_type());
  }

  ChannelFlow& flow_;
  ir::Graph& graph_;
  std::int64_t opset_;
  std::unordered_map<const ir::Value*, Axes> values_;
  std::set<const ir::Value*> conflicts_;
};

ChannelFlow::ChannelFlow(ir::Model& model) { Follower(*this, model).run(); }

}  // namespace hone::prune
