// One node on its way over one version of its operator: what a rule sees, and how it edits.
//
// The node stays where it is and keeps its outputs; a rule changes its inputs and attributes, puts nodes before it, or lets
// it become another operator while its work is done by a new node before it (work_before). New nodes are of the version
// the step leads to, and go on from there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "hone/ir/model.h"
#include "hone/rewrite/rewriter.h"
#include "hone/shapes/inference.h"

namespace hone::passes::opset {

using Ints = std::vector<std::int64_t>;
using rewrite::attributes;
using rewrite::Attributes;

// What all steps of a conversion share.
struct Context {
  ir::Model& model;
  shapes::Inference& shapes;
  std::int64_t target = 0;
  ir::OpsetImport* import = nullptr;  // of ai.onnx, of the model or the function at hand; says what inference goes by
  bool constants_are_nodes = false;   // no initializers: in functions, and before IR version 4
  std::optional<std::unordered_set<std::string>> node_names;  // those taken, once somebody asks

  void infer(ir::Node& node, std::int64_t version);  // types of its outputs
  std::string node_name(const std::string& base);
};

class Step {
 public:
  Step(Context& context, ir::Node& node, std::int64_t version, bool up)
      : node(node), version(version), up(up), context_(context), landing_(up ? version : version - 1) {}

  ir::Node& node;
  const std::int64_t version;  // the newer of the two: since_version of the operator that has the change
  const bool up;

  // ---- questions
  // The elements of an integer constant, or of what is known to be one.
  std::optional<Ints> ints(const ir::Value* value) const;
  std::optional<std::int64_t> rank(const ir::Value* value) const;
  ir::ElementType element(const ir::Value* value) const;  // undefined: not known
  std::int64_t target() const { return context_.target; }
  const ir::Model& model() const { return context_.model; }

  // ---- new things, before the node
  ir::Value* constant(ir::Tensor tensor, std::string_view suffix);
  ir::Value* constant(const Ints& values, std::string_view suffix) {
    return constant(ir::Tensor::vector(values), suffix);
  }
  // One number of a type; null where hone has no way to write that type.
  ir::Value* scalar(double value, ir::ElementType type, std::string_view suffix);
  ir::Value* add(std::string op_type, const std::vector<ir::Value*>& inputs, Attributes attributes,
                 std::string_view suffix);
  // The node's work as a new node: same operator, inputs, attributes, name and metadata, and new outputs. The node has
  // neither inputs nor attributes then, and has to become something else. Not for nodes with subgraphs.
  ir::Node& work_before(std::string_view suffix);
  void become(std::string op_type, const std::vector<ir::Value*>& inputs, Attributes attributes = {});
  // A node behind this one takes over what `output` of this one was: its users, its name and its declaration. `inner` is
  // the type that `output` has from now on.
  void after(ir::Value& output, std::string op_type, Attributes attributes, ir::Type inner);
  // The node `body` stands for is replaced by its nodes, which are of `version`; `node` is gone then.
  void replace_by(const ir::Function& body, std::int64_t version);

  // ---- the version that the node is of after this step; only where a rule knows better
  void land(std::int64_t version) { landing_ = version; }
  std::int64_t landing() const { return landing_; }
  bool gone() const { return gone_; }
  const std::vector<std::pair<ir::Node*, std::int64_t>>& made() const { return made_; }

 private:
  void name(ir::Node& made);

  Context& context_;
  std::int64_t landing_;
  bool gone_ = false;
  std::vector<std::pair<ir::Node*, std::int64_t>> made_;  // with their versions
};

}  // namespace hone::passes::opset
