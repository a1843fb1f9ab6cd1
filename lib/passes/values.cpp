#include "passes/values.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>

namespace hone::passes {
namespace {

constexpr std::int64_t kLargestSplat = 65536;

constexpr std::array<std::string_view, 44> kElementwise = {
    "Abs",       "Acos",      "Asin", "Atan",     "Cast",     "Ceil",       "Celu",  "Clip",        "Cos",
    "Cosh",      "Elu",       "Erf",  "Exp",      "Floor",    "Gelu",       "IsNaN", "HardSigmoid", "Log",
    "HardSwish", "LeakyRelu", "Mish", "Neg",      "Not",      "Reciprocal", "Relu",  "Round",       "Selu",
    "Sigmoid",   "Sign",      "Sin",  "Softplus", "Softsign", "Sqrt",       "Tanh",  "Add",         "Sub",
    "Mul",       "Div",       "Pow",  "Max",      "Min",      "And",        "Or",    "Where"};

constexpr std::array<std::string_view, 11> kMovers = {"Expand",  "Reshape",   "Slice",    "Transpose",
                                                      "Squeeze", "Unsqueeze", "Identity", "Flatten",
                                                      "Gather",  "Split",     "Tile"};

std::optional<double> uniform_number(const ir::Tensor& tensor) {
  if (tensor.element_count() < 1 || tensor.element_count() > kLargestSplat) return std::nullopt;
  if (!ir::is_float(tensor.type()) && !ir::is_integer(tensor.type()) && tensor.type() != ir::ElementType::boolean) {
    return std::nullopt;
  }
  const std::vector<double> values = tensor.to_doubles();
  for (const double value : values) {
    if (!(value == values[0]) || std::signbit(value) != std::signbit(values[0])) return std::nullopt;
  }
  return values[0];
}

}  // namespace

std::optional<double> splat(const ir::Value* value) {
  // Chains of such nodes are short; the bound only keeps a strange model from costing a walk per node.
  for (int step = 0; value && step < 16; ++step) {
    if (const ir::Tensor* tensor = ir::constant(value)) return uniform_number(*tensor);
    const ir::Node* node = value->producer();
    if (!node) return std::nullopt;
    if (node->is("ConstantOfShape")) {
      const ir::Tensor* fill = node->tensor("value");
      return fill ? uniform_number(*fill) : std::optional(0.0);
    }
    if (!moves_elements(*node)) return std::nullopt;
    value = node->input(0);
  }
  return std::nullopt;
}

bool is_splat(const ir::Value* value, double number, double tolerance) {
  const auto found = splat(value);
  return found && std::abs(*found - number) <= tolerance;
}

bool is_elementwise(const ir::Node& node) {
  if (!node.domain().empty() || node.output_count() != 1) return false;
  return std::find(kElementwise.begin(), kElementwise.end(), node.op_type()) != kElementwise.end();
}

bool moves_elements(const ir::Node& node) {
  return node.domain().empty() && std::find(kMovers.begin(), kMovers.end(), node.op_type()) != kMovers.end();
}

std::optional<Permutation> permutation(const ir::Node& transpose) {
  if (const ir::Attribute* attribute = transpose.attribute("perm")) {
    const auto* perm = attribute->get<Permutation>();
    if (!perm) return std::nullopt;
    Permutation sorted = *perm;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      if (sorted[i] != static_cast<std::int64_t>(i)) return std::nullopt;
    }
    return *perm;
  }
  if (!transpose.input(0) || !transpose.input(0)->shape()) return std::nullopt;
  Permutation reversed(transpose.input(0)->shape()->size());
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  return reversed;
}

bool is_identity(const Permutation& perm) {
  for (std::size_t i = 0; i < perm.size(); ++i) {
    if (perm[i] != static_cast<std::int64_t>(i)) return false;
  }
  return true;
}

Permutation inverse(const Permutation& perm) {
  Permutation result(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i)
    result[static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
  return result;
}

bool regroups(const ir::Node& node) {
  return node.is("Reshape") || node.is("Flatten") || node.is("Squeeze") || node.is("Unsqueeze");
}

bool removes_any_ones(const ir::Node& node) {
  if (!node.is("Squeeze") || node.has_attribute("axes") || node.input(1)) return false;
  const auto* shape = node.input(0) && node.input(0)->shape() ? &*node.input(0)->shape() : nullptr;
  return !shape || std::any_of(shape->begin(), shape->end(), [](const ir::Dimension& dim) { return !dim.number(); });
}

bool same_shape(const ir::Value* a, const ir::Value* b) {
  return a && b && a->shape() && b->shape() && provably_same_shape(*a->shape(), *b->shape());
}

std::optional<std::vector<std::int64_t>> ints_of(const ir::Node& node, const char* attribute, std::size_t input) {
  if (const ir::Attribute* found = node.attribute(attribute)) {
    const auto* ints = found->get<std::vector<std::int64_t>>();
    return ints ? std::optional(*ints) : std::nullopt;
  }
  return ir::constant_ints(node.input(input));
}

std::optional<std::vector<std::int64_t>> reduced_axes(const ir::Node& reduce) {
  const ir::Value* input = reduce.input(0);
  if (!input || !input->shape()) return std::nullopt;
  const auto rank = static_cast<std::int64_t>(input->shape()->size());
  std::vector<std::int64_t> axes;
  if (!reduce.has_attribute("axes") && !reduce.input(1)) {
    if (reduce.int_or("noop_with_empty_axes", 0) != 0) return std::nullopt;
    axes.resize(static_cast<std::size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
    return axes;
  }
  const auto given = ints_of(reduce, "axes", 1);
  if (!given || given->empty()) return std::nullopt;
  axes = *given;
  for (std::int64_t& axis : axes) {
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) return std::nullopt;
  }
  std::sort(axes.begin(), axes.end());
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  return axes;
}

std::optional<std::vector<std::int64_t>> reshape_target(const ir::Shape& from, const ir::Shape& to) {
  std::vector<std::int64_t> result;
  bool has_wildcard = false;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (const auto number = to[i].number()) {
      if (*number == 0) return std::nullopt;  // would be read as a copy, and makes -1 ambiguous
      result.push_back(*number);
    } else if (i < from.size() && provably_equal(from[i], to[i])) {
      result.push_back(0);
    } else if (!has_wildcard) {
      has_wildcard = true;
      result.push_back(-1);
    } else {
      return std::nullopt;
    }
  }
  return result;
}

bool in_main_graph(const ir::Node& node, const ir::Graph& main) { return &node.graph().root() == &main; }

}  // namespace hone::passes
