#include "hone/train/optimizer.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "hone/support/error.h"
#include "hone/support/text.h"
#include "hone/support/threads.h"

namespace hone::train {
namespace {

constexpr std::string_view kinds[] = {"sgd", "adam", "adamw", "rmsprop", "adagrad"};

// Elements of a piece: its weights, gradients and means stay in the second-level cache, and a piece takes some ten
// microseconds.
constexpr std::int64_t piece_size = 8192;

using Values = Eigen::Map<Eigen::ArrayXf, Eigen::Unaligned>;
using ConstValues = Eigen::Map<const Eigen::ArrayXf, Eigen::Unaligned>;

// In blocks of this many, sums are in float lanes before they are widened.
double sum_of_squares(const float* values, std::int64_t count) {
  constexpr std::int64_t lanes = 8;
  double total = 0;
  std::int64_t i = 0;
  while (count - i >= lanes) {
    float sums[lanes] = {};
    const std::int64_t end = i + std::min<std::int64_t>(512, (count - i) / lanes * lanes);
    for (; i < end; i += lanes) {
      for (std::int64_t k = 0; k < lanes; ++k) sums[k] += values[i + k] * values[i + k];
    }
    for (const float sum : sums) total += static_cast<double>(sum);
  }
  for (; i < count; ++i) total += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return total;
}

void require(bool holds, const char* what) {
  if (!holds) usage_error("{}", what);
}

}  // namespace

std::span<const std::string_view> optimizers() { return kinds; }

double default_rate(std::string_view optimizer) { return optimizer == "sgd" || optimizer == "adagrad" ? 1e-2 : 1e-3; }

Optimizer::Optimizer(OptimizerOptions options, std::vector<Parameter> parameters)
    : options_(std::move(options)), kind_(Kind::sgd), parameters_(std::move(parameters)) {
  const auto* found = std::find(std::begin(kinds), std::end(kinds), options_.kind);
  if (found == std::end(kinds)) {
    const std::vector<std::string> names(std::begin(kinds), std::end(kinds));
    const std::string near = nearest(options_.kind, names);
    usage_error("no optimizer is called {}; there are {}{}", quote(options_.kind), join(names, ", "),
                near.empty() ? "" : fmt::format(". Did you mean {}?", near));
  }
  kind_ = static_cast<Kind>(found - std::begin(kinds));
  require(options_.momentum >= 0 && options_.momentum < 1, "momentum must be at least 0 and below 1");
  require(options_.beta1 >= 0 && options_.beta1 < 1 && options_.beta2 >= 0 && options_.beta2 < 1,
          "beta1 and beta2 must be at least 0 and below 1");
  require(options_.decay >= 0 && options_.decay < 1, "the decay of rmsprop must be at least 0 and below 1");
  require(options_.epsilon > 0, "epsilon must be positive");
  require(options_.l1 >= 0 && options_.l2 >= 0 && options_.weight_decay >= 0, "regularization must not be negative");
  require(options_.clip_norm >= 0 && options_.clip_value >= 0, "a limit on gradients must not be negative");
  require(!options_.nesterov || options_.momentum > 0, "nesterov needs a momentum");
  const bool first = kind_ == Kind::adam || kind_ == Kind::adamw || options_.momentum > 0;
  const bool second = kind_ != Kind::sgd;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const std::int64_t count = parameters_[p].count;
    first_.emplace_back(first ? static_cast<std::size_t>(count) : 0, 0.0F);
    second_.emplace_back(second ? static_cast<std::size_t>(count) : 0, 0.0F);
    for (std::int64_t begin = 0; begin < count; begin += piece_size) {
      pieces_.push_back({p, begin, std::min(piece_size, count - begin)});
    }
  }
}

double Optimizer::step(std::span<const float* const> gradients, double rate) {
  ++steps_;
  std::vector<double> squares(pieces_.size(), 0.0);
  parallel_for(static_cast<std::int64_t>(pieces_.size()), 2, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Piece& piece = pieces_[static_cast<std::size_t>(i)];
      const float* gradient = gradients[piece.parameter];
      if (gradient) squares[static_cast<std::size_t>(i)] = sum_of_squares(gradient + piece.begin, piece.count);
    }
  });
  double norm = 0;
  for (const double square : squares) norm += square;
  norm = std::sqrt(norm);
  const double scale = options_.clip_norm > 0 && norm > options_.clip_norm ? options_.clip_norm / norm : 1;
  parallel_for(static_cast<std::int64_t>(pieces_.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Piece& piece = pieces_[static_cast<std::size_t>(i)];
      if (gradients[piece.parameter]) update(piece, gradients[piece.parameter] + piece.begin, rate, scale);
    }
  });
  return norm;
}

void Optimizer::update(const Piece& piece, const float* gradient, double rate, double scale) {
  const Parameter& parameter = parameters_[piece.parameter];
  Values w(parameter.weights + piece.begin, piece.count);
  Eigen::Array<float, Eigen::Dynamic, 1, 0, piece_size, 1> g(piece.count);
  g = ConstValues(gradient, piece.count);
  if (scale != 1) g *= static_cast<float>(scale);
  if (options_.clip_value > 0) {
    const auto limit = static_cast<float>(options_.clip_value);
    g = g.max(-limit).min(limit);
  }
  if (parameter.decayed) {
    if (options_.l2 > 0) g += w * static_cast<float>(options_.l2);
    if (options_.l1 > 0) g += w.sign() * static_cast<float>(options_.l1);
    if (options_.weight_decay > 0) w *= static_cast<float>(1 - rate * options_.weight_decay);
  }
  const auto row = [&](std::vector<float>& values) {
    return Values(values.empty() ? nullptr : values.data() + piece.begin, values.empty() ? 0 : piece.count);
  };
  Values first = row(first_[piece.parameter]), second = row(second_[piece.parameter]);
  const auto t = static_cast<double>(steps_);
  const auto epsilon = static_cast<float>(options_.epsilon), momentum = static_cast<float>(options_.momentum);
  const auto r = static_cast<float>(rate);
  switch (kind_) {
    case Kind::sgd:
      if (options_.momentum > 0) {
        first = first * momentum + g;
        if (options_.nesterov) {
          w -= (g + first * momentum) * r;
        } else {
          w -= first * r;
        }
      } else {
        w -= g * r;
      }
      break;
    case Kind::adam:
    case Kind::adamw: {
      const auto b1 = static_cast<float>(options_.beta1), b2 = static_cast<float>(options_.beta2);
      // Subtracted before they are rounded: 1 - 0.999f is 5e-5 of itself away from 0.001.
      first = first * b1 + g * static_cast<float>(1 - options_.beta1);
      second = second * b2 + g.square() * static_cast<float>(1 - options_.beta2);
      const auto size = static_cast<float>(rate / (1 - std::pow(options_.beta1, t)));
      const auto correction = static_cast<float>(1 / std::sqrt(1 - std::pow(options_.beta2, t)));
      w -= size * first / (second.sqrt() * correction + epsilon);
      break;
    }
    case Kind::rmsprop: {
      const auto keep = static_cast<float>(options_.decay);
      second = second * keep + g.square() * static_cast<float>(1 - options_.decay);
      if (options_.momentum > 0) {
        first = first * momentum + g / (second.sqrt() + epsilon);
        w -= first * r;
      } else {
        w -= g / (second.sqrt() + epsilon) * r;
      }
      break;
    }
    case Kind::adagrad:
      second += g.square();
      w -= g / (second.sqrt() + epsilon) * r;
      break;
  }
  if (parameter.mask) {
    const std::uint8_t* mask = parameter.mask + piece.begin;
    for (std::int64_t i = 0; i < piece.count; ++i) {
      if (mask[i] == 0) w[i] = 0;
    }
  }
}

double Optimizer::penalty() const {
  if (options_.l1 == 0 && options_.l2 == 0) return 0;
  double absolute = 0, squares = 0;
  for (const Parameter& each : parameters_) {
    if (!each.decayed) continue;
    squares += sum_of_squares(each.weights, each.count);
    for (std::int64_t i = 0; options_.l1 > 0 && i < each.count; ++i)
      absolute += std::abs(static_cast<double>(each.weights[i]));
  }
  return options_.l1 * absolute + options_.l2 / 2 * squares;
}

}  // namespace hone::train
