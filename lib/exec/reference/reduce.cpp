// ReduceSum ReduceMean ReduceProd ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp.
//
// Floats are summed in double, in an order that depends on the shape alone. Integers wrap. NaN wins in Max and Min. Axes
// are an attribute, and since opset 13 (ReduceSum) or 18 (the others) an input.
#include "exec/reference/reduce.h"

#include <cmath>

#include "exec/reference/list.h"

namespace hone::exec {
namespace {

template <typename T>
constexpr bool real = std::is_floating_point_v<T>;
template <typename T>
using Sum_of = std::conditional_t<real<T>, double, std::uint64_t>;  // the bits of a signed sum are right, too

// An operation: a neutral start, taking one element in, joining two partial results, and the result for `n` elements.
template <typename T>
struct Sum {
  using Partial = Sum_of<T>;
  static Partial start() { return 0; }
  static void take(Partial& p, T x) { p += static_cast<Partial>(x); }
  static void join(Partial& p, Partial q) { p += q; }
  static T result(Partial p, std::int64_t) { return static_cast<T>(p); }
};
template <typename T>
struct Mean : Sum<T> {
  using Partial = typename Sum<T>::Partial;
  static T result(Partial p, std::int64_t n) {
    if constexpr (real<T>) {
      return static_cast<T>(p / static_cast<double>(n));
    } else if constexpr (std::is_signed_v<T>) {
      return n == 0 ? T{0} : static_cast<T>(static_cast<std::int64_t>(p) / n);
    } else {
      return n == 0 ? T{0} : static_cast<T>(p / static_cast<std::uint64_t>(n));
    }
  }
};
template <typename T>
struct Product : Sum<T> {
  using Partial = typename Sum<T>::Partial;
  static Partial start() { return 1; }
  static void take(Partial& p, T x) { p *= static_cast<Partial>(x); }
  static void join(Partial& p, Partial q) { p *= q; }
};
template <typename T>
struct SumOfSquares : Sum<T> {
  using Partial = typename Sum<T>::Partial;
  static void take(Partial& p, T x) { p += static_cast<Partial>(x) * static_cast<Partial>(x); }
};
template <typename T>
struct L1 : Sum<T> {
  using Partial = typename Sum<T>::Partial;
  static void take(Partial& p, T x) {
    if constexpr (real<T>) {
      p += std::abs(static_cast<double>(x));
    } else {
      p += x < T{0} ? 0 - static_cast<Partial>(x) : static_cast<Partial>(x);
    }
  }
};
// The rest are for floats: integers go through double.
template <typename T>
struct L2 : SumOfSquares<T> {
  static T result(double p, std::int64_t) { return static_cast<T>(std::sqrt(p)); }
};
template <typename T>
struct LogSum : Sum<T> {
  static T result(double p, std::int64_t) { return static_cast<T>(std::log(p)); }
};
template <typename T>
struct LogSumExp {
  struct Partial {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;  // of exp(x - largest)
  };
  static Partial start() { return {}; }
  static void add(Partial& p, double x, double weight) {
    if (x == p.largest) {
      p.sum += weight;
    } else if (x > p.largest) {
      p.sum = p.sum * std::exp(p.largest - x) + weight;
      p.largest = x;
    } else {
      p.sum += weight * std::exp(x - p.largest);
    }
  }
  static void take(Partial& p, T x) { add(p, static_cast<double>(x), 1); }
  static void join(Partial& p, Partial q) { add(p, q.largest, q.sum); }
  static T result(Partial p, std::int64_t) { return static_cast<T>(p.largest + std::log(p.sum)); }
};
template <typename T, bool largest>
struct Extreme {
  using Partial = T;
  using Limits = std::numeric_limits<T>;
  static Partial start() {
    if constexpr (largest) return Limits::has_infinity ? static_cast<T>(-Limits::infinity()) : Limits::lowest();
    return Limits::has_infinity ? Limits::infinity() : Limits::max();
  }
  static void take(Partial& p, T x) {
    if constexpr (real<T>) {
      p = (largest ? x > p : x < p) || x != x ? x : p;
    } else {
      p = (largest ? x > p : x < p) ? x : p;
    }
  }
  static void join(Partial& p, Partial q) { take(p, q); }
  static T result(Partial p, std::int64_t) { return p; }
};
template <typename T>
using Max = Extreme<T, true>;
template <typename T>
using Min = Extreme<T, false>;

// Calls f(offset) for every index of `dims` in order.
template <typename F>
void for_each_offset(const ir::Dims& dims, const ir::Dims& steps, const F& f) {
  const std::int64_t count = product(dims);
  ir::Dims index(dims.size());
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    f(at);
    for (std::size_t d = dims.size(); d-- > 0;) {
      at += steps[d];
      if (++index[d] < dims[d]) break;
      at -= steps[d] * dims[d];
      index[d] = 0;
    }
  }
}

// Partial results of a run of neighbours, in lanes that the CPU can add side by side.
template <typename Op, typename T>
void take_run(typename Op::Partial& total, const T* from, std::int64_t length) {
  constexpr std::int64_t lanes = 8;
  std::int64_t i = 0;
  if (length >= 2 * lanes) {
    typename Op::Partial partial[lanes];
    for (auto& p : partial) p = Op::start();
    for (; i + lanes <= length; i += lanes) {
      for (std::int64_t k = 0; k < lanes; ++k) Op::take(partial[k], from[i + k]);
    }
    for (auto& p : partial) Op::join(total, p);
  }
  for (; i < length; ++i) Op::take(total, from[i]);
}

template <typename Op, typename T>
void reduce_into(const ReducePlan& plan, const T* in, T* out) {
  const std::int64_t kept = product(plan.kept), n = product(plan.reduced) * (plan.inner_reduced ? plan.inner : 1);
  const double reduced = static_cast<double>(std::max<std::int64_t>(1, n));
  if (plan.inner_reduced) {
    parallel_for(kept, grain_for(reduced), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) {
        const std::int64_t base = plan.locate_kept(k);
        auto total = Op::start();
        for_each_offset(plan.reduced, plan.reduced_steps,
                        [&](std::int64_t at) { take_run<Op>(total, in + base + at, plan.inner); });
        out[k] = Op::result(total, n);
      }
    });
    return;
  }
  // Neighbours are kept: a strip of them at a time.
  constexpr std::int64_t strip = 256;
  const std::int64_t strips = ceil_div(plan.inner, strip);
  parallel_for(kept * strips, grain_for(reduced * strip), [&](std::int64_t begin, std::int64_t end) {
    typename Op::Partial totals[strip];
    for (std::int64_t unit = begin; unit < end; ++unit) {
      const std::int64_t first = unit % strips * strip, length = std::min(strip, plan.inner - first);
      const T* base = in + plan.locate_kept(unit / strips) + first;
      std::fill_n(totals, length, Op::start());
      for_each_offset(plan.reduced, plan.reduced_steps, [&](std::int64_t at) {
        const T* from = base + at;
        for (std::int64_t i = 0; i < length; ++i) Op::take(totals[i], from[i]);
      });
      T* to = out + unit / strips * plan.inner + first;
      for (std::int64_t i = 0; i < length; ++i) to[i] = Op::result(totals[i], n);
    }
  });
}

// The axes to reduce over, empty for none; bad_input for what the tensor lacks.
std::vector<bool> reduced_axes(Context& context, bool from_input, std::size_t rank) {
  ir::Dims axes;
  if (from_input) {
    if (context.has_input(1)) axes = read_ints(context.input(1));
  } else {
    axes = context.node().ints_or("axes", {});
  }
  std::vector<bool> reduced(rank, axes.empty() && !flag(context.node(), "noop_with_empty_axes", false));
  for (const std::size_t axis : checked_axes(axes, rank)) reduced[axis] = true;
  return reduced;
}

template <template <typename> typename Op, template <typename> typename... Others>
constexpr bool is_one_of = (std::is_same_v<Op<double>, Others<double>> || ...);

template <template <typename> typename Op>
void reduce(Context& context, bool axes_from_input) {
  const Array& in = context.input(0);
  const std::vector<bool> reduced = reduced_axes(context, axes_from_input, in.rank());
  const ReducePlan plan(in.dims, reduced);
  const ir::Dims dims = reduced_dims(in.dims, reduced, flag(context.node(), "keepdims", true));
  if constexpr (is_one_of<Op, Max, Min>) {
    if (in.type == ir::ElementType::boolean) {  // bytes 0 and 1
      Array& out = context.output(0, in.type, dims);
      reduce_into<Op<std::uint8_t>>(plan, in.as<std::uint8_t>(), out.as<std::uint8_t>());
      for (bool& x : out.span<bool>()) {  // the least and the largest byte stand for an empty set
        x = *reinterpret_cast<const std::uint8_t*>(&x) != 0;
      }
      return;
    }
  }
  if (ir::is_float(in.type)) {
    return in_real(context, in.type, [&]<typename T>() {
      const T* from = view<T>(context, in);
      Result<T> out(context, 0, in.type, dims);
      reduce_into<Op<T>>(plan, from, out.data());
      out.finish();
    });
  }
  const auto run = [&]<typename T>() {
    Array& out = context.output(0, in.type, dims);
    if constexpr (is_one_of<Op, L2, LogSum, LogSumExp>) {
      double* results = scratch<double>(context, out.count());
      reduce_into<Op<double>>(plan, view<double>(context, in), results);
      // The logarithm of 0 or less is no integer.
      map_range(results, out.as<T>(), out.count(), cheap_grain,
                [](double x) { return std::abs(x) < 0x1p62 ? static_cast<T>(x) : T{0}; });
    } else {
      reduce_into<Op<T>>(plan, in.as<T>(), out.as<T>());
    }
  };
  bool known = dispatch<std::int32_t, std::int64_t, std::uint32_t, std::uint64_t>(in.type, run);
  if constexpr (is_one_of<Op, Max, Min>) {
    known = known || dispatch<std::int8_t, std::uint8_t, std::int16_t, std::uint16_t>(in.type, run);
  }
  if (!known) unsupported_type(context, in.type);
}
template <template <typename> typename Op>
void over_attribute(Context& context) {
  reduce<Op>(context, false);
}
template <template <typename> typename Op>
void over_input(Context& context) {
  reduce<Op>(context, true);
}

}  // namespace

ReducePlan::ReducePlan(const ir::Dims& dims, const std::vector<bool>& axes) {
  const ir::Dims own = strides(dims);
  struct Group {
    std::int64_t size, step;
    bool reduced;
  };
  std::vector<Group> groups;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1) continue;
    if (!groups.empty() && groups.back().reduced == axes[d]) {
      groups.back().size = size_product(groups.back().size, dims[d]);
      groups.back().step = own[d];
    } else {
      groups.push_back({dims[d], own[d], axes[d]});
    }
  }
  if (!groups.empty()) {
    inner = groups.back().size;
    inner_reduced = groups.back().reduced;
    groups.pop_back();
  }
  for (const Group& group : groups) {
    (group.reduced ? reduced : kept).push_back(group.size);
    (group.reduced ? reduced_steps : kept_steps).push_back(group.step);
  }
}

std::int64_t ReducePlan::locate_kept(std::int64_t index) const {
  std::int64_t at = 0;
  for (std::size_t d = kept.size(); d-- > 0; index /= kept[d]) at += index % kept[d] * kept_steps[d];
  return at;
}

ir::Dims reduced_dims(const ir::Dims& dims, const std::vector<bool>& axes, bool keep) {
  ir::Dims result;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (!axes[d]) {
      result.push_back(dims[d]);
    } else if (keep) {
      result.push_back(1);
    }
  }
  return result;
}

std::span<const KernelEntry> reduce_kernels() {
  static constexpr KernelEntry entries[] = {
      {"ReduceSum", 1, stateless<over_attribute<Sum>>, 12},
      {"ReduceMean", 1, stateless<over_attribute<Mean>>, 17},
      {"ReduceProd", 1, stateless<over_attribute<Product>>, 17},
      {"ReduceMax", 1, stateless<over_attribute<Max>>, 17},
      {"ReduceMin", 1, stateless<over_attribute<Min>>, 17},
      {"ReduceL1", 1, stateless<over_attribute<L1>>, 17},
      {"ReduceL2", 1, stateless<over_attribute<L2>>, 17},
      {"ReduceSumSquare", 1, stateless<over_attribute<SumOfSquares>>, 17},
      {"ReduceLogSum", 1, stateless<over_attribute<LogSum>>, 17},
      {"ReduceLogSumExp", 1, stateless<over_attribute<LogSumExp>>, 17},
      {"ReduceSum", 13, stateless<over_input<Sum>>},
      {"ReduceMean", 18, stateless<over_input<Mean>>},
      {"ReduceProd", 18, stateless<over_input<Product>>},
      {"ReduceMax", 18, stateless<over_input<Max>>},
      {"ReduceMin", 18, stateless<over_input<Min>>},
      {"ReduceL1", 18, stateless<over_input<L1>>},
      {"ReduceL2", 18, stateless<over_input<L2>>},
      {"ReduceSumSquare", 18, stateless<over_input<SumOfSquares>>},
      {"ReduceLogSum", 18, stateless<over_input<LogSum>>},
      {"ReduceLogSumExp", 18, stateless<over_input<LogSumExp>>},
  };
  return entries;
}

}  // namespace hone::exec
