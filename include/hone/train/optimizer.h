// One step of an optimizer over all weights at once, in place.
//
// Regularization is part of the step: l1 and l2 add to the gradients the slopes of l1 sum|w| and l2/2 sum w^2; weight
// decay shrinks weights by rate * decay, beside the gradient (Loshchilov and Hutter, "Decoupled weight decay
// regularization", 2019). All three leave biases and scales alone.
//
// The same numbers come out for any thread count: weights are cut into pieces of fixed size.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hone::train {

struct OptimizerOptions {
  std::string kind = "adam";          // sgd, adam, adamw, rmsprop, adagrad
  double momentum = 0;                // sgd, rmsprop
  bool nesterov = false;              // sgd
  double beta1 = 0.9, beta2 = 0.999;  // adam, adamw
  double decay = 0.99;                // rmsprop: how much of the mean square is kept
  double epsilon = 1e-8;
  double l1 = 0, l2 = 0;
  double weight_decay = 0;
  double clip_norm = 0;   // of all gradients together; 0: none
  double clip_value = 0;  // of each number
};
std::span<const std::string_view> optimizers();
// A learning rate that is a fair first guess: 1e-3 for the adaptive ones, 1e-2 for sgd and adagrad.
double default_rate(std::string_view optimizer);

struct Parameter {
  std::string name;
  float* weights = nullptr;
  std::int64_t count = 0;
  bool decayed = true;                 // l1, l2 and weight decay apply
  const std::uint8_t* mask = nullptr;  // 0: the weight is and stays 0
};

class Optimizer {
 public:
  // Raises usage for an unknown kind and numbers out of range. The weights must outlive it.
  Optimizer(OptimizerOptions options, std::vector<Parameter> parameters);

  // One step; `gradients` in the order of the parameters (null: none, the weight stays). Returns the norm of the
  // gradients before clipping.
  double step(std::span<const float* const> gradients, double rate);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  std::uint64_t steps() const { return steps_; }
  // l1 sum|w| + l2/2 sum w^2 over the weights they apply to.
  double penalty() const;

  // What a checkpoint keeps: the running means of each parameter (one or two rows of its size, or none).
  std::vector<std::vector<float>>& first_moments() { return first_; }
  std::vector<std::vector<float>>& second_moments() { return second_; }
  void set_steps(std::uint64_t steps) { steps_ = steps; }

 private:
  enum class Kind { sgd, adam, adamw, rmsprop, adagrad };
  struct Piece {
    std::size_t parameter;
    std::int64_t begin, count;
  };
  void update(const Piece& piece, const float* gradient, double rate, double scale);

  OptimizerOptions options_;
  Kind kind_;
  std::vector<Parameter> parameters_;
  std::vector<Piece> pieces_;
  std::vector<std::vector<float>> first_, second_;
  std::uint64_t steps_ = 0;
};

}  // namespace hone::train
