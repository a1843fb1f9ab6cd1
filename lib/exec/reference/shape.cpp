#include "exec/reference/shape.h"

#include <algorithm>

#include "exec/reference/elements.h"
#include "hone/ir/dimension.h"
#include "hone/support/checked.h"

namespace hone::exec {
namespace {

[[noreturn]] void too_large() { fail(ErrorKind::resource_limit, "a size passes 64 bits"); }

}  // namespace

std::int64_t size_sum(std::int64_t a, std::int64_t b) {
  const auto sum = checked_add(a, b);
  if (!sum) too_large();
  return *sum;
}

std::int64_t size_product(std::int64_t a, std::int64_t b) {
  const auto result = checked_mul(a, b);
  if (!result) too_large();
  return *result;
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

std::int64_t product(DimSpan dims) {
  std::int64_t result = 1;
  bool overflow = false;
  for (const std::int64_t dim : dims) {
    if (dim == 0) return 0;
    overflow = __builtin_mul_overflow(result, dim, &result) || overflow;
  }
  if (overflow) too_large();
  return result;
}

ir::Dims strides(DimSpan dims) {
  ir::Dims result(dims.size());
  std::uint64_t stride = 1;  // wraps only where a dimension is 0
  for (std::size_t i = dims.size(); i-- > 0;) {
    result[i] = static_cast<std::int64_t>(stride);
    stride *= static_cast<std::uint64_t>(dims[i]);
  }
  return result;
}

std::size_t checked_axis(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) bad_input("axis {} of a tensor of rank {}", axis, rank);
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

std::vector<std::size_t> checked_axes(DimSpan axes, std::size_t rank) {
  std::vector<std::size_t> result;
  std::vector<bool> seen(rank);
  for (const std::int64_t axis : axes) {
    const std::size_t checked = checked_axis(axis, rank);
    if (seen[checked]) bad_input("axis {} is given twice", axis);
    seen[checked] = true;
    result.push_back(checked);
  }
  return result;
}

ir::Dims read_ints(const Array& array) {
  if (array.rank() > 1) bad_input("a tensor of rank {} where a list of integers is expected", array.rank());
  ir::Dims result(static_cast<std::size_t>(array.count()));
  const bool known =
      dispatch<std::int64_t, std::int32_t, std::int16_t, std::int8_t, std::uint8_t, std::uint16_t, std::uint32_t>(
          array.type, [&]<typename T>() { std::copy_n(array.as<T>(), result.size(), result.begin()); });
  if (!known) bad_input("a tensor of {} where a list of integers is expected", ir::name(array.type));
  return result;
}

std::int64_t read_int(const Array& array) {
  if (array.count() != 1) bad_input("a tensor of {} elements where one integer is expected", array.count());
  Array scalar = array;
  scalar.dims.clear();
  return read_ints(scalar)[0];
}

double read_double(const Array& array) {
  if (array.count() != 1) bad_input("a tensor of {} elements where one number is expected", array.count());
  double value = 0;
  if (!convert(array, 0, 1, &value)) bad_input("a tensor of {} where one number is expected", ir::name(array.type));
  return value;
}

std::int64_t required_int(const ir::Node& node, std::string_view name) {
  if (!node.has_attribute(name)) bad_input("no attribute '{}'", name);
  return node.int_or(name, 0);
}

ir::Dims required_ints(const ir::Node& node, std::string_view name) {
  if (!node.has_attribute(name)) bad_input("no attribute '{}'", name);
  return node.ints_or(name, {});
}

std::string required_string(const ir::Node& node, std::string_view name) {
  if (!node.has_attribute(name)) bad_input("no attribute '{}'", name);
  return node.string_or(name, "");
}

ir::ElementType type_attribute(const ir::Node& node, std::string_view name, ir::ElementType fallback) {
  const std::int64_t value = node.int_or(name, static_cast<std::int64_t>(fallback));
  const auto type = static_cast<ir::ElementType>(value);
  if (value != static_cast<std::int64_t>(type) || !ir::is_known(type))
    bad_input("{} is {}, no element type", name, value);
  return type;
}

void require_rank(const Array& array, std::size_t least, std::size_t most, std::string_view what) {
  if (array.rank() < least || array.rank() > most) {
    bad_input("{} has the shape {}: {} {} dimensions are expected", what, ir::text(array.dims),
              array.rank() < least ? "at least" : "at most", array.rank() < least ? least : most);
  }
}

void require_type(const Array& array, ir::ElementType type, std::string_view what) {
  if (array.type != type) bad_input("{} is of {}, not {}", what, ir::name(array.type), ir::name(type));
}

}  // namespace hone::exec
