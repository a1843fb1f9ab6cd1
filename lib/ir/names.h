// Names in use in a main graph and all graphs inside it, each kept once. Private to lib/ir.
//
// A name knows the values that have it: one as a rule, at most one in each graph (sibling subgraphs may repeat a name). So
// one table serves to find a value in its graph, to tell which names are free, and to count.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "hone/ir/graph.h"
#include "ir/pool.h"

namespace hone::ir {

class NameTable {
 public:
  NameTable();
  ~NameTable();
  NameTable(const NameTable&) = delete;
  NameTable& operator=(const NameTable&) = delete;

  // The value of `graph` that has the name, or null.
  Value* find(std::string_view name, const Graph& graph) const;
  // How many values have the name.
  std::size_t count(std::string_view name) const;
  static std::size_t count(const Name& name);
  // `name` gets a holder in `graph`; null if that graph has one.
  const Name* add(std::string_view name, const Graph& graph, Value& value);
  // The value's name loses it as a holder. Names without one may go.
  void remove(const Name& name, const Graph& graph);
  // Two values, a with the name of_a, trade names. In different graphs only if nobody else has either name.
  static void exchange(const Name& of_a, Value& a, const Name& of_b, Value& b);
  std::string fresh(std::string_view stem);

  // Memory of all nodes and values of the graphs that share the table.
  Pool<Node> nodes;
  Pool<Value> values;

  bool closing = false;  // the main graph is being destroyed: nobody will ask any more

 private:
  struct Entry : Name {
    Value* first = nullptr;  // null: nobody has the name
    std::unique_ptr<std::unordered_map<const Graph*, Value*>> others;
    std::uint64_t hash = 0;
    std::uint64_t next_suffix = 0;  // where fresh() goes on; 0: never was a stem

    // Every Name is one.
    static Entry& of(const Name& name) { return const_cast<Entry&>(static_cast<const Entry&>(name)); }
    Value** holder(const Graph& graph);
  };
  struct Slot {
    std::uint64_t hash = 0;
    Entry* entry = nullptr;
  };

  std::uint64_t hash(std::string_view name) const;
  Slot* slot(std::string_view name, std::uint64_t hash);  // where the name is or would be
  Entry* lookup(std::string_view name) const;
  void grow();
  void erase(Entry& entry);

  std::vector<Slot> slots_;  // open addressing with linear probing; the size is a power of two
  std::size_t used_ = 0;
  std::uint64_t seed_;
  Pool<Entry> entries_;
};

}  // namespace hone::ir
