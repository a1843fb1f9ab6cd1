// RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial.
//
// A number depends on the seed and its place alone. Without a seed of the node's own, the run gives one.
#include "hone/support/random.h"

#include <bit>
#include <cmath>
#include <numbers>
#include <optional>

#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

std::uint64_t seed_of(Context& context) {
  if (!context.node().has_attribute("seed")) return context.random_seed();
  return std::bit_cast<std::uint32_t>(context.node().float_or("seed", 0));
}

// Two numbers in [0, 1) for each place.
struct Draw {
  double first, second;
  Draw(std::uint64_t seed, std::int64_t place) {
    const auto words = philox(seed, 1, static_cast<std::uint64_t>(place));
    const auto join = [&](std::size_t i) {
      return static_cast<double>((static_cast<std::uint64_t>(words[i]) << 32 | words[i + 1]) >> 11) * 0x1p-53;
    };
    first = join(0);
    second = join(2);
  }
};

template <typename F>
void fill_random(Context& context, ir::ElementType type, const ir::Dims& dims, const F& f) {
  const std::uint64_t seed = seed_of(context);
  in_real(context, type, [&]<typename T>() {
    Result<T> out(context, 0, type, dims);
    parallel_for(out.count(), costly_grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) out.data()[i] = static_cast<T>(f(Draw(seed, i)));
    });
    out.finish();
  });
}
void fill_normal(Context& context, ir::ElementType type, const ir::Dims& dims) {
  const double mean = static_cast<double>(context.node().float_or("mean", 0));
  const double scale = static_cast<double>(context.node().float_or("scale", 1));
  fill_random(context, type, dims, [=](Draw draw) {
    return mean + scale * std::sqrt(-2 * std::log(1 - draw.first)) * std::cos(2 * std::numbers::pi * draw.second);
  });
}
void fill_uniform(Context& context, ir::ElementType type, const ir::Dims& dims) {
  const double low = static_cast<double>(context.node().float_or("low", 0));
  const double high = static_cast<double>(context.node().float_or("high", 1));
  fill_random(context, type, dims, [=](Draw draw) { return low + (high - low) * draw.first; });
}

template <void (*fill)(Context&, ir::ElementType, const ir::Dims&)>
void made(Context& context) {
  fill(context, type_attribute(context.node(), "dtype", ir::ElementType::float32),
       required_ints(context.node(), "shape"));
}
template <void (*fill)(Context&, ir::ElementType, const ir::Dims&)>
void made_like(Context& context) {
  const Array& in = context.raw_input(0);
  fill(context, type_attribute(context.node(), "dtype", in.type), in.dims);
}

void bernoulli(Context& context) {
  const Array& in = context.input(0);
  const ir::ElementType type = type_attribute(context.node(), "dtype", in.type);
  const std::uint64_t seed = seed_of(context);
  const double* chances = view<double>(context, in);
  const auto drawn = [&](std::int64_t i) { return Draw(seed, i).first < chances[i]; };
  if (type == ir::ElementType::boolean) {
    Array& out = context.output(0, type, in.dims);
    for (std::int64_t i = 0; i < in.count(); ++i) out.as<bool>()[i] = drawn(i);
    return;
  }
  in_number(context, type, [&]<typename T>() {
    Array* direct = nullptr;
    std::optional<Result<float>> narrow_result;
    if (ir::element_type_of<T> == type) {
      direct = &context.output(0, type, in.dims);
      for (std::int64_t i = 0; i < in.count(); ++i) direct->as<T>()[i] = drawn(i) ? T{1} : T{0};
    } else {
      narrow_result.emplace(context, 0, type, in.dims);
      for (std::int64_t i = 0; i < in.count(); ++i) narrow_result->data()[i] = drawn(i) ? 1.0f : 0.0f;
      narrow_result->finish();
    }
  });
}

// Rows of unnormalized logarithms of probabilities.
void multinomial(Context& context) {
  const Array& in = context.input(0);
  require_rank(in, 2, 2, "the input");
  const std::int64_t batch = in.dims[0], classes = in.dims[1], samples = context.node().int_or("sample_size", 1);
  const ir::ElementType type = type_attribute(context.node(), "dtype", ir::ElementType::int32);
  if (type != ir::ElementType::int32 && type != ir::ElementType::int64) bad_input("dtype is {}", ir::name(type));
  if (samples < 0 || classes < 1) bad_input("{} samples of {} classes", samples, classes);
  const std::uint64_t seed = seed_of(context);
  const double* logs = view<double>(context, in);
  Array& out = context.output(0, type, {batch, samples});
  std::vector<double> cumulative(static_cast<std::size_t>(classes));
  for (std::int64_t b = 0; b < batch; ++b) {
    const double* row = logs + b * classes;
    const double largest = *std::max_element(row, row + classes);
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c)
      cumulative[static_cast<std::size_t>(c)] = sum += std::exp(row[c] - largest);
    if (!(sum > 0) || !std::isfinite(sum)) bad_input("row {} holds no probabilities", b);
    for (std::int64_t s = 0; s < samples; ++s) {
      const double at = Draw(seed, b * samples + s).first * sum;
      const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), at);
      const auto chosen = std::min<std::int64_t>(found - cumulative.begin(), classes - 1);
      if (type == ir::ElementType::int32) {
        out.as<std::int32_t>()[b * samples + s] = static_cast<std::int32_t>(chosen);
      } else {
        out.as<std::int64_t>()[b * samples + s] = chosen;
      }
    }
  }
}

}  // namespace

std::span<const KernelEntry> random_kernels() {
  static constexpr KernelEntry entries[] = {
      {"RandomNormal", 1, stateless<made<fill_normal>>},
      {"RandomUniform", 1, stateless<made<fill_uniform>>},
      {"RandomNormalLike", 1, stateless<made_like<fill_normal>>},
      {"RandomUniformLike", 1, stateless<made_like<fill_uniform>>},
      {"Bernoulli", 15, stateless<bernoulli>},
      {"Multinomial", 7, stateless<multinomial>},
  };
  return entries;
}

}  // namespace hone::exec
