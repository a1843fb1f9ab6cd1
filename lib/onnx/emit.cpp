// A model as a stream of protobuf fields. Within a message `rest` comes first and modelled fields follow in the order of
// their numbers, as protobuf itself writes them: later ones override.
#include "onnx/emit.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "hone/support/error.h"
#include "hone/support/threads.h"
#include "onnx/access.h"
#include "onnx/types.h"

namespace hone::onnx {
namespace {

using ir::ElementType;
using ir::GraphAccess;

// Large enough that a deferred tensor is made in few pieces, small beside any limit on memory.
constexpr std::uint64_t window_size = 1 << 20;

// Calls f(bytes) for all bytes of the tensor, in windows.
template <typename F>
void for_each_window(const ir::Tensor& tensor, F&& f) {
  const std::uint64_t size = tensor.byte_size();
  if (size == 0) return;
  if (tensor.is_loaded()) return f(tensor.bytes());
  std::vector<std::byte> window(std::min(size, window_size));
  for (std::uint64_t at = 0; at < size; at += window.size()) {
    check_interrupt();
    const std::span<std::byte> part(window.data(), std::min<std::uint64_t>(window.size(), size - at));
    tensor.read(at, part);
    f(std::span<const std::byte>(part));
  }
}

// Calls f(varint) for each entry of int32_data, int64_data or uint64_data.
template <typename T, typename F>
void for_each_entry(const ir::Tensor& tensor, F&& f) {
  for_each_window(tensor, [&](std::span<const std::byte> bytes) {
    for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
      T value;
      std::memcpy(&value, bytes.data() + at, sizeof(T));
      if constexpr (std::is_signed_v<T>) {
        f(static_cast<std::uint64_t>(static_cast<std::int64_t>(value)));
      } else {
        f(static_cast<std::uint64_t>(value));
      }
    }
  });
}

template <typename T>
void emit_varints(Emitter& emitter, std::uint32_t field, const ir::Tensor& tensor) {
  std::uint64_t length = 0;
  for_each_entry<T>(tensor, [&](std::uint64_t value) { length += wire::varint_size(value); });
  emitter.header(field, length);
  for_each_entry<T>(tensor, [&](std::uint64_t value) { emitter.varint(value); });
}

void emit_typed(Emitter& emitter, const ir::Tensor& tensor) {
  if (tensor.byte_size() == 0) return;
  switch (tensor.type()) {
    case ElementType::float32:
    case ElementType::complex64:
      emitter.header(4, tensor.byte_size());
      return emitter.data(tensor);
    case ElementType::float64:
    case ElementType::complex128:
      emitter.header(10, tensor.byte_size());
      return emitter.data(tensor);
    case ElementType::int64:
      return emit_varints<std::int64_t>(emitter, 7, tensor);
    case ElementType::uint64:
      return emit_varints<std::uint64_t>(emitter, 11, tensor);
    case ElementType::uint32:
      return emit_varints<std::uint32_t>(emitter, 11, tensor);
    case ElementType::int32:
      return emit_varints<std::int32_t>(emitter, 5, tensor);
    case ElementType::int16:
      return emit_varints<std::int16_t>(emitter, 5, tensor);
    case ElementType::int8:
      return emit_varints<std::int8_t>(emitter, 5, tensor);
    case ElementType::uint16:
    case ElementType::float16:
    case ElementType::bfloat16:
      return emit_varints<std::uint16_t>(emitter, 5, tensor);
    default:
      return emit_varints<std::uint8_t>(emitter, 5, tensor);
  }
}

class ModelEmitter {
 public:
  ModelEmitter(Emitter& emitter, const Placements& placements) : out_(emitter), placements_(placements) {}

  void model(const ir::Model& model);
  void rest_of_tensor(std::string_view rest, bool is_named);
  void tensor(const ir::Tensor& tensor, std::string_view name);
  void attribute(const ir::Attribute& attribute);
  void function(const ir::Function& function);

 private:
  void graph(const ir::Graph& graph);
  void node(const ir::Node& node);
  void opset(const ir::OpsetImport& opset);
  void sparse(const ir::Value& value, const ir::SparseTensor& sparse);
  void declaration(std::uint32_t field, const ir::Value& value, const std::string* wire);
  void output(const ir::Graph& graph, std::size_t index);
  void value_infos(std::uint32_t field, const ir::Graph& graph, bool is_function);
  void external_entries(const Placement& placement);

  Emitter& out_;
  const Placements& placements_;
};

void ModelEmitter::opset(const ir::OpsetImport& opset) {
  out_.raw(opset.rest);
  out_.text(1, opset.domain);
  out_.number(2, static_cast<std::uint64_t>(opset.version));
}

void ModelEmitter::model(const ir::Model& model) {
  out_.raw(model.rest);
  if (model.ir_version != 0) out_.number(1, static_cast<std::uint64_t>(model.ir_version));
  out_.text(2, model.producer_name);
  out_.text(3, model.producer_version);
  out_.text(4, model.domain);
  if (model.model_version) out_.number(5, static_cast<std::uint64_t>(*model.model_version));
  out_.text(6, model.doc_string);
  out_.message(7, [&] { graph(*model.graph); });
  for (const ir::OpsetImport& each : model.opsets) out_.message(8, [&] { opset(each); });
  for (const ir::MetadataEntry& entry : model.metadata) {
    out_.message(14, [&] {
      out_.bytes(1, entry.first);
      out_.bytes(2, entry.second);
    });
  }
  for (const auto& each : model.functions) out_.message(25, [&] { function(*each); });
}

void ModelEmitter::graph(const ir::Graph& graph) {
  out_.raw(graph.rest());
  for (const ir::Node& each : graph.nodes()) out_.message(1, [&] { node(each); });
  out_.text(2, graph.name());
  const std::vector<ir::Value*> initializers = graph.initializers();
  for (const ir::Value* value : initializers) {
    if (value->initializer()) out_.message(5, [&] { tensor(*value->initializer(), value->name()); });
  }
  for (const ir::Value* value : graph.inputs()) {
    declaration(11, *value, value->info() ? &value->info()->wire : nullptr);
  }
  for (std::size_t i = 0; i < graph.outputs().size(); ++i) output(graph, i);
  value_infos(13, graph, false);
  for (const ir::Value* value : initializers) {
    if (value->sparse_initializer()) out_.message(15, [&] { sparse(*value, *value->sparse_initializer()); });
  }
}

void ModelEmitter::declaration(std::uint32_t field, const ir::Value& value, const std::string* wire) {
  out_.message(field, [&] {
    out_.bytes(1, value.name());
    if (wire) {
      out_.raw(*wire);
    } else if (value.type().kind != ir::Type::Kind::unknown) {
      out_.bytes(2, type_wire(value.type()));
    }
  });
}

// The declaration of output `index`, kept by the graph since the value is of a graph around it; null if there is none.
const std::string* passed_through(const ir::Graph& graph, std::size_t index) {
  const std::int64_t place = -1 - static_cast<std::int64_t>(index);
  for (const auto& [at, wire] : graph.dangling_infos) {
    if (at != place) continue;
    wire::Source source{std::string_view(wire)};
    std::string name;
    for (wire::Fields fields(source, {0, wire.size()}, Message::value_info); fields.next();) {
      if (fields->number == 1) name = wire::text(source, *fields);
    }
    if (name == graph.outputs()[index]->name()) return &wire;
  }
  return nullptr;
}

void ModelEmitter::output(const ir::Graph& graph, std::size_t index) {
  const ir::Value& value = *graph.outputs()[index];
  if (&value.graph() != &graph) {
    if (const std::string* wire = passed_through(graph, index)) return out_.bytes(12, *wire);
    return declaration(12, value, nullptr);
  }
  const ir::ValueInfo* info = value.info();
  if (info) {
    const std::int64_t place = -1 - static_cast<std::int64_t>(index);
    for (const auto& [at, wire] : info->again) {
      if (at == place) return declaration(12, value, &wire);
    }
  }
  declaration(12, value, info ? &info->wire : nullptr);
}

void ModelEmitter::value_infos(std::uint32_t field, const ir::Graph& graph, bool is_function) {
  struct Entry {
    std::int64_t place;
    const ir::Value* value;   // null: the wire holds the name
    const std::string* wire;  // null: derived from the type
  };
  std::vector<Entry> entries;
  const auto add = [&](const ir::Value& value) {
    const ir::ValueInfo* info = value.info();
    const std::int64_t order = GraphAccess::order(value);
    bool elsewhere = false;  // declared as an input or output
    if (!is_function) {
      const auto users = value.output_of();
      elsewhere = value.is_graph_input() || std::find(users.begin(), users.end(), &graph) != users.end();
    }
    if (value.is_declared() && !elsewhere && (info || value.type().kind != ir::Type::Kind::unknown)) {
      entries.push_back(
          {order < 0 ? std::numeric_limits<std::int64_t>::max() : order, &value, info ? &info->wire : nullptr});
    }
    if (!info) return;
    for (const auto& [place, wire] : info->again) {
      if (place >= 0) entries.push_back({place, &value, &wire});
    }
  };
  for (const ir::Value* value : graph.inputs()) add(*value);
  for (const ir::Value* value : graph.initializers()) {
    if (!value->is_graph_input()) add(*value);
  }
  for (const ir::Node& node : graph.nodes()) {
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (node.output(i)) add(*node.output(i));
    }
  }
  for (const auto& [place, wire] : graph.dangling_infos) {
    if (place >= 0) entries.push_back({place, nullptr, &wire});
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.place < b.place; });
  for (const Entry& entry : entries) {
    if (entry.value) {
      declaration(field, *entry.value, entry.wire);
    } else {
      out_.bytes(field, *entry.wire);
    }
  }
}

void ModelEmitter::sparse(const ir::Value& value, const ir::SparseTensor& sparse) {
  out_.raw(sparse.rest);
  out_.message(1, [&] { tensor(sparse.values, value.name()); });
  out_.message(2, [&] { tensor(sparse.indices, ""); });
  for (const std::int64_t dim : sparse.dims) out_.number(3, static_cast<std::uint64_t>(dim));
}

void ModelEmitter::node(const ir::Node& node) {
  out_.raw(node.rest());
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    out_.bytes(1, node.input(i) ? std::string_view(node.input(i)->name()) : std::string_view());
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    out_.bytes(2, node.output(i) ? std::string_view(node.output(i)->name()) : std::string_view());
  }
  out_.text(3, node.name());
  out_.text(4, node.op_type());
  for (const ir::Attribute& each : node.attributes()) out_.message(5, [&] { attribute(each); });
  out_.text(7, node.domain());
  out_.text(8, node.overload());
}

// Whether the file left the value of a FLOAT, INT or STRING attribute out, since it is zero: see the reader.
bool value_left_out(const ir::Attribute& attribute) {
  wire::Source source{std::string_view(attribute.rest)};
  for (wire::Fields fields(source, {0, attribute.rest.size()}, Message::attribute); fields.next();) {
    if (fields->number == 20) return true;
  }
  return false;
}

void ModelEmitter::attribute(const ir::Attribute& attribute) {
  if (const auto* opaque = attribute.get<ir::OpaqueAttribute>()) {
    out_.raw(opaque->wire);
    out_.bytes(1, attribute.name);
    return;
  }
  out_.raw(attribute.rest);
  out_.bytes(1, attribute.name);
  const bool has_rest = !attribute.rest.empty();
  std::uint64_t type = 0;
  if (const auto* number = attribute.get<float>()) {
    type = 1;
    const auto bits = std::bit_cast<std::uint32_t>(*number);
    if (!has_rest || bits != 0 || !value_left_out(attribute)) out_.fixed32(2, bits);
  } else if (const auto* integer = attribute.get<std::int64_t>()) {
    type = 2;
    if (!has_rest || *integer != 0 || !value_left_out(attribute)) out_.number(3, static_cast<std::uint64_t>(*integer));
  } else if (const auto* string = attribute.get<std::string>()) {
    type = 3;
    if (!has_rest || !string->empty() || !value_left_out(attribute)) out_.bytes(4, *string);
  } else if (const auto* one = attribute.get<ir::Tensor>()) {
    type = 4;
    out_.message(5, [&] { tensor(*one, ""); });
  } else if (const auto* inner = attribute.get<std::unique_ptr<ir::Graph>>()) {
    type = 5;
    out_.message(6, [&] { graph(**inner); });
  } else if (const auto* floats = attribute.get<std::vector<float>>()) {
    type = 6;
    for (const float each : *floats) out_.fixed32(7, std::bit_cast<std::uint32_t>(each));
  } else if (const auto* ints = attribute.get<std::vector<std::int64_t>>()) {
    type = 7;
    for (const std::int64_t each : *ints) out_.number(8, static_cast<std::uint64_t>(each));
  } else if (const auto* strings = attribute.get<std::vector<std::string>>()) {
    type = 8;
    for (const std::string& each : *strings) out_.bytes(9, each);
  } else if (const auto* tensors = attribute.get<std::vector<ir::Tensor>>()) {
    type = 9;
    for (const ir::Tensor& each : *tensors) out_.message(10, [&] { tensor(each, ""); });
  } else if (const auto* graphs = attribute.get<std::vector<std::unique_ptr<ir::Graph>>>()) {
    type = 10;
    for (const auto& each : *graphs) out_.message(11, [&] { graph(*each); });
  }
  if (!attribute.reference.empty()) {
    if (attribute.reference_type > 0) out_.number(20, static_cast<std::uint64_t>(attribute.reference_type));
    out_.bytes(21, attribute.reference);
  } else if (type != 0 && attribute.reference_type >= 0) {
    out_.number(20, type);
  }
}

void ModelEmitter::external_entries(const Placement& placement) {
  const auto entry = [&](std::string_view key, std::string_view value) {
    out_.message(13, [&] {
      out_.bytes(1, key);
      out_.bytes(2, value);
    });
  };
  entry("location", placement.location);
  const ir::ExternalLocation* source = placement.source;
  if (!source || source->has_offset || placement.offset != 0) entry("offset", std::to_string(placement.offset));
  if (!source || source->has_length) entry("length", std::to_string(placement.length));
  if (!source) return;
  for (const auto& [key, value] : source->others) entry(key, value);
}

// What was a Constant node's tensor brings the name it had there; as an initializer it has its value's.
void ModelEmitter::rest_of_tensor(std::string_view rest, bool is_named) {
  if (!is_named) return out_.raw(rest);
  wire::Source source{rest};
  for (wire::Fields fields(source, {0, rest.size()}, Message::tensor); fields.next();) {
    if (fields->number != 8) out_.raw(rest.substr(fields->whole.begin, fields->whole.size()));
  }
}

void ModelEmitter::tensor(const ir::Tensor& tensor, std::string_view name) {
  const auto placed = placements_.find(&tensor);
  if (tensor.rest) rest_of_tensor(*tensor.rest, !name.empty());
  if (placed != placements_.end() && placed->second.omitted) {
    out_.number(1, 0);
    out_.number(2, static_cast<std::uint64_t>(tensor.type()));
    return out_.text(8, name);
  }
  for (const std::int64_t dim : tensor.dims()) out_.number(1, static_cast<std::uint64_t>(dim));
  out_.number(2, static_cast<std::uint64_t>(tensor.type()));
  const bool typed = placed == placements_.end() && tensor.encoding == ir::Encoding::typed;
  if (typed && !tensor.is_string()) emit_typed(out_, tensor);
  if (tensor.is_string()) {
    for (const std::string& each : *tensor.string_values()) out_.bytes(6, each);
  }
  out_.text(8, name);
  if (placed != placements_.end()) {
    external_entries(placed->second);
    out_.number(14, 1);
  } else if (!typed && !tensor.is_string()) {
    out_.header(9, tensor.byte_size());
    out_.data(tensor);
  }
}

void ModelEmitter::function(const ir::Function& function) {
  const ir::Graph& body = *function.body;
  out_.raw(function.rest);
  out_.text(1, function.name);
  for (const ir::Value* value : body.inputs()) out_.bytes(4, value->name());
  for (const ir::Value* value : body.outputs()) out_.bytes(5, value->name());
  for (const std::string& name : function.attributes) out_.bytes(6, name);
  // A function has no initializers: what a pass has put there becomes a Constant node.
  for (const ir::Value* value : body.initializers()) {
    if (!value->initializer()) fail(ErrorKind::internal, "a sparse initializer in function {}", quote(function.name));
    out_.message(7, [&] {
      out_.bytes(2, value->name());
      out_.bytes(4, "Constant");
      out_.message(5, [&] {
        out_.bytes(1, "value");
        out_.message(5, [&] { tensor(*value->initializer(), ""); });
        out_.number(20, 4);
      });
    });
  }
  for (const ir::Node& each : body.nodes()) out_.message(7, [&] { node(each); });
  for (const ir::OpsetImport& each : function.opsets) out_.message(9, [&] { opset(each); });
  out_.text(10, function.domain);
  for (const ir::Attribute& each : function.attribute_defaults) out_.message(11, [&] { attribute(each); });
  value_infos(12, body, true);
  out_.text(13, function.overload);
}

}  // namespace

void Emitter::flush() {
  if (output_ && !pending_.empty()) output_->write(pending_);
  pending_.clear();
}

void Emitter::raw(std::string_view bytes) {
  total_ += bytes.size();
  if (!output_) return;
  constexpr std::size_t piece = 16 << 10;  // into the buffer of the output, piece by piece
  if (pending_.size() + bytes.size() > piece) flush();
  if (bytes.size() > piece) {
    output_->write(bytes);
  } else {
    pending_.append(bytes);
  }
}

void Emitter::varint(std::uint64_t value) {
  if (!output_) {
    total_ += wire::varint_size(value);
    return;
  }
  char bytes[10];
  std::size_t size = 0;
  for (; value >= 0x80; value >>= 7) bytes[size++] = static_cast<char>(value | 0x80);
  bytes[size++] = static_cast<char>(value);
  raw({bytes, size});
}

void Emitter::number(std::uint32_t field, std::uint64_t value) {
  tag(field, wire::Type::varint);
  varint(value);
}

void Emitter::fixed32(std::uint32_t field, std::uint32_t value) {
  tag(field, wire::Type::fixed32);
  char bytes[4];
  std::memcpy(bytes, &value, 4);
  raw({bytes, 4});
}

void Emitter::bytes(std::uint32_t field, std::string_view value) {
  header(field, value.size());
  raw(value);
}

void Emitter::data(const ir::Tensor& tensor) {
  const std::uint64_t size = tensor.byte_size();
  if (!output_) {
    total_ += size;
    return;
  }
  const FileSlice* slice = tensor.file_slice();
  if (slice && size >= window_size / 4) {
    flush();
    output_->write(*slice);
    total_ += size;
    return;
  }
  for_each_window(tensor, [&](std::span<const std::byte> part) {
    raw({reinterpret_cast<const char*>(part.data()), part.size()});
  });
}

void emit(Emitter& emitter, const ir::Model& model, const Placements& placements) {
  ModelEmitter(emitter, placements).model(model);
  emitter.flush();
}

namespace {

template <typename Part>
std::string part_bytes(const Placements& placements, Part&& part) {
  Emitter counted;
  part(ModelEmitter(counted, placements));
  std::string bytes;
  const auto output = Output::to_string(bytes);
  Emitter emitter(counted, *output);
  part(ModelEmitter(emitter, placements));
  emitter.flush();
  return bytes;
}

}  // namespace

std::string model_bytes(const ir::Model& model, const Placements& placements) {
  return part_bytes(placements, [&](ModelEmitter emitter) { emitter.model(model); });
}

std::string tensor_bytes(const ir::Tensor& tensor, std::string_view name, const Placements& placements) {
  return part_bytes(placements, [&](ModelEmitter emitter) { emitter.tensor(tensor, name); });
}

std::string attribute_bytes(const ir::Attribute& attribute, const Placements& placements) {
  return part_bytes(placements, [&](ModelEmitter emitter) { emitter.attribute(attribute); });
}

std::string function_bytes(const ir::Function& function, const Placements& placements) {
  return part_bytes(placements, [&](ModelEmitter emitter) { emitter.function(function); });
}

}  // namespace hone::onnx
