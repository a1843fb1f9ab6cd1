// A model: main graph, opset imports, model-local functions, metadata.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hone/ir/functions.h"
#include "hone/ir/graph.h"

namespace hone::ir {

using MetadataEntry = std::pair<std::string, std::string>;

class Model {
 public:
  Model();
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  std::int64_t ir_version = 0;
  std::vector<OpsetImport> opsets;
  std::unique_ptr<Graph> graph;  // never null
  Functions functions;
  std::vector<MetadataEntry> metadata;  // metadata_props, in order, duplicate keys kept
  std::string producer_name, producer_version, domain, doc_string;
  std::optional<std::int64_t> model_version;
  // Serialized ModelProto fields the IR does not model: training_info, configuration, unknown ones.
  std::string rest;
  // The file it came from, for messages; "" if made by code.
  std::string source;
  // Lineage to append when it is written (tool, version, options), see docs/history.md.

  // Version of a domain's operators, 0 if not imported.
  std::int64_t opset(std::string_view domain = "") const;
  void set_opset(std::string_view domain, std::int64_t version);
  // What a graph imports: what the function around it does, else the model.
  const std::vector<OpsetImport>& imports_of(const Graph& graph) const;
  // As the graph imports it, else as the model does.
  std::int64_t opset(const Graph& graph, std::string_view domain) const;
  const std::string* find_metadata(std::string_view key) const;
  void set_metadata(std::string_view key, std::string value);

  Model clone() const;  // tensors are shared, structure is not
};

}  // namespace hone::ir
