// A model as a stream of protobuf fields, in two passes over the same code: the first adds up the lengths of messages, the
// second writes. No message is ever in memory as a whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "hone/ir/model.h"
#include "hone/support/output.h"
#include "onnx/wire.h"

namespace hone::onnx {

// Where the bytes of a tensor go that are not written into the model.
struct Placement {
  std::string location;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  const ir::ExternalLocation* source = nullptr;  // other entries to keep, and which of offset and length; may be null
  bool omitted = false;  // nowhere: the tensor is written with no elements, for tools of ONNX that need only its type
};
using Placements = std::unordered_map<const ir::Tensor*, Placement>;  // by address: the model may not change meanwhile

// Fields into an Output, or into the void to be counted.
class Emitter {
 public:
  Emitter() = default;  // counts
  // Writes what `counted` has counted.
  Emitter(const Emitter& counted, Output& output) : output_(&output), sizes_(counted.sizes_) {}

  std::uint64_t total() const { return total_; }
  void flush();

  void raw(std::string_view bytes);
  void number(std::uint32_t field, std::uint64_t value);
  void fixed32(std::uint32_t field, std::uint32_t value);
  void bytes(std::uint32_t field, std::string_view value);
  // As bytes(), unless there are none.
  void text(std::uint32_t field, std::string_view value) {
    if (!value.empty()) bytes(field, value);
  }
  void header(std::uint32_t field, std::uint64_t length) {
    tag(field, wire::Type::bytes);
    varint(length);
  }
  void varint(std::uint64_t value);
  void tag(std::uint32_t field, wire::Type type) {
    varint(std::uint64_t{field} << 3 | static_cast<std::uint64_t>(type));
  }
  void data(const ir::Tensor& tensor);  // its bytes

  template <typename Body>
  void message(std::uint32_t field, Body&& body) {
    const std::size_t index = next_++;
    if (output_) {
      header(field, sizes_[index]);
      body();
      return;
    }
    sizes_.push_back(0);
    const std::uint64_t before = total_;
    body();
    const std::uint64_t length = total_ - before;
    sizes_[index] = length;
    header(field, length);
  }

 private:
  Output* output_ = nullptr;
  std::vector<std::uint64_t> sizes_;  // of the messages, in the order in which they begin
  std::size_t next_ = 0;
  std::uint64_t total_ = 0;
  std::string pending_;
};

void emit(Emitter& emitter, const ir::Model& model, const Placements& placements);

// A model and parts of one, as serialized messages.
std::string model_bytes(const ir::Model& model, const Placements& placements);
std::string tensor_bytes(const ir::Tensor& tensor, std::string_view name, const Placements& placements = {});
std::string attribute_bytes(const ir::Attribute& attribute, const Placements& placements = {});
std::string function_bytes(const ir::Function& function, const Placements& placements = {});

// What protobuf can read.
constexpr std::uint64_t largest_model = 0x7fffffff;

// Calls f(tensor, in_attribute) for every tensor of the model, in the order in which they are written.
template <typename F>
void for_each_tensor(const ir::Graph& graph, F&& f) {
  for (const ir::Node& node : graph.nodes()) {
    for (const ir::Attribute& attribute : node.attributes()) {
      if (const auto* tensor = attribute.get<ir::Tensor>()) f(*tensor, true);
      if (const auto* tensors = attribute.get<std::vector<ir::Tensor>>()) {
        for (const ir::Tensor& tensor : *tensors) f(tensor, true);
      }
    }
    node.for_each_subgraph([&](const ir::Graph& inner) { for_each_tensor(inner, f); });
  }
  for (const ir::Value* value : graph.initializers()) {
    if (const ir::Tensor* tensor = value->initializer()) f(*tensor, false);
    if (const ir::SparseTensor* sparse = value->sparse_initializer()) {
      f(sparse->values, false);
      f(sparse->indices, false);
    }
  }
}

template <typename F>
void for_each_tensor(const ir::Model& model, F&& f) {
  for_each_tensor(*model.graph, f);
  for (const auto& function : model.functions) for_each_tensor(*function->body, f);
}

}  // namespace hone::onnx
