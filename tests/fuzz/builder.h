// Builds a valid graph node by node: every node is run on a sample as soon as it is made, so that its outputs have known
// shapes, and one that does not compute is taken back.
//
// Operators that changed from opset to opset (axes as attribute or input ...) have a function that writes the form of the
// model's opset.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "hone/ir/model.h"
#include "hone/support/random.h"

namespace hone::fuzz {

// A pattern that can't be built from what there is: it is given up, what was made of it stays as dead code.
struct Rejected {};

// A value and what it is in one run of the model.
struct Item {
  ir::Value* value = nullptr;
  ir::Tensor sample;

  std::size_t rank() const { return sample.rank(); }
  std::int64_t dim(std::size_t axis) const { return sample.dims()[axis]; }
  const ir::Dims& dims() const { return sample.dims(); }
  ir::ElementType type() const { return sample.type(); }
  bool is_float() const { return type() == ir::ElementType::float32; }
};

using Ints = std::vector<std::int64_t>;
using Payload = std::variant<float, std::int64_t, std::string, ir::Tensor, std::vector<float>, Ints>;
using Named = std::pair<std::string, Payload>;

class Builder {
 public:
  Builder(std::uint64_t seed, std::int64_t opset, std::int64_t ir_version, bool dynamic);

  // ---- chance
  Random random;
  std::int64_t below(std::int64_t bound) {
    if (bound <= 0) throw Rejected{};  // nothing to choose from: a dimension of 0
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound)));
  }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  bool chance(double probability) { return random.uniform() < probability; }
  // The first, or the second. Functions, because GCC 12 gets conditional expressions with braced lists of items wrong:
  // where one raises, it destroys what the other would have made.
  template <typename F, typename G>
  static Item either(bool first, const F& f, const G& g) {
    return first ? f() : g();
  }
  template <typename T>
  const T& one_of(const std::vector<T>& choices) {
    return choices[static_cast<std::size_t>(below(static_cast<std::int64_t>(choices.size())))];
  }
  Ints permutation(std::size_t rank);

  // ---- tensors
  ir::Tensor floats(const ir::Dims& dims);  // mostly small numbers, now and then all 0, all 1, or with NaN, Inf and -0
  ir::Tensor number(float value, const ir::Dims& dims = {}) const;
  ir::Tensor tensor(ir::ElementType type, const ir::Dims& dims);

  // ---- values
  ir::Model model;
  const std::int64_t opset;
  ir::Graph& graph() { return *scopes_.back().graph; }
  // Of a rank (-1: any) and type that is there already, rather a recent one; a new input of the main graph where none fits.
  Item pick(int rank = -1, ir::ElementType type = ir::ElementType::float32);
  std::optional<Item> find(const std::function<bool(const Item&)>& fits);
  Item input(const ir::Dims& dims, ir::ElementType type = ir::ElementType::float32);
  // An initializer (plain, shared with an equal one, or one the caller may override), a Constant node, or computed from
  // constants.
  Item constant(const ir::Tensor& tensor);
  Item plain_constant(const ir::Tensor& tensor);
  Item ints(const Ints& values) { return constant(ir::Tensor::vector(values)); }
  const std::vector<Item>& items() const { return scopes_.back().items; }

  // ---- nodes
  std::vector<Item> emit_all(const std::string& op, const std::vector<Item>& inputs,
                             const std::vector<Named>& attributes = {}, std::size_t outputs = 1,
                             const std::string& domain = "");
  Item emit(const std::string& op, const std::vector<Item>& inputs, const std::vector<Named>& attributes = {}) {
    return emit_all(op, inputs, attributes).front();
  }
  Item squeeze(const Item& x, const Ints& axes);
  Item unsqueeze(const Item& x, const Ints& axes);
  Item reduce(const std::string& op, const Item& x, const Ints& axes, bool keep);
  Item slice(const Item& x, const Ints& starts, const Ints& ends, const Ints& axes, const Ints& steps);
  Item pad(const Item& x, const Ints& pads, const std::string& mode, float value);
  Item clip(const Item& x, std::optional<float> low, std::optional<float> high);
  std::vector<Item> split(const Item& x, const Ints& sizes, std::int64_t axis);
  Item reshape(const Item& x, const Ints& target);
  Item cast(const Item& x, ir::ElementType type);
  Item transpose(const Item& x, const Ints& permutation);
  Item batch_normalization(const Item& x);

  // ---- subgraphs
  // Whatever is made until leave() goes into `graph`; values of the scopes around it can be used unless `isolated` (a
  // function body).
  void enter(ir::Graph& graph, bool isolated = false);
  void leave();
  std::size_t depth() const { return scopes_.size(); }
  bool in_function() const;
  void hide(const Item& item);  // from pick() and find()
  void add(Item item) { scopes_.back().items.push_back(std::move(item)); }

  // Inputs of the model, those with a default included.
  const std::vector<Item>& inputs() const { return inputs_; }
  // Sizes of the named dimensions in the sample.
  const std::map<std::string, std::int64_t>& symbols() const { return symbols_; }

 private:
  struct Scope {
    ir::Graph* graph;
    bool isolated;
    std::vector<Item> items, constants;
  };
  ir::Type declared(const ir::Dims& dims, ir::ElementType type);

  std::vector<Scope> scopes_;
  std::vector<Item> inputs_;
  std::map<std::string, std::int64_t> symbols_;
  bool dynamic_;
};

}  // namespace hone::fuzz
