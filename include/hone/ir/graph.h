// Graph, Node and Value: nodes in topological order, with use-def chains.
//
// Node* and Value* stay valid until erased. Inserting a node, replacing all uses of a value and erasing a node cost
// O(1) or O(uses). A subgraph (body of If, Loop, Scan) sees values of the graphs around it as ordinary uses. Nothing
// here recurses over a chain of nodes; subgraph nesting is capped by the reader.
//
// Errors in here are programming errors (hone::Error of kind internal): whoever builds a graph from outside input
// checks it first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "hone/ir/attribute.h"
#include "hone/ir/inline_vector.h"

namespace hone::ir {

class Graph;
class Node;

// One input slot of a node that holds a value.
struct Use {
  Node* node = nullptr;
  std::size_t index = 0;
};

// What the IR does not model of a SparseTensorProto initializer is nothing: values and indices are ordinary tensors.
struct SparseTensor {
  Tensor values;   // [NNZ], its rest holds the name
  Tensor indices;  // int64 [NNZ] linear or [NNZ, rank]
  Dims dims;
  std::string rest;  // unknown fields
};

// The declaration of a value in the file (ValueInfoProto): written back as it was while `type` of the value is as read.
struct ValueInfo {
  std::string wire;  // serialized ValueInfoProto without its name
  // Where the file declares a value more than once (as an input that is also an output, in value_info besides either):
  // the later declarations, by their place in value_info, or -1 - i for output i.
  std::vector<std::pair<std::int64_t, std::string>> again;
};

// A name, kept once for all graphs of a model.
struct Name {
  std::string text;
};

class Value {
 public:
  const std::string& name() const { return name_->text; }
  Graph& graph() const { return *graph_; }      // where it is defined
  Node* producer() const { return producer_; }  // null: a graph input or an initializer
  std::size_t output_index() const { return output_index_; }

  // Uses by nodes, in this graph and in subgraphs, in no order that means anything. Graph outputs are not among them:
  // see is_graph_output(). Whoever changes uses while walking over them walks over a copy.
  std::span<const Use> uses() const { return uses_; }
  bool has_uses() const { return !uses_.empty() || !output_of_.empty(); }
  // The single use by a node, if that is all there is (not also a graph output).
  const Use* only_use() const { return uses_.size() == 1 && output_of_.empty() ? &uses_[0] : nullptr; }
  bool is_graph_input() const { return is_input_; }
  bool is_graph_output() const { return !output_of_.empty(); }
  // The graphs this is an output of, once for each output slot: its own, or subgraphs that pass it through.
  std::span<Graph* const> output_of() const { return output_of_; }

  const Tensor* initializer() const { return initializer_.get(); }
  const SparseTensor* sparse_initializer() const { return sparse_.get(); }

  // The best type known: declared in the file, or inferred since. kind unknown if nothing is.
  const Type& type() const { return type_; }
  const std::optional<Shape>& shape() const { return type_.shape; }
  ElementType element_type() const { return type_.element; }
  // For inference. The declaration of a graph input or output stays as the file has it; one of an intermediate value
  // that the new type makes stale is derived from type() by the writer.
  void set_type(Type type);
  // Whether the file declares it, and how. declare() makes the writer derive the declaration from type().
  const ValueInfo* info() const { return info_.get(); }
  bool is_declared() const { return declared_; }
  void declare() {
    declared_ = true;
    info_.reset();
  }
  void undeclare() {
    declared_ = false;
    info_.reset();
  }
  // Takes over how `other` is declared: for the value that becomes a graph output in its place.
  void adopt_declaration(Value& other) {
    declared_ = other.declared_;
    info_ = std::move(other.info_);
    declaration_order_ = other.declaration_order_;
    other.declared_ = false;
    other.declaration_order_ = -1;
  }

 private:
  friend class Graph;
  friend class Node;
  friend struct GraphAccess;  // the onnx reader: order of declarations
  friend struct Cloner;
  friend struct Verifier;
  friend void verify(const Graph& graph);
  friend const Tensor* constant(const Value* value);
  Value() = default;

  const Name* name_ = nullptr;
  Graph* graph_ = nullptr;
  Node* producer_ = nullptr;
  std::size_t output_index_ = 0;
  InlineVector<Use, 2> uses_;  // unordered; each slot knows its place here
  std::vector<Graph*> output_of_;
  bool is_input_ = false;
  bool declared_ = false;
  std::int64_t declaration_order_ = -1;  // place in value_info; new ones come last
  std::unique_ptr<Tensor> initializer_;
  std::unique_ptr<SparseTensor> sparse_;
  std::unique_ptr<ValueInfo> info_;
  Type type_;
  std::size_t initializer_index_ = 0;
  mutable std::unique_ptr<const Tensor> materialized_;  // constant() of a Constant node's value_int, value_floats ...
};

class Node {
 public:
  const std::string& op_type() const { return op_type_; }
  const std::string& domain() const { return domain_; }  // "" for ai.onnx, always
  const std::string& overload() const { return overload_; }
  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }
  void set_op(std::string op_type, std::string domain = "", std::string overload = "");
  bool is(std::string_view op_type) const { return domain_.empty() && op_type_ == op_type; }
  bool is(std::string_view domain, std::string_view op_type) const { return domain_ == domain && op_type_ == op_type; }
  Graph& graph() const { return *graph_; }

  // Slots; null where an optional input is left out. input(i) is null too past the end.
  std::size_t input_count() const { return inputs_.size(); }
  Value* input(std::size_t index) const { return index < inputs_.size() ? inputs_[index].value : nullptr; }
  void set_input(std::size_t index, Value* value);  // grows with empty slots
  void add_input(Value* value) { set_input(inputs_.size(), value); }
  void remove_input(std::size_t index);  // shifts the later ones
  void trim_inputs();                    // drops empty slots at the end

  std::size_t output_count() const { return outputs_.size(); }
  Value* output(std::size_t index = 0) const { return index < outputs_.size() ? outputs_[index] : nullptr; }
  // A new value for the output slot (grows with empty slots); named by the graph if `name` is empty. No value of this
  // very graph may have the name; one of a graph around it may (files do that), as long as nothing in here uses it.
  Value* add_output(std::string name = "");
  Value* set_output(std::size_t index, std::string name);
  void drop_output(std::size_t index);  // it must have no uses; the slot becomes empty, empty ones at the end go

  const std::vector<Attribute>& attributes() const { return attributes_; }
  std::vector<Attribute>& attributes() { return attributes_; }
  const Attribute* attribute(std::string_view name) const;
  Attribute* attribute(std::string_view name);
  bool has_attribute(std::string_view name) const { return attribute(name) != nullptr; }
  // The value, or the default where the attribute is absent. Raise bad_input when it has another type.
  std::int64_t int_or(std::string_view name, std::int64_t fallback) const;
  float float_or(std::string_view name, float fallback) const;
  std::string string_or(std::string_view name, std::string_view fallback) const;
  std::vector<std::int64_t> ints_or(std::string_view name, std::vector<std::int64_t> fallback) const;
  std::vector<float> floats_or(std::string_view name, std::vector<float> fallback) const;
  const Tensor* tensor(std::string_view name) const;
  Graph* subgraph(std::string_view name) const;
  void set_attribute(std::string name, Attribute::Payload payload);  // replaces (rest and all) or appends
  void remove_attribute(std::string_view name);
  bool has_subgraphs() const;
  // Calls f(Graph&) for each subgraph of the attributes, in order.
  template <typename F>
  void for_each_subgraph(F&& f) const;

  // Order in the graph.
  Node* next() const { return next_; }
  Node* previous() const { return previous_; }
  bool is_before(const Node& other) const;  // both in one graph; O(1)

  // Serialized NodeProto fields the IR does not model: doc_string, metadata_props, device_configurations, unknown ones,
  // and modelled ones that were present but empty or spelled "ai.onnx". Written first: modelled fields override it.
  // Every `rest` in this layer works like that.
  const std::string& rest() const { return rest_; }
  void set_rest(std::string rest) { rest_ = std::move(rest); }

  // Free for the pass or executor that walks: not kept across passes.
  std::uint32_t mark = 0;

 private:
  friend class Graph;
  friend class Value;
  friend struct GraphAccess;
  friend struct Cloner;
  friend struct Verifier;
  Node() = default;

  void drop_use(std::size_t index);  // empties the slot

  struct Slot {
    Value* value = nullptr;
    std::size_t place = 0;  // in value->uses_
  };
  std::string op_type_, domain_, overload_, name_;
  Graph* graph_ = nullptr;
  Node* next_ = nullptr;
  Node* previous_ = nullptr;
  std::uint64_t position_ = 0;
  InlineVector<Slot, 3> inputs_;
  InlineVector<Value*, 2> outputs_;
  std::vector<Attribute> attributes_;
  std::string rest_;
};

// Names in use in a model's main graph and all graphs inside it; shared by them. Sibling subgraphs may repeat a name.
class NameTable;

class Graph {
 public:
  Graph();                       // a main graph or function body
  explicit Graph(Node& parent);  // a subgraph: an attribute of `parent` will own it
  ~Graph();                      // iterative over nodes
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }
  Node* parent_node() const { return parent_; }  // null for a main graph or function body
  Graph* parent_graph() const { return parent_ ? &parent_->graph() : nullptr; }
  const Graph& root() const;                // the main graph or function body around it, or itself
  bool encloses(const Graph& inner) const;  // or is the same

  // Signature.
  std::span<Value* const> inputs() const { return inputs_; }
  std::span<Value* const> outputs() const { return outputs_; }
  Value* add_input(std::string name, Type type = {});
  // It must have no uses and not be an output; one with an initializer may, and stays as a plain initializer.
  void remove_input(std::size_t index);
  void add_output(Value* value);  // declared in this graph or around it
  void set_output(std::size_t index, Value* value);
  void remove_output(std::size_t index);

  // Initializers, in order. An initializer that is also a graph input can be overridden by the caller.
  std::vector<Value*> initializers() const;
  // A fresh name derived from `name` if that is taken (in a subgraph: in it or around it, siblings may have it too).
  // `exact`: taken in this very graph is an error, and shadowing a name from around it is allowed; for readers.
  Value* add_initializer(std::string name, Tensor tensor, bool exact = false);
  Value* add_sparse_initializer(std::string name, SparseTensor tensor, bool exact = false);
  void set_initializer(Value& value, Tensor tensor);  // new contents, or turns a plain input's default on
  void remove_initializer(Value& value);              // the value goes if it is no graph input; no uses then

  // Nodes, in topological order.
  Node* first() const { return first_; }
  Node* last() const { return last_; }
  std::size_t node_count() const { return node_count_; }
  // for (Node& node : graph.nodes()): the current node may be erased by the body, but not the one after it; nodes may be
  // inserted (one put right behind the current node is not visited).
  class NodeRange;
  NodeRange nodes() const;
  // A node without inputs and outputs; `before` null: at the end. Add inputs and outputs afterwards.
  Node& insert(std::string op_type, Node* before = nullptr, std::string domain = "");
  Node& insert(std::string op_type, const std::vector<Value*>& inputs, std::size_t outputs, Node* before = nullptr,
               std::string domain = "");
  void move_before(Node& node, Node* before);
  void erase(Node& node);  // its outputs must have no uses
  // Sorts so that producers come before users, keeping the order where it is free; false if there is a cycle (the graph
  // is then as it was). Subgraphs are not sorted; what they use counts as used by their node.
  [[nodiscard]] bool sort();

  // Values.
  Value* find(std::string_view name) const;           // defined in this very graph
  Value* find_in_scope(std::string_view name) const;  // here or in a graph around it
  // All values defined here (inputs, initializers, outputs of nodes), unordered.
  void for_each_value(const std::function<void(Value&)>& f) const;
  // `name` ("value" if empty) if nobody in the model uses it, else name_1, name_2 ... Near O(1) however often asked. The
  // name is not reserved. Not for several threads at once.
  std::string fresh_name(std::string_view name) const;
  void rename(Value& value, std::string name);  // the name must be free in scope
  void exchange_names(Value& a, Value& b);      // O(1); so that a graph output can keep its name on another value
  // Every use, and graph outputs if `outputs`, moves over to `replacement` (which must be visible at each of them; that it
  // is defined before them is not checked here but by verify()). A graph output slot then refers to the replacement and
  // is called what that is called: whoever must keep the name of an output calls exchange_names afterwards, as
  // rewrite::Rewriter does.
  void replace_all_uses(Value& value, Value& replacement, bool outputs = true);
  // The uses by nodes for which `chosen` says so; for example all but that of the node that makes the replacement.
  void replace_uses_if(Value& value, Value& replacement, const std::function<bool(const Use&)>& chosen);

  // Serialized GraphProto fields the IR does not model: doc_string, quantization_annotation, metadata_props, unknown.
  const std::string& rest() const { return rest_; }
  void set_rest(std::string rest) { rest_ = std::move(rest); }
  // value_info entries of names that no value has, as (place, serialized ValueInfoProto); with place -1 - i the declaration
  // of output i where that is a value of a graph around this one.
  std::vector<std::pair<std::int64_t, std::string>> dangling_infos;

 private:
  friend class Node;
  friend class Value;
  friend struct GraphAccess;
  friend struct Cloner;
  friend struct Verifier;
  friend void verify(const Graph& graph);

  Value* make_value(std::string_view name);
  void destroy(Value* value);
  std::string initializer_name(std::string name, bool exact) const;
  void enlist_initializer(Value& value);
  void delist_initializer(Value& value);
  void refer_output(Value* value);  // this graph has one more output slot that holds value
  void unrefer_output(Value* value);
  void link(Node& node, Node* before);  // into the list, with a position
  void unlink(Node& node);
  void make_room(Node& node);                      // renumbers around it so that there is a free position behind it
  void unshadow(Value& value, const Graph& user);  // renames values that would catch value's name on its way to user
  void rename_in_table(Value& value, std::string_view name);
  void unshadow_uses(Value& value);

  std::string name_;
  Node* parent_ = nullptr;
  std::shared_ptr<NameTable> names_;
  std::vector<Value*> inputs_, outputs_;
  std::vector<Value*> initializers_;  // null where one was removed
  std::size_t removed_initializers_ = 0;
  Node* first_ = nullptr;
  Node* last_ = nullptr;
  std::size_t node_count_ = 0;
  std::string rest_;
};

class Graph::NodeRange {
 public:
  class iterator {
   public:
    explicit iterator(Node* node) : node_(node), next_(node ? node->next() : nullptr) {}
    Node& operator*() const { return *node_; }
    Node* operator->() const { return node_; }
    iterator& operator++() {
      node_ = next_;
      next_ = node_ ? node_->next() : nullptr;
      return *this;
    }
    bool operator!=(const iterator& other) const { return node_ != other.node_; }

   private:
    Node* node_;
    Node* next_;
  };
  explicit NodeRange(Node* first) : first_(first) {}
  iterator begin() const { return iterator(first_); }
  iterator end() const { return iterator(nullptr); }

 private:
  Node* first_;
};

inline Graph::NodeRange Graph::nodes() const { return NodeRange(first_); }

template <typename F>
void Node::for_each_subgraph(F&& f) const {
  for (const Attribute& attribute : attributes_) {
    if (const auto* graph = attribute.get<std::unique_ptr<Graph>>()) {
      f(**graph);
    } else if (const auto* graphs = attribute.get<std::vector<std::unique_ptr<Graph>>>()) {
      for (const auto& each : *graphs) f(*each);
    }
  }
}

// The node of `graph` that is `node` or has it in a subgraph, at any depth: the place where what `node` uses from `graph`
// must be defined before. Null if `graph` does not enclose it.
Node* ancestor_in(const Graph& graph, Node& node);

// The tensor a value always has: an initializer that no caller can override, or the output of a Constant node with a
// dense value. Null otherwise, and for a null value. For the short forms of Constant (value_int, value_floats ...) a tensor
// is made on the first call and kept with the value; the node stays as it was read. The pointer lives until the
// initializer or the attribute changes. Safe to call from several threads while nobody changes the graph.
const Tensor* constant(const Value* value);
// For small integer constants (axes, shapes, pads) of up to `limit` elements: the elements, or nullopt.
std::optional<std::vector<std::int64_t>> constant_ints(const Value* value, std::int64_t limit = 4096);
std::optional<double> constant_scalar(const Value* value);  // one element, any number type

// Copies of a node, of a graph's contents or of a graph as a subgraph of `new_parent`. `map` holds the stand-ins of values
// defined outside what is copied (outer values not in it stay themselves) and receives those of everything copied. A copy
// keeps its name where that is free, and has a name derived from it elsewhere. Tensors are shared.
using ValueMap = std::unordered_map<const Value*, Value*>;
Node& clone_into(const Node& node, Graph& to, Node* before, ValueMap& map);
// All nodes and initializers; `map` must hold all graph inputs. For inlining a branch or a function.
void clone_into(const Graph& from, Graph& to, Node* before, ValueMap& map);
std::unique_ptr<Graph> clone_subgraph(const Graph& graph, Node& new_parent, ValueMap& map);
// A whole main graph or function body, with exactly the names it has.
std::unique_ptr<Graph> clone_graph(const Graph& graph);
// The attribute for `owner`, with copies of its subgraphs.
Attribute clone_attribute(const Attribute& attribute, Node& owner, ValueMap& map);

// Calls f(Graph&) for `graph` and every graph inside it, outer first.
void for_each_graph(Graph& graph, const std::function<void(Graph&)>& f);
std::size_t total_node_count(const Graph& graph);  // with subgraphs

// All invariants of the data structure (chains, positions, names, scopes), here and in all graphs inside; raises internal
// naming the first one broken. For tests, --verify-passes and debug builds.
void verify(const Graph& graph);

}  // namespace hone::ir
