// GridSample, AffineGrid and DeformConv: sampling an image between its elements.
#include <cmath>

#include "exec/reference/gemm.h"
#include "exec/reference/list.h"
#include "exec/reference/window.h"

namespace hone::exec {
namespace {

enum class Mode { nearest, linear, cubic };
enum class Padding { zeros, border, reflection };

// Mirrored at both ends until it lies between them.
template <typename T>
T reflected(T x, T low, T high) {
  const T range = high - low;
  if (!(range > 0)) return low;
  if (x >= low && x <= high) return x;
  const T distance = x < low ? low - x : x - high;
  const T times = std::floor(distance / range), rest = distance - times * range;
  const bool even = std::fmod(times, T{2}) == 0;
  return (x < low) == even ? low + rest : high - rest;
}

// Elements of one dimension that a coordinate takes, and their weights; -1 is padding with zeros.
template <typename T>
struct Taps {
  int count = 0;
  std::int64_t at[4];
  T weight[4];
};

template <typename T>
struct Sampler {
  Mode mode;
  Padding padding;
  bool corners;

  Taps<T> taps(T normalized, std::int64_t size) const {
    const T n = static_cast<T>(size), low = corners ? T{0} : T{-0.5}, high = corners ? n - 1 : n - T{0.5};
    T x = corners ? (normalized + 1) / 2 * (n - 1) : ((normalized + 1) * n - 1) / 2;
    if (mode == Mode::nearest) x = std::nearbyint(x);
    if (x < low || x > high) {
      if (padding == Padding::border) x = std::clamp(x, T{0}, n - 1);
      if (padding == Padding::reflection) x = reflected(x, low, high);
    }
    if (!(std::abs(x) < T{1e9})) x = -4;  // far outside, or NaN
    const auto element = [&](std::int64_t i) -> std::int64_t {
      if (i >= 0 && i < size) return i;
      if (padding == Padding::zeros) return -1;
      if (padding == Padding::border) return std::clamp<std::int64_t>(i, 0, size - 1);
      return std::clamp<std::int64_t>(static_cast<std::int64_t>(reflected(static_cast<T>(i), low, high)), 0, size - 1);
    };
    Taps<T> result;
    const T below = std::floor(x), r = x - below;
    const auto base = static_cast<std::int64_t>(below);
    if (mode == Mode::nearest) {
      result = {1, {element(base)}, {1}};
    } else if (mode == Mode::linear) {
      result = {2, {element(base), element(base + 1)}, {1 - r, r}};
    } else {
      constexpr T a = T{-0.75};
      result.count = 4;
      const T outer0 = r + 1, outer1 = 2 - r, s = 1 - r;
      result.weight[0] = ((a * outer0 - 5 * a) * outer0 + 8 * a) * outer0 - 4 * a;
      result.weight[1] = ((a + 2) * r - (a + 3)) * r * r + 1;
      result.weight[2] = ((a + 2) * s - (a + 3)) * s * s + 1;
      result.weight[3] = ((a * outer1 - 5 * a) * outer1 + 8 * a) * outer1 - 4 * a;
      for (int k = 0; k < 4; ++k) result.at[k] = element(base - 1 + k);
    }
    return result;
  }
};

// The elements of an image that a point takes: all combinations of the taps of its coordinates.
template <typename T>
void combine_taps(const std::vector<Taps<T>>& dims, const ir::Dims& steps,
                  std::vector<std::pair<std::int64_t, T>>& elements) {
  elements.assign(1, {0, T{1}});
  for (std::size_t d = 0; d < dims.size(); ++d) {
    std::vector<std::pair<std::int64_t, T>> next;
    for (const auto& [at, weight] : elements) {
      for (int k = 0; k < dims[d].count; ++k) {
        if (dims[d].at[k] >= 0) next.emplace_back(at + dims[d].at[k] * steps[d], weight * dims[d].weight[k]);
      }
    }
    elements = std::move(next);
  }
}

void grid_sample(Context& context) {
  const Array &in = context.input(0), &grid = context.input(1);
  require_rank(in, 3, 8, "the input");
  const std::size_t rank = in.rank() - 2;
  if (grid.rank() != in.rank() || grid.dims[0] != in.dims[0] || grid.dims.back() != static_cast<std::int64_t>(rank)) {
    bad_input("a grid of shape {} for an input of shape {}", ir::text(grid.dims), ir::text(in.dims));
  }
  const std::string mode = context.node().string_or("mode", "linear"),
                    padding = context.node().string_or("padding_mode", "zeros");
  const bool nearest = mode == "nearest", linear = mode == "linear" || mode == "bilinear",
             cubic = mode == "cubic" || mode == "bicubic";
  if (!nearest && !linear && !cubic) bad_input("mode is {}", quote(mode));
  if (padding != "zeros" && padding != "border" && padding != "reflection")
    bad_input("padding_mode is {}", quote(padding));
  const Padding outside = padding == "zeros"    ? Padding::zeros
                          : padding == "border" ? Padding::border
                                                : Padding::reflection;
  const bool corners = flag(context.node(), "align_corners", false);
  ir::Dims dims = {in.dims[0], in.dims[1]};
  dims.insert(dims.end(), grid.dims.begin() + 1, grid.dims.end() - 1);
  const ir::Dims spatial(in.dims.begin() + 2, in.dims.end()), steps = strides(spatial);
  in_number(context, in.type, [&]<typename N>() {
    using T = std::conditional_t<std::is_same_v<N, double>, double, float>;
    const auto run = [&](const auto* from, auto* to) {
      if (product(dims) == 0) return;
      const std::int64_t plane = product(spatial), channels = in.dims[1], places = product(dims, 2, dims.size());
      if (plane == 0) bad_input("an empty image");
      const T* points = view<T>(context, grid);
      const Sampler<T> sampler{nearest ? Mode::nearest : linear ? Mode::linear : Mode::cubic, outside, corners};
      parallel_for(in.dims[0] * places, grain_for(static_cast<double>(64 + 8 * channels)),
                   [&](std::int64_t begin, std::int64_t end) {
                     std::vector<Taps<T>> taps(rank);
                     std::vector<std::pair<std::int64_t, T>> elements;
                     for (std::int64_t i = begin; i < end; ++i) {
                       for (std::size_t d = 0; d < rank; ++d) {  // a point names its last coordinate first
                         taps[d] = sampler.taps(
                             points[i * static_cast<std::int64_t>(rank) + static_cast<std::int64_t>(rank - 1 - d)],
                             spatial[d]);
                       }
                       combine_taps(taps, steps, elements);
                       for (std::int64_t c = 0; c < channels; ++c) {
                         const auto* image = from + (i / places * channels + c) * plane;
                         T sum = 0;
                         for (const auto& [at, weight] : elements) sum += weight * static_cast<T>(image[at]);
                         using Out = std::remove_pointer_t<decltype(to)>;
                         to[(i / places * channels + c) * places + i % places] = static_cast<Out>(sum);
                       }
                     }
                   });
    };
    if constexpr (std::is_floating_point_v<N>) {
      const N* from = view<N>(context, in);
      Result<N> out(context, 0, in.type, dims);
      run(from, out.data());
      out.finish();
    } else {
      if (!nearest) unsupported_type(context, in.type);
      Array& out = context.output(0, in.type, dims);
      run(in.as<N>(), out.as<N>());
    }
  });
}

void affine_grid(Context& context) {
  const Array& theta = context.input(0);
  const ir::Dims size = read_ints(context.input(1));
  if (size.size() != 4 && size.size() != 5) bad_input("a size of {} numbers", size.size());
  const std::size_t rank = size.size() - 2;
  const auto n = static_cast<std::int64_t>(rank);
  if (theta.dims != ir::Dims{size[0], n, n + 1})
    bad_input("theta of shape {} for size {}", ir::text(theta.dims), ir::text(size));
  const bool corners = flag(context.node(), "align_corners", false);
  const ir::Dims spatial(size.begin() + 2, size.end());
  ir::Dims dims = {size[0]};
  dims.insert(dims.end(), spatial.begin(), spatial.end());
  dims.push_back(n);
  for (const std::int64_t dim : spatial) {
    if (dim < 0) bad_input("size holds {}", dim);
  }
  in_real(context, theta.type, [&]<typename T>() {
    const T* matrices = view<T>(context, theta);
    Result<T> out(context, 0, theta.type, dims);
    if (out.count() == 0) return;
    const std::int64_t places = product(spatial);
    for (std::int64_t i = 0; i < size[0] * places; ++i) {
      double point[3] = {};  // the last dimension first
      std::int64_t rest = i % places;
      for (std::size_t d = rank; d-- > 0; rest /= spatial[d]) {
        const double at = static_cast<double>(rest % spatial[d]), length = static_cast<double>(spatial[d]);
        point[rank - 1 - d] = corners ? (length > 1 ? -1 + at * 2 / (length - 1) : -1) : -1 + (at * 2 + 1) / length;
      }
      for (std::size_t r = 0; r < rank; ++r) {
        const T* row = matrices + (i / places * n + static_cast<std::int64_t>(r)) * (n + 1);
        double sum = static_cast<double>(row[rank]);
        for (std::size_t k = 0; k < rank; ++k) sum += static_cast<double>(row[k]) * point[k];
        out.data()[i * n + static_cast<std::int64_t>(r)] = static_cast<T>(sum);
      }
    }
    out.finish();
  });
}

// Two spatial dimensions. Patches are gathered between elements, and then multiplied as in any convolution.
void deform_conv(Context& context) {
  const Array &in = context.input(0), &weights = context.input(1), &offset = context.input(2);
  const ir::Node& node = context.node();
  if (in.rank() != 4) unsupported("an input of rank {}", in.rank());
  require_type(weights, in.type, "the weight");
  require_type(offset, in.type, "the offset");
  require_rank(weights, 4, 4, "the weight");
  require_rank(offset, 4, 4, "the offset");
  const Window window(node, in.dims, ir::Dims(weights.dims.begin() + 2, weights.dims.end()));
  const std::int64_t groups = node.int_or("group", 1), offset_groups = node.int_or("offset_group", 1);
  const std::int64_t batch = in.dims[0], channels = in.dims[1], out_channels = weights.dims[0], taps = window.taps();
  if (groups < 1 || offset_groups < 1 || channels % groups != 0 || out_channels % groups != 0 ||
      channels % offset_groups != 0 || weights.dims[1] != channels / groups) {
    bad_input("a weight of shape {} for {} channels in {} groups and {} offset groups", ir::text(weights.dims),
              channels, groups, offset_groups);
  }
  const std::int64_t height = window.in[0], width = window.in[1], places = window.out_size();
  const ir::Dims offset_dims = {batch, size_product(offset_groups, size_product(taps, 2)), window.out[0],
                                window.out[1]};
  if (offset.dims != offset_dims)
    bad_input("an offset of shape {}, not {}", ir::text(offset.dims), ir::text(offset_dims));
  const Array* bias = context.has_input(3) ? &context.input(3) : nullptr;
  if (bias && bias->dims != ir::Dims{out_channels}) bad_input("a bias of shape {}", ir::text(bias->dims));
  const Array* mask = context.has_input(4) ? &context.input(4) : nullptr;
  const ir::Dims mask_dims = {batch, offset_groups * taps, window.out[0], window.out[1]};
  if (mask && mask->dims != mask_dims)
    bad_input("a mask of shape {}, not {}", ir::text(mask->dims), ir::text(mask_dims));
  in_real(context, in.type, [&]<typename T>() {
    const T *from = view<T>(context, in), *by = view<T>(context, weights), *moved_by = view<T>(context, offset);
    const T *added = bias ? view<T>(context, *bias) : nullptr, *scaled = mask ? view<T>(context, *mask) : nullptr;
    Result<T> out(context, 0, in.type, ir::Dims{batch, out_channels, window.out[0], window.out[1]});
    if (out.count() == 0) return;
    const std::int64_t per_group = channels / groups, per_offset = channels / offset_groups,
                       out_per_group = out_channels / groups;
    T* columns = scratch<T>(context, size_product(size_product(channels, taps), places));
    for (std::int64_t n = 0; n < batch; ++n) {
      parallel_for(offset_groups * taps, grain_for(static_cast<double>(places * per_offset) * 8),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t unit = begin; unit < end; ++unit) {
                       const std::int64_t g = unit / taps, tap = unit % taps;
                       const std::int64_t tap_y = tap / window.kernel[1] * window.dilations[0],
                                          tap_x = tap % window.kernel[1] * window.dilations[1];
                       const T* dy = moved_by + ((n * offset_groups + g) * taps + tap) * 2 * places;
                       const T* dx = dy + places;
                       const T* m = scaled ? scaled + ((n * offset_groups + g) * taps + tap) * places : nullptr;
                       for (std::int64_t p = 0; p < places; ++p) {
                         const std::int64_t row = p / window.out[1], column = p % window.out[1];
                         T y = static_cast<T>(row * window.strides[0] - window.before[0] + tap_y) + dy[p];
                         T x = static_cast<T>(column * window.strides[1] - window.before[1] + tap_x) + dx[p];
                         if (!(y > -1 && y < static_cast<T>(height) && x > -1 && x < static_cast<T>(width))) y = x = -2;
                         const T y_low = std::floor(y), x_low = std::floor(x), wy = y - y_low, wx = x - x_low,
                                 factor = m ? m[p] : T{1};
                         const auto iy = static_cast<std::int64_t>(y_low), ix = static_cast<std::int64_t>(x_low);
                         for (std::int64_t c = g * per_offset; c < (g + 1) * per_offset; ++c) {
                           const T* image = from + (n * channels + c) * height * width;
                           const auto pixel = [&](std::int64_t v, std::int64_t u) {
                             return v >= 0 && v < height && u >= 0 && u < width ? image[v * width + u] : T{0};
                           };
                           const T value = (1 - wy) * ((1 - wx) * pixel(iy, ix) + wx * pixel(iy, ix + 1)) +
                                           wy * ((1 - wx) * pixel(iy + 1, ix) + wx * pixel(iy + 1, ix + 1));
                           columns[(c * taps + tap) * places + p] = value * factor;
                         }
                       }
                     }
                   });
      for (std::int64_t g = 0; g < groups; ++g) {
        T* to = out.data() + (n * out_channels + g * out_per_group) * places;
        multiply<T>(out_per_group, per_group * taps, places,
                    {by + g * out_per_group * per_group * taps, per_group * taps},
                    {columns + g * per_group * taps * places, places}, {to, places});
      }
      for (std::int64_t c = 0; added && c < out_channels; ++c) {
        T* to = out.data() + (n * out_channels + c) * places;
        for (std::int64_t p = 0; p < places; ++p) to[p] += added[c];
      }
    }
    out.finish();
  });
}

}  // namespace

std::span<const KernelEntry> grid_sample_kernels() {
  static constexpr KernelEntry entries[] = {
      {"GridSample", 16, stateless<grid_sample>},
      {"AffineGrid", 20, stateless<affine_grid>},
      {"DeformConv", 19, stateless<deform_conv>},
  };
  return entries;
}

}  // namespace hone::exec
