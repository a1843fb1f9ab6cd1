// ONNX's operator schemas, made one by one.
#include "onnx/registry.h"

#include <onnx/defs/operator_sets.h>
#include <onnx/defs/operator_sets_ml.h>
#include <onnx/defs/operator_sets_preview.h>
#include <onnx/defs/operator_sets_training.h>

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "hone/ir/functions.h"

namespace hone::onnx {
namespace {

struct Maker {
  const char* name;
  int version;
  ::onnx::OpSchema (*make)();
};

// No name is in two domains.
constexpr Maker makers[] = {
#include "onnx_operators.inc"
};

class Store {
 public:
  Store() {
    for (const Maker& maker : makers) entries_[maker.name].push_back({&maker, nullptr});
  }

  const ::onnx::OpSchema* find(std::string_view name, std::string_view domain, std::int64_t version) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(name);
    if (found == entries_.end()) return nullptr;
    Entry* newest = nullptr;
    for (Entry& entry : found->second) {
      if (entry.maker->version <= version && (!newest || entry.maker->version > newest->maker->version))
        newest = &entry;
    }
    if (!newest) return nullptr;
    if (!newest->schema) {
      newest->schema = std::make_unique<::onnx::OpSchema>(newest->maker->make());
      newest->schema->Finalize();
    }
    return newest->schema->domain() == domain ? newest->schema.get() : nullptr;
  }

 private:
  struct Entry {
    const Maker* maker;
    std::unique_ptr<::onnx::OpSchema> schema;
  };
  std::mutex mutex_;
  std::unordered_map<std::string_view, std::vector<Entry>> entries_;
};

Store& store() {
  static Store instance;
  return instance;
}

class LazyRegistry final : public ::onnx::ISchemaRegistry {
 public:
  // NOLINTNEXTLINE(google-default-arguments): as declared by ONNX
  const ::onnx::OpSchema* GetSchema(const std::string& name, int version, const std::string& domain) const override {
    return find_op_schema(name, domain, version);
  }
};

}  // namespace

const ::onnx::OpSchema* find_op_schema(std::string_view op_type, std::string_view domain, std::int64_t version) {
  return store().find(op_type, ir::plain_domain(domain), version);
}

const ::onnx::ISchemaRegistry& lazy_registry() {
  static const LazyRegistry registry;
  return registry;
}

void register_everything() {
  static const bool done = [] {
    ::onnx::RegisterOnnxOperatorSetSchema();
    ::onnx::RegisterOnnxMLOperatorSetSchema();
    ::onnx::RegisterOnnxTrainingOperatorSetSchema();
    ::onnx::RegisterOnnxPreviewOperatorSetSchema();
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace hone::onnx
