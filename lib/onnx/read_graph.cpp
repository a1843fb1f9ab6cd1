// Reading graphs: inputs, initializers, nodes and their attributes.
#include <bit>
#include <optional>
#include <unordered_set>

#include "onnx/access.h"
#include "onnx/reader.h"
#include "onnx/structure.h"
#include "onnx/versions.h"

namespace hone::onnx {

using ir::GraphAccess;
using wire::Field;
using wire::Fields;
using wire::Range;

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
      const auto where = [&] { return "value " + quote(declaration.name); };
      collect(
          "bad-type", [] { return ""; },
          [&] {
            declaration.type = in_context(
                where, [&] { return read_type(source_, fields->payload, options_.max_nesting, dimensions_); });
          });
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
    problem("duplicate-input", "", fmt::format("two graph inputs are called {}", quote(input.name)));
    return;
  }
  const bool untyped = input.type.kind == ir::Type::Kind::unknown ||
                       (input.type.is_tensor() && input.type.element == ir::ElementType::undefined);
  if (main && untyped) problem("untyped-input", "", fmt::format("graph input {} has no type", quote(input.name)));
  ir::Value* value = graph.add_input(std::move(input.name), std::move(input.type));
  GraphAccess::declare(*value, std::move(input.wire), -1);
}

void Reader::check_initializer_name(ir::Graph& graph, std::string& name) {
  if (name.empty()) bad_input("an initializer has no name");
  const ir::Value* value = graph.find(name);
  if (!value) return;
  if (value->initializer() || value->sparse_initializer()) {
    problem("duplicate-initializer", "", fmt::format("two initializers are called {}", quote(name)));
  } else if (graph.parent_node()) {
    problem("initializer-of-body-input", describe(*graph.parent_node()),
            fmt::format("input {} of its subgraph is an initializer, too", quote(name)));
  } else {
    return;
  }
  name = graph.fresh_name(name);
}

// Of a tensor that is otherwise not fit to be read.
std::string Reader::name_of_tensor(Range range) {
  std::string name;
  for (Fields fields(source_, range, Message::tensor); fields.next();) {
    if (fields->number == 8) name = wire::text(source_, *fields);
  }
  return name;
}

void Reader::read_initializer(ir::Graph& graph, Range range) {
  std::optional<NamedTensor> read;
  bool done = false;
  const auto where = [&] { return graph.parent_node() ? describe(*graph.parent_node()) : std::string(); };
  collect("bad-tensor", where, [&] {
    read = in_context([] { return "initializer"; }, [&] { return tensors_.read(std::span(&range, 1), false); });
    done = true;
  });
  if (!done) {
    collect("bad-tensor", where, [&] { broken_.insert(name_of_tensor(range)); });
    return;
  }
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
  bool done = false;
  const auto where = [&] { return "sparse initializer" + (name.empty() ? "" : ' ' + quote(name)); };
  const auto read_parts = [&] {
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
    done = true;
  };
  collect(
      "bad-tensor", [] { return ""; }, [&] { in_context(where, read_parts); });
  if (!done) {
    if (!values.empty())
      collect(
          "bad-tensor", [] { return ""; }, [&] { broken_.insert(name_of_tensor(values[0])); });
    return;
  }
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
                                : fmt::format("domain {} is not imported", quote(node.domain())));
}

void Reader::read_output(ir::Node& node, std::string name, const std::function<std::string()>& where) {
  if (name.empty()) return GraphAccess::add_empty_output(node);
  ir::Graph& graph = node.graph();
  if (const ir::Value* other = graph.find(name)) {
    const ir::Node* producer = other->producer();
    problem("duplicate-output", where(),
            fmt::format("output {} has the name of {}", quote(name),
                        producer                  ? "an output of " + describe(*producer)
                        : other->is_graph_input() ? "a graph input"
                                                  : "an initializer"));
    name = graph.fresh_name(name);
  }
  node.add_output(std::move(name));
}

// Nodes mostly come after those whose results they take: then the value is found at once, while it is warm. What an inner
// graph takes from around it may yet be shadowed by a value of its own, and waits.
void Reader::read_link(ir::Node& node, std::uint32_t slot, const Field& field) {
  const std::size_t at = names_.size();
  wire::append_text(source_, field, names_);
  if (names_.size() > at) {
    ir::Value* value = node.graph().find(std::string_view(names_).substr(at));
    if (value && value->producer() != &node) {
      node.set_input(slot, value);
      names_.resize(at);
      return;
    }
  }
  links_.push_back({&node, slot, static_cast<std::uint32_t>(names_.size() - at), at});
}

void Reader::read_node(ir::Graph& graph, Range range, int depth) {
  ir::Node& node = graph.insert("");
  std::string name, op_type, domain, overload, rest;
  bool has_name = false, has_domain = false, has_overload = false;
  std::uint32_t inputs = 0;
  std::vector<Range> attributes;  // read last, when it is known whose they are
  const auto where = [&] { return describe(name, domain, op_type); };
  const auto read_fields = [&] {
    for (Fields fields(source_, range, Message::node); fields.next();) {
      switch (fields->number) {
        case 1:
          read_link(node, inputs++, *fields);
          break;
        case 2:
          read_output(node, wire::text(source_, *fields), where);
          break;
        case 3:
          name = wire::text(source_, *fields);
          has_name = true;
          break;
        case 4:
          op_type = wire::text(source_, *fields);
          break;
        case 5:
          attributes.push_back(fields->payload);
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
  };
  collect("bad-node", where, [&] {
    if (options_.problems) {
      read_fields();
    } else {
      in_context(where, read_fields);
    }
  });
  node.set_op(std::move(op_type), std::move(domain), std::move(overload));
  node.set_name(std::move(name));
  node.set_rest(std::move(rest));
  check_import(node);
  if (!attributes.empty()) read_attributes(node, attributes, depth);
}

void Reader::read_attributes(ir::Node& node, std::span<const Range> ranges, int depth) {
  const auto where = [&] { return describe(node); };
  const auto read = [&](Range range) { node.attributes().push_back(read_attribute(&node, range, depth)); };
  const auto check_names = [&] {
    std::unordered_set<std::string_view> seen;
    for (const ir::Attribute& attribute : node.attributes()) {
      if (node.attributes().size() > 1 && !seen.insert(attribute.name).second) {
        bad_input("attribute {} is given twice", quote(attribute.name));
      }
    }
  };
  if (options_.problems) {
    for (const Range range : ranges) collect("bad-attribute", where, [&] { read(range); });
    collect("bad-attribute", where, check_names);
  } else {
    in_context(where, [&] {
      for (const Range range : ranges) read(range);
      check_names();
    });
  }
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
  AttributeParts parts;
  parts.whole = range;
  bool has_reference = false;
  for (Fields fields(source_, range, Message::attribute); fields.next();) {
    const Field& field = *fields;
    if (const std::int32_t found = type_of_field(field.number); found != none) {
      // An empty packed field is no field at all.
      if ((found == floats || found == ints) && field.type == wire::Type::bytes && field.payload.size() == 0) continue;
      if (parts.held != none && parts.held != found) {
        bad_input("attribute {} holds several values: {} and {}", quote(attribute.name), type_names[parts.held],
                  type_names[found]);
      }
      const bool last_wins = found <= string || found == sparse_tensor || found == type_proto;
      if (last_wins) parts.values.clear();
      parts.held = found;
      parts.values.push_back(field);
      continue;
    }
    switch (field.number) {
      case 1:
        attribute.name = wire::text(source_, field);
        break;
      case 20:
        parts.type = static_cast<std::int32_t>(field.number_value);
        parts.has_type = true;
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
  if (has_reference && attribute.reference.empty()) wire::put_bytes(attribute.rest, 21, "");
  const auto where = [&] { return "attribute " + quote(attribute.name); };
  in_context(where, [&] {
    check_attribute(attribute, parts);
    if (!attribute.reference.empty()) return;
    attribute.payload = read_payload(node, parts, depth);
    if (attribute.get<ir::OpaqueAttribute>()) attribute.rest.clear();  // it holds that, too
  });
  return attribute;
}

// That type, value and reference fit each other; and notes what the file leaves out.
void Reader::check_attribute(ir::Attribute& attribute, AttributeParts& parts) {
  if (attribute.name.empty()) bad_input("it has no name");
  if (!parts.has_type) {
    if (model_.ir_version >= 2) bad_input("it has no type");
    parts.type = parts.held;
    attribute.reference_type = -1;
  }
  const std::int32_t type = parts.type;
  if (type <= none || type > type_protos) bad_input("type {}, which ONNX does not have", type);
  if (parts.held != none && parts.held != type) {
    bad_input("it is of type {}, and holds {}", type_names[type], type_names[parts.held]);
  }
  if (!attribute.reference.empty()) {
    if (!in_function_) bad_input("it refers to {} of a function, and is not in one", quote(attribute.reference));
    if (parts.held != none) bad_input("it both refers to {} and holds a value", quote(attribute.reference));
    attribute.reference_type = parts.has_type ? type : -1;
    return;
  }
  if (parts.held != none) return;
  if (type == tensor || type == graph || type == sparse_tensor || type == type_proto) {
    bad_input("it is of type {}, and holds nothing", type_names[type]);
  }
  // Writers of the proto3 kind leave out zeros: the type in the rest says so to ours.
  if (type == float_ || type == int_ || type == string) {
    wire::put_number(attribute.rest, 20, static_cast<std::uint64_t>(type));
  }
}

ir::OpaqueAttribute Reader::read_opaque(Range range) {
  ir::OpaqueAttribute opaque;
  for (Fields fields(source_, range, Message::attribute); fields.next();) {
    if (fields->number != 1) wire::keep(source_, *fields, opaque.wire);
  }
  return opaque;
}

ir::Attribute::Payload Reader::read_payload(ir::Node* node, const AttributeParts& parts, int depth) {
  const std::vector<Field>& values = parts.values;
  const auto read_subgraph = [&](std::span<const Range> ranges) {
    if (!node) bad_input("a graph as a default value, which is not supported");
    auto subgraph = std::make_unique<ir::Graph>(*node);
    read_graph(*subgraph, ranges, depth + 1);
    return subgraph;
  };
  std::vector<Range> payloads;
  for (const Field& value : values) payloads.push_back(value.payload);
  switch (parts.type) {
    case float_:
      return values.empty() ? 0.0f : std::bit_cast<float>(static_cast<std::uint32_t>(values[0].number_value));
    case int_:
      return values.empty() ? std::int64_t{0} : static_cast<std::int64_t>(values[0].number_value);
    case string:
      return values.empty() ? std::string() : source_.string(values[0].payload);
    case tensor:
      if (auto read = tensors_.read(payloads, true)) return std::move(read->tensor);
      break;
    case graph:
      return read_subgraph(payloads);
    case floats: {
      std::vector<float> numbers;
      for (const Field& value : values) wire::append_fixed32s(source_, value, numbers);
      return numbers;
    }
    case ints: {
      std::vector<std::int64_t> numbers;
      const auto add = [&](std::uint64_t number) { numbers.push_back(static_cast<std::int64_t>(number)); };
      for (const Field& value : values) wire::for_each_varint(source_, value, add);
      return numbers;
    }
    case strings: {
      std::vector<std::string> texts;
      for (const Range& payload : payloads) texts.push_back(source_.string(payload));
      return texts;
    }
    case tensors: {
      std::vector<ir::Tensor> read_ones;
      for (const Range& payload : payloads) {
        if (auto read = tensors_.read(std::span(&payload, 1), true)) read_ones.push_back(std::move(read->tensor));
      }
      if (read_ones.size() == payloads.size()) return read_ones;
      break;
    }
    case graphs: {
      std::vector<std::unique_ptr<ir::Graph>> subgraphs;
      for (const Range& payload : payloads) subgraphs.push_back(read_subgraph(std::span(&payload, 1)));
      return subgraphs;
    }
    default:
      break;
  }
  return read_opaque(parts.whole);
}

}  // namespace hone::onnx
