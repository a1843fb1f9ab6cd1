// The equation of an Einsum node: which dimensions of its inputs belong together, and which the result has.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hone::ir {

class EinsumEquation {
 public:
  // A label is the letter, or 256 + the distance from the last dimension of an ellipsis.
  using Labels = std::vector<int>;

  // Raises bad_input where `text` is anything but letters, commas, an ellipsis for each operand, '->' and spaces.
  explicit EinsumEquation(std::string_view text);

  // The labels of each dimension, of inputs of some ranks. Without '->' the result has the ellipsis and what appears once, in
  // alphabetical order.
  struct Labelled {
    std::vector<Labels> operands;
    Labels result;
  };
  // Raises bad_input where inputs of these ranks, in this number, don't fit, or the result has a label twice.
  Labelled label(std::span<const std::size_t> ranks) const;

 private:
  std::vector<std::string> operands_;
  std::optional<std::string> result_;
};

}  // namespace hone::ir
