// Conversion of numbers to the type that a model wants.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "hone/ir/tensor.h"

namespace hone::data {

enum class Rounding { none, floats };

// The elements of a loaded tensor as `type`. The index of the first element whose value would change is put in `changed`
// (Rounding::floats: a float may be rounded to a narrower float, but not to infinity); the result is meaningless then.
// Raises unsupported for types that don't convert.
ir::Tensor convert(const ir::Tensor& tensor, ir::ElementType type, Rounding rounding,
                   std::optional<std::size_t>& changed);

// y = x * factor[c] + offset[c] in double, rounded to `type`, which must be a float type. Element i belongs to channel
// i / inner % factor.size().
ir::Tensor scale(const ir::Tensor& tensor, ir::ElementType type, const std::vector<double>& factor,
                 const std::vector<double>& offset, std::size_t inner);

// One element for messages.
std::string element_text(const ir::Tensor& tensor, std::size_t index);

}  // namespace hone::data
