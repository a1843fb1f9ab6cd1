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

#include "hone/ir/graph.h"

namespace hone::ir {

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
  std::vector<std::unique_ptr<Function>> functions;
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
  const Function* find_function(std::string_view domain, std::string_view name, std::string_view overload = "") const;
  const std::string* find_metadata(std::string_view key) const;
  void set_metadata(std::string_view key, std::string value);

  Model clone() const;  // tensors are shared, structure is not
};

}  // namespace hone::ir
