// Normalization by the elements' own statistics: InstanceNormalization GroupNormalization LayerNormalization
// RMSNormalization MeanVarianceNormalization LpNormalization LRN.
//
// Sums are in double. stash_type, which asks for at least float's precision, makes no difference but for the type of
// LayerNormalization's second and third output.
#include <cmath>

#include "exec/reference/broadcast.h"
#include "exec/reference/list.h"
#include "exec/reference/reduce.h"

namespace hone::exec {
namespace {

struct Moments {
  double mean = 0, variance = 0;
};
template <typename T>
Moments moments(const T* from, std::int64_t length) {
  Moments m;
  for (std::int64_t i = 0; i < length; ++i) m.mean += static_cast<double>(from[i]);
  m.mean /= static_cast<double>(length);
  for (std::int64_t i = 0; i < length; ++i) {
    const double x = static_cast<double>(from[i]) - m.mean;
    m.variance += x * x;
  }
  m.variance /= static_cast<double>(length);
  return m;
}

// Each image's channels in `groups` groups; scale and bias by channel, or by group.
void group_normalization(Context& context, std::int64_t groups, bool by_group) {
  const Array& in = context.input(0);
  require_rank(in, 2, std::numeric_limits<std::size_t>::max(), "the input");
  const std::int64_t channels = in.dims[1], inner = product(in.dims, 2, in.rank());
  if (groups < 1 || channels % groups != 0) bad_input("{} channels in {} groups", channels, groups);
  for (std::size_t i = 1; i <= 2; ++i) {
    if (context.input(i).count() != (by_group ? groups : channels)) {
      bad_input("{} of shape {} for {} channels in {} groups", i == 1 ? "scale" : "bias",
                ir::text(context.input(i).dims), channels, groups);
    }
  }
  const double epsilon = static_cast<double>(context.node().float_or("epsilon", 1e-5f));
  in_real(context, in.type, [&]<typename T>() {
    const T *from = view<T>(context, in), *scale = view<T>(context, context.input(1)),
            *bias = view<T>(context, context.input(2));
    Result<T> out(context, 0, in.type, in.dims);
    if (out.count() == 0) return;
    const std::int64_t per_group = channels / groups, length = per_group * inner;
    parallel_for(
        in.dims[0] * groups, grain_for(3 * static_cast<double>(length)), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t unit = begin; unit < end; ++unit) {
            const Moments m = moments(from + unit * length, length);
            const double factor = 1 / std::sqrt(m.variance + epsilon);
            for (std::int64_t c = 0; c < per_group; ++c) {
              const std::int64_t channel = unit % groups * per_group + c, at = by_group ? unit % groups : channel;
              const T by = static_cast<T>(factor * static_cast<double>(scale[at])), shift = bias[at],
                      center = static_cast<T>(m.mean);
              const T* x = from + unit * length + c * inner;
              T* y = out.data() + unit * length + c * inner;
              HONE_INDEPENDENT
              for (std::int64_t i = 0; i < inner; ++i) y[i] = (x[i] - center) * by + shift;
            }
          }
        });
    out.finish();
  });
}
void instance_normalization(Context& context) {
  const Array& in = context.input(0);
  require_rank(in, 2, std::numeric_limits<std::size_t>::max(), "the input");
  if (in.dims[1] == 0) {
    context.output(0, in.type, in.dims);
    return;
  }
  group_normalization(context, in.dims[1], false);
}
void group_normalization_18(Context& context) {
  group_normalization(context, required_int(context.node(), "num_groups"), true);
}
void group_normalization_21(Context& context) {
  group_normalization(context, required_int(context.node(), "num_groups"), false);
}

// Multiplies or shifts each element of `values` (of shape `dims`) by the broadcast operand.
template <typename T, typename F>
void apply(Context& context, T* values, const ir::Dims& dims, const Array& operand, std::string_view name, const F& f) {
  if (operand.rank() > dims.size() || broadcast_dims(dims, operand.dims) != dims) {
    bad_input("{} of shape {} does not broadcast to {}", name, ir::text(operand.dims), ir::text(dims));
  }
  combine(broadcast<2>(dims, {dims, operand.dims}), values, view<T>(context, operand), values, cheap_grain, f);
}

struct Rows {
  std::size_t axis;
  std::int64_t count, length;

  Rows(const Context& context, const Array& in, std::int64_t default_axis)
      : axis(checked_axis(context.node().int_or("axis", default_axis), in.rank())),
        count(product(in.dims, 0, axis)),
        length(product(in.dims, axis, in.rank())) {}
};

void layer_normalization(Context& context) {
  const Array& in = context.input(0);
  const Rows rows(context, in, -1);
  const double epsilon = static_cast<double>(context.node().float_or("epsilon", 1e-5f));
  const ir::ElementType stash = type_attribute(context.node(), "stash_type", ir::ElementType::float32);
  ir::Dims statistics_dims = in.dims;
  std::fill(statistics_dims.begin() + static_cast<std::ptrdiff_t>(rows.axis), statistics_dims.end(), 1);
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, in.dims);
    auto *means = scratch<float>(context, rows.count), *inverses = scratch<float>(context, rows.count);
    parallel_for(rows.count, grain_for(4 * static_cast<double>(rows.length)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t r = begin; r < end; ++r) {
                     const T* x = from + r * rows.length;
                     T* y = out.data() + r * rows.length;
                     const Moments m = moments(x, rows.length);
                     const double inverse = 1 / std::sqrt(m.variance + epsilon);
                     means[r] = static_cast<float>(m.mean);
                     inverses[r] = static_cast<float>(inverse);
                     const T center = static_cast<T>(m.mean), factor = static_cast<T>(inverse);
                     HONE_INDEPENDENT
                     for (std::int64_t i = 0; i < rows.length; ++i) y[i] = (x[i] - center) * factor;
                   }
                 });
    apply(context, out.data(), in.dims, context.input(1), "scale", [](T x, T s) { return x * s; });
    if (context.has_input(2))
      apply(context, out.data(), in.dims, context.input(2), "bias", [](T x, T b) { return x + b; });
    out.finish();
    for (std::size_t i = 1; i <= 2; ++i) {
      if (!context.wants_output(i)) continue;
      Array& statistics = context.output(i, stash, statistics_dims);
      if (stash == ir::ElementType::float64) {
        std::copy_n(i == 1 ? means : inverses, rows.count, statistics.as<double>());
      } else if (is_narrow_float(stash) || stash == ir::ElementType::float32) {
        narrow(i == 1 ? means : inverses, statistics);
      } else {
        unsupported_type(context, stash);
      }
    }
  });
}

void rms_normalization(Context& context) {
  const Array& in = context.input(0);
  const Rows rows(context, in, -1);
  const double epsilon = static_cast<double>(context.node().float_or("epsilon", 1e-5f));
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, in.dims);
    parallel_for(rows.count, grain_for(3 * static_cast<double>(rows.length)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t r = begin; r < end; ++r) {
                     const T* x = from + r * rows.length;
                     T* y = out.data() + r * rows.length;
                     double sum = 0;
                     for (std::int64_t i = 0; i < rows.length; ++i)
                       sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
                     const T factor = static_cast<T>(1 / std::sqrt(sum / static_cast<double>(rows.length) + epsilon));
                     HONE_INDEPENDENT
                     for (std::int64_t i = 0; i < rows.length; ++i) y[i] = x[i] * factor;
                   }
                 });
    apply(context, out.data(), in.dims, context.input(1), "scale", [](T x, T s) { return x * s; });
    out.finish();
  });
}

// The offsets of all combinations of the dimensions for which axes[d] == chosen.
std::vector<std::int64_t> offsets_along(const ir::Dims& dims, const std::vector<bool>& axes, bool chosen) {
  const ir::Dims steps = strides(dims);
  std::vector<std::int64_t> offsets = {0};
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (axes[d] != chosen) continue;
    std::vector<std::int64_t> next;
    next.reserve(offsets.size() * static_cast<std::size_t>(dims[d]));
    for (const std::int64_t offset : offsets) {
      for (std::int64_t i = 0; i < dims[d]; ++i) next.push_back(offset + i * steps[d]);
    }
    offsets = std::move(next);
  }
  return offsets;
}

void mean_variance_normalization(Context& context) {
  const Array& in = context.input(0);
  std::vector<bool> axes(in.rank());
  for (const std::size_t axis : checked_axes(context.node().ints_or("axes", {0, 2, 3}), in.rank())) axes[axis] = true;
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, in.dims);
    if (out.count() == 0) return;
    const std::vector<std::int64_t> kept = offsets_along(in.dims, axes, false),
                                    reduced = offsets_along(in.dims, axes, true);
    const auto n = static_cast<double>(reduced.size());
    parallel_for(static_cast<std::int64_t>(kept.size()), grain_for(4 * n), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) {
        const std::int64_t base = kept[static_cast<std::size_t>(k)];
        double mean = 0, variance = 0;
        for (const std::int64_t at : reduced) mean += static_cast<double>(from[base + at]);
        mean /= n;
        for (const std::int64_t at : reduced) {
          const double x = static_cast<double>(from[base + at]) - mean;
          variance += x * x;
        }
        const double divisor = std::sqrt(variance / n) + 1e-9;  // the operator's definition
        for (const std::int64_t at : reduced) {
          out.data()[base + at] = static_cast<T>((static_cast<double>(from[base + at]) - mean) / divisor);
        }
      }
    });
    out.finish();
  });
}

// What has no length stays zero.
void lp_normalization(Context& context) {
  const Array& in = context.input(0);
  const std::size_t axis = checked_axis(context.node().int_or("axis", -1), in.rank());
  const std::int64_t p = context.node().int_or("p", 2);
  if (p != 1 && p != 2) bad_input("p is {}, not 1 or 2", p);
  const std::int64_t length = in.dims[axis], inner = product(in.dims, axis + 1, in.rank());
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, in.dims);
    if (out.count() == 0) return;
    parallel_for(out.count() / length, grain_for(2 * static_cast<double>(length)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t k = begin; k < end; ++k) {
                     const std::int64_t at = k / inner * length * inner + k % inner;
                     double sum = 0;
                     for (std::int64_t i = 0; i < length; ++i) {
                       const double x = static_cast<double>(from[at + i * inner]);
                       sum += p == 1 ? std::abs(x) : x * x;
                     }
                     const T norm = static_cast<T>(p == 1 ? sum : std::sqrt(sum));
                     for (std::int64_t i = 0; i < length; ++i) {
                       out.data()[at + i * inner] = norm == 0 ? T{0} : from[at + i * inner] / norm;
                     }
                   }
                 });
    out.finish();
  });
}

void lrn(Context& context) {
  const Array& in = context.input(0);
  require_rank(in, 2, std::numeric_limits<std::size_t>::max(), "the input");
  const ir::Node& node = context.node();
  const std::int64_t size = required_int(node, "size");
  if (size < 1) bad_input("size is {}", size);
  const float alpha = node.float_or("alpha", 0.0001f), beta = node.float_or("beta", 0.75f),
              bias = node.float_or("bias", 1);
  const std::int64_t channels = in.dims[1], inner = product(in.dims, 2, in.rank());
  const std::int64_t below = std::min((size - 1) / 2, channels), above = std::min(size / 2, channels);
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, in.dims);
    if (out.count() == 0) return;
    const double work = static_cast<double>(below + above + 16) * static_cast<double>(inner);
    parallel_for(in.dims[0] * channels, grain_for(work), [&](std::int64_t begin, std::int64_t end) {
      std::vector<T> sums(static_cast<std::size_t>(inner));
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t c = unit % channels;
        const T* image = from + (unit - c) * inner;
        std::fill(sums.begin(), sums.end(), T{0});
        for (std::int64_t k = std::max<std::int64_t>(0, c - below); k <= std::min(channels - 1, c + above); ++k) {
          for (std::int64_t i = 0; i < inner; ++i)
            sums[static_cast<std::size_t>(i)] += image[k * inner + i] * image[k * inner + i];
        }
        const T weight = static_cast<T>(alpha) / static_cast<T>(size);
        for (std::int64_t i = 0; i < inner; ++i) {
          const T base = static_cast<T>(bias) + weight * sums[static_cast<std::size_t>(i)];
          out.data()[unit * inner + i] = image[c * inner + i] / std::pow(base, static_cast<T>(beta));
        }
      }
    });
    out.finish();
  });
}

}  // namespace

std::span<const KernelEntry> normalization_kernels() {
  static constexpr KernelEntry entries[] = {
      {"InstanceNormalization", 1, stateless<instance_normalization>},
      {"GroupNormalization", 18, stateless<group_normalization_18>, 20},
      {"GroupNormalization", 21, stateless<group_normalization_21>},
      {"LayerNormalization", 1, stateless<layer_normalization>},  // 17; older files hold it, as ONNX Runtime takes them
      {"RMSNormalization", 23, stateless<rms_normalization>},
      {"MeanVarianceNormalization", 1, stateless<mean_variance_normalization>},
      {"LpNormalization", 1, stateless<lp_normalization>},
      {"LRN", 1, stateless<lrn>},
  };
  return entries;
}

}  // namespace hone::exec
