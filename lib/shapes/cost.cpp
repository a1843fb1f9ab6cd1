#include "hone/shapes/cost.h"

#include <cstring>
#include <vector>

namespace hone::shapes {
namespace {

// Elements of a value; -1 where its shape is not known.
double elements_of(const ir::Value* value, std::int64_t symbol_value) {
  if (!value || !value->type().is_tensor() || !value->shape()) return -1;
  double product = 1;
  for (const ir::Dimension& dim : *value->shape()) {
    const ir::Dimension number =
        dim.substitute([&](std::string_view) -> std::optional<ir::Dimension> { return ir::Dimension(symbol_value); });
    if (!number.number()) return -1;
    product *= static_cast<double>(*number.number());
  }
  return product;
}

double dimension(const ir::Value* value, std::size_t from_end, std::int64_t symbol_value) {
  if (!value || !value->shape() || value->shape()->size() <= from_end) return -1;
  const auto number = (*value->shape())[value->shape()->size() - 1 - from_end].substitute(
      [&](std::string_view) -> std::optional<ir::Dimension> { return ir::Dimension(symbol_value); });
  return number.number() ? static_cast<double>(*number.number()) : -1;
}

std::uint64_t count_nonzero_elements(const ir::Tensor& tensor) {
  const std::size_t width = ir::bit_width(tensor.type()) / 8;
  if (width == 0) return static_cast<std::uint64_t>(tensor.element_count());
  std::vector<std::byte> window(std::size_t{1} << 20);
  std::uint64_t nonzero = 0;
  for (std::uint64_t at = 0; at < tensor.byte_size(); at += window.size()) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(window.size(), tensor.byte_size() - at));
    tensor.read(at, {window.data(), length});
    for (std::size_t i = 0; i + width <= length; i += width) {
      std::uint64_t low = 0, high = 0;
      std::memcpy(&low, window.data() + i, std::min<std::size_t>(width, 8));
      if (width == 16) std::memcpy(&high, window.data() + i + 8, 8);
      // -0.0 is a zero too.
      if (tensor.type() == ir::ElementType::float32) low &= 0x7fffffffu;
      if (tensor.type() == ir::ElementType::float16 || tensor.type() == ir::ElementType::bfloat16) low &= 0x7fffu;
      if (tensor.type() == ir::ElementType::float64) low &= ~(1ull << 63);
      nonzero += (low | high) != 0;
    }
  }
  return nonzero;
}

}  // namespace

double macs(const ir::Node& node, std::int64_t symbol_value, bool& complete) {
  const auto product = [&](double a, double b) {
    if (a < 0 || b < 0) {
      complete = false;
      return 0.0;
    }
    return a * b;
  };
  const auto per_output = [&](std::size_t weight) {
    // Every output element takes one product per element of its filter: weight elements / output channels.
    const ir::Value* value = node.input(weight);
    const double all = elements_of(value, symbol_value);
    const double channels = value && value->shape() && !value->shape()->empty()
                                ? dimension(value, value->shape()->size() - 1, symbol_value)
                                : -1;
    return channels > 0 ? all / channels : -1;
  };
  const double outputs = elements_of(node.output(0), symbol_value);
  if (node.is("Conv") || node.is("ConvInteger") || node.is("com.microsoft", "FusedConv")) {
    return product(outputs, per_output(1));
  }
  if (node.is("QLinearConv")) return product(outputs, per_output(3));
  if (node.is("ConvTranspose")) return product(elements_of(node.input(0), symbol_value), per_output(1));
  if (node.is("MatMul") || node.is("MatMulInteger") || node.is("QLinearMatMul")) {
    return product(outputs, dimension(node.input(0), 0, symbol_value));
  }
  if (node.is("Gemm")) {
    return product(outputs, dimension(node.input(0), node.int_or("transA", 0) ? 1 : 0, symbol_value));
  }
  if (node.is("LSTM") || node.is("GRU") || node.is("RNN")) {
    const double steps = product(dimension(node.input(0), 2, symbol_value), dimension(node.input(0), 1, symbol_value));
    const double weights = elements_of(node.input(1), symbol_value) + elements_of(node.input(2), symbol_value);
    return product(steps, weights);
  }
  if (node.is("Attention")) {
    const double queries = elements_of(node.input(0), symbol_value);
    const ir::Value* keys = node.input(1);
    const bool by_head = keys && keys->shape() && keys->shape()->size() == 4;
    return 2 * product(queries, dimension(keys, by_head ? 2 : 1, symbol_value));
  }
  return 0;
}

Cost cost(const ir::Model& model, std::int64_t symbol_value, bool count_nonzero) {
  Cost result;
  const auto count_tensor = [&](const ir::Tensor& tensor) {
    result.parameters += static_cast<std::uint64_t>(tensor.element_count());
    result.parameter_bytes += tensor.byte_size();
    if (count_nonzero) result.nonzero_parameters += count_nonzero_elements(tensor);
  };
  ir::for_each_graph(*model.graph, [&](ir::Graph& graph) {
    for (const ir::Value* value : graph.initializers()) {
      if (value->initializer()) count_tensor(*value->initializer());
      if (value->sparse_initializer()) count_tensor(value->sparse_initializer()->values);
    }
    for (const ir::Node& node : graph.nodes()) {
      ++result.nodes;
      if (node.is("Constant")) {
        if (const ir::Tensor* tensor = ir::constant(node.output(0))) count_tensor(*tensor);
        continue;
      }
      result.macs += macs(node, symbol_value, result.complete);
      for (std::size_t i = 0; i < node.output_count(); ++i) {
        const ir::Value* output = node.output(i);
        if (!output) continue;
        const double elements = elements_of(output, symbol_value);
        if (elements < 0) {
          result.complete = false;
        } else {
          result.activation_bytes += elements * static_cast<double>(ir::bit_width(output->element_type())) / 8;
        }
      }
    }
  });
  return result;
}

}  // namespace hone::shapes
