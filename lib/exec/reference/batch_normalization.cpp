// BatchNormalization, with given statistics (inference) or those of the batch (training), of every opset.
//
// Before opset 7 the attribute is_test tells which; up to 13, more than one output means training; since 14,
// training_mode. Statistics are summed in double. spatial = 0 (before opset 9): a statistic for every place, not only
// every channel. Scale and statistics may be of other float types than the input.
#include <cmath>

#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

struct Shape {
  std::int64_t batch, channels, inner;
};

template <typename T>
struct Statistics {
  const T *mean, *variance;
};

// Of each channel over the batch: population mean and variance.
template <typename T>
void measure(const Shape& s, const T* in, T* mean, T* variance) {
  const double n = static_cast<double>(s.batch) * static_cast<double>(s.inner);
  parallel_for(s.channels, grain_for(2 * n), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      const auto sum = [&](double center, bool squared) {
        double total = 0;
        for (std::int64_t b = 0; b < s.batch; ++b) {
          const T* from = in + (b * s.channels + c) * s.inner;
          for (std::int64_t i = 0; i < s.inner; ++i) {
            const double x = static_cast<double>(from[i]) - center;
            total += squared ? x * x : x;
          }
        }
        return total / n;
      };
      const double center = sum(0, false);
      mean[c] = static_cast<T>(center);
      variance[c] = static_cast<T>(sum(center, true));
    }
  });
}

template <typename T>
void normalize(const Shape& s, const T* in, const T* scale, const T* bias, Statistics<T> statistics, T epsilon,
               T* out) {
  parallel_for(s.batch * s.channels, grain_for(static_cast<double>(s.inner) + 8),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t unit = begin; unit < end; ++unit) {
                   const std::int64_t c = unit % s.channels;
                   const T factor = scale[c] / std::sqrt(statistics.variance[c] + epsilon), center = statistics.mean[c],
                           shift = bias[c];
                   const T* from = in + unit * s.inner;
                   T* to = out + unit * s.inner;
                   HONE_INDEPENDENT
                   for (std::int64_t i = 0; i < s.inner; ++i) to[i] = (from[i] - center) * factor + shift;
                 }
               });
}

// `running`: outputs 1 and 2 are running statistics; `saved`: outputs 3 and 4 those of the batch, as before opset 14.
void batch_normalization(Context& context, bool training, bool spatial, bool saved) {
  const Array& in = context.input(0);
  const ir::Node& node = context.node();
  if (in.rank() == 0) bad_input("the input is a scalar");
  Shape s{in.dims[0], in.rank() == 1 ? 1 : in.dims[1], in.rank() == 1 ? 1 : product(in.dims, 2, in.rank())};
  if (!spatial) s = {s.batch, size_product(s.channels, s.inner), 1};
  for (std::size_t i = 1; i <= 4; ++i) {
    if (context.input(i).count() != s.channels) {
      bad_input("input {} of shape {} for {} channels", i, ir::text(context.input(i).dims), s.channels);
    }
  }
  const float epsilon = node.float_or("epsilon", 1e-5f), momentum = node.float_or("momentum", 0.9f);
  const ir::ElementType statistics_type = context.input(3).type;
  const ir::Dims statistics_dims = context.input(3).dims;
  in_real(context, in.type, [&]<typename T>() {
    const T *from = view<T>(context, in), *scale = view<T>(context, context.input(1)),
            *bias = view<T>(context, context.input(2));
    const T *mean = view<T>(context, context.input(3)), *variance = view<T>(context, context.input(4));
    Statistics<T> used{mean, variance};
    if (training) {
      T *batch_mean = scratch<T>(context, s.channels), *batch_variance = scratch<T>(context, s.channels);
      measure(s, from, batch_mean, batch_variance);
      used = {batch_mean, batch_variance};
    }
    Result<T> out(context, 0, in.type, in.dims);
    if (out.count() > 0) normalize(s, from, scale, bias, used, static_cast<T>(epsilon), out.data());
    out.finish();
    if (!training) return;
    const auto deliver = [&](std::size_t index, const T* values) {
      if (!context.wants_output(index)) return;
      Result<T> result(context, index, statistics_type, statistics_dims);
      std::copy_n(values, s.channels, result.data());
      result.finish();
    };
    const auto running = [&](const T* before, const T* batch) {
      T* mixed = scratch<T>(context, s.channels);
      const T kept = static_cast<T>(momentum);
      for (std::int64_t c = 0; c < s.channels; ++c) mixed[c] = before[c] * kept + batch[c] * (T{1} - kept);
      return mixed;
    };
    deliver(1, running(mean, used.mean));
    deliver(2, running(variance, used.variance));
    if (!saved) return;
    deliver(3, used.mean);
    deliver(4, used.variance);
  });
}

void batch_normalization_1(Context& context) {
  batch_normalization(context, !flag(context.node(), "is_test", false), flag(context.node(), "spatial", true), true);
}
void batch_normalization_7(Context& context) {
  batch_normalization(context, context.output_count() > 1, flag(context.node(), "spatial", true), true);
}
void batch_normalization_9(Context& context) { batch_normalization(context, context.output_count() > 1, true, true); }
void batch_normalization_14(Context& context) {
  batch_normalization(context, flag(context.node(), "training_mode", false), true, false);
}

}  // namespace

std::span<const KernelEntry> batch_normalization_kernels() {
  static constexpr KernelEntry entries[] = {
      {"BatchNormalization", 1, stateless<batch_normalization_1>, 6},
      {"BatchNormalization", 7, stateless<batch_normalization_7>, 8},
      {"BatchNormalization", 9, stateless<batch_normalization_9>, 13},
      {"BatchNormalization", 14, stateless<batch_normalization_14>},
  };
  return entries;
}

}  // namespace hone::exec
