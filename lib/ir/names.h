// Names in use in a main graph and all graphs inside it. Private to lib/ir.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace hone::ir {

class NameTable {
 public:
  void add(const std::string& name) { ++entry(name).count; }
  void remove(std::string_view name) {
    if (closing) return;
    const auto found = entries_.find(name);
    if (--found->second.count == 0 && found->second.next_suffix == 0) entries_.erase(found);
  }
  // How many values have the name; sibling subgraphs may repeat one.
  std::uint32_t count(std::string_view name) const {
    const auto found = entries_.find(name);
    return found == entries_.end() ? 0 : found->second.count;
  }
  std::string fresh(std::string_view stem) {
    if (stem.empty()) stem = "value";
    if (count(stem) == 0) return std::string(stem);
    // The suffix that was free last time is where the search starts, so that n requests cost n steps.
    Entry& of_stem = entries_.find(stem)->second;
    if (of_stem.next_suffix == 0) of_stem.next_suffix = 1;
    for (;; ++of_stem.next_suffix) {
      std::string name = std::string(stem) + '_' + std::to_string(of_stem.next_suffix);
      if (count(name) == 0) return name;
    }
  }

  bool closing = false;  // the main graph is being destroyed: nobody will ask any more

 private:
  struct Entry {
    std::uint32_t count = 0;
    std::uint64_t next_suffix = 0;  // 0: never a stem
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  Entry& entry(const std::string& name) { return entries_[name]; }

  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries_;
};

}  // namespace hone::ir
