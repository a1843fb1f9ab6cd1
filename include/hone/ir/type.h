// Types of values: tensors with an optional symbolic shape, sequences, optionals, maps.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "hone/ir/dimension.h"
#include "hone/ir/element_type.h"

namespace hone::ir {

struct Type {
  enum class Kind { unknown, tensor, sparse_tensor, sequence, optional, map, opaque };

  Kind kind = Kind::unknown;
  ElementType element = ElementType::undefined;  // tensors; key type of a map
  std::optional<Shape> shape;                    // tensors; nullopt: not even the rank is known
  std::shared_ptr<const Type> inner;             // element of a sequence or optional, value of a map

  static Type tensor(ElementType element, std::optional<Shape> shape = std::nullopt) {
    return {Kind::tensor, element, std::move(shape), nullptr};
  }
  bool is_tensor() const { return kind == Kind::tensor; }
};

bool identical(const Type& a, const Type& b);  // same kind, element and shape; unknown dimensions are identical
std::string text(const Type& type);            // "float[batch,3,224,224]", "seq(int64[?])"

}  // namespace hone::ir
