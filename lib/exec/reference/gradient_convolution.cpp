// Gradients of convolution: with respect to its data, (dy, weights, shape of x) to dx, and to its weights and bias,
// (x, dy, shape of the weights) to dw and db. The attributes are Conv's.
//
// Both are matrix products on the windows laid out as columns, image by image. Images are independent for dx. For dw
// they are cut into a fixed number of shares that are added up in order, so that thread counts change nothing.
#include "exec/reference/gemm.h"
#include "exec/reference/gradient_window.h"

namespace hone::exec {
namespace {

struct Convolution {
  std::int64_t images, groups, in_channels, out_channels;  // channels of one group
  Window window;

  Convolution(const ir::Node& node, const ir::Dims& x, const ir::Dims& weights, const ir::Dims& y)
      : images(x.empty() ? 0 : x[0]),
        groups(node.int_or("group", 1)),
        in_channels(0),
        out_channels(0),
        window(window_between(
            node, x, y, ir::Dims(weights.begin() + std::min<std::ptrdiff_t>(2, std::ssize(weights)), weights.end()),
            false)) {
    if (groups < 1 || weights.size() != x.size() || weights[0] % groups != 0 ||
        x[1] != size_product(weights[1], groups) || y[0] != x[0] || y[1] != weights[0]) {
      bad_input("weights of shape {} for data of {} and results of {} in {} groups", ir::text(weights), ir::text(x),
                ir::text(y), groups);
    }
    in_channels = weights[1];
    out_channels = weights[0] / groups;
  }

  std::int64_t depth() const { return in_channels * window.taps(); }  // rows of the columns
  bool is_pointwise() const {                                         // the columns are the image itself
    const auto all = [](const ir::Dims& dims, std::int64_t value) {
      return std::all_of(dims.begin(), dims.end(), [value](std::int64_t d) { return d == value; });
    };
    return window.taps() == 1 && all(window.strides, 1) && all(window.before, 0) && all(window.after, 0);
  }
};

template <typename T>
void add_columns(const Convolution& c, const T* columns, T* image) {
  const std::int64_t taps = c.window.taps(), places = c.window.out_size(), plane = c.window.in_size();
  for (std::int64_t channel = 0; channel < c.in_channels; ++channel) {
    for_each_pair(c.window, [&](std::int64_t tap, std::int64_t o, std::int64_t i, std::int64_t n, std::int64_t step) {
      const T* from = columns + (channel * taps + tap) * places + o;
      T* to = image + channel * plane + i;
      for (std::int64_t j = 0; j < n; ++j) to[j * step] += from[j];
    });
  }
}

void data(Context& context) {
  const Array &dy = context.input(0), &weights = context.input(1);
  const ir::Dims dims = read_ints(context.input(2));
  const Convolution c = Convolution(context.node(), dims, weights.dims, dy.dims);
  const std::int64_t places = c.window.out_size(), plane = c.window.in_size(), depth = c.depth();
  in_float(context, dy.type, [&]<typename T>() {
    Array& out = context.output(0, dy.type, dims);
    T* dx = out.as<T>();
    std::fill_n(dx, out.count(), T{0});
    const T *g = dy.as<T>(), *w = weights.as<T>();
    const std::int64_t pairs = c.images * c.groups;
    const std::int64_t column_count = size_product(depth, places);
    T* columns = scratch<T>(context, size_product(column_count, std::min<std::int64_t>(pairs, threads())));
    // One strip of columns for each range that runs at once.
    const std::int64_t share = ceil_div(std::max<std::int64_t>(pairs, 1), threads());
    parallel_for(ceil_div(pairs, share), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end; ++part) {
        T* strip = columns + part * column_count;
        for (std::int64_t pair = part * share; pair < std::min(pairs, (part + 1) * share); ++pair) {
          const std::int64_t group = pair % c.groups;
          T* image = dx + pair * c.in_channels * plane;
          // [depth, out channels] [out channels, places]
          multiply<T>(depth, c.out_channels, places, {w + group * c.out_channels * depth, depth, true},
                      {g + pair * c.out_channels * places, places}, {c.is_pointwise() ? image : strip, places});
          if (!c.is_pointwise()) add_columns(c, static_cast<const T*>(strip), image);
        }
      }
    });
  });
}

// Enough shares for the machines this runs on; each has a copy of the weights.
constexpr std::int64_t most_shares = 16;

void weights(Context& context) {
  const Array &x = context.input(0), &dy = context.input(1);
  const ir::Dims dims = read_ints(context.input(2));
  const Convolution c = Convolution(context.node(), x.dims, dims, dy.dims);
  const std::int64_t places = c.window.out_size(), plane = c.window.in_size(), depth = c.depth();
  in_float(context, dy.type, [&]<typename T>() {
    const T *in = x.as<T>(), *g = dy.as<T>();
    if (context.wants_output(0)) {
      Array& out = context.output(0, dy.type, dims);
      const std::int64_t size = out.count();
      const std::int64_t shares = std::clamp<std::int64_t>(c.images, 1, most_shares);
      T* sums = scratch<T>(context, size_product(size, shares));
      std::fill_n(sums, size * shares, T{0});
      // One strip of columns for each thread's shares.
      const std::int64_t per_thread = ceil_div(shares, threads()), parts = ceil_div(shares, per_thread);
      T* columns = scratch<T>(context, size_product(size_product(depth, places), parts));
      parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t share = begin * per_thread; share < std::min(shares, end * per_thread); ++share) {
          T* strip = columns + share / per_thread * depth * places;
          for (std::int64_t image = share * c.images / shares; image < (share + 1) * c.images / shares; ++image) {
            for (std::int64_t group = 0; group < c.groups; ++group) {
              const std::int64_t pair = image * c.groups + group;
              const T* source = in + pair * c.in_channels * plane;
              if (!c.is_pointwise()) {
                gather_patches(c.window, source, c.in_channels, 0, places, T{0}, strip);
                source = strip;
              }
              // [out channels, places] [places, depth]
              multiply<T>(c.out_channels, places, depth, {g + pair * c.out_channels * places, places},
                          {source, places, true}, {sums + share * size + group * c.out_channels * depth, depth}, true);
            }
          }
        }
      });
      T* dw = out.as<T>();
      parallel_for(size, cheap_grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          T total = sums[i];
          for (std::int64_t share = 1; share < shares; ++share) total += sums[share * size + i];
          dw[i] = total;
        }
      });
    }
    if (context.wants_output(1)) {
      const std::int64_t channels = dy.dims[1];
      T* db = context.output(1, dy.type, {channels}).as<T>();
      parallel_for(channels, std::max<std::int64_t>(1, cheap_grain / std::max<std::int64_t>(c.images * places, 1)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t channel = begin; channel < end; ++channel) {
                       double total = 0;
                       for (std::int64_t image = 0; image < c.images; ++image) {
                         const T* run = g + (image * channels + channel) * places;
                         total += sum_of<T>(places, [&](std::int64_t i) { return run[i]; });
                       }
                       db[channel] = static_cast<T>(total);
                     }
                   });
    }
  });
}

}  // namespace

std::span<const KernelEntry> gradient_convolution_kernels() {
  static constexpr KernelEntry entries[] = {
      own_kernel("ConvGradientData", stateless<data>),
      own_kernel("ConvGradientWeights", stateless<weights>),
  };
  return entries;
}

}  // namespace hone::exec
