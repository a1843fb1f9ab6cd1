// Models: look-ups and copies.
//
// Not handled: whether what is imported, called or declared exists; the onnx layer checks.
#include "hone/ir/model.h"

#include <utility>

namespace hone::ir {
namespace {

// Nodes and imports of the default domain say ""; files may spell it out.
std::string_view plain(std::string_view domain) { return domain == "ai.onnx" ? std::string_view() : domain; }

Attribute clone_default(const Attribute& attribute) {
  // A function's default is a value, not a subgraph: no node would own that.
  if (attribute.get<std::unique_ptr<Graph>>() || attribute.get<std::vector<std::unique_ptr<Graph>>>()) {
    unsupported("attribute {}: a graph as the default of a function's attribute", quote(attribute.name));
  }
  Attribute result;
  result.name = attribute.name;
  result.reference = attribute.reference;
  result.reference_type = attribute.reference_type;
  result.rest = attribute.rest;
  std::visit(
      [&](const auto& payload) {
        using T = std::decay_t<decltype(payload)>;
        if constexpr (std::is_copy_constructible_v<T> && !std::is_same_v<T, std::vector<std::unique_ptr<Graph>>>) {
          result.payload = payload;
        }
      },
      attribute.payload);
  return result;
}

}  // namespace

Model::Model() : graph(std::make_unique<Graph>()) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

std::int64_t Model::opset(std::string_view domain) const {
  for (const OpsetImport& import : opsets) {
    if (plain(import.domain) == plain(domain)) return import.version;
  }
  return 0;
}

void Model::set_opset(std::string_view domain, std::int64_t version) {
  for (OpsetImport& import : opsets) {
    if (plain(import.domain) == plain(domain)) {
      import.version = version;
      return;
    }
  }
  opsets.push_back({std::string(plain(domain)), version, ""});
}

const Function* Model::find_function(std::string_view domain, std::string_view name, std::string_view overload) const {
  for (const auto& function : functions) {
    if (function->name == name && plain(function->domain) == plain(domain) && function->overload == overload) {
      return function.get();
    }
  }
  return nullptr;
}

const std::string* Model::find_metadata(std::string_view key) const {
  for (const auto& [name, value] : metadata) {
    if (name == key) return &value;
  }
  return nullptr;
}

void Model::set_metadata(std::string_view key, std::string value) {
  for (auto& [name, old] : metadata) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  metadata.emplace_back(key, std::move(value));
}

Model Model::clone() const {
  Model copy;
  copy.ir_version = ir_version;
  copy.opsets = opsets;
  copy.graph = clone_graph(*graph);
  for (const auto& function : functions) {
    auto twin = std::make_unique<Function>();
    twin->domain = function->domain;
    twin->name = function->name;
    twin->overload = function->overload;
    twin->opsets = function->opsets;
    twin->body = clone_graph(*function->body);
    twin->attributes = function->attributes;
    for (const Attribute& attribute : function->attribute_defaults) {
      twin->attribute_defaults.push_back(clone_default(attribute));
    }
    twin->rest = function->rest;
    copy.functions.push_back(std::move(twin));
  }
  copy.metadata = metadata;
  copy.producer_name = producer_name;
  copy.producer_version = producer_version;
  copy.domain = domain;
  copy.doc_string = doc_string;
  copy.model_version = model_version;
  copy.rest = rest;
  copy.source = source;
  return copy;
}

}  // namespace hone::ir
