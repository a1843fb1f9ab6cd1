// MaxPool AveragePool LpPool over one to three spatial dimensions; GlobalMaxPool GlobalAveragePool GlobalLpPool over any.
//
// NaN wins in a maximum. A window that lies in the padding alone has the least value as its maximum, and index -1 in
// MaxPool's second output.
#include <array>
#include <cmath>
#include <limits>

#include "exec/reference/list.h"
#include "exec/reference/window.h"

namespace hone::exec {
namespace {

template <typename T>
bool is_nan([[maybe_unused]] T x) {
  if constexpr (std::is_floating_point_v<T>) return x != x;
  return false;
}

// A window over three dimensions; the leading ones are 1 where there are fewer. For each output place along a dimension:
// where its window starts in the input, and the taps of it that lie within the input (elsewhere is padding).
struct Planes {
  struct Place {
    std::int64_t start, low, high;  // start may be negative; taps [low, high)
    std::int64_t padded;            // taps within the input and its padding
  };
  std::array<std::int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, dilation{1, 1, 1};
  std::array<std::vector<Place>, 3> places;

  explicit Planes(const Window& w) {
    if (w.rank > 3) unsupported("a window over {} dimensions", w.rank);
    for (std::size_t i = 0; i < 3; ++i) {
      const std::size_t lead = 3 - w.rank;
      if (i < lead) {
        places[i].push_back({0, 0, 1, 1});
        continue;
      }
      const std::size_t d = i - lead;
      in[i] = w.in[d];
      out[i] = w.out[d];
      dilation[i] = w.dilations[d];
      const auto taps_before = [&](std::int64_t distance) {  // taps at less than this distance from the start
        return std::clamp<std::int64_t>(ceil_div(distance, w.dilations[d]), 0, w.kernel[d]);
      };
      for (std::int64_t o = 0; o < out[i]; ++o) {
        const std::int64_t start = o * w.strides[d] - w.before[d];
        const std::int64_t low = taps_before(-start);
        places[i].push_back(
            {start, low, std::max(low, taps_before(in[i] - start)), taps_before(in[i] + w.after[d] - start)});
      }
    }
  }

  // For every output of one plane in order, f(output, windows along each dimension).
  template <typename F>
  void for_each(const F& f) const {
    std::int64_t o = 0;
    for (const Place& a : places[0]) {
      for (const Place& b : places[1]) {
        for (const Place& c : places[2]) f(o++, a, b, c);
      }
    }
  }
  // For every element in a window, f(offset in the plane).
  template <typename F>
  void for_each_element(const Place& a, const Place& b, const Place& c, const F& f) const {
    for (std::int64_t i = a.low; i < a.high; ++i) {
      for (std::int64_t j = b.low; j < b.high; ++j) {
        const std::int64_t row = ((a.start + i * dilation[0]) * in[1] + b.start + j * dilation[1]) * in[2] + c.start;
        for (std::int64_t k = c.low; k < c.high; ++k) f(row + k * dilation[2]);
      }
    }
  }
};

ir::Dims pooled_dims(const Array& in, const Window& window) {
  ir::Dims dims = {in.dims[0], in.dims[1]};
  dims.insert(dims.end(), window.out.begin(), window.out.end());
  return dims;
}

// Runs body(plane of the input, plane of the output, number of the plane) for each image and channel.
template <typename T, typename F>
void for_each_plane(const Window& w, const T* in, T* out, std::int64_t planes, const F& body) {
  const std::int64_t in_size = w.in_size(), out_size = w.out_size();
  const double taps = static_cast<double>(std::min(w.taps(), in_size));
  parallel_for(planes, grain_for(taps * static_cast<double>(out_size)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) body(in + p * in_size, out + p * out_size, p);
  });
}

void max_pool(Context& context) {
  const Array& in = context.input(0);
  const Window window(context.node(), in.dims, {}, flag(context.node(), "ceil_mode", false));
  const ir::Dims dims = pooled_dims(in, window);
  const bool by_columns = flag(context.node(), "storage_order", false);
  const std::int64_t count = product(in.dims, 0, 2), in_size = window.in_size(), out_size = window.out_size();
  std::int64_t* indices = nullptr;
  if (context.wants_output(1)) indices = context.output(1, ir::ElementType::int64, dims).as<std::int64_t>();
  const auto run = [&]<typename T>(const T* from, T* to) {
    if (product(dims) == 0) return;
    const Planes planes(window);
    using Limits = std::numeric_limits<T>;
    const T least = Limits::has_infinity ? static_cast<T>(-Limits::infinity()) : Limits::lowest();
    for_each_plane(window, from, to, count, [&](const T* image, T* result, std::int64_t plane) {
      planes.for_each([&](std::int64_t o, const auto& a, const auto& b, const auto& c) {
        T best = least;
        std::int64_t best_at = -1;
        planes.for_each_element(a, b, c, [&](std::int64_t at) {
          const T value = image[at];
          if (is_nan(best) || !(value > best || is_nan(value) || best_at < 0)) return;  // the first NaN stays
          best = value;
          best_at = at;
        });
        result[o] = best;
        if (!indices) return;
        if (by_columns && best_at >= 0) {  // the first dimension varies fastest
          const std::int64_t x = best_at % planes.in[2], y = best_at / planes.in[2] % planes.in[1];
          const std::int64_t z = best_at / planes.in[2] / planes.in[1];
          best_at = window.rank == 3 ? z + (y + x * planes.in[1]) * planes.in[0] : y + x * planes.in[1];
        }
        indices[plane * out_size + o] = best_at < 0 ? -1 : plane * in_size + best_at;
      });
    });
  };
  if (in.type == ir::ElementType::int8 || in.type == ir::ElementType::uint8) {
    Array& out = context.output(0, in.type, dims);
    if (in.type == ir::ElementType::int8) return run(in.as<std::int8_t>(), out.as<std::int8_t>());
    return run(in.as<std::uint8_t>(), out.as<std::uint8_t>());
  }
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, dims);
    run(from, out.data());
    out.finish();
  });
}

void average_pool(Context& context) {
  const Array& in = context.input(0);
  const Window window(context.node(), in.dims, {}, flag(context.node(), "ceil_mode", false));
  const bool with_padding = flag(context.node(), "count_include_pad", false);
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, pooled_dims(in, window));
    if (out.count() == 0) return;
    const Planes planes(window);
    for_each_plane(window, from, out.data(), product(in.dims, 0, 2), [&](const T* image, T* result, std::int64_t) {
      planes.for_each([&](std::int64_t o, const auto& a, const auto& b, const auto& c) {
        T sum = 0;
        planes.for_each_element(a, b, c, [&](std::int64_t at) { sum += image[at]; });
        const auto size = [&](const Planes::Place& place) {
          return static_cast<T>(with_padding ? place.padded : place.high - place.low);
        };
        const T divisor = size(a) * size(b) * size(c);
        result[o] = divisor == 0 ? T{0} : sum / divisor;
      });
    });
    out.finish();
  });
}

// The p-norm: p is an integer since opset 2.
double order_of(const ir::Node& node) {
  const ir::Attribute* p = node.attribute("p");
  const double order =
      p && p->get<float>() ? static_cast<double>(node.float_or("p", 2)) : static_cast<double>(node.int_or("p", 2));
  if (!(order > 0)) bad_input("p is {}", order);
  return order;
}
template <typename T>
struct Norm {
  double p;
  T power(T x) const { return p == 2 ? x * x : p == 1 ? std::abs(x) : std::pow(std::abs(x), static_cast<T>(p)); }
  T root(T sum) const { return p == 2 ? std::sqrt(sum) : p == 1 ? sum : std::pow(sum, static_cast<T>(1 / p)); }
};

void lp_pool(Context& context) {
  const Array& in = context.input(0);
  const Window window(context.node(), in.dims, {}, flag(context.node(), "ceil_mode", false));
  const double order = order_of(context.node());
  in_real(context, in.type, [&]<typename T>() {
    const Norm<T> norm{order};
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, pooled_dims(in, window));
    if (out.count() == 0) return;
    const Planes planes(window);
    for_each_plane(window, from, out.data(), product(in.dims, 0, 2), [&](const T* image, T* result, std::int64_t) {
      planes.for_each([&](std::int64_t o, const auto& a, const auto& b, const auto& c) {
        T sum = 0;
        planes.for_each_element(a, b, c, [&](std::int64_t at) { sum += norm.power(image[at]); });
        result[o] = norm.root(sum);
      });
    });
    out.finish();
  });
}

// One number for all places of each channel: f(plane, its size).
template <typename F>
void pool_all(Context& context, const F& f) {
  const Array& in = context.input(0);
  require_rank(in, 2, std::numeric_limits<std::size_t>::max(), "the input");
  ir::Dims dims(in.rank(), 1);
  dims[0] = in.dims[0];
  dims[1] = in.dims[1];
  const std::int64_t size = product(in.dims, 2, in.rank());
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, dims);
    parallel_for(out.count(), grain_for(static_cast<double>(size)), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t p = begin; p < end; ++p) out.data()[p] = f(from + p * size, size);
    });
    out.finish();
  });
}
void global_max_pool(Context& context) {
  pool_all(context, []<typename T>(const T* plane, std::int64_t size) {
    // Beside each other, so that they fit vector registers.
    constexpr std::int64_t lanes = 16;
    T best[lanes];
    std::fill_n(best, lanes, -std::numeric_limits<T>::infinity());
    const auto take = [](T& most, T x) { most = most > x || most != most ? most : x; };  // NaN wins
    std::int64_t i = 0;
    for (; i + lanes <= size; i += lanes) {
      for (std::int64_t lane = 0; lane < lanes; ++lane) take(best[lane], plane[i + lane]);
    }
    for (; i < size; ++i) take(best[0], plane[i]);
    for (std::int64_t lane = 1; lane < lanes; ++lane) take(best[0], best[lane]);
    return best[0];
  });
}
void global_average_pool(Context& context) {
  pool_all(context, []<typename T>(const T* plane, std::int64_t size) {
    constexpr std::int64_t lanes = 8;
    double sums[lanes] = {};
    std::int64_t i = 0;
    for (; i + lanes <= size; i += lanes) {
      for (std::int64_t lane = 0; lane < lanes; ++lane) sums[lane] += static_cast<double>(plane[i + lane]);
    }
    for (; i < size; ++i) sums[0] += static_cast<double>(plane[i]);
    for (std::int64_t lane = 1; lane < lanes; ++lane) sums[0] += sums[lane];
    return static_cast<T>(sums[0] / static_cast<double>(size));
  });
}
void global_lp_pool(Context& context) {
  const double order = order_of(context.node());
  pool_all(context, [order]<typename T>(const T* plane, std::int64_t size) {
    const Norm<double> norm{order};
    double sum = 0;
    for (std::int64_t i = 0; i < size; ++i) sum += norm.power(static_cast<double>(plane[i]));
    return static_cast<T>(norm.root(sum));
  });
}

}  // namespace

std::span<const KernelEntry> pool_kernels() {
  static constexpr KernelEntry entries[] = {
      {"MaxPool", 1, stateless<max_pool>},
      {"AveragePool", 1, stateless<average_pool>},
      {"LpPool", 1, stateless<lp_pool>},
      {"GlobalMaxPool", 1, stateless<global_max_pool>},
      {"GlobalAveragePool", 1, stateless<global_average_pool>},
      {"GlobalLpPool", 1, stateless<global_lp_pool>},
  };
  return entries;
}

}  // namespace hone::exec
