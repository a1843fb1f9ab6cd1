// The state of reading one model. Fields become graph, nodes and tensors one by one, straight from the wire; what the IR
// does not model is copied to `rest`, byte by byte. Weight bytes are passed over.
//
// Values may be used before they are defined in the file (a name is looked up from inside out, and graphs may be unsorted),
// so that inputs of nodes and outputs of graphs are bound to values in the end: see bind().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "hone/ir/model.h"
#include "hone/onnx/check.h"
#include "hone/onnx/read.h"
#include "hone/support/error.h"
#include "onnx/tensors.h"
#include "onnx/types.h"
#include "onnx/wire.h"

namespace hone::onnx {

// ValueInfoProto.
struct Declaration {
  std::string name;
  std::string wire;  // without the name
  ir::Type type;
};

class Reader {
 public:
  Reader(const std::shared_ptr<const File>& file, const ReadOptions& options)
      : source_(file), options_(options), external_(*file, options), tensors_{source_, options_, external_} {}

  ir::Model read();
  std::unique_ptr<ir::Function> read_function_only();

 private:
  struct Entry {
    std::uint32_t number;
    wire::Range range;
  };
  // An input of a node, to be bound to the value of the name.
  struct Link {
    ir::Node* node;
    std::uint32_t slot;
    std::uint32_t length;  // of the name
    std::size_t name;      // in names_
  };
  // An attribute, its value not looked at yet.
  struct AttributeParts {
    wire::Range whole;
    std::int32_t type = 0;  // AttributeProto.type
    std::int32_t held = 0;  // the type that the value has
    bool has_type = false;
    std::vector<wire::Field> values;
  };
  struct PendingGraph {
    ir::Graph* graph;
    std::vector<wire::Range> outputs, infos;
    std::vector<std::string> output_names;  // of a function
  };

  void problem(const char* rule, const std::string& node, std::string message);
  // Runs `body`. While problems are collected, a bad_input that leaves it becomes one of them, at `where()`.
  template <typename Where, typename Body>
  void collect(const char* rule, Where&& where, Body&& body) {
    if (!options_.problems) return body();
    try {
      body();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_input) throw;
      problem(rule, where(), error.message());
    }
  }
  void warn(const std::string& message) {
    if (options_.observer) options_.observer->message(Level::warning, message);
  }

  ir::OpsetImport read_opset(wire::Range range);
  void check_opsets(const std::vector<ir::OpsetImport>& opsets);
  void read_metadata(const std::vector<wire::Field>& entries);
  std::unique_ptr<ir::Function> read_function(wire::Range range);
  void read_graph(ir::Graph& graph, std::span<const wire::Range> ranges, int depth);
  void read_input(ir::Graph& graph, wire::Range range, bool main);
  std::string name_of_tensor(wire::Range range);
  void read_initializer(ir::Graph& graph, wire::Range range);
  void read_sparse_initializer(ir::Graph& graph, wire::Range range);
  void read_output(ir::Node& node, std::string name, const std::function<std::string()>& where);
  void read_link(ir::Node& node, std::uint32_t slot, const wire::Field& field);
  void read_node(ir::Graph& graph, wire::Range range, int depth);
  void read_attributes(ir::Node& node, std::span<const wire::Range> ranges, int depth);
  ir::Attribute read_attribute(ir::Node* node, wire::Range range, int depth);
  void check_attribute(ir::Attribute& attribute, AttributeParts& parts);
  ir::Attribute::Payload read_payload(ir::Node* node, const AttributeParts& parts, int depth);
  ir::OpaqueAttribute read_opaque(wire::Range range);
  Declaration read_declaration(wire::Range range);
  void check_initializer_name(ir::Graph& graph, std::string& name);
  void check_import(const ir::Node& node);
  ir::Value* stand_in(ir::Graph& graph, std::string_view name);

  void bind();
  void bind_inputs();
  void bind_outputs(PendingGraph& pending);
  void declare_values(PendingGraph& pending);
  void check_shadowing(const PendingGraph& pending);
  void order();

  wire::Source source_;
  ReadOptions options_;
  ExternalFiles external_;
  TensorReader tensors_;
  ir::Model model_;
  DimensionCache dimensions_;
  std::vector<Link> links_;
  std::string names_;
  std::vector<PendingGraph> pending_;
  // While problems are collected: names of initializers that were not fit to be read, and what stands in for values that
  // nobody makes, so that one mistake is not reported as many.
  std::unordered_set<std::string> broken_;
  std::unordered_set<const ir::Value*> undefined_;
  bool in_function_ = false;
  const std::vector<ir::OpsetImport>* imports_ = nullptr;
};

}  // namespace hone::onnx
