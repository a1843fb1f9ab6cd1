// Comparing and printing types.
//
// Not handled: parsing types from text (the onnx layer reads protobufs and ONNX's own text syntax).
#include "hone/ir/type.h"

namespace hone::ir {
namespace {

bool identical_shapes(const std::optional<Shape>& a, const std::optional<Shape>& b) {
  if (a.has_value() != b.has_value()) return false;
  if (!a) return true;
  if (a->size() != b->size()) return false;
  for (std::size_t i = 0; i < a->size(); ++i) {
    if (!identical((*a)[i], (*b)[i])) return false;
  }
  return true;
}

}  // namespace

bool identical(const Type& a, const Type& b) {
  const Type* left = &a;
  const Type* right = &b;
  while (left && right) {
    if (left == right) return true;
    if (left->kind != right->kind || left->element != right->element) return false;
    if (!identical_shapes(left->shape, right->shape)) return false;
    left = left->inner.get();
    right = right->inner.get();
  }
  return left == right;
}

std::string text(const Type& type) {
  const std::string inner = type.inner ? text(*type.inner) : "?";
  switch (type.kind) {
    case Type::Kind::unknown:
      return "?";
    case Type::Kind::opaque:
      return "opaque";
    case Type::Kind::sequence:
      return "seq(" + inner + ")";
    case Type::Kind::optional:
      return "optional(" + inner + ")";
    case Type::Kind::map:
      return "map(" + std::string(name(type.element)) + "," + inner + ")";
    case Type::Kind::tensor:
    case Type::Kind::sparse_tensor:
      break;
  }
  std::string result(name(type.element));
  if (type.shape && !type.shape->empty()) result += text(*type.shape);
  if (type.shape && type.shape->empty()) result += "[]";
  if (type.kind == Type::Kind::sparse_tensor) result = "sparse_tensor(" + result + ")";
  return result;
}

}  // namespace hone::ir
