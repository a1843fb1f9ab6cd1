// From a node to the kernel that computes it.
#include <functional>
#include <string_view>
#include <unordered_map>

#include "exec/reference/list.h"
#include "hone/exec/kernel.h"

#ifdef HONE_ONEDNN
#include "exec/onednn/list.h"
#endif

namespace hone::exec {
namespace {

struct Key {
  std::string_view domain, op_type;
  bool operator==(const Key&) const = default;
};
struct KeyHash {
  std::size_t operator()(const Key& key) const {
    const std::hash<std::string_view> hash;
    return hash(key.op_type) ^ (hash(key.domain) * 0x9E3779B97F4A7C15u);
  }
};

// Entries by operator; those of one operator are few, and stay in the order they were listed.
class Table {
 public:
  void add(std::span<const KernelEntry> entries) {
    for (const KernelEntry& entry : entries) entries_[{entry.domain, entry.op_type}].push_back(&entry);
  }
  template <typename F>  // bool(const KernelEntry&): true to stop
  bool visit(const ir::Node& node, std::int64_t opset, F&& f) const {
    const auto found = entries_.find({node.domain(), node.op_type()});
    if (found == entries_.end()) return false;
    for (const KernelEntry* entry : found->second) {
      if (entry->since <= opset && opset <= entry->until && f(*entry)) return true;
    }
    return false;
  }

 private:
  std::unordered_map<Key, std::vector<const KernelEntry*>, KeyHash> entries_;
};

const Table& reference_table() {
  static const Table table = [] {
    Table result;
    for (const auto family : reference_kernels()) result.add(family);
    return result;
  }();
  return table;
}

#ifdef HONE_ONEDNN
const Table& onednn_table() {
  static const Table table = [] {
    Table result;
    for (const auto family : onednn_kernels()) result.add(family);
    return result;
  }();
  return table;
}
#endif

}  // namespace

std::unique_ptr<Kernel> make_kernel(const KernelInfo& info, bool reference) {
  std::unique_ptr<Kernel> kernel;
  const auto take = [&](const KernelEntry& entry) { return (kernel = entry.make(info)) != nullptr; };
#ifdef HONE_ONEDNN
  if (!reference && onednn_table().visit(info.node, info.opset, take)) return kernel;
#else
  (void)reference;
#endif
  reference_table().visit(info.node, info.opset, take);
  return kernel;
}

bool has_kernel(const ir::Node& node, std::int64_t opset) {
  return reference_table().visit(node, opset, [](const KernelEntry&) { return true; });
}

}  // namespace hone::exec
