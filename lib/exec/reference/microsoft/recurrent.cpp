// DynamicQuantizeLSTM of com.microsoft: weights are codes, with one scale a direction or one a column; inputs and states are
// quantized by their own range before each product.
//
// Not handled: activations other than Sigmoid, Tanh, Tanh; clip; input_forget.
#include <cmath>

#include "exec/reference/integer_product.h"
#include "exec/reference/microsoft/integer_product.h"
#include "exec/reference/microsoft/microsoft.h"

namespace hone::exec {
namespace {

// Weights of one direction: [rows, columns] codes, [] or [columns] scales and zero points.
struct Weights {
  Array codes, zero;
  const float* scales = nullptr;
  bool by_column = false;

  Weights(Context& context, const Array& all, const Array& scale, const Array& zeros, std::int64_t direction) {
    const std::int64_t directions = all.dims[0], size = all.dims[1] * all.dims[2],
                       each = scale.count() / std::max<std::int64_t>(1, directions);
    if (scale.count() != zeros.count() || (each != 1 && each != all.dims[2]) || scale.count() != directions * each) {
      bad_input("scales of shape {} and zero points of shape {} for weights of shape {}", ir::text(scale.dims),
                ir::text(zeros.dims), ir::text(all.dims));
    }
    require_type(zeros, all.type, "a zero point");
    by_column = each != 1;
    codes = part(all, direction * size, size);
    codes.dims = {all.dims[1], all.dims[2]};
    zero = part(zeros, direction * each, each);
    if (!by_column) zero.dims.clear();
    scales = view<float>(context, scale) + direction * each;
  }
};

// out[rows, columns] += x[rows, depth] weights, the product in whole numbers.
void multiply_add(Context& context, const float* x, std::int64_t rows, const Weights& weights, float* out) {
  const Dynamic left = quantize_dynamically(context, x, {rows, weights.codes.dims[0]});
  ir::Dims dims;
  const std::int32_t* sums = integer_mat_mul(context, left.codes, &left.zero, weights.codes, &weights.zero, dims);
  const std::int64_t columns = weights.codes.dims[1];
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    out[i] += static_cast<float>(sums[i]) * (left.scale * weights.scales[weights.by_column ? i % columns : 0]);
  }
}

float sigmoid(float x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

void dynamic_quantize_lstm(Context& context) {
  const ir::Node& node = context.node();
  const Array &x = context.input(0), &w = context.input(1), &r = context.input(2);
  require_type(x, ir::ElementType::float32, "X");
  for (const Array* each : {&x, &w, &r}) require_rank(*each, 3, 3, "X, W or R");
  const std::string direction = node.string_or("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    bad_input("direction is {}", quote(direction));
  const std::int64_t directions = direction == "bidirectional" ? 2 : 1;
  const std::int64_t steps = x.dims[0], batch = x.dims[1], width = x.dims[2], hidden = r.dims[1],
                     n = size_product(4, hidden);
  if (hidden < 1 || node.int_or("hidden_size", hidden) != hidden) bad_input("a hidden size of {}", hidden);
  require_dims(w, {directions, width, n}, "W");
  require_dims(r, {directions, hidden, n}, "R");
  bool usual = node.float_or("clip", 0) == 0 && !flag(node, "input_forget", false);
  if (const ir::Attribute* given = node.attribute("activations")) {
    const auto* names = given->get<std::vector<std::string>>();
    constexpr const char* expected[] = {"sigmoid", "tanh", "tanh"};
    usual = usual && names && names->size() == static_cast<std::size_t>(3 * directions);
    for (std::size_t i = 0; usual && i < names->size(); ++i) {
      std::string lower = (*names)[i];
      for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      usual = lower == expected[i % 3];
    }
  }
  if (!usual)
    unsupported("node {} (DynamicQuantizeLSTM): activations, clip or input_forget other than usual",
                quote(node.name()));
  const auto optional = [&](std::size_t index, const ir::Dims& dims, std::string_view name) -> const float* {
    const Array* given = optional_input(context, index);
    if (!given) return nullptr;
    require_dims(*given, dims, name);
    return view<float>(context, *given);
  };
  const float* bias = optional(3, {directions, 2 * n}, "B");
  ir::Dims lengths(static_cast<std::size_t>(batch), steps);
  if (const Array* given = optional_input(context, 4)) {
    lengths = read_ints(*given);
    if (static_cast<std::int64_t>(lengths.size()) != batch)
      bad_input("{} lengths for {} sequences", lengths.size(), batch);
  }
  for (const std::int64_t length : lengths) {
    if (length < 0 || length > steps) bad_input("a sequence of length {} in {} steps", length, steps);
  }
  const ir::Dims state_dims = {directions, batch, hidden};
  const float *first_h = optional(5, state_dims, "initial_h"), *first_c = optional(6, state_dims, "initial_c");
  const float* peephole = optional(7, {directions, 3 * hidden}, "P");
  const auto result = [&](std::size_t index, const ir::Dims& dims) -> float* {
    if (!context.wants_output(index)) return nullptr;
    Array& out = context.output(index, ir::ElementType::float32, dims);
    std::fill_n(out.as<float>(), out.count(), 0.0f);
    return out.as<float>();
  };
  float *y = result(0, {steps, directions, batch, hidden}), *y_h = result(1, state_dims), *y_c = result(2, state_dims);
  const std::int64_t state = size_product(batch, hidden);
  float *h = scratch<float>(context, state), *c = scratch<float>(context, state),
        *gates = scratch<float>(context, size_product(batch, n));
  float *inputs = scratch<float>(context, x.count()),
        *from_input = scratch<float>(context, size_product(steps * batch, n));
  for (std::int64_t d = 0; d < directions; ++d) {
    const bool reverse = direction == "reverse" || d == 1;
    const Weights by_input(context, w, context.input(8), context.input(9), d),
        by_state(context, r, context.input(10), context.input(11), d);
    const auto step_of = [&](std::int64_t s, std::int64_t b) {
      return reverse ? lengths[static_cast<std::size_t>(b)] - 1 - s : s;
    };
    std::fill_n(inputs, x.count(), 0.0f);  // what lies behind a sequence's end does not widen the range
    for (std::int64_t s = 0; s < steps; ++s) {
      for (std::int64_t b = 0; b < batch; ++b) {
        if (s < lengths[static_cast<std::size_t>(b)])
          std::copy_n(x.as<float>() + (step_of(s, b) * batch + b) * width, width, inputs + (s * batch + b) * width);
      }
    }
    for (std::int64_t i = 0; i < steps * batch; ++i) {
      for (std::int64_t k = 0; k < n; ++k)
        from_input[i * n + k] = bias ? bias[d * 2 * n + k] + bias[d * 2 * n + n + k] : 0.0f;
    }
    multiply_add(context, inputs, steps * batch, by_input, from_input);
    for (std::int64_t i = 0; i < state; ++i) {
      h[i] = first_h ? first_h[d * state + i] : 0.0f;
      c[i] = first_c ? first_c[d * state + i] : 0.0f;
    }
    const float* peeps = peephole ? peephole + d * 3 * hidden : nullptr;
    for (std::int64_t s = 0; s < steps; ++s) {
      std::copy_n(from_input + s * batch * n, batch * n, gates);
      multiply_add(context, h, batch, by_state, gates);
      for (std::int64_t b = 0; b < batch; ++b) {
        if (s >= lengths[static_cast<std::size_t>(b)]) continue;
        const float* gate = gates + b * n;  // input, output, forget, cell
        for (std::int64_t k = 0; k < hidden; ++k) {
          float& cell = c[b * hidden + k];
          const auto peep = [&](std::int64_t which) { return peeps ? peeps[which * hidden + k] * cell : 0.0f; };
          const float in = sigmoid(gate[k] + peep(0)), forget = sigmoid(gate[2 * hidden + k] + peep(2));
          cell = forget * cell + in * std::tanh(gate[3 * hidden + k]);
          h[b * hidden + k] = sigmoid(gate[hidden + k] + peep(1)) * std::tanh(cell);
        }
        if (y) std::copy_n(h + b * hidden, hidden, y + ((step_of(s, b) * directions + d) * batch + b) * hidden);
      }
    }
    if (y_h) std::copy_n(h, state, y_h + d * state);
    if (y_c) std::copy_n(c, state, y_c + d * state);
  }
}

}  // namespace

std::span<const KernelEntry> microsoft_recurrent_kernels() {
  static constexpr KernelEntry entries[] = {
      microsoft("DynamicQuantizeLSTM", stateless<dynamic_quantize_lstm>),
  };
  return entries;
}

}  // namespace hone::exec
