// What kernels need of shapes: sizes that can't overflow, axes, strides, and integers read from small tensors.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hone/exec/kernel.h"

namespace hone::exec {

using DimSpan = std::span<const std::int64_t>;

// Arithmetic on sizes and attributes that a model decides: resource_limit where 64 bits are passed.
std::int64_t size_sum(std::int64_t a, std::int64_t b);
std::int64_t size_product(std::int64_t a, std::int64_t b);
std::int64_t ceil_div(std::int64_t a, std::int64_t b);   // b > 0; rounds toward +infinity for any a
std::int64_t floor_div(std::int64_t a, std::int64_t b);  // b > 0; rounds toward -infinity

// The number of elements; 0 where a dimension is 0, however large the others are.
std::int64_t product(DimSpan dims);
inline std::int64_t product(const ir::Dims& dims, std::size_t begin, std::size_t end) {
  return product(DimSpan(dims).subspan(begin, end - begin));
}
// Distances in elements between neighbours along each dimension of a row-major tensor. Meaningless (but defined) where a
// dimension is 0.
ir::Dims strides(DimSpan dims);

// A negative axis counts from the end. Raise bad_input for one out of range, or one given twice.
std::size_t checked_axis(std::int64_t axis, std::size_t rank);
std::vector<std::size_t> checked_axes(DimSpan axes, std::size_t rank);  // in the order given

// A tensor of any integer type, of at most one dimension, as numbers.
ir::Dims read_ints(const Array& array);
std::int64_t read_int(const Array& array);  // exactly one element, of any rank
double read_double(const Array& array);     // exactly one element of any integer or float type

// An attribute that must be there.
std::int64_t required_int(const ir::Node& node, std::string_view name);
ir::Dims required_ints(const ir::Node& node, std::string_view name);
std::string required_string(const ir::Node& node, std::string_view name);
// A TensorProto.DataType, one that is known.
ir::ElementType type_attribute(const ir::Node& node, std::string_view name, ir::ElementType fallback);
// int_or() of an attribute that says yes or no.
inline bool flag(const ir::Node& node, std::string_view name, bool fallback) {
  return node.int_or(name, fallback ? 1 : 0) != 0;
}

void require_rank(const Array& array, std::size_t least, std::size_t most, std::string_view what);
void require_type(const Array& array, ir::ElementType type, std::string_view what);

}  // namespace hone::exec
