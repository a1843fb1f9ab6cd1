// Sums over what was broadcast, the way back of reductions, and softmax.
#include <cmath>

#include "exec/reference/gradient.h"

namespace hone::exec {

ir::Dims reduced_dims(Context& context, const Array& reduced, DimSpan dims, std::size_t axes_input) {
  const ir::Node& node = context.node();
  std::vector<std::int64_t> axes = node.ints_or("axes", {});
  if (context.has_input(axes_input)) axes = read_ints(context.input(axes_input));
  ir::Dims result(dims.begin(), dims.end());
  if (axes.empty()) {
    if (flag(node, "keepdims", true) && reduced.rank() == dims.size()) {  // what it was reduced to shows which
      result = reduced.dims;
    } else if (!flag(node, "noop_with_empty_axes", false)) {
      std::fill(result.begin(), result.end(), 1);
    }
  } else {
    for (const std::size_t axis : checked_axes(axes, dims.size())) result[axis] = 1;
  }
  if (product(result) != reduced.count()) {
    bad_input("a reduced tensor of shape {} for {}", ir::text(reduced.dims), ir::text(result));
  }
  return result;
}

namespace {

// Adds `x` up to `target`: columns, rows and everything between, each sum in double and in one order.
template <typename T>
void sum_to(const T* x, T* out, const Broadcast<1>& shape) {
  // The dimensions that stay and those that go, each with its step through x.
  const ir::Dims x_steps = strides(shape.dims);
  ir::Dims kept, kept_steps, gone, gone_steps;
  for (std::size_t d = 0; d < shape.dims.size(); ++d) {
    const bool stays = shape.steps[0][d] != 0;
    (stays ? kept : gone).push_back(shape.dims[d]);
    (stays ? kept_steps : gone_steps).push_back(x_steps[d]);
  }
  const auto offset_of = [](std::int64_t index, const ir::Dims& dims, const ir::Dims& steps, std::size_t count) {
    std::int64_t offset = 0;
    for (std::size_t d = count; d-- > 0;) {
      offset += index % dims[d] * steps[d];
      index /= dims[d];
    }
    return offset;
  };
  const std::int64_t gone_count = product(gone);
  if (shape.moves[0]) {
    // Runs along the last dimension are added to each other, 64 columns at a time.
    constexpr std::int64_t width = 64;
    const std::int64_t columns = kept.back(), blocks = ceil_div(columns, width);
    const std::int64_t rows = product(kept, 0, kept.size() - 1);
    parallel_for(rows * blocks,
                 std::max<std::int64_t>(1, cheap_grain / (width * std::max<std::int64_t>(gone_count, 1))),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t task = begin; task < end; ++task) {
                     const std::int64_t row = task / blocks, first = task % blocks * width;
                     const std::int64_t n = std::min(width, columns - first);
                     const T* base = x + offset_of(row, kept, kept_steps, kept.size() - 1) + first;
                     std::array<double, width> sums{};
                     for (std::int64_t g = 0; g < gone_count; ++g) {
                       const T* run =
                           base + (gone.size() == 1 ? g * gone_steps[0] : offset_of(g, gone, gone_steps, gone.size()));
                       for (std::int64_t i = 0; i < n; ++i)
                         sums[static_cast<std::size_t>(i)] += static_cast<double>(run[i]);
                     }
                     for (std::int64_t i = 0; i < n; ++i)
                       out[row * columns + first + i] = static_cast<T>(sums[static_cast<std::size_t>(i)]);
                   }
                 });
    return;
  }
  const std::int64_t length = gone.back(), outer = product(gone, 0, gone.size() - 1);
  parallel_for(product(kept), std::max<std::int64_t>(1, cheap_grain / std::max<std::int64_t>(gone_count, 1)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   const T* base = x + offset_of(row, kept, kept_steps, kept.size());
                   double total = 0;
                   for (std::int64_t g = 0; g < outer; ++g) {
                     const T* run = base + offset_of(g, gone, gone_steps, gone.size() - 1);
                     total += sum_of<T>(length, [&](std::int64_t i) { return run[i]; });
                   }
                   out[row] = static_cast<T>(total);
                 }
               });
}

// (x, shape): x added up to a shape that broadcasts to its own.
void sum_to_shape(Context& context) {
  const Array& x = context.input(0);
  const ir::Dims dims = read_ints(context.input(1));
  if (x.dims == dims) {
    context.forward(0, 0, dims);
    return;
  }
  if (broadcast_dims(x.dims, dims) != x.dims) {
    bad_input("shape {} can't be added up to {}", ir::text(x.dims), ir::text(dims));
  }
  if (x.count() == product(dims)) {  // only dimensions of 1 were added
    context.forward(0, 0, dims);
    return;
  }
  in_float(context, x.type, [&]<typename T>() {
    Array& out = context.output(0, x.type, dims);
    if (x.count() == 0) {
      std::fill_n(out.as<T>(), out.count(), T{0});
    } else {
      sum_to(x.as<T>(), out.as<T>(), broadcast<1>(x.dims, {DimSpan(dims)}));
    }
  });
}

// [n, channels, ...] to [channels].
void channel_sum(Context& context) {
  const Array& x = context.input(0);
  require_rank(x, 2, 64, "the gradient");
  ir::Dims target(x.rank() - 1, 1);
  target[0] = x.dims[1];
  in_float(context, x.type, [&]<typename T>() {
    Array& out = context.output(0, x.type, {x.dims[1]});
    if (x.count() == 0) {
      std::fill_n(out.as<T>(), out.count(), T{0});
    } else if (x.count() == x.dims[1]) {
      std::copy_n(x.as<T>(), x.count(), out.as<T>());
    } else {
      sum_to(x.as<T>(), out.as<T>(), broadcast<1>(x.dims, {DimSpan(target)}));
    }
  });
}

void zeros(Context& context) {
  const ir::Dims dims = read_ints(context.input(0));
  const ir::ElementType type = type_attribute(context.node(), "type", ir::ElementType::float32);
  in_float(context, type, [&]<typename T>() {
    Array& out = context.output(0, type, dims);
    std::fill_n(out.as<T>(), out.count(), T{0});
  });
}

// [..., n] as [rows, n].
void as_matrix(Context& context) {
  const Array& x = context.input(0);
  require_rank(x, 1, 64, "the tensor");
  context.forward(0, 0, ir::Dims{product(x.dims, 0, x.rank() - 1), x.dims.back()});
}
void insert_dimension(Context& context) {
  const Array& x = context.input(0);
  const std::size_t axis = checked_axis(context.node().int_or("axis", -1), x.rank() + 1);
  ir::Dims dims = x.dims;
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  context.forward(0, 0, dims);
}
void remove_dimension(Context& context) {  // the last, which is 1
  const Array& x = context.input(0);
  if (x.rank() == 0 || x.dims.back() != 1) bad_input("no last dimension of 1 in {}", ir::text(x.dims));
  context.forward(0, 0, ir::Dims(x.dims.begin(), x.dims.end() - 1));
}

// (v, shape, axes) {keepdims, noop_with_empty_axes, axes, mean}: v repeated along the axes that were reduced; `mean`
// divides by how often.
void spread(Context& context) {
  const Array& v = context.input(0);
  const ir::Dims dims = read_ints(context.input(1));
  const ir::Dims reduced = reduced_dims(context, v, dims, 2);
  in_float(context, v.type, [&]<typename T>() {
    const T* from = v.as<T>();
    T* to = context.output(0, v.type, dims).as<T>();
    const std::int64_t count = product(dims);
    const bool mean = flag(context.node(), "mean", false);
    const T factor =
        mean && count > 0 ? static_cast<T>(static_cast<double>(v.count()) / static_cast<double>(count)) : T{1};
    const auto shape = broadcast<1>(dims, {DimSpan(reduced)});
    for_each_run(shape, cheap_grain,
                 [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 1>& start) {
                   const T* run = from + start[0];
                   if (shape.moves[0]) {
                     for (std::int64_t i = 0; i < length; ++i) to[at + i] = run[i] * factor;
                   } else {
                     std::fill_n(to + at, length, *run * factor);
                   }
                 });
  });
}

// Calls f(i, r): element i of a tensor of shape `dims` and element r of the reduced one, in order and on one thread, since
// several i meet one r.
template <typename F>
void for_each_reduced(DimSpan dims, DimSpan reduced, const F& f) {
  const auto shape = broadcast<1>(dims, {reduced});
  for_each_run(shape, std::numeric_limits<std::int64_t>::max(),
               [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 1>& start) {
                 for (std::int64_t i = 0; i < length; ++i) f(at + i, start[0] + (shape.moves[0] ? i : 0));
               });
}

// (dy, x, y, axes): to the elements that are the extreme one, in equal parts.
void reduce_max(Context& context) {
  const Array &dy = context.input(0), &x = context.input(1), &y = context.input(2);
  require_dims(y, dy.dims, "the reduced tensor");
  const ir::Dims reduced = reduced_dims(context, dy, x.dims, 3);
  in_float(context, dy.type, [&]<typename T>() {
    const T *g = dy.as<T>(), *in = x.as<T>(), *extreme = y.as<T>();
    T* to = context.output(0, x.type, x.dims).as<T>();
    T* parts = scratch<T>(context, dy.count());
    std::fill_n(parts, dy.count(), T{0});
    for_each_reduced(x.dims, reduced,
                     [&](std::int64_t i, std::int64_t r) { parts[r] += in[i] == extreme[r] ? T{1} : T{0}; });
    for_each_reduced(x.dims, reduced,
                     [&](std::int64_t i, std::int64_t r) { to[i] = in[i] == extreme[r] ? g[r] / parts[r] : T{0}; });
  });
}

// (dy, x, y, axes): dy times the product of the other elements.
void reduce_product(Context& context) {
  const Array &dy = context.input(0), &x = context.input(1);
  const ir::Dims reduced = reduced_dims(context, dy, x.dims, 3);
  in_float(context, dy.type, [&]<typename T>() {
    const T *g = dy.as<T>(), *in = x.as<T>();
    T* to = context.output(0, x.type, x.dims).as<T>();
    T* others = scratch<T>(context, dy.count());  // the product of the elements that aren't 0 ...
    T* zeros = scratch<T>(context, dy.count());   // ... and how many are
    std::fill_n(others, dy.count(), T{1});
    std::fill_n(zeros, dy.count(), T{0});
    for_each_reduced(x.dims, reduced, [&](std::int64_t i, std::int64_t r) {
      if (in[i] == 0) {
        zeros[r] += 1;
      } else {
        others[r] *= in[i];
      }
    });
    for_each_reduced(x.dims, reduced, [&](std::int64_t i, std::int64_t r) {
      if (in[i] == 0) {
        to[i] = zeros[r] == 1 ? g[r] * others[r] : T{0};
      } else {
        to[i] = zeros[r] == 0 ? g[r] * others[r] / in[i] : T{0};
      }
    });
  });
}

// Calls f(dy, y, dx, step, length) for each line of the axis that was normalized; `matrix`: everything from the axis on
// is one line.
template <typename F>
void for_each_line(Context& context, const F& f) {
  const Array &dy = context.input(0), &y = context.input(1);
  require_dims(y, dy.dims, "the result");
  const std::size_t rank = dy.rank();
  std::int64_t axis = context.node().int_or("axis", -1);
  const bool matrix = flag(context.node(), "matrix", false);
  if (axis < 0) axis += static_cast<std::int64_t>(rank);
  if (axis < 0 || axis > static_cast<std::int64_t>(rank) || (axis == static_cast<std::int64_t>(rank) && !matrix)) {
    bad_input("axis {} of {} dimensions", axis, rank);
  }
  const auto at = static_cast<std::size_t>(axis);
  const std::int64_t outer = product(dy.dims, 0, at);
  const std::int64_t length = matrix ? product(dy.dims, at, rank) : dy.dims[at];
  const std::int64_t inner = matrix ? 1 : product(dy.dims, at + 1, rank);
  in_float(context, dy.type, [&]<typename T>() {
    const T *g = dy.as<T>(), *s = y.as<T>();
    T* to = context.output_over(0, 0, dy.type, dy.dims).as<T>();
    parallel_for(outer * inner, std::max<std::int64_t>(1, cheap_grain / std::max<std::int64_t>(length, 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t line = begin; line < end; ++line) {
                     const std::int64_t start = line / inner * length * inner + line % inner;
                     f(g + start, s + start, to + start, inner, length);
                   }
                 });
  });
}

void softmax(Context& context) {  // y (dy - sum(dy y))
  for_each_line(context, []<typename T>(const T* dy, const T* y, T* dx, std::int64_t step, std::int64_t length) {
    const T sum = static_cast<T>(sum_of<T>(length, [&](std::int64_t i) { return dy[i * step] * y[i * step]; }));
    for (std::int64_t i = 0; i < length; ++i) dx[i * step] = y[i * step] * (dy[i * step] - sum);
  });
}
void log_softmax(Context& context) {  // dy - exp(y) sum(dy)
  for_each_line(context, []<typename T>(const T* dy, const T* y, T* dx, std::int64_t step, std::int64_t length) {
    const T sum = static_cast<T>(sum_of<T>(length, [&](std::int64_t i) { return dy[i * step]; }));
    for (std::int64_t i = 0; i < length; ++i) dx[i * step] = dy[i * step] - std::exp(y[i * step]) * sum;
  });
}

}  // namespace

std::span<const KernelEntry> gradient_reduction_kernels() {
  static constexpr KernelEntry entries[] = {
      own_kernel("SumTo", stateless<sum_to_shape>),
      own_kernel("ChannelSum", stateless<channel_sum>),
      own_kernel("Zeros", stateless<zeros>),
      own_kernel("AsMatrix", stateless<as_matrix>),
      own_kernel("InsertDimension", stateless<insert_dimension>),
      own_kernel("RemoveDimension", stateless<remove_dimension>),
      own_kernel("Spread", stateless<spread>),
      own_kernel("ReduceMaxGradient", stateless<reduce_max>),
      own_kernel("ReduceProdGradient", stateless<reduce_product>),
      own_kernel("SoftmaxGradient", stateless<softmax>),
      own_kernel("LogSoftmaxGradient", stateless<log_softmax>),
  };
  return entries;
}

}  // namespace hone::exec
