// The constants of a graph: initializers and Constant nodes.
//
// Not handled: constants that only folding would find (Identity, Cast, Shape of a known shape ...), sparse ones, and
// attributes that refer to those of a function.
#include <cstring>
#include <mutex>

#include "hone/ir/graph.h"

namespace hone::ir {
namespace {

template <typename T>
bool holds(const Tensor* tensor, const Dims& dims, const std::vector<T>& values) {
  return tensor && tensor->type() == element_type_of<T> && tensor->dims() == dims &&
         (values.empty() || std::memcmp(tensor->bytes().data(), values.data(), values.size() * sizeof(T)) == 0);
}

bool holds(const Tensor* tensor, const Dims& dims, const std::vector<std::string>& values) {
  return tensor && tensor->is_string() && tensor->dims() == dims && *tensor->string_values() == values;
}

// Fills `kept` unless it holds the values already: a pass may have changed the attribute since.
template <typename T>
const Tensor* keep(std::unique_ptr<const Tensor>& kept, Dims dims, const std::vector<T>& values) {
  if (!holds(kept.get(), dims, values)) {
    if constexpr (std::is_same_v<T, std::string>) {
      kept = std::make_unique<const Tensor>(Tensor::strings(std::move(dims), values));
    } else {
      kept = std::make_unique<const Tensor>(Tensor::of<T>(std::move(dims), values));
    }
  }
  return kept.get();
}

template <typename T>
const Tensor* keep_vector(std::unique_ptr<const Tensor>& kept, const std::vector<T>& values) {
  return keep(kept, {static_cast<std::int64_t>(values.size())}, values);
}

// The tensor of a short form; null if the node has none.
const Tensor* materialize(const Node& node, std::unique_ptr<const Tensor>& kept) {
  for (const Attribute& attribute : node.attributes()) {
    if (attribute.name == "value_int") {
      if (const auto* value = attribute.get<std::int64_t>()) return keep<std::int64_t>(kept, {}, {*value});
    } else if (attribute.name == "value_float") {
      if (const auto* value = attribute.get<float>()) return keep<float>(kept, {}, {*value});
    } else if (attribute.name == "value_string") {
      if (const auto* value = attribute.get<std::string>()) return keep<std::string>(kept, {}, {*value});
    } else if (attribute.name == "value_ints") {
      if (const auto* values = attribute.get<std::vector<std::int64_t>>()) return keep_vector(kept, *values);
    } else if (attribute.name == "value_floats") {
      if (const auto* values = attribute.get<std::vector<float>>()) return keep_vector(kept, *values);
    } else if (attribute.name == "value_strings") {
      if (const auto* values = attribute.get<std::vector<std::string>>()) return keep_vector(kept, *values);
    }
  }
  return nullptr;
}

}  // namespace

const Tensor* constant(const Value* value) {
  if (!value) return nullptr;
  if (const Tensor* tensor = value->initializer()) return value->is_graph_input() ? nullptr : tensor;
  const Node* node = value->producer();
  if (!node || !node->is("Constant") || value->output_index() != 0) return nullptr;
  if (const Tensor* tensor = node->tensor("value")) return tensor;
  // Short forms are small and rare; one lock for all of them is enough.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  return materialize(*node, value->materialized_);
}

std::optional<std::vector<std::int64_t>> constant_ints(const Value* value, std::int64_t limit) {
  const Tensor* tensor = constant(value);
  if (!tensor || tensor->element_count() > limit) return std::nullopt;
  if (!is_integer(tensor->type()) && tensor->type() != ElementType::boolean) return std::nullopt;
  std::vector<std::int64_t> values;
  if (tensor->type() == ElementType::uint64) {
    // Those past int64 are no sizes or axes.
    const Tensor loaded = tensor->loaded();
    for (std::size_t at = 0; at < loaded.byte_size(); at += sizeof(std::int64_t)) {
      std::int64_t each;
      std::memcpy(&each, loaded.bytes().data() + at, sizeof(each));
      if (each < 0) return std::nullopt;
      values.push_back(each);
    }
    return values;
  }
  return tensor->to_ints();
}

std::optional<double> constant_scalar(const Value* value) {
  const Tensor* tensor = constant(value);
  if (!tensor || tensor->element_count() != 1) return std::nullopt;
  if (!is_float(tensor->type()) && !is_integer(tensor->type()) && tensor->type() != ElementType::boolean) {
    return std::nullopt;
  }
  return tensor->to_doubles()[0];
}

}  // namespace hone::ir
