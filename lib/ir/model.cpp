// Models: look-ups and copies.
//
// Not handled: whether what is imported, called or declared exists; the onnx layer checks.
#include "hone/ir/model.h"

#include <utility>

namespace hone::ir {
namespace {

std::int64_t version_of(const std::vector<OpsetImport>& imports, std::string_view domain) {
  for (const OpsetImport& import : imports) {
    if (plain_domain(import.domain) == plain_domain(domain)) return import.version;
  }
  return 0;
}

}  // namespace

Model::Model() : graph(std::make_unique<Graph>()) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

std::int64_t Model::opset(std::string_view domain) const { return version_of(opsets, domain); }

void Model::set_opset(std::string_view domain, std::int64_t version) {
  for (OpsetImport& import : opsets) {
    if (plain_domain(import.domain) == plain_domain(domain)) {
      import.version = version;
      return;
    }
  }
  opsets.push_back({std::string(plain_domain(domain)), version, ""});
}

const std::vector<OpsetImport>& Model::imports_of(const Graph& graph_of) const {
  const Function* function = functions.around(graph_of);
  return function ? function->opsets : opsets;
}

std::int64_t Model::opset(const Graph& graph_of, std::string_view domain) const {
  const std::int64_t version = version_of(imports_of(graph_of), domain);
  return version != 0 ? version : opset(domain);
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
  for (const auto& function : functions) copy.functions.add(clone_function(*function));
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
