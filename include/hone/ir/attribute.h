// Attributes of nodes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "hone/ir/tensor.h"
#include "hone/ir/type.h"

namespace hone::ir {

class Graph;

// An attribute whose value the IR does not model (sparse tensors, type protos): the serialized AttributeProto without its
// name, written back as it was.
struct OpaqueAttribute {
  std::string wire;
};

struct Attribute {
  // In the order of the alternatives: float, int, string, tensor, graph, floats, ints, strings, tensors, graphs, opaque.
  // monostate: only `reference` is set, inside a function.
  using Payload = std::variant<std::monostate, float, std::int64_t, std::string, Tensor, std::unique_ptr<Graph>,
                               std::vector<float>, std::vector<std::int64_t>, std::vector<std::string>,
                               std::vector<Tensor>, std::vector<std::unique_ptr<Graph>>, OpaqueAttribute>;

  Attribute();
  Attribute(std::string name, Payload payload);
  ~Attribute();
  Attribute(Attribute&&) noexcept;
  Attribute& operator=(Attribute&&) noexcept;

  std::string name;
  Payload payload;
  std::string reference;  // ref_attr_name: the function's attribute that gives the value
  std::int32_t reference_type =
      0;             // AttributeProto.type where `reference` is set; -1: the file gives none (IR version 1)
  std::string rest;  // doc_string and unknown fields, as serialized AttributeProto fields

  template <typename T>
  const T* get() const {
    return std::get_if<T>(&payload);
  }
  template <typename T>
  T* get() {
    return std::get_if<T>(&payload);
  }
};

}  // namespace hone::ir
