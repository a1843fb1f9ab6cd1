// The table of names: open addressing, since models have as many names as nodes and look each up several times.
//
// Not handled: giving memory back while a graph shrinks.
#include "ir/names.h"

#include <cstring>
#include <random>
#include <utility>

namespace hone::ir {

Value** NameTable::Entry::holder(const Graph& graph) {
  if (first && &first->graph() == &graph) return &first;
  if (!others) return nullptr;
  const auto found = others->find(&graph);
  return found == others->end() ? nullptr : &found->second;
}

NameTable::NameTable() : slots_(16) {
  // A file that is made so that its names collide must not know how they are hashed. No result depends on the seed.
  static const std::uint64_t seed = std::random_device()() * std::uint64_t{0x9E3779B97F4A7C15};
  seed_ = seed;
}

NameTable::~NameTable() {
  for (const Slot& slot : slots_) {
    if (slot.entry) slot.entry->~Entry();
  }
}

// Multiply and fold, as wyhash does.
std::uint64_t NameTable::hash(std::string_view name) const {
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t state = seed_ ^ name.size();
  std::size_t at = 0;
  const auto take = [&](std::size_t count) {
    std::uint64_t word = 0;
    std::memcpy(&word, name.data() + at, count);
    at += count;
    state = fold(state ^ word ^ 0xA0761D6478BD642F, 0xE7037ED1A0B428DB ^ seed_);
  };
  while (name.size() - at >= 8) take(8);
  if (at < name.size()) take(name.size() - at);
  return fold(state, 0x8EBC6AF09C88C6E3);
}

NameTable::Slot* NameTable::slot(std::string_view name, std::uint64_t hash) {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    Slot& slot = slots_[at];
    if (!slot.entry || (slot.hash == hash && slot.entry->text == name)) return &slot;
  }
}

NameTable::Entry* NameTable::lookup(std::string_view name) const {
  return const_cast<NameTable*>(this)->slot(name, hash(name))->entry;
}

void NameTable::grow() {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (!slot.entry) continue;
    std::size_t at = slot.hash & mask;
    while (slots_[at].entry) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

// Closes the gap: what was pushed behind it moves up.
void NameTable::erase(Entry& entry) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t gap = static_cast<std::size_t>(slot(entry.text, entry.hash) - slots_.data());
  entry.~Entry();
  entries_.give(&entry);
  --used_;
  for (std::size_t at = (gap + 1) & mask; slots_[at].entry; at = (at + 1) & mask) {
    const std::size_t home = slots_[at].hash & mask;
    if (((at - home) & mask) < ((at - gap) & mask)) continue;
    slots_[gap] = slots_[at];
    gap = at;
  }
  slots_[gap] = {};
}

Value* NameTable::find(std::string_view name, const Graph& graph) const {
  Entry* entry = lookup(name);
  Value** holder = entry ? entry->holder(graph) : nullptr;
  return holder ? *holder : nullptr;
}

std::size_t NameTable::count(std::string_view name) const {
  const Entry* entry = lookup(name);
  return entry ? count(*entry) : 0;
}

std::size_t NameTable::count(const Name& name) {
  const Entry& entry = Entry::of(name);
  return (entry.first ? 1 : 0) + (entry.others ? entry.others->size() : 0);
}

const Name* NameTable::add(std::string_view name, const Graph& graph, Value& value) {
  const std::uint64_t hashed = hash(name);
  Slot* place = slot(name, hashed);
  if (!place->entry) {
    // Three quarters full is where linear probing begins to walk far.
    if ((used_ + 1) * 4 > slots_.size() * 3) {
      grow();
      place = slot(name, hashed);
    }
    auto* entry = new (entries_.take()) Entry;
    entry->text = name;
    entry->hash = hashed;
    *place = {hashed, entry};
    ++used_;
  }
  Entry& entry = *place->entry;
  if (entry.holder(graph)) return nullptr;
  if (!entry.first) {
    entry.first = &value;
  } else {
    if (!entry.others) entry.others = std::make_unique<std::unordered_map<const Graph*, Value*>>();
    entry.others->emplace(&graph, &value);
  }
  return &entry;
}

void NameTable::remove(const Name& name, const Graph& graph) {
  if (closing) return;
  Entry& entry = Entry::of(name);
  if (entry.first && &entry.first->graph() == &graph) {
    entry.first = nullptr;
  } else if (entry.others) {
    entry.others->erase(&graph);
    if (entry.others->empty()) entry.others.reset();
  }
  if (!entry.first && !entry.others && entry.next_suffix == 0) erase(entry);
}

void NameTable::exchange(const Name& of_a, Value& a, const Name& of_b, Value& b) {
  std::swap(*Entry::of(of_a).holder(a.graph()), *Entry::of(of_b).holder(b.graph()));
}

std::string NameTable::fresh(std::string_view stem) {
  if (stem.empty()) stem = "value";
  Entry* of_stem = lookup(stem);
  if (!of_stem || count(*of_stem) == 0) return std::string(stem);
  // The suffix that was free last time is where the search starts, so that n requests cost n steps.
  if (of_stem->next_suffix == 0) of_stem->next_suffix = 1;
  std::string name = std::string(stem) + '_';
  for (;; ++of_stem->next_suffix) {
    name.resize(stem.size() + 1);
    name += std::to_string(of_stem->next_suffix);
    if (count(name) == 0) return name;
  }
}

}  // namespace hone::ir
