// Gradients of pooling.
#include "exec/reference/gradient_window.h"

namespace hone::exec {
namespace {

// (dy, x, y): to the first of the largest elements of each window.
void max_pool(Context& context) {
  const Array &dy = context.input(0), &x = context.input(1), &y = context.input(2);
  require_rank(x, 3, 64, "the data");
  require_dims(y, dy.dims, "the result");
  const Window window = window_between(context.node(), x.dims, dy.dims, {}, flag(context.node(), "ceil_mode", false));
  const std::int64_t planes = x.dims[0] * x.dims[1], plane = window.in_size(), places = window.out_size();
  in_float(context, dy.type, [&]<typename T>() {
    Array& out = context.output(0, dy.type, x.dims);
    const T *g = dy.as<T>(), *in = x.as<T>(), *largest = y.as<T>();
    T* dx = out.as<T>();
    auto* taken = scratch<std::int64_t>(context, dy.count());
    parallel_for(planes, std::max<std::int64_t>(1, cheap_grain / std::max<std::int64_t>(plane, 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   std::fill_n(dx + begin * plane, (end - begin) * plane, T{0});
                   for (std::int64_t p = begin; p < end; ++p) {
                     const T *from = in + p * plane, *best = largest + p * places;
                     std::int64_t* place = taken + p * places;
                     std::fill_n(place, places, std::int64_t{-1});
                     for_each_pair(
                         window, [&](std::int64_t, std::int64_t o, std::int64_t i, std::int64_t n, std::int64_t step) {
                           for (std::int64_t j = 0; j < n; ++j) {
                             if (place[o + j] < 0 && from[i + j * step] == best[o + j]) place[o + j] = i + j * step;
                           }
                         });
                     for (std::int64_t o = 0; o < places; ++o) {
                       if (place[o] >= 0) dx[p * plane + place[o]] += g[p * places + o];
                     }
                   }
                 });
  });
}

// (dy, shape of x): in equal parts to each window.
void average_pool(Context& context) {
  const Array& dy = context.input(0);
  const ir::Dims dims = read_ints(context.input(1));
  if (dims.size() < 3 || dims.size() != dy.rank()) bad_input("data of shape {}", ir::text(dims));
  const ir::Node& node = context.node();
  const Window window = window_between(node, dims, dy.dims, {}, flag(node, "ceil_mode", false));
  const std::int64_t planes = dims[0] * dims[1], plane = window.in_size(), places = window.out_size();
  // How many elements a window counts: those inside the data, or inside the padding, too.
  const bool with_padding = flag(node, "count_include_pad", false);
  std::vector<double> factor(static_cast<std::size_t>(places), 1.0);
  for (std::int64_t o = 0; o < places; ++o) {
    std::int64_t rest = o, count = 1;
    for (std::size_t d = window.rank; d-- > 0;) {
      const std::int64_t first = rest % window.out[d] * window.strides[d] - window.before[d];
      rest /= window.out[d];
      std::int64_t inside = 0;
      const std::int64_t low = with_padding ? -window.before[d] : 0;
      const std::int64_t high = window.in[d] + (with_padding ? window.after[d] : 0);
      for (std::int64_t k = 0; k < window.kernel[d]; ++k) {
        const std::int64_t at = first + k * window.dilations[d];
        inside += at >= low && at < high ? 1 : 0;
      }
      count *= inside;
    }
    factor[static_cast<std::size_t>(o)] = count > 0 ? 1.0 / static_cast<double>(count) : 0.0;
  }
  in_float(context, dy.type, [&]<typename T>() {
    Array& out = context.output(0, dy.type, dims);
    const T* g = dy.as<T>();
    T* dx = out.as<T>();
    parallel_for(planes, std::max<std::int64_t>(1, cheap_grain / std::max<std::int64_t>(plane, 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   std::fill_n(dx + begin * plane, (end - begin) * plane, T{0});
                   for (std::int64_t p = begin; p < end; ++p) {
                     const T* from = g + p * places;
                     T* to = dx + p * plane;
                     for_each_pair(
                         window, [&](std::int64_t, std::int64_t o, std::int64_t i, std::int64_t n, std::int64_t step) {
                           for (std::int64_t j = 0; j < n; ++j) {
                             to[i + j * step] += from[o + j] * static_cast<T>(factor[static_cast<std::size_t>(o + j)]);
                           }
                         });
                   }
                 });
  });
}

// (dy, x, y): to the first of the largest elements of each plane.
void global_max_pool(Context& context) {
  const Array &dy = context.input(0), &x = context.input(1), &y = context.input(2);
  require_rank(x, 2, 64, "the data");
  const std::int64_t planes = x.dims[0] * x.dims[1], plane = product(x.dims, 2, x.rank());
  if (dy.count() != planes || y.count() != planes)
    bad_input("a gradient of shape {} for {}", ir::text(dy.dims), ir::text(x.dims));
  in_float(context, dy.type, [&]<typename T>() {
    T* dx = context.output(0, dy.type, x.dims).as<T>();
    const T *g = dy.as<T>(), *in = x.as<T>(), *largest = y.as<T>();
    parallel_for(planes, std::max<std::int64_t>(1, cheap_grain / std::max<std::int64_t>(plane, 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t p = begin; p < end; ++p) {
                     bool given = false;
                     for (std::int64_t i = p * plane; i < (p + 1) * plane; ++i) {
                       const bool take = !given && in[i] == largest[p];
                       dx[i] = take ? g[p] : T{0};
                       given = given || take;
                     }
                   }
                 });
  });
}

}  // namespace

std::span<const KernelEntry> gradient_pooling_kernels() {
  static constexpr KernelEntry entries[] = {
      own_kernel("MaxPoolGradient", stateless<max_pool>),
      own_kernel("AveragePoolGradient", stateless<average_pool>),
      own_kernel("GlobalMaxPoolGradient", stateless<global_max_pool>),
  };
  return entries;
}

}  // namespace hone::exec
