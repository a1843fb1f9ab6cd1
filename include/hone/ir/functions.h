// Model-local functions, found by what a node calls and by their bodies, however many there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "hone/ir/graph.h"

namespace hone::ir {

class Model;

// Nodes of the default domain say ""; files may spell it out.
inline std::string_view plain_domain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

struct OpsetImport {
  std::string domain;  // "" for ai.onnx, as nodes have it
  std::int64_t version = 0;
  std::string rest;  // unknown fields; the spelling "ai.onnx" of the domain
};

struct Function {
  std::string domain, name, overload;
  std::vector<OpsetImport> opsets;
  // Inputs and outputs of the body are graph inputs and outputs; an attribute of a node in it may be a reference.
  std::unique_ptr<Graph> body;
  std::vector<std::string> attributes;        // required ones
  std::vector<Attribute> attribute_defaults;  // attribute_proto
  std::string rest;                           // doc_string, metadata_props, unknown fields
};

// In the order of the file. A function that is held here keeps its domain, name, overload and body: they are what it is
// found by. It stays where it is in memory while others come and go.
class Functions {
 public:
  Function& add(std::unique_ptr<Function> function);
  // Calls are the caller's to change.
  void rename(const Function& function, std::string name);
  template <typename Predicate>  // of const Function&
  void erase_if(const Predicate& predicate) {
    std::erase_if(list_, [&](const auto& each) { return predicate(std::as_const(*each)); });
    index();
  }
  // Takes all of them out.
  std::vector<std::unique_ptr<Function>> release();

  // The first of the name; null where there is none. "ai.onnx" and "" are one domain.
  Function* find(std::string_view domain, std::string_view name, std::string_view overload = "") const;
  // What the node calls; null where it is an operator.
  Function* called_by(const Node& node) const;
  // The function that the graph, or one around it, is the body of; null in the main graph.
  Function* around(const Graph& graph) const;

  bool empty() const { return list_.empty(); }
  std::size_t size() const { return list_.size(); }
  const std::unique_ptr<Function>& operator[](std::size_t i) const { return list_[i]; }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }

 private:
  struct Key {
    std::string_view domain, name, overload;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  static Key key(const Function& function);
  void index();

  std::vector<std::unique_ptr<Function>> list_;
  std::unordered_map<Key, Function*, KeyHash> by_name_;
  std::unordered_map<const Graph*, Function*> by_body_;
};

std::unique_ptr<Function> clone_function(const Function& function);

// Those that the main graph calls, and those that these call.
std::unordered_set<const Function*> reachable_functions(const Model& model);

}  // namespace hone::ir
