// LSTM GRU RNN: one or both directions, sequences of different lengths, any of ONNX's activations, clipping, peepholes,
// both layouts.
//
// What a gate takes from the inputs is one product over all steps; a step then multiplies the state alone.
#include <cmath>
#include <functional>

#include "exec/reference/elements.h"
#include "exec/reference/gemm.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

// An activation with its parameters, applied in place.
template <typename T>
struct Activation {
  std::string name;
  T alpha{}, beta{};

  T of(T x) const {
    if (name == "sigmoid") return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
    if (name == "tanh") return std::tanh(x);
    if (name == "relu") return x < 0 ? T{0} : x;
    if (name == "affine") return alpha * x + beta;
    if (name == "leakyrelu") return x < 0 ? alpha * x : x;
    if (name == "thresholdedrelu") return x <= alpha ? T{0} : x;
    if (name == "scaledtanh") return alpha * std::tanh(beta * x);
    if (name == "hardsigmoid") return std::min(T{1}, std::max(T{0}, alpha * x + beta));
    if (name == "elu") return x < 0 ? alpha * std::expm1(x) : x;
    if (name == "softsign") return x / (1 + std::abs(x));
    return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));  // softplus
  }
  void operator()(T* x, std::int64_t n) const {
    if (name == "tanh") {  // the usual two without asking for the name every time
      for (std::int64_t i = 0; i < n; ++i) x[i] = std::tanh(x[i]);
    } else if (name == "sigmoid") {
      for (std::int64_t i = 0; i < n; ++i) x[i] = 1 / (1 + std::exp(-x[i]));
    } else {
      for (std::int64_t i = 0; i < n; ++i) x[i] = of(x[i]);
    }
  }
};

struct Default {
  const char* name;
  float alpha, beta;
  bool takes_alpha, takes_beta;
};
constexpr Default known_activations[] = {
    {"sigmoid", 0, 0, false, false},      {"tanh", 0, 0, false, false},
    {"relu", 0, 0, false, false},         {"affine", 1, 0, true, true},
    {"leakyrelu", 0.01f, 0, true, false}, {"thresholdedrelu", 1, 0, true, false},
    {"scaledtanh", 1, 1, true, true},     {"hardsigmoid", 0.2f, 0.5f, true, true},
    {"elu", 1, 0, true, false},           {"softsign", 0, 0, false, false},
    {"softplus", 0, 0, false, false},
};

// The activations of all directions, `per_direction` each. Parameters are taken in order by those that have any.
template <typename T>
std::vector<Activation<T>> activations_of(const ir::Node& node, std::vector<std::string> defaults,
                                          std::size_t directions) {
  std::vector<std::string> names;
  if (const ir::Attribute* given = node.attribute("activations")) {
    const auto* list = given->get<std::vector<std::string>>();
    if (!list) bad_input("activations is no list of names");
    names = *list;
  } else {
    for (std::size_t d = 0; d < directions; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
  }
  if (names.size() != defaults.size() * directions) {
    bad_input("{} activations, where {} are expected", names.size(), defaults.size() * directions);
  }
  const std::vector<float> alphas = node.floats_or("activation_alpha", {}),
                           betas = node.floats_or("activation_beta", {});
  std::size_t next_alpha = 0, next_beta = 0;
  std::vector<Activation<T>> result;
  for (const std::string& name : names) {
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    const Default* found = std::find_if(std::begin(known_activations), std::end(known_activations),
                                        [&](const Default& d) { return d.name == lower; });
    if (found == std::end(known_activations)) bad_input("activation {}", quote(name));
    float alpha = found->alpha, beta = found->beta;
    if (found->takes_alpha && next_alpha < alphas.size()) alpha = alphas[next_alpha++];
    if (found->takes_beta && next_beta < betas.size()) beta = betas[next_beta++];
    result.push_back({lower, static_cast<T>(alpha), static_cast<T>(beta)});
  }
  return result;
}

enum class Cell { rnn, gru, lstm };

void require_shape(const Array& array, const ir::Dims& dims, std::string_view name) {
  if (array.dims != dims) bad_input("{} has the shape {}, not {}", name, ir::text(array.dims), ir::text(dims));
}

// One direction of one layer.
template <typename T>
struct Layer {
  Cell cell;
  std::int64_t steps, batch, width, hidden, gates;
  const T *w, *r;     // [gates * hidden, width], [gates * hidden, hidden]
  const T* bias;      // [2 * gates * hidden], or null
  const T* peephole;  // [3 * hidden] for i, o, f; or null
  std::span<const Activation<T>> activations;
  T clip;  // 0: none
  bool input_forget, linear_before_reset, reverse;
  const std::int64_t* lengths;  // of each sequence

  // `x` is [steps, batch, width]; `h` and `c` hold the first state and take the last; `emit(step, sequence, state)`.
  template <typename Emit>
  void run(Context& context, const T* x, T* h, T* c, const Emit& emit) const {
    const std::int64_t n = gates * hidden;
    const std::int64_t together =
        gates * hidden - (cell == Cell::gru ? hidden : 0);  // gates that take the state itself
    T* from_input = scratch<T>(context, size_product(size_product(steps, batch), n));
    T* from_state = scratch<T>(context, size_product(batch, n));
    T* reset = scratch<T>(context, size_product(batch, hidden));
    for (std::int64_t i = 0; i < steps * batch; ++i) {
      T* row = from_input + i * n;
      for (std::int64_t k = 0; k < n; ++k) {
        const bool inside = cell == Cell::gru && linear_before_reset && k >= together;  // its second bias is reset, too
        row[k] = bias ? bias[k] + (inside ? T{0} : bias[n + k]) : T{0};
      }
    }
    multiply<T>(steps * batch, width, n, {x, width}, {w, width, true}, {from_input, n}, true);
    const auto clipped = [&](T* values, std::int64_t count) {
      if (clip == 0) return;
      for (std::int64_t i = 0; i < count; ++i) values[i] = std::min(clip, std::max(-clip, values[i]));
    };
    const std::int64_t first_part = cell == Cell::gru && !linear_before_reset ? together : n;
    for (std::int64_t s = 0; s < steps; ++s) {
      multiply<T>(batch, hidden, first_part, {h, hidden}, {r, hidden, true}, {from_state, n});
      for (std::int64_t b = 0; b < batch; ++b) {
        if (s >= lengths[b]) continue;
        T* gate = from_input + ((reverse ? lengths[b] - 1 - s : s) * batch + b) * n;
        const T* state = from_state + b * n;
        for (std::int64_t k = 0; k < together; ++k) gate[k] += state[k];
        if (cell == Cell::lstm) {
          lstm(gate, h + b * hidden, c + b * hidden, clipped);
        } else if (cell == Cell::rnn) {
          clipped(gate, hidden);
          activations[0](gate, hidden);
          std::copy_n(gate, hidden, h + b * hidden);
        } else {
          clipped(gate, together);
          activations[0](gate, together);
          for (std::int64_t k = 0; k < hidden; ++k) {
            const T open = gate[hidden + k];
            if (linear_before_reset) {
              gate[together + k] += open * (state[together + k] + (bias ? bias[n + together + k] : T{0}));
            } else {
              reset[b * hidden + k] = open * h[b * hidden + k];
            }
          }
        }
      }
      if (cell == Cell::gru && !linear_before_reset) {
        multiply<T>(batch, hidden, hidden, {reset, hidden}, {r + together * hidden, hidden, true},
                    {from_state + together, n});
      }
      for (std::int64_t b = 0; b < batch; ++b) {
        if (s >= lengths[b]) continue;
        const std::int64_t step = reverse ? lengths[b] - 1 - s : s;
        if (cell == Cell::gru) {
          T* gate = from_input + (step * batch + b) * n;
          T* candidate = gate + together;
          if (!linear_before_reset) {
            for (std::int64_t k = 0; k < hidden; ++k) candidate[k] += from_state[b * n + together + k];
          }
          clipped(candidate, hidden);
          activations[1](candidate, hidden);
          T* own = h + b * hidden;
          for (std::int64_t k = 0; k < hidden; ++k) own[k] = (1 - gate[k]) * candidate[k] + gate[k] * own[k];
        }
        emit(step, b, h + b * hidden);
      }
    }
  }

  // Gates in the order input, output, forget, cell.
  template <typename Clip>
  void lstm(T* gate, T* h, T* c, const Clip& clipped) const {
    T *i = gate, *o = gate + hidden, *f = gate + 2 * hidden, *g = gate + 3 * hidden;
    if (peephole) {
      for (std::int64_t k = 0; k < hidden; ++k) {
        i[k] += peephole[k] * c[k];
        f[k] += peephole[2 * hidden + k] * c[k];
      }
    }
    clipped(i, hidden);
    clipped(g, hidden);
    activations[0](i, hidden);
    activations[1](g, hidden);
    if (input_forget) {
      for (std::int64_t k = 0; k < hidden; ++k) f[k] = 1 - i[k];
    } else {
      clipped(f, hidden);
      activations[0](f, hidden);
    }
    for (std::int64_t k = 0; k < hidden; ++k) {
      c[k] = f[k] * c[k] + i[k] * g[k];
      if (peephole) o[k] += peephole[hidden + k] * c[k];
      h[k] = c[k];
    }
    clipped(o, hidden);
    activations[0](o, hidden);
    activations[2](h, hidden);
    for (std::int64_t k = 0; k < hidden; ++k) h[k] *= o[k];
  }
};

template <Cell cell>
void recurrent(Context& context) {
  constexpr std::int64_t gates = cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1;
  const ir::Node& node = context.node();
  const Array &x = context.input(0), &w = context.input(1), &r = context.input(2);
  const bool by_batch = flag(node, "layout", false);
  require_rank(x, 3, 3, "X");
  require_rank(w, 3, 3, "W");
  require_rank(r, 3, 3, "R");
  const std::int64_t steps = x.dims[by_batch ? 1 : 0], batch = x.dims[by_batch ? 0 : 1], width = x.dims[2];
  const std::string direction = node.string_or("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    bad_input("direction is {}", quote(direction));
  }
  const std::int64_t directions = direction == "bidirectional" ? 2 : 1, hidden = r.dims[2];
  if (hidden < 1) bad_input("a hidden size of {}", hidden);
  if (node.int_or("hidden_size", hidden) != hidden) bad_input("hidden_size differs from R's {}", hidden);
  const std::int64_t n = size_product(gates, hidden);
  require_shape(w, {directions, n, width}, "W");
  require_shape(r, {directions, n, hidden}, "R");
  const auto optional = [&](std::size_t index, const ir::Dims& dims, std::string_view name) -> const Array* {
    if (!context.has_input(index)) return nullptr;
    require_shape(context.input(index), dims, name);
    return &context.input(index);
  };
  const ir::Dims state_dims = by_batch ? ir::Dims{batch, directions, hidden} : ir::Dims{directions, batch, hidden};
  const Array* bias = optional(3, {directions, 2 * n}, "B");
  const Array* given_lengths = optional(4, {batch}, "sequence_lens");
  const Array* h0 = optional(5, state_dims, "initial_h");
  const Array* c0 = cell == Cell::lstm ? optional(6, state_dims, "initial_c") : nullptr;
  const Array* peephole = cell == Cell::lstm ? optional(7, {directions, 3 * hidden}, "P") : nullptr;
  ir::Dims lengths(static_cast<std::size_t>(batch), steps);
  if (given_lengths) lengths = read_ints(*given_lengths);
  for (const std::int64_t length : lengths) {
    if (length < 0 || length > steps) bad_input("a sequence of length {} in {} steps", length, steps);
  }
  const float clip = node.float_or("clip", 0);
  if (!(clip >= 0)) bad_input("clip is {}", clip);
  const ir::Dims y_dims =
      by_batch ? ir::Dims{batch, steps, directions, hidden} : ir::Dims{steps, directions, batch, hidden};

  in_real(context, x.type, [&]<typename T>() {
    const auto operand = [&](const Array* array) { return array ? view<T>(context, *array) : nullptr; };
    const std::vector<std::string> defaults = cell == Cell::lstm  ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                              : cell == Cell::gru ? std::vector<std::string>{"Sigmoid", "Tanh"}
                                                                  : std::vector<std::string>{"Tanh"};
    const auto activations = activations_of<T>(node, defaults, static_cast<std::size_t>(directions));
    const T *inputs = view<T>(context, x), *ws = view<T>(context, w), *rs = view<T>(context, r);
    const T *biases = operand(bias), *peepholes = operand(peephole), *first_h = operand(h0), *first_c = operand(c0);
    if (by_batch) {
      T* turned = scratch<T>(context, x.count());
      for (std::int64_t b = 0; b < batch; ++b) {
        for (std::int64_t s = 0; s < steps; ++s)
          std::copy_n(inputs + (b * steps + s) * width, width, turned + (s * batch + b) * width);
      }
      inputs = turned;
    }
    std::optional<Result<T>> y, y_h, y_c;
    if (context.wants_output(0)) y.emplace(context, 0, x.type, y_dims);
    if (context.wants_output(1)) y_h.emplace(context, 1, x.type, state_dims);
    if (cell == Cell::lstm && context.wants_output(2)) y_c.emplace(context, 2, x.type, state_dims);
    if (y) std::fill_n(y->data(), y->count(), T{0});
    const auto state_at = [&](std::int64_t d, std::int64_t b) {
      return (by_batch ? b * directions + d : d * batch + b) * hidden;
    };
    T *h = scratch<T>(context, size_product(batch, hidden)), *c = scratch<T>(context, size_product(batch, hidden));
    for (std::int64_t d = 0; d < directions; ++d) {
      for (std::int64_t b = 0; b < batch; ++b) {
        for (std::int64_t k = 0; k < hidden; ++k) {
          h[b * hidden + k] = first_h ? first_h[state_at(d, b) + k] : T{0};
          c[b * hidden + k] = first_c ? first_c[state_at(d, b) + k] : T{0};
        }
      }
      const Layer<T> layer{cell,
                           steps,
                           batch,
                           width,
                           hidden,
                           gates,
                           ws + d * n * width,
                           rs + d * n * hidden,
                           biases ? biases + d * 2 * n : nullptr,
                           peepholes ? peepholes + d * 3 * hidden : nullptr,
                           std::span<const Activation<T>>(activations)
                               .subspan(static_cast<std::size_t>(d) * defaults.size(), defaults.size()),
                           static_cast<T>(clip),
                           flag(node, "input_forget", false),
                           flag(node, "linear_before_reset", false),
                           direction == "reverse" || d == 1,
                           lengths.data()};
      layer.run(context, inputs, h, c, [&](std::int64_t step, std::int64_t b, const T* state) {
        if (!y) return;
        const std::int64_t at =
            by_batch ? ((b * steps + step) * directions + d) * hidden : ((step * directions + d) * batch + b) * hidden;
        std::copy_n(state, hidden, y->data() + at);
      });
      for (std::int64_t b = 0; b < batch; ++b) {
        if (y_h) std::copy_n(h + b * hidden, hidden, y_h->data() + state_at(d, b));
        if (y_c) std::copy_n(c + b * hidden, hidden, y_c->data() + state_at(d, b));
      }
    }
    if (y) y->finish();
    if (y_h) y_h->finish();
    if (y_c) y_c->finish();
  });
}

}  // namespace

std::span<const KernelEntry> recurrent_kernels() {
  static constexpr KernelEntry entries[] = {
      {"LSTM", 1, stateless<recurrent<Cell::lstm>>},
      {"GRU", 1, stateless<recurrent<Cell::gru>>},
      {"RNN", 1, stateless<recurrent<Cell::rnn>>},
  };
  return entries;
}

}  // namespace hone::exec
