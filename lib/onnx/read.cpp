// Reading ONNX models: the fields of the model itself, functions, and the ways in.
#include "hone/onnx/read.h"

#include <unistd.h>

#include <unordered_set>

#include "hone/support/error.h"
#include "onnx/foreign.h"
#include "onnx/parts.h"
#include "onnx/reader.h"
#include "onnx/structure.h"
#include "onnx/text_format.h"
#include "onnx/versions.h"

namespace hone::onnx {

using wire::Field;
using wire::Fields;
using wire::Range;

void Reader::problem(const char* rule, const std::string& node, std::string message) {
  if (!options_.problems) throw Error(ErrorKind::bad_input, node.empty() ? std::move(message) : node + ": " + message);
  options_.problems->push_back({rule, true, node, std::move(message)});
}

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
  if (!has_version) bad_input("the opset import of domain {} has no version", quote(opset.domain));
  return opset;
}

void Reader::check_opsets(const std::vector<ir::OpsetImport>& opsets) {
  std::unordered_set<std::string_view> seen;
  for (const ir::OpsetImport& opset : opsets) {
    const std::string domain = opset.domain.empty() ? "ai.onnx" : quote(opset.domain);
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
  for (const Range& range : functions) model_.functions.add(read_function(range));
  std::unordered_set<std::string> seen;
  for (const auto& function : model_.functions) {
    if (!seen.insert(function->domain + '\0' + function->name + '\0' + function->overload).second) {
      problem("duplicate-function", "",
              fmt::format("two functions are called {} of domain {}", quote(function->name), quote(function->domain)));
    }
  }
  collect(
      "external-data", [] { return ""; }, [&] { external_.check(); });
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
  const auto where = [&] { return "function " + quote(function->name); };
  in_context(where, [&] {
    if (function->name.empty()) bad_input("it has no name");
    check_opsets(function->opsets);
    imports_ = &function->opsets;
    for (std::string& name : inputs) {
      if (name.empty()) bad_input("an input has no name");
      if (body.find(name)) {
        problem("duplicate-input", where(), fmt::format("two inputs are called {}", quote(name)));
        name = body.fresh_name(name);
      }
      body.add_input(name);
    }
    for (const Range& each : attributes) function->attribute_defaults.push_back(read_attribute(nullptr, each, 0));
    for (const Range& each : nodes) read_node(body, each, 0);
    pending_.push_back(std::move(pending));
    bind();
  });
  return function;
}

std::unique_ptr<ir::Function> read_function(std::string wire) {
  return Reader(File::from_memory(std::move(wire), "function"), {}).read_function_only();
}

namespace {

std::string whole_text(const File& file) {
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text.data(), text.size())));
  return text;
}

ir::Model read_file(const std::shared_ptr<const File>& file, const ReadOptions& options, bool text) {
  if (text || looks_like_onnx_text(*file)) return parse_text(whole_text(*file), file->name(), options);
  if (const std::string foreign = foreign_format(*file); !foreign.empty()) {
    bad_input("this is not an ONNX model but {}", foreign);
  }
  ir::Model model = Reader(file, options).read();
  model.source = file->name();
  if (options.problems) return model;  // who collects problems calls lint() next, which looks for the following too
  check_structure(model, [&](const Problem& problem) {
    const std::string message = problem.node.empty() ? problem.message : problem.node + ": " + problem.message;
    if (problem.error) throw Error(ErrorKind::bad_input, message);
    if (options.observer) options.observer->message(Level::warning, printable(file->name()) + ": " + message);
  });
  return model;
}

}  // namespace

ir::Model read_model(std::string wire, const std::string& name, const ReadOptions& options) {
  return read_file(File::from_memory(std::move(wire), name), options, false);
}

ir::Model read(std::shared_ptr<const File> file, const ReadOptions& options) {
  const auto where = [&] { return "reading " + printable(file->name()); };
  return in_context(where, [&] { return read_file(file, options, false); });
}

ir::Model read(const std::string& path, const ReadOptions& options) {
  const auto where = [&] { return "reading " + printable(path); };
  return in_context(where, [&] {
    const auto file = path == "-" ? File::spool(STDIN_FILENO, "-") : File::open(path);
    return read_file(file, options, path.ends_with(".onnxtxt"));
  });
}

ir::Model read_text(std::string_view text, const std::string& name) {
  const auto where = [&] { return "reading " + printable(name); };
  return in_context(where, [&] { return parse_text(text, name, {}); });
}

}  // namespace hone::onnx
