// The one object that edits a graph.
//
// A rule looks at a const node, decides, and asks the Rewriter for edits. The Rewriter keeps what every rewrite must
// keep: names of graph outputs, types and symbolic contents of new values (through shapes::Inference), and the worklist of
// nodes that are worth another look.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hone/ir/attribute_list.h"
#include "hone/ir/model.h"
#include "hone/shapes/inference.h"
#include "hone/support/observer.h"

namespace hone::rewrite {

// What a rule or pass did; failures are exceptions. Unchanged means that nothing at all was changed.
enum class [[nodiscard]] Status{unchanged, changed};
inline Status operator|(Status a, Status b) { return a == Status::changed ? a : b; }
inline Status& operator|=(Status& a, Status b) { return a = a | b; }

// Why a rule left a node alone.
struct Refusal {
  const ir::Node* node;
  std::string_view reason;  // a literal
};

using ir::Attributes;
using ir::attributes;

class Worklist;

class Rewriter {
 public:
  Rewriter(ir::Model& model, shapes::Inference& shapes, Worklist* worklist = nullptr);

  ir::Model& model() const { return model_; }
  shapes::Inference& shapes() const { return shapes_; }
  // Version of a domain that nodes of this graph have: that of the function for nodes of a function body.
  std::int64_t opset(const ir::Node& node, std::string_view domain = "") const;

  // ---- answers of a rule that does nothing
  Status decline(const ir::Node& node, std::string_view reason);

  // ---- new things
  // An initializer of the graph that `near` is in (main graph of a subgraph nest: same graph, so that nothing moves
  // between scopes). Its name derives from `name`.
  ir::Value& constant(const ir::Node& near, ir::Tensor tensor, std::string_view name);
  ir::Value& constant_ints(const ir::Node& near, const std::vector<std::int64_t>& values, std::string_view name);
  // A node before `before` with `outputs` fresh outputs; types are inferred at once. It carries the name and metadata of
  // `origin` where it stands for that node (null: none).
  ir::Node& add(std::string op_type, const std::vector<ir::Value*>& inputs, Attributes attributes, ir::Node& before,
                const ir::Node* origin = nullptr, std::size_t outputs = 1, std::string domain = "");

  // ---- replacing
  // Output 0 of `node` (its only output in use) becomes `value`, which must be visible before `node` and equal in type;
  // the node goes. Where a graph output would lose its name (value is an input, an initializer, another output or from an
  // outer scope) the node is turned into Identity(value) instead; unchanged if it is that already.
  Status replace(ir::Node& node, ir::Value& value);
  // All uses of `old` go over to `value`; graph outputs keep their names (false, nothing done, where that can't be).
  bool replace_value(ir::Value& old, ir::Value& value);
  // A new node took the place of `node`, output by output; the old node goes.
  Status replace_with(ir::Node& node, ir::Node& replacement);
  // `tensor` becomes the contents of output `index`: an initializer of the same name (an Identity or Constant node where
  // the value is a graph output). The node goes when nothing uses it any more.
  Status fold(ir::Node& node, const std::vector<ir::Tensor>& tensors);

  // ---- changing a node in place
  void set_input(ir::Node& node, std::size_t index, ir::Value* value);
  void remove_input(ir::Node& node, std::size_t index);
  void set_attribute(ir::Node& node, std::string name, ir::Attribute::Payload payload);
  void remove_attribute(ir::Node& node, std::string_view name);
  void set_op(ir::Node& node, std::string op_type, std::string domain = "");
  void set_tensor(ir::Value& initializer, ir::Tensor tensor);  // the initializer must have no other users than meant
  void move_before(ir::Node& node, ir::Node& before);
  // Removes a node whose outputs have no uses, then initializers and producers that are left without a use.
  void erase(ir::Node& node);
  // After edits made directly on the IR (whole-model passes): infer and look again.
  void touched(ir::Node& node);
  // The results have another shape now: what was known and declared of it is void.
  void retype(ir::Node& node);
  // Edits that make sense only together, as of a permutation and of what it permutes: types are inferred when `edit()` is
  // done, node after node in the order of the graph, and never of a graph that is between two shapes. What was inferred
  // of one would stay: types only get better.
  template <typename Edit>
  void together(Edit&& edit);

  // ---- statistics
  std::uint64_t edits() const { return edits_; }
  const std::map<std::string_view, std::uint64_t>& refusals() const { return refusals_; }
  void set_refusal_log(std::vector<Refusal>* log) { log_ = log; }

 private:
  friend class Driver;
  void erase_unused(ir::Value* value);
  void update(ir::Node& node);  // of its types; later where edits belong together
  void settle();                // updates that wait

  ir::Model& model_;
  shapes::Inference& shapes_;
  Worklist* worklist_;
  bool waits_ = false;
  std::vector<ir::Node*> waiting_;
  std::uint64_t edits_ = 0;
  std::map<std::string_view, std::uint64_t> refusals_;
  std::vector<Refusal>* log_ = nullptr;
};

template <typename Edit>
void Rewriter::together(Edit&& edit) {
  const bool outer = std::exchange(waits_, true);
  edit();
  waits_ = outer;
  if (!waits_) settle();
}

}  // namespace hone::rewrite
