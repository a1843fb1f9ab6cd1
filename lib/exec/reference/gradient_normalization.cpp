// Normalizations, backward; and BatchNormalization as it trains.
#include <cmath>

#include "exec/reference/gradient.h"

namespace hone::exec {
namespace {

// A tensor as [n, channels, plane].
struct Channels {
  std::int64_t images, channels, plane;
  explicit Channels(const Array& x) {
    require_rank(x, 2, 64, "the data");
    images = x.dims[0];
    channels = x.dims[1];
    plane = product(x.dims, 2, x.rank());
  }
  std::int64_t count() const { return images * plane; }  // of one channel
  std::int64_t grain() const { return std::max<std::int64_t>(1, cheap_grain / std::max<std::int64_t>(count(), 1)); }
  // The sum of f(i) over the places i of a channel.
  template <typename T, typename F>
  double sum(std::int64_t channel, const F& f) const {
    double total = 0;
    if (plane == 1) return sum_of<T>(images, [&](std::int64_t n) { return f(n * channels + channel); });
    for (std::int64_t n = 0; n < images; ++n) {
      const std::int64_t start = (n * channels + channel) * plane;
      total += sum_of<T>(plane, [&](std::int64_t i) { return f(start + i); });
    }
    return total;
  }
  template <typename F>
  void each(std::int64_t channel, const F& f) const {
    for (std::int64_t n = 0; n < images; ++n) {
      const std::int64_t start = (n * channels + channel) * plane;
      for (std::int64_t i = start; i < start + plane; ++i) f(i);
    }
  }
};

struct Moments {
  double mean = 0, variance = 0;
};
template <typename T>
Moments moments(const T* x, const Channels& shape, std::int64_t channel) {
  const auto count = static_cast<double>(std::max<std::int64_t>(shape.count(), 1));
  Moments m;
  m.mean = shape.sum<T>(channel, [&](std::int64_t i) { return x[i]; }) / count;
  const T mean = static_cast<T>(m.mean);
  m.variance = shape.sum<T>(channel, [&](std::int64_t i) { return (x[i] - mean) * (x[i] - mean); }) / count;
  return m;
}

// BatchNormalizationTraining(x, scale, bias, mean, variance) {epsilon, momentum}: y, the running mean and variance after
// this batch, and what the backward pass needs: the batch's mean and 1/deviation. As BatchNormalization in training mode,
// except that the running variance takes in the unbiased estimate (n - 1), as the trainers do that make most models: it
// estimates what inference will see.
void batch_training(Context& context) {
  const Array& x = context.input(0);
  const Channels shape(x);
  for (std::size_t i = 1; i < 5; ++i) require_dims(context.input(i), ir::Dims{shape.channels}, "a statistic");
  const double epsilon = context.node().float_or("epsilon", 1e-5F),
               momentum = context.node().float_or("momentum", 0.9F);
  in_float(context, x.type, [&]<typename T>() {
    const T *in = x.as<T>(), *scale = context.input(1).as<T>(), *bias = context.input(2).as<T>();
    const T *old_mean = context.input(3).as<T>(), *old_variance = context.input(4).as<T>();
    const auto per_channel = [&](std::size_t index) {
      return context.wants_output(index) ? context.output(index, x.type, {shape.channels}).as<T>()
                                         : scratch<T>(context, shape.channels);
    };
    T *new_mean = per_channel(1), *new_variance = per_channel(2), *batch_mean = per_channel(3),
      *inverse = per_channel(4);
    T* y = context.output(0, x.type, x.dims).as<T>();
    const auto count = static_cast<double>(shape.count());
    const double unbiased = count > 1 ? count / (count - 1) : 1;
    parallel_for(shape.channels, shape.grain(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t c = begin; c < end; ++c) {
        const Moments m = moments(in, shape, c);
        const double inverse_deviation = 1 / std::sqrt(m.variance + epsilon);
        batch_mean[c] = static_cast<T>(m.mean);
        inverse[c] = static_cast<T>(inverse_deviation);
        new_mean[c] = static_cast<T>(old_mean[c] * momentum + m.mean * (1 - momentum));
        new_variance[c] = static_cast<T>(old_variance[c] * momentum + m.variance * unbiased * (1 - momentum));
        const T mean = batch_mean[c], factor = static_cast<T>(static_cast<double>(scale[c]) * inverse_deviation),
                add = bias[c];
        shape.each(c, [&](std::int64_t i) { y[i] = (in[i] - mean) * factor + add; });
      }
    });
  });
}

// (dy, x, scale, mean, variance, batch mean, 1/deviation): dx, dscale, dbias. With mean and variance they are fixed;
// otherwise they are those of the batch, given or made again.
void batch(Context& context) {
  const Array &dy = context.input(0), &x = context.input(1);
  require_dims(dy, x.dims, "the gradient");
  const Channels shape(x);
  require_dims(context.input(2), ir::Dims{shape.channels}, "the scale");
  const double epsilon = context.node().float_or("epsilon", 1e-5F);
  const bool fixed = context.has_input(3) && context.has_input(4), given = context.has_input(5) && context.has_input(6);
  in_float(context, dy.type, [&]<typename T>() {
    const T *g = dy.as<T>(), *in = x.as<T>(), *scale = context.input(2).as<T>();
    const T* means = fixed ? context.input(3).as<T>() : given ? context.input(5).as<T>() : nullptr;
    const T* spreads = fixed ? context.input(4).as<T>() : given ? context.input(6).as<T>() : nullptr;
    T* dx = context.wants_output(0) ? context.output(0, dy.type, x.dims).as<T>() : nullptr;
    T* dscale = context.wants_output(1) ? context.output(1, dy.type, {shape.channels}).as<T>() : nullptr;
    T* dbias = context.wants_output(2) ? context.output(2, dy.type, {shape.channels}).as<T>() : nullptr;
    parallel_for(shape.channels, shape.grain(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t c = begin; c < end; ++c) {
        double center = 0, inverse = 0;
        if (means) {
          center = means[c];
          inverse = fixed ? 1 / std::sqrt(spreads[c] + epsilon) : static_cast<double>(spreads[c]);
        } else {
          const Moments m = moments(in, shape, c);
          center = m.mean;
          inverse = 1 / std::sqrt(m.variance + epsilon);
        }
        const T mean = static_cast<T>(center);
        const double sum = shape.sum<T>(c, [&](std::int64_t i) { return g[i]; });
        const double product = shape.sum<T>(c, [&](std::int64_t i) { return g[i] * (in[i] - mean); }) * inverse;
        if (dbias) dbias[c] = static_cast<T>(sum);
        if (dscale) dscale[c] = static_cast<T>(product);
        if (!dx) continue;
        const T factor = static_cast<T>(static_cast<double>(scale[c]) * inverse);
        if (fixed) {
          shape.each(c, [&](std::int64_t i) { dx[i] = g[i] * factor; });
          continue;
        }
        const auto count = static_cast<double>(shape.count());
        const T offset = static_cast<T>(sum / count), slope = static_cast<T>(product * inverse / count);
        shape.each(c, [&](std::int64_t i) { dx[i] = (g[i] - offset - (in[i] - mean) * slope) * factor; });
      }
    });
  });
}

// dx of a row that was normalized: (h - mean(h) - xhat mean(h xhat)) / deviation, where h = dy scale.
template <typename T, typename Scale>
void normalized_row(const T* dy, const T* x, T* dx, std::int64_t length, T mean, T inverse, const Scale& scale) {
  const auto count = static_cast<double>(length);
  const T sum = static_cast<T>(sum_of<T>(length, [&](std::int64_t i) { return dy[i] * scale(i); }) / count);
  const T product = static_cast<T>(
      sum_of<T>(length, [&](std::int64_t i) { return dy[i] * scale(i) * (x[i] - mean) * inverse; }) / count);
  for (std::int64_t i = 0; i < length; ++i) {
    dx[i] = (dy[i] * scale(i) - sum - (x[i] - mean) * inverse * product) * inverse;
  }
}

template <typename T>
Moments row_moments(const T* x, std::int64_t length) {
  const auto count = static_cast<double>(std::max<std::int64_t>(length, 1));
  Moments m;
  m.mean = sum_of<T>(length, [&](std::int64_t i) { return x[i]; }) / count;
  const T mean = static_cast<T>(m.mean);
  m.variance = sum_of<T>(length, [&](std::int64_t i) { return (x[i] - mean) * (x[i] - mean); }) / count;
  return m;
}

// (dy, x, scale) {axis, epsilon}: dx, dscale, dbias.
void layer(Context& context) {
  const Array &dy = context.input(0), &x = context.input(1), &scale = context.input(2);
  require_dims(dy, x.dims, "the gradient");
  const std::size_t axis = checked_axis(context.node().int_or("axis", -1), x.rank());
  const double epsilon = context.node().float_or("epsilon", 1e-5F);
  const std::int64_t rows = product(x.dims, 0, axis), length = product(x.dims, axis, x.rank());
  if (scale.count() != length) {
    unsupported("the gradient of LayerNormalization with a scale of shape {} for {}", ir::text(scale.dims),
                ir::text(x.dims));
  }
  in_float(context, dy.type, [&]<typename T>() {
    const T *g = dy.as<T>(), *in = x.as<T>(), *factor = scale.as<T>();
    T* dx = context.wants_output(0) ? context.output(0, dy.type, x.dims).as<T>() : nullptr;
    T* means = scratch<T>(context, rows);
    T* inverses = scratch<T>(context, rows);
    parallel_for(rows, std::max<std::int64_t>(1, cheap_grain / std::max<std::int64_t>(length, 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t r = begin; r < end; ++r) {
                     const Moments m = row_moments(in + r * length, length);
                     means[r] = static_cast<T>(m.mean);
                     inverses[r] = static_cast<T>(1 / std::sqrt(m.variance + epsilon));
                     if (dx) {
                       normalized_row(g + r * length, in + r * length, dx + r * length, length, means[r], inverses[r],
                                      [&](std::int64_t i) { return factor[i]; });
                     }
                   }
                 });
    const bool with_scale = context.wants_output(1), with_bias = context.wants_output(2);
    if (!with_scale && !with_bias) return;
    T* dscale = with_scale ? context.output(1, dy.type, scale.dims).as<T>() : nullptr;
    T* dbias = with_bias ? context.output(2, dy.type, scale.dims).as<T>() : nullptr;
    constexpr std::int64_t width = 64;  // columns whose sums stay in registers and the first cache
    parallel_for(ceil_div(length, width), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        std::array<double, width> scales{}, biases{};
        const std::int64_t first = block * width, n = std::min(width, length - first);
        for (std::int64_t r = 0; r < rows; ++r) {
          const T *gradient = g + r * length + first, *row = in + r * length + first;
          for (std::int64_t i = 0; i < n; ++i) {
            const auto k = static_cast<std::size_t>(i);
            scales[k] += static_cast<double>(gradient[i] * (row[i] - means[r]) * inverses[r]);
            biases[k] += static_cast<double>(gradient[i]);
          }
        }
        for (std::int64_t i = 0; i < n; ++i) {
          if (dscale) dscale[first + i] = static_cast<T>(scales[static_cast<std::size_t>(i)]);
          if (dbias) dbias[first + i] = static_cast<T>(biases[static_cast<std::size_t>(i)]);
        }
      }
    });
  });
}

// (dy, x, scale) {epsilon}: each plane of each image on its own.
void instance(Context& context) {
  const Array &dy = context.input(0), &x = context.input(1), &scale = context.input(2);
  require_dims(dy, x.dims, "the gradient");
  const Channels shape(x);
  require_dims(scale, ir::Dims{shape.channels}, "the scale");
  const double epsilon = context.node().float_or("epsilon", 1e-5F);
  in_float(context, dy.type, [&]<typename T>() {
    const T *g = dy.as<T>(), *in = x.as<T>(), *factor = scale.as<T>();
    T* dx = context.wants_output(0) ? context.output(0, dy.type, x.dims).as<T>() : nullptr;
    T* dscale = context.wants_output(1) ? context.output(1, dy.type, {shape.channels}).as<T>() : nullptr;
    T* dbias = context.wants_output(2) ? context.output(2, dy.type, {shape.channels}).as<T>() : nullptr;
    parallel_for(shape.channels, shape.grain(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t c = begin; c < end; ++c) {
        double scales = 0, biases = 0;
        for (std::int64_t n = 0; n < shape.images; ++n) {
          const std::int64_t start = (n * shape.channels + c) * shape.plane;
          const T *gradient = g + start, *plane = in + start;
          const Moments m = row_moments(plane, shape.plane);
          const T mean = static_cast<T>(m.mean), inverse = static_cast<T>(1 / std::sqrt(m.variance + epsilon));
          if (dx) {
            normalized_row(gradient, plane, dx + start, shape.plane, mean, inverse,
                           [&](std::int64_t) { return factor[c]; });
          }
          scales += sum_of<T>(shape.plane, [&](std::int64_t i) { return gradient[i] * (plane[i] - mean) * inverse; });
          biases += sum_of<T>(shape.plane, [&](std::int64_t i) { return gradient[i]; });
        }
        if (dscale) dscale[c] = static_cast<T>(scales);
        if (dbias) dbias[c] = static_cast<T>(biases);
      }
    });
  });
}

// (dy, x) {axis, p}: of x / norm(x). 0 where the norm is.
void lp(Context& context) {
  const Array &dy = context.input(0), &x = context.input(1);
  require_dims(dy, x.dims, "the gradient");
  const std::size_t axis = checked_axis(context.node().int_or("axis", -1), x.rank());
  const std::int64_t p = context.node().int_or("p", 2);
  const std::int64_t outer = product(x.dims, 0, axis), length = x.dims[axis],
                     inner = product(x.dims, axis + 1, x.rank());
  in_float(context, dy.type, [&]<typename T>() {
    const T *g = dy.as<T>(), *in = x.as<T>();
    T* dx = context.output(0, dy.type, x.dims).as<T>();
    parallel_for(
        outer * inner, std::max<std::int64_t>(1, cheap_grain / std::max<std::int64_t>(length, 1)),
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t line = begin; line < end; ++line) {
            const std::int64_t start = line / inner * length * inner + line % inner;
            const auto at = [&](std::int64_t i) { return start + i * inner; };
            double norm = 0, dot = 0;
            for (std::int64_t i = 0; i < length; ++i) {
              const double value = in[at(i)];
              norm += p == 1 ? std::abs(value) : value * value;
              dot += static_cast<double>(g[at(i)]) * value;
            }
            if (p == 2) norm = std::sqrt(norm);
            for (std::int64_t i = 0; i < length; ++i) {
              const double value = in[at(i)];
              const double slope = p == 1 ? (value > 0 ? 1.0 : value < 0 ? -1.0 : 0.0) : norm > 0 ? value / norm : 0.0;
              dx[at(i)] = norm > 0 ? static_cast<T>((static_cast<double>(g[at(i)]) - dot / norm * slope) / norm) : T{0};
            }
          }
        });
  });
}

// (dy, x) {alpha, beta, bias, size}: of x_c (bias + alpha/size sum x_j^2)^-beta, over channels j around c.
void local_response(Context& context) {
  const Array &dy = context.input(0), &x = context.input(1);
  require_dims(dy, x.dims, "the gradient");
  const Channels shape(x);
  const ir::Node& node = context.node();
  const std::int64_t size = required_int(node, "size"), before = (size - 1) / 2, after = size - 1 - before;
  const double alpha = node.float_or("alpha", 0.0001F) / static_cast<double>(size);
  const double beta = node.float_or("beta", 0.75F), bias = node.float_or("bias", 1);
  in_float(context, dy.type, [&]<typename T>() {
    const T *g = dy.as<T>(), *in = x.as<T>();
    T* dx = context.output(0, dy.type, x.dims).as<T>();
    parallel_for(shape.images, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<double> base(static_cast<std::size_t>(shape.channels));
      for (std::int64_t n = begin; n < end; ++n) {
        for (std::int64_t i = 0; i < shape.plane; ++i) {
          const auto at = [&](std::int64_t c) { return (n * shape.channels + c) * shape.plane + i; };
          for (std::int64_t c = 0; c < shape.channels; ++c) {
            double sum = 0;
            for (std::int64_t j = std::max<std::int64_t>(0, c - before); j <= std::min(shape.channels - 1, c + after);
                 ++j) {
              sum += static_cast<double>(in[at(j)]) * static_cast<double>(in[at(j)]);
            }
            base[static_cast<std::size_t>(c)] = bias + alpha * sum;
          }
          for (std::int64_t c = 0; c < shape.channels; ++c) {
            double through = 0;  // channels j whose sums hold this one
            for (std::int64_t j = std::max<std::int64_t>(0, c - after); j <= std::min(shape.channels - 1, c + before);
                 ++j) {
              through += static_cast<double>(g[at(j)]) * static_cast<double>(in[at(j)]) *
                         std::pow(base[static_cast<std::size_t>(j)], -beta - 1);
            }
            dx[at(c)] =
                static_cast<T>(static_cast<double>(g[at(c)]) * std::pow(base[static_cast<std::size_t>(c)], -beta) -
                               2 * alpha * beta * static_cast<double>(in[at(c)]) * through);
          }
        }
      }
    });
  });
}

}  // namespace

std::span<const KernelEntry> gradient_normalization_kernels() {
  static constexpr KernelEntry entries[] = {
      own_kernel("BatchNormalizationTraining", stateless<batch_training>),
      own_kernel("BatchNormalizationGradient", stateless<batch>),
      own_kernel("LayerNormalizationGradient", stateless<layer>),
      own_kernel("InstanceNormalizationGradient", stateless<instance>),
      own_kernel("LpNormalizationGradient", stateless<lp>),
      own_kernel("LRNGradient", stateless<local_response>),
  };
  return entries;
}

}  // namespace hone::exec
