// What the classifiers of ai.onnx.ml share: labels, and turning scores into what is shown.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "exec/reference/elements.h"
#include "exec/string_list.h"

namespace hone::exec {

enum class PostTransform { none, softmax, logistic, softmax_zero, probit };

inline PostTransform post_transform_of(const ir::Node& node) {
  const std::string name = node.string_or("post_transform", "NONE");
  if (name == "NONE") return PostTransform::none;
  if (name == "SOFTMAX") return PostTransform::softmax;
  if (name == "LOGISTIC") return PostTransform::logistic;
  if (name == "SOFTMAX_ZERO") return PostTransform::softmax_zero;
  if (name == "PROBIT") return PostTransform::probit;
  bad_input("post_transform is {}", quote(name));
}

template <typename T>
T logistic(T x) {
  const T v = 1 / (1 + std::exp(-std::abs(x)));
  return x < 0 ? 1 - v : v;
}
// Winitzki's approximation of the inverse error function, which ONNX Runtime takes, too.
template <typename T>
T probit(T x) {
  const T y = 2 * x - 1, sign = y < 0 ? T{-1} : T{1}, product = (1 - y) * (1 + y);
  if (product == 0) return 0;
  const T log = std::log(product), v = 2 / (static_cast<T>(3.14159265358979) * static_cast<T>(0.147)) + log / 2;
  return static_cast<T>(1.41421356) * sign * std::sqrt(-v + std::sqrt(v * v - log / static_cast<T>(0.147)));
}

// Softmax; with `zeros`, a score of 0 stays 0.
template <typename T>
void softmax_scores(T* scores, std::size_t count, bool zeros) {
  T largest = scores[0], sum = 0;
  for (std::size_t i = 1; i < count; ++i) largest = std::max(largest, scores[i]);
  for (std::size_t i = 0; i < count; ++i) {
    const bool zero = zeros && std::abs(scores[i]) <= static_cast<T>(1e-7);
    scores[i] = zero ? scores[i] * std::exp(-largest) : std::exp(scores[i] - largest);
    sum += scores[i];
  }
  for (std::size_t i = 0; i < count; ++i) scores[i] = sum == 0 ? static_cast<T>(0.5) : scores[i] / sum;
}

template <typename T>
void post_transform(T* scores, std::size_t count, PostTransform transform) {
  if (count == 0) return;
  switch (transform) {
    case PostTransform::none:
      return;
    case PostTransform::softmax:
      return softmax_scores(scores, count, false);
    case PostTransform::softmax_zero:
      return softmax_scores(scores, count, true);
    case PostTransform::logistic:
      for (std::size_t i = 0; i < count; ++i) scores[i] = logistic(scores[i]);
      return;
    case PostTransform::probit:
      for (std::size_t i = 0; i < count; ++i) scores[i] = probit(scores[i]);
  }
}

// The labels of a classifier, and its first output.
class Labels {
 public:
  Labels(const ir::Node& node, std::string_view ints, std::string_view strings)
      : ints_(node.ints_or(ints, {})), strings_(string_list(node, strings)) {}

  std::size_t count() const { return strings_.empty() ? ints_.size() : strings_.size(); }
  bool are_strings() const { return !strings_.empty(); }
  void begin(Context& context, std::int64_t rows) {
    if (strings_.empty()) {
      numbers_ = context.output(0, ir::ElementType::int64, {rows}).as<std::int64_t>();
    } else {
      texts_ = context.output(0, ir::ElementType::string, {rows}).strings->data();
    }
  }
  void set(std::int64_t row, std::size_t label) const {
    if (texts_) {
      texts_[row] = strings_.at(label);
    } else {
      numbers_[row] = label < ints_.size() ? ints_[label] : static_cast<std::int64_t>(label);
    }
  }
  // Where there is one score but no two labels: 1 or 0, or the label or nothing.
  void set_single(std::int64_t row, bool positive) const {
    if (texts_) {
      texts_[row] = positive ? strings_[0] : std::string();
    } else {
      numbers_[row] = positive ? (ints_.empty() ? 1 : ints_[0]) : 0;
    }
  }

 private:
  std::vector<std::int64_t> ints_;
  std::vector<std::string> strings_;
  std::int64_t* numbers_ = nullptr;
  std::string* texts_ = nullptr;
};

// Rows of features: [N, F], or [F] as one row.
struct Features {
  std::int64_t rows, width;
  explicit Features(const Array& in)
      : rows(in.rank() == 2 ? in.dims[0] : 1), width(in.rank() == 0 ? 1 : in.dims.back()) {
    if (in.rank() > 2) bad_input("features of shape {}", ir::text(in.dims));
  }
};

}  // namespace hone::exec
