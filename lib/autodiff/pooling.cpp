// Pooling.
#include "autodiff/backward.h"

namespace hone::autodiff {
namespace {

// The gradient goes to the first of the largest elements of a window, found again from the input.
void max_pool(Backward& back) {
  back.give(0, [&] {
    return back.own("MaxPoolGradient", {back.gradient(), back.input(0), back.output()}, back.same_attributes());
  });
}

void average_pool(Backward& back) {
  back.give(0, [&] {
    return back.own("AveragePoolGradient", {back.gradient(), back.shape(*back.input(0))}, back.same_attributes());
  });
}

void global_average_pool(Backward& back) {
  back.give(0, [&] {
    return back.own("Spread", {back.gradient(), back.shape(*back.input(0))}, attributes("mean", std::int64_t{1}));
  });
}

void global_max_pool(Backward& back) {
  back.give(0, [&] { return back.own("GlobalMaxPoolGradient", {back.gradient(), back.input(0), back.output()}); });
}

}  // namespace

std::span<const Operator> pooling_rules() {
  static constexpr Operator rules[] = {
      {"MaxPool", max_pool},
      {"AveragePool", average_pool},
      {"GlobalAveragePool", global_average_pool},
      {"GlobalMaxPool", global_max_pool},
  };
  return rules;
}

}  // namespace hone::autodiff
