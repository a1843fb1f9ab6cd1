// Losses: (predictions, targets, class weights) to their mean over the batch, and (dloss, predictions, targets, class
// weights) to the gradient of the predictions.
//
// SoftmaxCrossEntropy {axis, label_smoothing, ignore_index}: logits with the classes along `axis` (1); targets are class
// numbers, one for each place of the other dimensions, or probabilities of the shape of the logits. With class weights
// the mean is weighted by that of each target's class, as in torch.nn.CrossEntropyLoss.
// BinaryCrossEntropy {label_smoothing}: logits and targets in [0, 1], one for each logit; class weights [2].
// RegressionLoss {kind, delta}: 'mse', 'l1' or 'huber'.
#include <cmath>

#include "exec/reference/gradient.h"

namespace hone::exec {
namespace {

std::int64_t label_at(const Array& labels, std::int64_t i) {
  return labels.type == ir::ElementType::int32 ? labels.as<std::int32_t>()[i] : labels.as<std::int64_t>()[i];
}

// Logits as [outer, classes, inner], and what is wanted of each of the outer * inner places.
template <typename T>
struct Classification {
  const T* logits;
  std::int64_t outer, classes, inner;
  const Array& targets;
  const T* probabilities = nullptr;  // null: class numbers
  const T* weights = nullptr;
  double smoothing;
  std::int64_t ignored;

  Classification(Context& context, std::size_t first)
      : targets(context.input(first + 1)),
        smoothing(context.node().float_or("label_smoothing", 0)),
        ignored(context.node().int_or("ignore_index", -100)) {
    const Array& x = context.input(first);
    require_rank(x, 1, 64, "logits");
    logits = x.as<T>();
    const std::size_t axis = x.rank() == 1 ? 0 : checked_axis(context.node().int_or("axis", 1), x.rank());
    outer = product(x.dims, 0, axis);
    classes = x.dims[axis];
    inner = product(x.dims, axis + 1, x.rank());
    if (targets.type == x.type) {
      if (targets.count() != x.count()) {
        bad_input("targets of shape {} for logits of shape {}", ir::text(targets.dims), ir::text(x.dims));
      }
      probabilities = targets.as<T>();
    } else {
      if (targets.type != ir::ElementType::int64 && targets.type != ir::ElementType::int32) {
        bad_input("class numbers of element type {}", ir::name(targets.type));
      }
      if (targets.count() != outer * inner) {
        bad_input("targets of shape {} for logits of shape {}", ir::text(targets.dims), ir::text(x.dims));
      }
    }
    if (context.has_input(first + 2)) {
      const Array& w = context.input(first + 2);
      require_type(w, x.type, "class weights");
      if (w.count() != classes) bad_input("{} class weights for {} classes", w.count(), classes);
      weights = w.as<T>();
    }
  }
  std::int64_t places() const { return outer * inner; }
  std::int64_t start(std::int64_t place) const { return place / inner * classes * inner + place % inner; }
  double weight(std::int64_t c) const { return weights ? static_cast<double>(weights[c]) : 1.0; }
  // The class of a place; -1 where it is ignored.
  std::int64_t label(std::int64_t place) const {
    const std::int64_t value = label_at(targets, place);
    if (value == ignored) return -1;
    if (value < 0 || value >= classes) bad_input("label {} of {} classes", value, classes);
    return value;
  }
  // What of class c is wanted, times its weight.
  double wanted(std::int64_t place, std::int64_t label, std::int64_t c) const {
    const double hard = probabilities ? static_cast<double>(probabilities[start(place) + c * inner])
                        : c == label  ? 1.0
                                      : 0.0;
    return (hard * (1 - smoothing) + smoothing / static_cast<double>(classes)) * weight(c);
  }
  // log(sum(exp(logits))) of a place.
  double log_sum(std::int64_t place) const {
    const T* x = logits + start(place);
    T largest = x[0];
    for (std::int64_t c = 1; c < classes; ++c) largest = std::max(largest, x[c * inner]);
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) sum += static_cast<double>(std::exp(x[c * inner] - largest));
    return static_cast<double>(largest) + std::log(sum);
  }
  // What the sum of the losses is divided by.
  double divisor() const {
    if (probabilities) return static_cast<double>(places());
    double sum = 0;
    for (std::int64_t p = 0; p < places(); ++p) {
      const std::int64_t c = label(p);
      if (c >= 0) sum += weight(c);
    }
    return sum;
  }
};

template <typename T>
void put(Context& context, ir::ElementType type, double value) {
  *context.output(0, type, {}).as<T>() = static_cast<T>(value);
}

// Losses of single places in parallel, their sum in order.
template <typename F>
double sum_losses(Context& context, std::int64_t count, std::int64_t grain, const F& f) {
  auto* losses = scratch<double>(context, count);
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) losses[i] = f(i);
  });
  double total = 0;
  for (std::int64_t i = 0; i < count; ++i) total += losses[i];
  return total;
}

void cross_entropy(Context& context) {
  const ir::ElementType type = context.input(0).type;
  in_float(context, type, [&]<typename T>() {
    const Classification<T> c(context, 0);
    const std::int64_t grain = std::max<std::int64_t>(1, costly_grain / std::max<std::int64_t>(c.classes, 1));
    const double total = sum_losses(context, c.places(), grain, [&](std::int64_t p) {
      const std::int64_t label = c.probabilities ? 0 : c.label(p);
      if (label < 0) return 0.0;
      const double log_sum = c.log_sum(p);
      const T* x = c.logits + c.start(p);
      if (!c.probabilities && c.smoothing == 0)
        return (log_sum - static_cast<double>(x[label * c.inner])) * c.weight(label);
      double loss = 0;
      for (std::int64_t k = 0; k < c.classes; ++k) {
        loss += c.wanted(p, label, k) * (log_sum - static_cast<double>(x[k * c.inner]));
      }
      return loss;
    });
    const double divisor = c.divisor();
    put<T>(context, type, divisor > 0 ? total / divisor : 0);
  });
}

void cross_entropy_gradient(Context& context) {
  const Array& x = context.input(1);
  in_float(context, x.type, [&]<typename T>() {
    const Classification<T> c(context, 1);
    const double divisor = c.divisor();
    const double scale = divisor > 0 ? static_cast<double>(*context.input(0).as<T>()) / divisor : 0;
    T* dx = context.output(0, x.type, x.dims).as<T>();
    const std::int64_t grain = std::max<std::int64_t>(1, costly_grain / std::max<std::int64_t>(c.classes, 1));
    parallel_for(c.places(), grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t p = begin; p < end; ++p) {
        const std::int64_t label = c.probabilities ? 0 : c.label(p), start = c.start(p);
        if (label < 0) {
          for (std::int64_t k = 0; k < c.classes; ++k) dx[start + k * c.inner] = T{0};
          continue;
        }
        const T log_sum = static_cast<T>(c.log_sum(p));
        double mass = 0;  // of what is wanted, over all classes
        for (std::int64_t k = 0; k < c.classes; ++k) mass += c.wanted(p, label, k);
        for (std::int64_t k = 0; k < c.classes; ++k) {
          const std::int64_t i = start + k * c.inner;
          const auto probability = static_cast<double>(std::exp(c.logits[i] - log_sum));
          dx[i] = static_cast<T>((probability * mass - c.wanted(p, label, k)) * scale);
        }
      }
    });
  });
}

// Pairs of one prediction and one target.
template <typename T>
struct Pairs {
  const Array& predictions;
  const T *x, *t;
  std::int64_t count;
  Pairs(Context& context, std::size_t first) : predictions(context.input(first)) {
    const Array& targets = context.input(first + 1);
    require_type(targets, predictions.type, "targets");
    if (targets.count() != predictions.count()) {
      bad_input("targets of shape {} for predictions of shape {}", ir::text(targets.dims), ir::text(predictions.dims));
    }
    x = predictions.as<T>();
    t = targets.as<T>();
    count = predictions.count();
  }
};

template <typename T>
struct Binary : Pairs<T> {
  const T* weights = nullptr;
  double smoothing;
  Binary(Context& context, std::size_t first)
      : Pairs<T>(context, first), smoothing(context.node().float_or("label_smoothing", 0)) {
    if (!context.has_input(first + 2)) return;
    if (context.input(first + 2).count() != 2)
      bad_input("{} class weights for two classes", context.input(first + 2).count());
    weights = context.input(first + 2).as<T>();
  }
  double target(std::int64_t i) const { return static_cast<double>(this->t[i]) * (1 - smoothing) + smoothing / 2; }
  double weight(std::int64_t i) const {
    if (!weights) return 1;
    const auto t = static_cast<double>(this->t[i]);
    return static_cast<double>(weights[0]) * (1 - t) + static_cast<double>(weights[1]) * t;
  }
  double divisor() const {
    if (!weights) return static_cast<double>(this->count);
    double sum = 0;
    for (std::int64_t i = 0; i < this->count; ++i) sum += weight(i);
    return sum;
  }
};

void binary(Context& context) {
  const ir::ElementType type = context.input(0).type;
  in_float(context, type, [&]<typename T>() {
    const Binary<T> b(context, 0);
    const double total = sum_losses(context, b.count, costly_grain, [&](std::int64_t i) {
      const auto x = static_cast<double>(b.x[i]);
      return (std::max(x, 0.0) - x * b.target(i) + std::log1p(std::exp(-std::abs(x)))) * b.weight(i);
    });
    const double divisor = b.divisor();
    put<T>(context, type, divisor > 0 ? total / divisor : 0);
  });
}

void binary_gradient(Context& context) {
  in_float(context, context.input(1).type, [&]<typename T>() {
    const Binary<T> b(context, 1);
    const double divisor = b.divisor();
    const double scale = divisor > 0 ? static_cast<double>(*context.input(0).as<T>()) / divisor : 0;
    T* dx = context.output(0, b.predictions.type, b.predictions.dims).template as<T>();
    parallel_for(b.count, costly_grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const double probability = 1 / (1 + std::exp(-static_cast<double>(b.x[i])));
        dx[i] = static_cast<T>((probability - b.target(i)) * b.weight(i) * scale);
      }
    });
  });
}

enum class Kind { squared, absolute, huber };
Kind kind_of(const ir::Node& node) {
  const std::string kind = node.string_or("kind", "mse");
  return kind == "l1" ? Kind::absolute : kind == "huber" ? Kind::huber : Kind::squared;
}

void regression(Context& context) {
  const ir::ElementType type = context.input(0).type;
  const Kind kind = kind_of(context.node());
  const double delta = context.node().float_or("delta", 1);
  in_float(context, type, [&]<typename T>() {
    const Pairs<T> pairs(context, 0);
    const double total = sum_losses(context, pairs.count, cheap_grain, [&](std::int64_t i) {
      const double d = std::abs(static_cast<double>(pairs.x[i]) - static_cast<double>(pairs.t[i]));
      if (kind == Kind::squared) return d * d;
      if (kind == Kind::absolute) return d;
      return d <= delta ? d * d / 2 : delta * (d - delta / 2);
    });
    put<T>(context, type, pairs.count > 0 ? total / static_cast<double>(pairs.count) : 0);
  });
}

void regression_gradient(Context& context) {
  const Kind kind = kind_of(context.node());
  const double delta = context.node().float_or("delta", 1);
  in_float(context, context.input(1).type, [&]<typename T>() {
    const Pairs<T> pairs(context, 1);
    const double scale =
        static_cast<double>(*context.input(0).as<T>()) / static_cast<double>(std::max<std::int64_t>(pairs.count, 1));
    T* dx = context.output(0, pairs.predictions.type, pairs.predictions.dims).template as<T>();
    parallel_for(pairs.count, cheap_grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const double d = static_cast<double>(pairs.x[i]) - static_cast<double>(pairs.t[i]);
        const double sign = d > 0 ? 1 : d < 0 ? -1 : 0;
        const double slope = kind == Kind::squared    ? 2 * d
                             : kind == Kind::absolute ? sign
                                                      : std::clamp(d, -delta, delta);
        dx[i] = static_cast<T>(slope * scale);
      }
    });
  });
}

}  // namespace

std::span<const KernelEntry> training_loss_kernels() {
  static constexpr KernelEntry entries[] = {
      own_kernel("SoftmaxCrossEntropy", stateless<cross_entropy>),
      own_kernel("SoftmaxCrossEntropyGradient", stateless<cross_entropy_gradient>),
      own_kernel("BinaryCrossEntropy", stateless<binary>),
      own_kernel("BinaryCrossEntropyGradient", stateless<binary_gradient>),
      own_kernel("RegressionLoss", stateless<regression>),
      own_kernel("RegressionLossGradient", stateless<regression_gradient>),
  };
  return entries;
}

}  // namespace hone::exec
