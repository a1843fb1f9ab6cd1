// Reading ONNX models. Fields become graph, nodes and tensors one by one, straight from the wire; what the IR does not
// model is copied to `rest`, byte by byte. Weight bytes are passed over.
//
// Values may be used before they are defined in the file (a name is looked up from inside out, and graphs may be unsorted),
// so that inputs of nodes and outputs of graphs are bound to values in the end: see bind().
#include "hone/onnx/read.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <deque>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "hone/onnx/check.h"
#include "hone/support/error.h"
#include "onnx/access.h"
#include "onnx/foreign.h"
#include "onnx/parts.h"
#include "onnx/tensors.h"
#include "onnx/text_format.h"
#include "onnx/types.h"
#include "onnx/versions.h"
#include "onnx/wire.h"

namespace hone::onnx {
namespace {

using ir::GraphAccess;
using wire::Field;
using wire::Fields;
using wire::Range;

std::string describe(std::string_view name, std::string_view domain, std::string_view op_type) {
  std::string text = "node";
  if (!name.empty()) text += ' ' + quoted(name);
  if (!op_type.empty()) text += fmt::format(" ({}{}{})", domain, domain.empty() ? "" : ".", op_type);
  return text;
}

std::string describe(const ir::Node& node) { return describe(node.name(), node.domain(), node.op_type()); }

// The nodes of one cycle in a graph that can't be sorted.
std::vector<const ir::Node*> find_cycle(const ir::Graph& graph) {
  std::unordered_map<const ir::Node*, std::size_t> waits;  // how many results a node waits for
  std::unordered_map<const ir::Node*, std::vector<const ir::Node*>> users;
  for (ir::Node& node : graph.nodes()) {
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (!node.output(i)) continue;
      for (const ir::Use& use : node.output(i)->uses()) {
        const ir::Node* user = ir::ancestor_in(graph, *use.node);
        users[&node].push_back(user);
        ++waits[user];
      }
    }
  }
  std::deque<const ir::Node*> ready;
  for (ir::Node& node : graph.nodes()) {
    if (!waits.contains(&node)) ready.push_back(&node);
  }
  for (; !ready.empty(); ready.pop_front()) {
    for (const ir::Node* user : users[ready.front()]) {
      if (--waits[user] == 0) ready.push_back(user);
    }
  }
  // Every node still waiting waits for another such node: going back along them ends in the cycle.
  std::unordered_map<const ir::Node*, const ir::Node*> waits_for;
  const ir::Node* start = nullptr;
  for (ir::Node& node : graph.nodes()) {
    const auto found = waits.find(&node);
    if (found == waits.end() || found->second == 0) continue;
    for (const ir::Node* user : users[&node]) waits_for[user] = &node;
    start = &node;
  }
  std::unordered_set<const ir::Node*> seen;
  const ir::Node* at = start;
  while (at && seen.insert(at).second) {
    const auto found = waits_for.find(at);
    at = found == waits_for.end() ? nullptr : found->second;
  }
  std::vector<const ir::Node*> cycle;
  for (const ir::Node* node = at; node && (cycle.empty() || node != at); node = waits_for[node]) cycle.push_back(node);
  std::reverse(cycle.begin(), cycle.end());
  return cycle;
}

// ValueInfoProto.
struct Declaration {
  std::string name;
  std::string wire;  // without the name
  ir::Type type;
};

class Reader {
 public:
  Reader(std::shared_ptr<const File> file, const ReadOptions& options)
      : source_(file), options_(options), external_(*file, options), tensors_{source_, options_, external_} {}

  ir::Model read();
  std::unique_ptr<ir::Function> read_function_only();

 private:
  struct Entry {
    std::uint32_t number;
    Range range;
  };
  // An input of a node, to be bound to the value of the name.
  struct Link {
    ir::Node* node;
    std::uint32_t slot;
    std::uint32_t length;  // of the name
    std::size_t name;      // in names_
  };
  struct PendingGraph {
    ir::Graph* graph;
    std::vector<Range> outputs, infos;
    std::vector<std::string> output_names;  // of a function
  };

  void problem(const char* rule, const std::string& node, std::string message);
  void warn(const std::string& message) {
    if (options_.observer) options_.observer->message(Level::warning, message);
  }

  void read_versions();
  ir::OpsetImport read_opset(Range range);
  void check_opsets(const std::vector<ir::OpsetImport>& opsets);
  void read_metadata(const std::vector<Field>& entries);
  std::unique_ptr<ir::Function> read_function(Range range);
  void read_graph(ir::Graph& graph, std::span<const Range> ranges, int depth);
  void read_input(ir::Graph& graph, Range range, bool main);
  void read_initializer(ir::Graph& graph, Range range);
  void read_sparse_initializer(ir::Graph& graph, Range range);
  void read_node(ir::Graph& graph, Range range, int depth);
  ir::Attribute read_attribute(ir::Node* node, Range range, int depth);
  Declaration read_declaration(Range range);
  void check_initializer_name(ir::Graph& graph, std::string& name);
  void check_import(const ir::Node& node);

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
  std::vector<Link> links_;
  std::string names_;
  std::vector<PendingGraph> pending_;
  bool in_function_ = false;
  const std::vector<ir::OpsetImport>* imports_ = nullptr;
};

void Reader::problem(const char* rule, const std::string& node, std::string message) {
  if (!options_.problems) throw Error(ErrorKind::bad_input, node.empty() ? std::move(message) : node + ": " + message);
  options_.problems->push_back({rule, true, node, std::move(message)});
}

// The model.

ir::OpsetImport Reader::read_opset(Range range) {
  ir::OpsetImport opset;
  bool has_domain = false, has_version = false;
  for (Fields fields(source_, range, Message::opset); fields.next();) {
    if (fields->number == 1) {
      opset.domain = wire::text(source_, *fields);
      has_domain = true;
    } else if (fields->number == 2) {
      opset.version = static_cast<std::int64_t>(fields->number_value);
      has_version = true;
    } else {
      wire::keep(source_, *fields, opset.rest);
    }
  }
  if (has_domain && (opset.domain.empty() || opset.domain == "ai.onnx")) wire::put_bytes(opset.rest, 1, opset.domain);
  if (opset.domain == "ai.onnx") opset.domain.clear();
  if (!has_version) bad_input("the opset import of domain {} has no version", quoted(opset.domain));
  return opset;
}

void Reader::check_opsets(const std::vector<ir::OpsetImport>& opsets) {
  std::unordered_set<std::string_view> seen;
  for (const ir::OpsetImport& opset : opsets) {
    const std::string domain = opset.domain.empty() ? "ai.onnx" : quoted(opset.domain);
    if (!seen.insert(opset.domain).second)
      problem("duplicate-opset", "", fmt::format("domain {} is imported twice", domain));
    check_opset_version(opset.domain, opset.version);
  }
}

// Entries that have just a key and a value, from the last one that is otherwise on; those before go to the rest, so that
// the order stays.
void Reader::read_metadata(const std::vector<Field>& entries) {
  std::size_t first_plain = entries.size();
  std::vector<ir::MetadataEntry> plain;
  for (std::size_t i = entries.size(); i-- > 0;) {
    int keys = 0, values = 0, others = 0;
    ir::MetadataEntry entry;
    for (Fields fields(source_, entries[i].payload, Message::string_entry); fields.next();) {
      if (fields->number == 1) {
        entry.first = wire::text(source_, *fields);
        ++keys;
      } else if (fields->number == 2) {
        entry.second = wire::text(source_, *fields);
        ++values;
      } else {
        ++others;
      }
    }
    if (keys != 1 || values != 1 || others != 0) break;
    plain.push_back(std::move(entry));
    first_plain = i;
  }
  for (std::size_t i = 0; i < first_plain; ++i) wire::keep(source_, entries[i], model_.rest);
  model_.metadata.assign(std::make_move_iterator(plain.rbegin()), std::make_move_iterator(plain.rend()));
}

ir::Model Reader::read() {
  std::vector<Range> graphs, functions, opsets;
  std::vector<Field> metadata;
  bool has_version = false;
  const auto keep_text = [&](const Field& field, std::string& to, bool& present) {
    to = wire::text(source_, field);
    present = true;
  };
  bool has[5] = {};
  for (Fields fields(source_, {0, source_.size()}, Message::model); fields.next();) {
    switch (fields->number) {
      case 1:
        model_.ir_version = static_cast<std::int64_t>(fields->number_value);
        has_version = true;
        break;
      case 2:
        keep_text(*fields, model_.producer_name, has[0]);
        break;
      case 3:
        keep_text(*fields, model_.producer_version, has[1]);
        break;
      case 4:
        keep_text(*fields, model_.domain, has[2]);
        break;
      case 5:
        model_.model_version = static_cast<std::int64_t>(fields->number_value);
        break;
      case 6:
        keep_text(*fields, model_.doc_string, has[3]);
        break;
      case 7:
        graphs.push_back(fields->payload);
        break;
      case 8:
        opsets.push_back(fields->payload);
        break;
      case 14:
        metadata.push_back(*fields);
        break;
      case 25:
        functions.push_back(fields->payload);
        break;
      default:
        wire::keep(source_, *fields, model_.rest);
        break;
    }
  }
  if (has[0] && model_.producer_name.empty()) wire::put_bytes(model_.rest, 2, "");
  if (has[1] && model_.producer_version.empty()) wire::put_bytes(model_.rest, 3, "");
  if (has[2] && model_.domain.empty()) wire::put_bytes(model_.rest, 4, "");
  if (has[3] && model_.doc_string.empty()) wire::put_bytes(model_.rest, 6, "");
  if (graphs.empty()) {
    bad_input("no graph: it was cut short, or is no ONNX model{}",
              has_version && model_.ir_version == 1 ? " (perhaps a TensorFlow SavedModel)" : "");
  }
  if (!has_version || model_.ir_version == 0) bad_input("no ir_version: it was cut short, or is no ONNX model");
  check_ir_version(model_.ir_version);
  for (const Range& range : opsets) model_.opsets.push_back(read_opset(range));
  if (model_.opsets.empty() && model_.ir_version >= 3) {
    bad_input(
        "no opset_import: which versions of the operators are meant is not said; it was cut short, or is no ONNX "
        "model");
  }
  check_opsets(model_.opsets);
  read_metadata(metadata);

  imports_ = &model_.opsets;
  read_graph(*model_.graph, graphs, 0);
  bind();
  if (model_.graph->outputs().empty()) problem("no-outputs", "", "the graph has no outputs");
  in_function_ = true;
  for (const Range& range : functions) model_.functions.push_back(read_function(range));
  std::unordered_set<std::string> seen;
  for (const auto& function : model_.functions) {
    if (!seen.insert(function->domain + '\0' + function->name + '\0' + function->overload).second) {
      problem(
          "duplicate-function", "",
          fmt::format("two functions are called {} of domain {}", quoted(function->name), quoted(function->domain)));
    }
  }
  external_.check();
  return std::move(model_);
}

std::unique_ptr<ir::Function> Reader::read_function_only() {
  model_.ir_version = newest_ir_version;
  in_function_ = true;
  return read_function({0, source_.size()});
}

std::unique_ptr<ir::Function> Reader::read_function(Range range) {
  auto function = std::make_unique<ir::Function>();
  function->body = std::make_unique<ir::Graph>();
  ir::Graph& body = *function->body;
  PendingGraph pending{&body, {}, {}, {}};
  std::vector<std::string> inputs;
  std::vector<Range> nodes, attributes;
  bool has_name = false, has_domain = false, has_overload = false;
  for (Fields fields(source_, range, Message::function); fields.next();) {
    switch (fields->number) {
      case 1:
        function->name = wire::text(source_, *fields);
        has_name = true;
        break;
      case 4:
        inputs.push_back(wire::text(source_, *fields));
        break;
      case 5:
        pending.output_names.push_back(wire::text(source_, *fields));
        break;
      case 6:
        function->attributes.push_back(wire::text(source_, *fields));
        break;
      case 7:
        nodes.push_back(fields->payload);
        break;
      case 9:
        function->opsets.push_back(read_opset(fields->payload));
        break;
      case 10:
        function->domain = wire::text(source_, *fields);
        has_domain = true;
        break;
      case 11:
        attributes.push_back(fields->payload);
        break;
      case 12:
        pending.infos.push_back(fields->payload);
        break;
      case 13:
        function->overload = wire::text(source_, *fields);
        has_overload = true;
        break;
      default:
        wire::keep(source_, *fields, function->rest);
        break;
    }
  }
  if (has_name && function->name.empty()) wire::put_bytes(function->rest, 1, "");
  if (has_overload && function->overload.empty()) wire::put_bytes(function->rest, 13, "");
  if (has_domain && (function->domain.empty() || function->domain == "ai.onnx")) {
    wire::put_bytes(function->rest, 10, function->domain);
    function->domain.clear();
  }
  in_context([&] { return "function " + quoted(function->name); },
             [&] {
               if (function->name.empty()) bad_input("it has no name");
               check_opsets(function->opsets);
               imports_ = &function->opsets;
               for (std::string& name : inputs) {
                 if (name.empty()) bad_input("an input has no name");
                 if (body.find(name)) {
                   problem("duplicate-input", "",
                           fmt::format("function {}: two inputs are called {}", quoted(function->name), quoted(name)));
                   name = body.fresh_name(name);
                 }
                 body.add_input(name);
               }
               for (const Range& each : attributes)
                 function->attribute_defaults.push_back(read_attribute(nullptr, each, 0));
               for (const Range& each : nodes) read_node(body, each, 0);
               pending_.push_back(std::move(pending));
               bind();
             });
  return function;
}

// Graphs.

void Reader::read_graph(ir::Graph& graph, std::span<const Range> ranges, int depth) {
  if (depth > options_.max_nesting) {
    bad_input("graphs nested more than {} deep; no model in use is, so this one was made to break tools",
              options_.max_nesting);
  }
  const bool main = depth == 0;
  std::vector<Entry> entries;
  std::string name, rest;
  bool has_name = false;
  for (const Range& range : ranges) {
    for (Fields fields(source_, range, Message::graph); fields.next();) {
      switch (fields->number) {
        case 1:
        case 5:
        case 11:
        case 12:
        case 13:
        case 15:
          entries.push_back({fields->number, fields->payload});
          break;
        case 2:
          name = wire::text(source_, *fields);
          has_name = true;
          break;
        default:
          wire::keep(source_, *fields, rest);
          break;
      }
    }
  }
  if (has_name && name.empty()) wire::put_bytes(rest, 2, "");
  graph.set_name(std::move(name));
  graph.set_rest(std::move(rest));

  const auto for_each = [&](std::uint32_t number, auto&& f) {
    for (const Entry& entry : entries) {
      if (entry.number == number) f(entry.range);
    }
  };
  for_each(11, [&](Range range) { read_input(graph, range, main); });
  for_each(5, [&](Range range) { read_initializer(graph, range); });
  for_each(15, [&](Range range) { read_sparse_initializer(graph, range); });
  for_each(1, [&](Range range) { read_node(graph, range, depth); });
  PendingGraph pending{&graph, {}, {}, {}};
  for_each(12, [&](Range range) { pending.outputs.push_back(range); });
  for_each(13, [&](Range range) { pending.infos.push_back(range); });
  pending_.push_back(std::move(pending));
}

Declaration Reader::read_declaration(Range range) {
  Declaration declaration;
  for (Fields fields(source_, range, Message::value_info); fields.next();) {
    if (fields->number == 1) {
      declaration.name = wire::text(source_, *fields);
      continue;
    }
    if (fields->number == 2) {
      declaration.type = in_context([&] { return "value " + quoted(declaration.name); },
                                    [&] { return read_type(source_, fields->payload, options_.max_nesting); });
      source_.append(fields->whole, declaration.wire);
      continue;
    }
    wire::keep(source_, *fields, declaration.wire);
  }
  return declaration;
}

void Reader::read_input(ir::Graph& graph, Range range, bool main) {
  Declaration input = read_declaration(range);
  if (input.name.empty()) bad_input("a graph input has no name");
  if (graph.find(input.name)) {
    problem("duplicate-input", "", fmt::format("two graph inputs are called {}", quoted(input.name)));
    return;
  }
  const bool untyped = input.type.kind == ir::Type::Kind::unknown ||
                       (input.type.is_tensor() && input.type.element == ir::ElementType::undefined);
  if (main && untyped) problem("untyped-input", "", fmt::format("graph input {} has no type", quoted(input.name)));
  ir::Value* value = graph.add_input(std::move(input.name), std::move(input.type));
  GraphAccess::declare(*value, std::move(input.wire), -1);
}

void Reader::check_initializer_name(ir::Graph& graph, std::string& name) {
  if (name.empty()) bad_input("an initializer has no name");
  const ir::Value* value = graph.find(name);
  if (!value) return;
  if (value->initializer() || value->sparse_initializer()) {
    problem("duplicate-initializer", "", fmt::format("two initializers are called {}", quoted(name)));
  } else if (graph.parent_node()) {
    problem("initializer-of-body-input", describe(*graph.parent_node()),
            fmt::format("input {} of its subgraph is an initializer, too", quoted(name)));
  } else {
    return;
  }
  name = graph.fresh_name(name);
}

void Reader::read_initializer(ir::Graph& graph, Range range) {
  std::optional<NamedTensor> read =
      in_context([] { return "initializer"; }, [&] { return tensors_.read(std::span(&range, 1), false); });
  if (!read) unsupported("an initializer holds floats of 6 bits, which are not supported");
  check_initializer_name(graph, read->name);
  if (ir::Value* value = graph.find(read->name)) {
    graph.set_initializer(*value, std::move(read->tensor));
  } else {
    graph.add_initializer(std::move(read->name), std::move(read->tensor), true);
  }
}

void Reader::read_sparse_initializer(ir::Graph& graph, Range range) {
  ir::SparseTensor sparse;
  std::vector<Range> values, indices;
  for (Fields fields(source_, range, Message::sparse_tensor); fields.next();) {
    switch (fields->number) {
      case 1:
        values.push_back(fields->payload);
        break;
      case 2:
        indices.push_back(fields->payload);
        break;
      case 3:
        wire::for_each_varint(source_, *fields,
                              [&](std::uint64_t dim) { sparse.dims.push_back(static_cast<std::int64_t>(dim)); });
        break;
      default:
        wire::keep(source_, *fields, sparse.rest);
        break;
    }
  }
  std::string name;
  in_context([&] { return "sparse initializer" + (name.empty() ? "" : ' ' + quoted(name)); },
             [&] {
               if (values.empty() || indices.empty()) bad_input("it has no {}", values.empty() ? "values" : "indices");
               std::optional<NamedTensor> read = tensors_.read(values, false);
               std::optional<NamedTensor> places = tensors_.read(indices, true);
               if (!read || !places) unsupported("it holds floats of 6 bits, which are not supported");
               name = read->name;
               sparse.values = std::move(read->tensor);
               sparse.indices = std::move(places->tensor);
               check_sparse(sparse);
               check_initializer_name(graph, name);
               if (graph.find(name)) bad_input("a graph input has this name, too");
             });
  graph.add_sparse_initializer(std::move(name), std::move(sparse), true);
}

// Nodes.

void Reader::check_import(const ir::Node& node) {
  for (const ir::OpsetImport& opset : *imports_) {
    if (opset.domain == node.domain()) return;
  }
  if (imports_->empty() && !in_function_ && node.domain().empty()) return;  // IR versions 1 and 2
  problem("missing-opset", describe(node),
          node.domain().empty() ? std::string("the ai.onnx domain is not imported")
                                : fmt::format("domain {} is not imported", quoted(node.domain())));
}

void Reader::read_node(ir::Graph& graph, Range range, int depth) {
  ir::Node& node = graph.insert("");
  std::string name, op_type, domain, overload, rest;
  bool has_name = false, has_domain = false, has_overload = false;
  std::uint32_t inputs = 0;
  in_context([&] { return describe(name, domain, op_type); },
             [&] {
               for (Fields fields(source_, range, Message::node); fields.next();) {
                 switch (fields->number) {
                   case 1: {
                     const std::size_t at = names_.size();
                     wire::append_text(source_, *fields, names_);
                     links_.push_back({&node, inputs++, static_cast<std::uint32_t>(names_.size() - at), at});
                     break;
                   }
                   case 2: {
                     std::string output = wire::text(source_, *fields);
                     if (output.empty()) {
                       GraphAccess::add_empty_output(node);
                       break;
                     }
                     if (const ir::Value* other = graph.find(output)) {
                       problem("duplicate-output", describe(name, domain, op_type),
                               fmt::format("output {} has the name of {}", quoted(output),
                                           other->producer()         ? "an output of " + describe(*other->producer())
                                           : other->is_graph_input() ? "a graph input"
                                                                     : "an initializer"));
                       output = graph.fresh_name(output);
                     }
                     node.add_output(std::move(output));
                     break;
                   }
                   case 3:
                     name = wire::text(source_, *fields);
                     has_name = true;
                     break;
                   case 4:
                     op_type = wire::text(source_, *fields);
                     break;
                   case 5:
                     node.attributes().push_back(read_attribute(&node, fields->payload, depth));
                     break;
                   case 7:
                     domain = wire::text(source_, *fields);
                     has_domain = true;
                     break;
                   case 8:
                     overload = wire::text(source_, *fields);
                     has_overload = true;
                     break;
                   default:
                     wire::keep(source_, *fields, rest);
                     break;
                 }
               }
               if (op_type.empty()) bad_input("it has no op_type");
               if (has_name && name.empty()) wire::put_bytes(rest, 3, "");
               if (has_domain && (domain.empty() || domain == "ai.onnx")) wire::put_bytes(rest, 7, domain);
               if (has_overload && overload.empty()) wire::put_bytes(rest, 8, "");
               std::unordered_set<std::string_view> seen;
               for (const ir::Attribute& attribute : node.attributes()) {
                 if (node.attributes().size() > 1 && !seen.insert(attribute.name).second) {
                   bad_input("attribute {} is given twice", quoted(attribute.name));
                 }
               }
             });
  node.set_op(std::move(op_type), std::move(domain), std::move(overload));
  node.set_name(std::move(name));
  node.set_rest(std::move(rest));
  check_import(node);
}

enum AttributeType : std::int32_t {
  none = 0,
  float_ = 1,
  int_ = 2,
  string = 3,
  tensor = 4,
  graph = 5,
  floats = 6,
  ints = 7,
  strings = 8,
  tensors = 9,
  graphs = 10,
  sparse_tensor = 11,
  sparse_tensors = 12,
  type_proto = 13,
  type_protos = 14,
};

constexpr const char* type_names[] = {
    "UNDEFINED", "FLOAT",   "INT",    "STRING",        "TENSOR",         "GRAPH",      "FLOATS",     "INTS",
    "STRINGS",   "TENSORS", "GRAPHS", "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS"};

// The attribute type that a value field of AttributeProto is for.
std::int32_t type_of_field(std::uint32_t number) {
  switch (number) {
    case 2:
      return float_;
    case 3:
      return int_;
    case 4:
      return string;
    case 5:
      return tensor;
    case 6:
      return graph;
    case 7:
      return floats;
    case 8:
      return ints;
    case 9:
      return strings;
    case 10:
      return tensors;
    case 11:
      return graphs;
    case 14:
      return type_proto;
    case 15:
      return type_protos;
    case 22:
      return sparse_tensor;
    case 23:
      return sparse_tensors;
    default:
      return none;
  }
}

ir::Attribute Reader::read_attribute(ir::Node* node, Range range, int depth) {
  ir::Attribute attribute;
  std::int32_t type = none, held = none;
  bool has_type = false, has_reference = false;
  std::vector<Field> values;
  for (Fields fields(source_, range, Message::attribute); fields.next();) {
    const Field& field = *fields;
    if (const std::int32_t found = type_of_field(field.number); found != none) {
      if ((found == floats || found == ints) && field.type == wire::Type::bytes && field.payload.size() == 0) continue;
      if (held != none && held != found) {
        bad_input("attribute {} holds several values: {} and {}", quoted(attribute.name), type_names[held],
                  type_names[found]);
      }
      held = found;
      const bool single = found <= string || found == sparse_tensor || found == type_proto;
      if (single && !values.empty()) values.clear();
      values.push_back(field);
      continue;
    }
    switch (field.number) {
      case 1:
        attribute.name = wire::text(source_, field);
        break;
      case 20:
        type = static_cast<std::int32_t>(field.number_value);
        has_type = true;
        break;
      case 21:
        attribute.reference = wire::text(source_, field);
        has_reference = true;
        break;
      default:
        wire::keep(source_, field, attribute.rest);
        break;
    }
  }
  return in_context(
      [&] { return "attribute " + quoted(attribute.name); },
      [&]() -> ir::Attribute {
        if (attribute.name.empty()) bad_input("it has no name");
        if (has_reference && attribute.reference.empty()) wire::put_bytes(attribute.rest, 21, "");
        if (!has_type) {
          if (model_.ir_version >= 2) bad_input("it has no type");
          type = held;
          attribute.reference_type = -1;
        }
        if (type <= none || type > type_protos) bad_input("type {}, which ONNX does not have", type);
        if (held != none && held != type)
          bad_input("it is of type {}, and holds {}", type_names[type], type_names[held]);
        if (!attribute.reference.empty()) {
          if (!in_function_) bad_input("it refers to {} of a function, and is not in one", quoted(attribute.reference));
          if (held != none) bad_input("it both refers to {} and holds a value", quoted(attribute.reference));
          attribute.reference_type = has_type ? type : -1;
          return std::move(attribute);
        }
        if (held == none && (type == tensor || type == graph || type == sparse_tensor || type == type_proto)) {
          bad_input("it is of type {}, and holds nothing", type_names[type]);
        }
        // Writers of the proto3 kind leave out zeros: the type in the rest says so to ours.
        if (held == none && (type == float_ || type == int_ || type == string)) {
          wire::put_number(attribute.rest, 20, static_cast<std::uint64_t>(type));
        }
        const auto opaque = [&] {
          attribute.rest.clear();
          ir::OpaqueAttribute kept;
          for (Fields fields(source_, range, Message::attribute); fields.next();) {
            if (fields->number != 1) wire::keep(source_, *fields, kept.wire);
          }
          attribute.payload = std::move(kept);
        };
        const auto payloads = [&] {
          std::vector<Range> ranges;
          for (const Field& value : values) ranges.push_back(value.payload);
          return ranges;
        };
        switch (type) {
          case float_:
            attribute.payload =
                held == none ? 0.0f : std::bit_cast<float>(static_cast<std::uint32_t>(values[0].number_value));
            break;
          case int_:
            attribute.payload = held == none ? std::int64_t{0} : static_cast<std::int64_t>(values[0].number_value);
            break;
          case string:
            attribute.payload = held == none ? std::string() : source_.string(values[0].payload);
            break;
          case tensor:
            if (auto read = tensors_.read(payloads(), true)) {
              attribute.payload = std::move(read->tensor);
            } else {
              opaque();
            }
            break;
          case graph: {
            if (!node) bad_input("a graph as a default value, which is not supported");
            auto subgraph = std::make_unique<ir::Graph>(*node);
            read_graph(*subgraph, payloads(), depth + 1);
            attribute.payload = std::move(subgraph);
            break;
          }
          case floats: {
            std::vector<float> numbers;
            for (const Field& value : values) wire::append_fixed32s(source_, value, numbers);
            attribute.payload = std::move(numbers);
            break;
          }
          case ints: {
            std::vector<std::int64_t> numbers;
            for (const Field& value : values) {
              wire::for_each_varint(
                  source_, value, [&](std::uint64_t number) { numbers.push_back(static_cast<std::int64_t>(number)); });
            }
            attribute.payload = std::move(numbers);
            break;
          }
          case strings: {
            std::vector<std::string> texts;
            for (const Field& value : values) texts.push_back(source_.string(value.payload));
            attribute.payload = std::move(texts);
            break;
          }
          case tensors: {
            std::vector<ir::Tensor> read_ones;
            for (const Field& value : values) {
              auto read = tensors_.read(std::span(&value.payload, 1), true);
              if (!read) {
                opaque();
                return std::move(attribute);
              }
              read_ones.push_back(std::move(read->tensor));
            }
            attribute.payload = std::move(read_ones);
            break;
          }
          case graphs: {
            if (!node) bad_input("graphs as a default value, which is not supported");
            std::vector<std::unique_ptr<ir::Graph>> subgraphs;
            for (const Field& value : values) {
              subgraphs.push_back(std::make_unique<ir::Graph>(*node));
              read_graph(*subgraphs.back(), std::span(&value.payload, 1), depth + 1);
            }
            attribute.payload = std::move(subgraphs);
            break;
          }
          default:
            opaque();
            break;
        }
        return std::move(attribute);
      });
}

// Binding names to values.

void Reader::bind() {
  bind_inputs();
  for (const PendingGraph& pending : pending_) check_shadowing(pending);
  order();
  // Inner graphs come first here. Outer ones declare the types of the values that inner ones pass through.
  for (auto pending = pending_.rbegin(); pending != pending_.rend(); ++pending) {
    bind_outputs(*pending);
    declare_values(*pending);
  }
  pending_.clear();
  links_.clear();
  names_.clear();
}

void Reader::bind_inputs() {
  for (const Link& link : links_) {
    if (link.length == 0) {
      link.node->set_input(link.slot, nullptr);
      continue;
    }
    const std::string_view name = std::string_view(names_).substr(link.name, link.length);
    ir::Value* value = link.node->graph().find_in_scope(name);
    if (!value) {
      problem("undefined-input", describe(*link.node),
              fmt::format("input {} is no output of a node, no graph input and no initializer", quoted(name)));
    }
    link.node->set_input(link.slot, value);
  }
}

void Reader::check_shadowing(const PendingGraph& pending) {
  const ir::Graph* around = pending.graph->parent_graph();
  if (!around) return;
  const auto check = [&](const ir::Value* value, const char* what) {
    if (!value || !around->find_in_scope(value->name())) return;
    problem("shadowing", describe(*pending.graph->parent_node()),
            fmt::format("{} {} of its subgraph has the name of a value around it", what, quoted(value->name())));
  };
  for (const ir::Value* value : pending.graph->initializers()) check(value, "initializer");
  for (const ir::Node& node : pending.graph->nodes()) {
    for (std::size_t i = 0; i < node.output_count(); ++i) check(node.output(i), "value");
  }
}

void Reader::order() {
  std::vector<ir::Graph*> unsorted;
  for (const Link& link : links_) {
    const ir::Value* value = link.node->input(link.slot);
    if (!value || !value->producer()) continue;
    ir::Graph& graph = value->graph();
    const ir::Node* user = &graph == &link.node->graph() ? link.node : ir::ancestor_in(graph, *link.node);
    if (value->producer()->is_before(*user)) continue;
    if (std::find(unsorted.begin(), unsorted.end(), &graph) == unsorted.end()) unsorted.push_back(&graph);
  }
  for (ir::Graph* graph : unsorted) {
    if (graph->sort()) {
      warn(fmt::format("{}: nodes of graph {} were not in the order in which they can be run; they are now",
                       source_.name(), quoted(graph->name())));
      continue;
    }
    std::string nodes;
    const std::vector<const ir::Node*> cycle = find_cycle(*graph);
    for (std::size_t i = 0; i < cycle.size() && i < 4; ++i) nodes += (i > 0 ? ", " : "") + describe(*cycle[i]);
    if (cycle.size() > 4) nodes += fmt::format(" and {} more", cycle.size() - 4);
    problem("cycle", "",
            fmt::format("the graph has a cycle: {} {}", nodes,
                        cycle.size() == 1 ? "needs its own result" : "need each other's results"));
  }
}

void Reader::bind_outputs(PendingGraph& pending) {
  ir::Graph& graph = *pending.graph;
  for (const std::string& name : pending.output_names) {
    if (ir::Value* value = graph.find(name)) {
      graph.add_output(value);
    } else {
      problem("undefined-output", "", fmt::format("output {} is made by no node", quoted(name)));
    }
  }
  for (const Range& range : pending.outputs) {
    Declaration output = read_declaration(range);
    ir::Value* value = output.name.empty() ? nullptr : graph.find_in_scope(output.name);
    if (!value) {
      const ir::Node* parent = graph.parent_node();
      problem("undefined-output", parent ? describe(*parent) : "",
              fmt::format("graph output {} is made by no node", quoted(output.name)));
      continue;
    }
    const std::int64_t place = -1 - static_cast<std::int64_t>(graph.outputs().size());
    graph.add_output(value);
    if (&value->graph() != &graph) {
      wire::put_bytes(output.wire, 1, output.name);
      graph.dangling_infos.emplace_back(place, std::move(output.wire));
    } else if (ir::ValueInfo* info = GraphAccess::info(*value)) {
      info->again.emplace_back(place, std::move(output.wire));
    } else {
      if (output.type.kind != ir::Type::Kind::unknown) value->set_type(std::move(output.type));
      GraphAccess::declare(*value, std::move(output.wire), -1);
    }
  }
}

void Reader::declare_values(PendingGraph& pending) {
  ir::Graph& graph = *pending.graph;
  std::int64_t place = 0;
  for (const Range& range : pending.infos) {
    Declaration declaration = read_declaration(range);
    ir::Value* value = graph.find(declaration.name);
    if (!value) {
      wire::put_bytes(declaration.wire, 1, declaration.name);
      graph.dangling_infos.emplace_back(place, std::move(declaration.wire));
    } else if (ir::ValueInfo* info = GraphAccess::info(*value)) {
      info->again.emplace_back(place, std::move(declaration.wire));
    } else {
      if (declaration.type.kind != ir::Type::Kind::unknown && !value->initializer() && !value->sparse_initializer()) {
        value->set_type(std::move(declaration.type));
      }
      GraphAccess::declare(*value, std::move(declaration.wire), place);
    }
    ++place;
  }
}

}  // namespace

std::unique_ptr<ir::Function> read_function(std::string wire) {
  return Reader(File::from_memory(std::move(wire), "function"), {}).read_function_only();
}

ir::Model read(std::shared_ptr<const File> file, const ReadOptions& options) {
  return in_context([&] { return "reading " + file->name(); },
                    [&] {
                      if (looks_like_onnx_text(*file)) {
                        std::string text(file->size(), '\0');
                        file->read(0, std::as_writable_bytes(std::span(text.data(), text.size())));
                        return parse_text(text, file->name(), options);
                      }
                      if (const std::string foreign = foreign_format(*file); !foreign.empty()) {
                        bad_input("this is not an ONNX model but {}", foreign);
                      }
                      ir::Model model = Reader(file, options).read();
                      model.source = file->name();
                      return model;
                    });
}

ir::Model read(const std::string& path, const ReadOptions& options) {
  std::shared_ptr<const File> file = path == "-" ? File::spool(STDIN_FILENO, "-") : File::open(path);
  if (path.ends_with(".onnxtxt")) {
    return in_context([&] { return "reading " + path; },
                      [&] {
                        std::string text(file->size(), '\0');
                        file->read(0, std::as_writable_bytes(std::span(text.data(), text.size())));
                        return parse_text(text, path, options);
                      });
  }
  return read(std::move(file), options);
}

ir::Model read_text(std::string_view text, const std::string& name) {
  return in_context([&] { return "reading " + name; }, [&] { return parse_text(text, name, {}); });
}

}  // namespace hone::onnx
