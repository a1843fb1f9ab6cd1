// Editing `rest`: fields are copied one by one, without those that are to go.
//
// Left alone: texts inside attributes, types and training information.
#include "hone/onnx/metadata.h"

#include <array>

#include "onnx/messages.h"
#include "onnx/wire.h"

namespace hone::onnx {
namespace {

constexpr std::uint32_t kAnnotations = 14;   // GraphProto.quantization_annotation
constexpr std::uint32_t kTrainingInfo = 20;  // ModelProto.training_info

std::string entry_key(wire::Source& source, const wire::Field& entry) {
  std::string key;
  for (wire::Fields fields(source, entry.payload, Message::string_entry); fields.next();) {
    if (fields->number == 1) key = source.string(fields->payload);
  }
  return key;
}

// The message without the fields for which drop(source, field) says so; true where there were any.
template <typename Drop>
bool remove_fields(std::string& serialized, Message message, Drop&& drop) {
  if (serialized.empty()) return false;
  wire::Source source{std::string_view(serialized)};
  std::string kept;
  for (wire::Fields fields(source, {0, serialized.size()}, message); fields.next();) {
    if (!drop(source, *fields)) source.append(fields->whole, kept);
  }
  if (kept.size() == serialized.size()) return false;
  serialized = std::move(kept);
  return true;
}

class Remover {
 public:
  explicit Remover(const MetadataFilter& filter) : filter_(filter) {}

  bool clean(std::string& serialized, Message message) {
    return remove_fields(serialized, message, [&](wire::Source& source, const wire::Field& field) {
      const std::string_view name = field.info->name;
      if (filter_.doc_strings && name == "doc_string") {
        ++removed.doc_strings;
      } else if (filter_.inner_key && name == "metadata_props") {
        const std::string key = entry_key(source, field);
        if (!filter_.inner_key(key)) return false;
        ++removed.entries;
        ++removed.keys[key];
      } else {
        return false;
      }
      removed.bytes += field.whole.size();
      return true;
    });
  }

  void clean(ir::Tensor& tensor) {
    if (!tensor.rest) return;
    std::string rest = *tensor.rest;
    if (clean(rest, Message::tensor)) tensor.rest = std::make_shared<const std::string>(std::move(rest));
  }

  void clean(ir::Attribute& attribute) {
    clean(attribute.rest, Message::attribute);
    if (auto* opaque = attribute.get<ir::OpaqueAttribute>()) clean(opaque->wire, Message::attribute);
    if (auto* tensor = attribute.get<ir::Tensor>()) clean(*tensor);
    if (auto* tensors = attribute.get<std::vector<ir::Tensor>>()) {
      for (ir::Tensor& tensor : *tensors) clean(tensor);
    }
  }

  void clean(ir::Value& value) {
    // The IR gives out declarations and tensors as const, since passes have no business with what is in here.
    if (const ir::ValueInfo* info = value.info()) {
      auto& mutable_info = const_cast<ir::ValueInfo&>(*info);
      clean(mutable_info.wire, Message::value_info);
      for (auto& [place, wire] : mutable_info.again) clean(wire, Message::value_info);
    }
    if (const ir::Tensor* tensor = value.initializer()) clean(const_cast<ir::Tensor&>(*tensor));
    if (const ir::SparseTensor* sparse = value.sparse_initializer()) {
      clean(const_cast<ir::SparseTensor&>(*sparse).values);
      clean(const_cast<ir::SparseTensor&>(*sparse).indices);
    }
  }

  void clean(ir::Graph& root) {
    ir::for_each_graph(root, [&](ir::Graph& graph) {
      std::string rest = graph.rest();
      if (clean(rest, Message::graph)) graph.set_rest(std::move(rest));
      for (auto& [place, wire] : graph.dangling_infos) clean(wire, Message::value_info);
      graph.for_each_value([&](ir::Value& value) { clean(value); });
      for (ir::Node& node : graph.nodes()) {
        std::string of_node = node.rest();
        if (clean(of_node, Message::node)) node.set_rest(std::move(of_node));
        for (ir::Attribute& attribute : node.attributes()) clean(attribute);
      }
    });
  }

  MetadataRemoved removed;

 private:
  const MetadataFilter& filter_;
};

}  // namespace

MetadataRemoved remove_metadata(ir::Model& model, const MetadataFilter& filter) {
  Remover remover(filter);
  MetadataRemoved& removed = remover.removed;
  if (filter.model_key) {
    std::erase_if(model.metadata, [&](const ir::MetadataEntry& entry) {
      if (!filter.model_key(entry.first)) return false;
      ++removed.entries;
      ++removed.keys[entry.first];
      removed.bytes += entry.first.size() + entry.second.size();
      return true;
    });
  }
  if (filter.model_doc_string && !model.doc_string.empty()) {
    ++removed.doc_strings;
    removed.bytes += model.doc_string.size();
    model.doc_string.clear();
  }
  remover.clean(*model.graph);
  for (const auto& function : model.functions) {
    remover.clean(function->rest, Message::function);
    for (ir::Attribute& attribute : function->attribute_defaults) remover.clean(attribute);
    remover.clean(*function->body);
  }
  return removed;
}

bool is_debug_key(std::string_view key) {
  constexpr std::array<std::string_view, 2> kPrefixes = {"pkg.torch.", "pkg.onnxscript."};
  for (const std::string_view prefix : kPrefixes) {
    if (key.starts_with(prefix)) return true;
  }
  return key == "namespace";  // PyTorch's, beside the others
}

std::string annotations(const ir::Graph& graph, const Renaming& rename) {
  std::string result;
  const std::string& rest = graph.rest();
  wire::Source source{std::string_view(rest)};
  for (wire::Fields fields(source, {0, rest.size()}, Message::graph); fields.next();) {
    if (fields->number != kAnnotations) continue;
    std::string annotation;
    bool complete = true;
    for (wire::Fields parts(source, fields->payload, Message::tensor_annotation); parts.next();) {
      if (parts->number == 1) {
        const auto name = rename(source.string(parts->payload));
        complete &= name.has_value();
        if (name) wire::put_bytes(annotation, 1, *name);
      } else if (parts->number == 2) {  // quant_parameter_tensor_names: a role and the name of a tensor
        std::string entry;
        for (wire::Fields texts(source, parts->payload, Message::string_entry); texts.next();) {
          if (texts->number != 2) {
            source.append(texts->whole, entry);
            continue;
          }
          const auto name = rename(source.string(texts->payload));
          complete &= name.has_value();
          if (name) wire::put_bytes(entry, 2, *name);
        }
        wire::put_bytes(annotation, 2, entry);
      } else {
        source.append(parts->whole, annotation);
      }
    }
    if (complete) wire::put_bytes(result, kAnnotations, annotation);
  }
  return result;
}

void set_annotations(ir::Graph& graph, const std::string& serialized) {
  std::string rest = graph.rest();
  remove_fields(rest, Message::graph,
                [](wire::Source&, const wire::Field& field) { return field.number == kAnnotations; });
  rest += serialized;
  graph.set_rest(std::move(rest));
}

void drop_training_info(ir::Model& model) {
  remove_fields(model.rest, Message::model,
                [](wire::Source&, const wire::Field& field) { return field.number == kTrainingInfo; });
}

}  // namespace hone::onnx
