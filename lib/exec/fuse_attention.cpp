#include "exec/fuse_attention.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "exec/fuse.h"

namespace hone::exec {
namespace {

using Order = FusedAttention::Order;
using Values = std::unordered_set<const ir::Value*>;

// The attributes are lists of numbers.
constexpr const char *orders_name = "fused_orders", *scale_name = "fused_scale", *kinds_name = "fused_kinds",
                     *numbers_name = "fused_numbers";

class Pattern {
 public:
  Pattern(PrivateGraph& graph, const Values& kept, ir::Node& softmax) : graph_(graph), kept_(kept), softmax_(softmax) {}

  bool match() {
    if (!is_over_last_axis()) return false;
    nodes_.push_back(&softmax_);
    ir::Node* product = only_user(softmax_.output(0));
    if (!product || !product->is("MatMul") || product->input(0) != softmax_.output(0) ||
        product->input(1) == softmax_.output(0)) {
      return false;
    }
    nodes_.push_back(product);
    result_ = product->output(0);
    ir::Node* scores = find_scores(softmax_.input(0));
    if (!scores) return false;
    nodes_.push_back(scores);
    for (const ir::Value* input : {scores->input(0), scores->input(1), product->input(1)}) {
      if (!input) return false;
    }
    std::reverse(steps_.begin(), steps_.end());
    std::reverse(operands_.begin(), operands_.end());
    queries_ = see_through(scores->input(0), found_.queries, {{{0, 2, 1, 3}, Order::by_row}});
    keys_ = see_through(scores->input(1), found_.keys,
                        {{{0, 2, 3, 1}, Order::by_row}, {{0, 1, 3, 2}, Order::by_head}, {{0, 2, 1}, Order::by_head}});
    values_ = see_through(product->input(1), found_.values, {{{0, 2, 1, 3}, Order::by_row}});
    if (ir::Node* transpose = only_user(result_); transpose && has_order(*transpose, {0, 2, 1, 3})) {
      found_.result = Order::by_row;
      nodes_.push_back(transpose);
      result_ = transpose->output(0);
    }
    return true;
  }

  void replace() {
    ir::Node* last = nodes_[0];
    for (ir::Node* node : nodes_) {
      if (last->is_before(*node)) last = node;
    }
    std::vector<ir::Value*> inputs = {queries_, keys_, values_};
    inputs.insert(inputs.end(), operands_.begin(), operands_.end());
    ir::Node& fused = last->graph().insert("Attention", last, std::string(fused_domain));
    for (ir::Value* input : inputs) fused.add_input(input);
    const auto number = [](auto value) { return static_cast<std::int64_t>(value); };
    std::vector<std::int64_t> kinds;
    std::vector<float> numbers;
    for (const Step& step : steps_) {
      kinds.push_back(number(step.kind));
      numbers.push_back(step.number);
    }
    fused.set_attribute(orders_name, std::vector<std::int64_t>{number(found_.queries), number(found_.keys),
                                                               number(found_.values), number(found_.result)});
    fused.set_attribute(scale_name, found_.scale);
    fused.set_attribute(kinds_name, std::move(kinds));
    fused.set_attribute(numbers_name, std::move(numbers));
    graph_.inherit(fused, softmax_);
    graph_.replace(std::move(nodes_), *result_, fused);
  }

 private:
  using Step = FusedAttention::Step;

  bool is_over_last_axis() const {
    const bool counts_from_end = graph_.opset(softmax_) >= 13;
    const std::int64_t axis = softmax_.int_or("axis", counts_from_end ? -1 : 1);
    if (axis == -1) return true;
    const auto& shape = softmax_.input(0) ? softmax_.input(0)->shape() : softmax_.output(0)->shape();
    return shape && axis + 1 == static_cast<std::int64_t>(shape->size());
  }

  bool is_private(const ir::Value& value) const {
    return value.only_use() && !value.is_graph_output() && !kept_.contains(&value) &&
           &value.only_use()->node->graph() == &softmax_.graph();
  }
  ir::Node* only_user(const ir::Value* value) const {
    return value && is_private(*value) ? value->only_use()->node : nullptr;
  }
  // The node that makes a value for nobody else.
  ir::Node* only_maker(const ir::Value* value) const {
    ir::Node* maker = value ? value->producer() : nullptr;
    return maker && &maker->graph() == &softmax_.graph() && is_private(*value) ? maker : nullptr;
  }

  // The MatMul of queries and keys, with the steps behind it, the last one first; null if there is none.
  ir::Node* find_scores(const ir::Value* value) {
    ir::Node* node = only_maker(value);
    if (!node || nodes_.size() > most_nodes) return nullptr;
    if (node->is("MatMul")) return ir::constant(node->input(1)) || ir::constant(node->input(0)) ? nullptr : node;
    if (node->is("Mul") || node->is("Div")) {
      for (const std::size_t at : {0, 1}) {
        const auto factor = constant_float(node->input(1 - at));
        if (!factor || !(std::abs(*factor) > 0) || !std::isfinite(*factor) || !std::isfinite(1 / *factor)) continue;
        if (node->is("Div") && at == 1) continue;
        found_.scale *= node->is("Mul") ? *factor : 1 / *factor;
        nodes_.push_back(node);
        scaled_ = true;
        return find_scores(node->input(at));
      }
      return nullptr;
    }
    if (scaled_ || steps_.size() == most_steps) return nullptr;
    if (node->is("Add")) {
      for (const std::size_t at : {0, 1}) {
        ir::Value* other = node->input(1 - at);
        if (!other || other == node->input(at)) continue;
        const Pattern before = *this;
        take(*node, {Step::Kind::add, 0}, *other);
        if (ir::Node* scores = find_scores(node->input(at))) return scores;
        restore(before);
      }
      return nullptr;
    }
    if (node->is("Where")) {
      for (const std::size_t at : {1, 2}) {
        const auto other = constant_float(node->input(3 - at));
        if (!other || !node->input(0)) continue;
        take(*node, {at == 1 ? Step::Kind::where_true : Step::Kind::where_false, *other}, *node->input(0));
        return find_scores(node->input(at));
      }
    }
    return nullptr;
  }
  void take(ir::Node& node, Step step, ir::Value& operand) {
    nodes_.push_back(&node);
    steps_.push_back(step);
    operands_.push_back(&operand);
  }
  void restore(const Pattern& before) {
    nodes_ = before.nodes_;
    steps_ = before.steps_;
    operands_ = before.operands_;
    found_ = before.found_;
    scaled_ = before.scaled_;
  }

  static bool has_order(const ir::Node& node, const std::vector<std::int64_t>& order) {
    return node.is("Transpose") && node.ints_or("perm", {}) == order && node.input(0);
  }
  struct Known {
    std::vector<std::int64_t> order;
    Order becomes;
  };
  // What is transposed, where that is all a transposition is for.
  ir::Value* see_through(ir::Value* value, Order& order, const std::vector<Known>& known) {
    ir::Node* node = only_maker(value);
    for (const Known& each : known) {
      if (!node || !has_order(*node, each.order)) continue;
      order = each.becomes;
      nodes_.push_back(node);
      return node->input(0);
    }
    return value;
  }

  static constexpr std::size_t most_steps = 4, most_nodes = 16;

  PrivateGraph& graph_;
  const Values& kept_;
  ir::Node& softmax_;
  std::vector<ir::Node*> nodes_;  // what becomes one, in any order
  FusedAttention found_;
  bool scaled_ = false;
  std::vector<Step> steps_;
  std::vector<ir::Value*> operands_;
  ir::Value *queries_ = nullptr, *keys_ = nullptr, *values_ = nullptr, *result_ = nullptr;
};

}  // namespace

std::optional<FusedAttention> read_attention(const ir::Node& node) {
  if (!node.is(fused_domain, "Attention")) return std::nullopt;
  FusedAttention result;
  const auto orders = node.ints_or(orders_name, {}), kinds = node.ints_or(kinds_name, {});
  const auto numbers = node.floats_or(numbers_name, {});
  Order* const places[] = {&result.queries, &result.keys, &result.values, &result.result};
  for (std::size_t i = 0; i < std::size(places); ++i) *places[i] = static_cast<Order>(orders[i]);
  result.scale = node.float_or(scale_name, 1);
  for (std::size_t i = 0; i < kinds.size(); ++i)
    result.steps.push_back({static_cast<FusedAttention::Step::Kind>(kinds[i]), numbers[i]});
  return result;
}

void fuse_attention(PrivateGraph& graph, const std::vector<std::string>& keep) {
  Values kept;
  for (const std::string& name : keep) kept.insert(graph.find(name));
  for (ir::Graph* each : graph.running_graphs()) {
    std::vector<ir::Node*> candidates;
    for (ir::Node& node : each->nodes()) {
      if (node.is("Softmax") && node.output(0)) candidates.push_back(&node);
    }
    for (ir::Node* softmax : candidates) {
      Pattern pattern(graph, kept, *softmax);
      if (pattern.match()) pattern.replace();
    }
  }
}

}  // namespace hone::exec
