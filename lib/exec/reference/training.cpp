// ai.onnx.preview.training: Adagrad Adam Momentum, one step for any number of tensors. Computed in double, rounded once.
//
// Not handled: Gradient, which asks for another graph.
#include <cmath>

#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

// Learning rate, count of updates, then tensors in groups of as many as there are: values, gradients, state.
struct Step {
  double rate, count;
  std::size_t tensors;

  Step(Context& context, std::size_t groups) {
    if (context.input_count() < 2 + groups || (context.input_count() - 2) % groups != 0)
      bad_input("{} inputs", context.input_count());
    rate = read_double(context.input(0));
    count = static_cast<double>(read_int(context.input(1)));
    tensors = (context.input_count() - 2) / groups;
  }
};

// For each tensor, f(x, g, state...) with references to one element of each; x and the states become outputs.
template <std::size_t states, typename F>
void update(Context& context, const Step& step, const F& f) {
  for (std::size_t i = 0; i < step.tensors; ++i) {
    const Array& x = context.input(2 + i);
    for (std::size_t group = 1; group < 2 + states; ++group) {
      const Array& other = context.input(2 + group * step.tensors + i);
      require_type(other, x.type, "every input of a tensor");
      if (other.dims != x.dims)
        bad_input("inputs of shapes {} and {} for one tensor", ir::text(x.dims), ir::text(other.dims));
    }
    in_real(context, x.type, [&]<typename T>() {
      const T *values = view<T>(context, x), *gradients = view<T>(context, context.input(2 + step.tensors + i));
      const T* state[states];
      T* next[states];
      std::vector<Result<T>> results;
      results.reserve(states + 1);
      results.emplace_back(context, i, x.type, x.dims);
      for (std::size_t s = 0; s < states; ++s) {
        state[s] = view<T>(context, context.input(2 + (2 + s) * step.tensors + i));
        results.emplace_back(context, (1 + s) * step.tensors + i, x.type, x.dims);
        next[s] = results.back().data();
      }
      for (std::int64_t k = 0; k < x.count(); ++k) {
        double value = static_cast<double>(values[k]), held[states];
        for (std::size_t s = 0; s < states; ++s) held[s] = static_cast<double>(state[s][k]);
        f(value, static_cast<double>(gradients[k]), held);
        results[0].data()[k] = static_cast<T>(value);
        for (std::size_t s = 0; s < states; ++s) next[s][k] = static_cast<T>(held[s]);
      }
      for (Result<T>& result : results) result.finish();
    });
  }
}

double number(const ir::Node& node, std::string_view name, float fallback) {
  return static_cast<double>(node.float_or(name, fallback));
}

void adagrad(Context& context) {
  const Step step(context, 3);
  const ir::Node& node = context.node();
  const double norm = number(node, "norm_coefficient", 0), epsilon = number(node, "epsilon", 0);
  const double rate = step.rate / (1 + step.count * number(node, "decay_factor", 0));
  update<1>(context, step, [=](double& x, double gradient, double* state) {
    const double g = norm * x + gradient;
    state[0] += g * g;
    x -= rate * g / (std::sqrt(state[0]) + epsilon);
  });
}

void adam(Context& context) {
  const Step step(context, 4);
  const ir::Node& node = context.node();
  const double alpha = number(node, "alpha", 0.9f), beta = number(node, "beta", 0.999f),
               epsilon = number(node, "epsilon", 0);
  const double norm = number(node, "norm_coefficient", 0), after = number(node, "norm_coefficient_post", 0);
  const double rate = step.count > 0
                          ? step.rate * std::sqrt(1 - std::pow(beta, step.count)) / (1 - std::pow(alpha, step.count))
                          : step.rate;
  update<2>(context, step, [=](double& x, double gradient, double* state) {
    const double g = norm * x + gradient;
    state[0] = alpha * state[0] + (1 - alpha) * g;
    state[1] = beta * state[1] + (1 - beta) * g * g;
    x = (1 - after) * (x - rate * state[0] / (std::sqrt(state[1]) + epsilon));
  });
}

void momentum(Context& context) {
  const Step step(context, 3);
  const ir::Node& node = context.node();
  const std::string mode = required_string(node, "mode");
  if (mode != "standard" && mode != "nesterov") bad_input("mode is {}", quote(mode));
  const double alpha = number(node, "alpha", 0), norm = number(node, "norm_coefficient", 0);
  const double beta = step.count > 0 ? number(node, "beta", 0) : 1;
  update<1>(context, step, [&](double& x, double gradient, double* state) {
    const double g = norm * x + gradient;
    state[0] = alpha * state[0] + beta * g;
    x -= step.rate * (mode == "nesterov" ? g + alpha * state[0] : state[0]);
  });
}

constexpr std::int64_t latest = std::numeric_limits<std::int64_t>::max();
}  // namespace

std::span<const KernelEntry> training_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Adagrad", 1, stateless<adagrad>, latest, "ai.onnx.preview.training"},
      {"Adam", 1, stateless<adam>, latest, "ai.onnx.preview.training"},
      {"Momentum", 1, stateless<momentum>, latest, "ai.onnx.preview.training"},
  };
  return entries;
}

}  // namespace hone::exec
