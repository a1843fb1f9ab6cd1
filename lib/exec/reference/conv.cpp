// Conv, FusedConv, ConvTranspose and Col2Im, over any number of spatial dimensions, grouped or not.
//
// An ordinary convolution gathers patches of the input into a matrix, some places at a time, and multiplies; one with one
// or two channels a group (depthwise) adds up shifted rows; a 1x1 one multiplies the image itself. A transposed
// convolution multiplies first and adds the patches into the output.
#include <cmath>

#include "exec/arrays.h"
#include "exec/reference/gemm.h"
#include "exec/reference/list.h"
#include "exec/reference/window.h"
#include "hone/ir/dimension.h"

namespace hone::exec {
namespace {

// Bytes of patches gathered at once: they stay in a usual second-level cache.
constexpr std::int64_t patch_bytes = 256 << 10;

struct Groups {
  std::int64_t count, in, out;  // groups, and channels of each

  Groups(const ir::Node& node, std::int64_t in_channels, std::int64_t out_channels) : count(node.int_or("group", 1)) {
    if (count < 1 || in_channels % count != 0 || out_channels % count != 0) {
      bad_input("{} groups of {} input and {} output channels", count, in_channels, out_channels);
    }
    in = in_channels / count;
    out = out_channels / count;
  }
};

// Adds the rows of one input channel, shifted by each tap and weighted, to an output channel.
template <typename T>
void add_channel(const Window& w, const T* image, const T* weights, T* out) {
  const ir::Dims in_steps = exec::strides(w.in), out_steps = exec::strides(w.out);
  const std::size_t last = w.rank - 1;
  const std::int64_t taps = w.taps(), rows = product(w.out, 0, last), stride = w.strides[last];
  ir::Dims tap_index(w.rank);
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    std::int64_t rest = tap;
    for (std::size_t d = w.rank; d-- > 0; rest /= w.kernel[d]) tap_index[d] = rest % w.kernel[d] * w.dilations[d];
    const std::int64_t first = tap_index[last] - w.before[last];
    const std::int64_t low = std::clamp<std::int64_t>(ceil_div(-first, stride), 0, w.out[last]);
    const std::int64_t high = std::clamp<std::int64_t>(ceil_div(w.in[last] - first, stride), low, w.out[last]);
    const T weight = weights[tap];
    for (std::int64_t row = 0; row < rows; ++row) {
      std::int64_t base = 0, left = row;
      bool inside = true;
      for (std::size_t d = last; d-- > 0; left /= w.out[d]) {
        const std::int64_t at = left % w.out[d] * w.strides[d] - w.before[d] + tap_index[d];
        inside = inside && at >= 0 && at < w.in[d];
        base += at * in_steps[d];
      }
      if (!inside) continue;
      if (low == high) continue;
      const T* from = image + (base + first + low * stride);
      T* to = out + row * w.out[last] + low;
      if (stride == 1) {
        HONE_INDEPENDENT
        for (std::int64_t i = 0; i < high - low; ++i) to[i] += weight * from[i];
      } else {
        for (std::int64_t i = 0; i < high - low; ++i) to[i] += weight * from[i * stride];
      }
    }
  }
}

template <typename T>
void convolve(const Window& w, const Groups& groups, std::int64_t batch, const T* in, const T* weights, const T* bias,
              T* out) {
  const std::int64_t in_plane = w.in_size(), out_plane = w.out_size(), taps = w.taps();
  if (batch == 0 || out_plane == 0 || groups.out == 0) return;
  const std::int64_t depth = groups.in * taps;
  const auto image = [&](std::int64_t n, std::int64_t g) { return in + (n * groups.count + g) * groups.in * in_plane; };
  const auto result = [&](std::int64_t n, std::int64_t g) {
    return out + (n * groups.count + g) * groups.out * out_plane;
  };
  if (groups.in <= 2) {
    const std::int64_t channels = groups.count * groups.out;
    parallel_for(batch * channels, grain_for(static_cast<double>(depth * out_plane)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t unit = begin; unit < end; ++unit) {
                     const std::int64_t n = unit / channels, channel = unit % channels, g = channel / groups.out;
                     T* to = out + unit * out_plane;
                     std::fill_n(to, out_plane, bias ? bias[channel] : T{0});
                     for (std::int64_t c = 0; c < groups.in; ++c) {
                       add_channel(w, image(n, g) + c * in_plane, weights + (channel * groups.in + c) * taps, to);
                     }
                   }
                 });
    return;
  }
  const auto one = [](const ir::Dims& dims) {
    return std::all_of(dims.begin(), dims.end(), [](auto x) { return x == 1; });
  };
  const bool pointwise = taps == 1 && one(w.strides) && w.in == w.out;
  const std::int64_t fitting = patch_bytes / static_cast<std::int64_t>(sizeof(T)) / std::max<std::int64_t>(1, depth);
  const std::int64_t places =
      pointwise ? out_plane : std::clamp<std::int64_t>(fitting / 16 * 16, 64, out_plane < 64 ? 64 : out_plane);
  const std::int64_t blocks = ceil_div(out_plane, places);
  const double work = static_cast<double>(groups.out) * static_cast<double>(depth) * static_cast<double>(places);
  parallel_for(batch * groups.count * blocks, grain_for(work), [&](std::int64_t begin, std::int64_t end) {
    std::unique_ptr<Buffer> buffer;
    if (!pointwise)
      buffer = std::make_unique<Buffer>(static_cast<std::size_t>(size_product(size_product(depth, places), sizeof(T))));
    for (std::int64_t unit = begin; unit < end; ++unit) {
      const std::int64_t block = unit % blocks, g = unit / blocks % groups.count, n = unit / blocks / groups.count;
      const std::int64_t first = block * places, count = std::min(places, out_plane - first);
      Matrix<const T> patches{image(n, g), in_plane};
      if (!pointwise) {
        T* columns = reinterpret_cast<T*>(buffer->data());
        gather_patches(w, image(n, g), groups.in, first, first + count, T{0}, columns);
        patches = {columns, count};
      }
      T* to = result(n, g) + first;
      multiply<T>(groups.out, depth, count, {weights + g * groups.out * depth, depth}, patches, {to, out_plane});
      if (!bias) continue;
      for (std::int64_t c = 0; c < groups.out; ++c) {
        const T added = bias[g * groups.out + c];
        for (std::int64_t i = 0; i < count; ++i) to[c * out_plane + i] += added;
      }
    }
  });
}

const Array* optional_bias(Context& context, const Array& in, std::int64_t channels) {
  if (!context.has_input(2)) return nullptr;
  const Array& bias = context.input(2);
  require_type(bias, in.type, "the bias");
  if (bias.dims != ir::Dims{channels}) bad_input("a bias of shape {} for {} channels", ir::text(bias.dims), channels);
  return &bias;
}

// `finish` is called with the result in the type it was computed in.
template <typename F>
void conv_then(Context& context, const F& finish) {
  const Array &in = context.input(0), &weights = context.input(1);
  require_type(weights, in.type, "the weight");
  if (weights.rank() != in.rank() || in.rank() < 3) {
    bad_input("a weight of shape {} for an input of shape {}", ir::text(weights.dims), ir::text(in.dims));
  }
  const Groups groups(context.node(), in.dims[1], weights.dims[0]);
  if (weights.dims[1] != groups.in) {
    bad_input("a weight of shape {} for {} channels in {} groups", ir::text(weights.dims), in.dims[1], groups.count);
  }
  const Window window(context.node(), in.dims, ir::Dims(weights.dims.begin() + 2, weights.dims.end()));
  const Array* bias = optional_bias(context, in, weights.dims[0]);
  ir::Dims dims = {in.dims[0], weights.dims[0]};
  dims.insert(dims.end(), window.out.begin(), window.out.end());
  in_real(context, in.type, [&]<typename T>() {
    const T *from = view<T>(context, in), *by = view<T>(context, weights);
    const T* added = bias ? view<T>(context, *bias) : nullptr;
    Result<T> out(context, 0, in.type, dims);
    convolve(window, groups, in.dims[0], from, by, added, out.data());
    finish(out.data(), dims);
    out.finish();
  });
}
void conv(Context& context) {
  conv_then(context, [](auto*, const ir::Dims&) {});
}

// com.microsoft: a tensor of the result's shape is added, then an activation is applied.
void fused_conv(Context& context) {
  const ir::Node& node = context.node();
  const std::string activation = node.string_or("activation", "");
  const std::vector<float> given = node.floats_or("activation_params", {});
  const auto parameter = [&](std::size_t i, float fallback) { return i < given.size() ? given[i] : fallback; };
  conv_then(context, [&]<typename T>(T* values, const ir::Dims& dims) {
    const std::int64_t count = product(dims);
    if (context.has_input(3)) {
      const Array& sum = context.input(3);
      if (sum.dims != dims) bad_input("Z has the shape {}, not {}", ir::text(sum.dims), ir::text(dims));
      const T* z = view<T>(context, sum);
      for (std::int64_t i = 0; i < count; ++i) values[i] += z[i];
    }
    const auto apply = [&](const auto& f) { map_range(values, values, count, cheap_grain, f); };
    const T a = static_cast<T>(parameter(0, activation == "LeakyRelu"     ? 0.01f
                                            : activation == "HardSigmoid" ? 0.2f
                                                                          : -INFINITY));
    const T b = static_cast<T>(parameter(1, activation == "HardSigmoid" ? 0.5f : INFINITY));
    if (activation == "Relu") {
      apply([](T x) { return x < 0 ? T{0} : x; });
    } else if (activation == "LeakyRelu") {
      apply([=](T x) { return x < 0 ? a * x : x; });
    } else if (activation == "Clip") {
      apply([=](T x) { return x < a ? a : x > b ? b : x; });
    } else if (activation == "HardSigmoid") {
      apply([=](T x) { return std::min(T{1}, std::max(T{0}, a * x + b)); });
    } else if (activation == "Tanh") {
      apply([](T x) { return std::tanh(x); });
    } else if (activation == "Sigmoid") {
      apply([](T x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); });
    } else if (!activation.empty()) {
      bad_input("activation is {}", quote(activation));
    }
  });
}

// The other way round of gather_patches(): adds a matrix of patches into an image.
template <typename T>
void scatter_patches(const Window& w, const T* columns, std::int64_t channels, T* image) {
  const ir::Dims steps = exec::strides(w.in);
  const std::size_t last = w.rank - 1;
  const std::int64_t plane = w.in_size(), taps = w.taps(), places = w.out_size(), rows = product(w.out, 0, last);
  const std::int64_t stride = w.strides[last], width = w.out[last];
  parallel_for(channels, grain_for(static_cast<double>(taps * places)), [&](std::int64_t begin, std::int64_t end) {
    ir::Dims tap_index(w.rank);
    for (std::int64_t c = begin; c < end; ++c) {
      for (std::int64_t tap = 0; tap < taps; ++tap) {
        std::int64_t rest = tap;
        for (std::size_t d = w.rank; d-- > 0; rest /= w.kernel[d]) tap_index[d] = rest % w.kernel[d] * w.dilations[d];
        const std::int64_t first = tap_index[last] - w.before[last];
        const std::int64_t low = std::clamp<std::int64_t>(ceil_div(-first, stride), 0, width);
        const std::int64_t high = std::clamp<std::int64_t>(ceil_div(w.in[last] - first, stride), low, width);
        for (std::int64_t row = 0; row < rows; ++row) {
          std::int64_t base = 0, left = row;
          bool inside = true;
          for (std::size_t d = last; d-- > 0; left /= w.out[d]) {
            const std::int64_t at = left % w.out[d] * w.strides[d] - w.before[d] + tap_index[d];
            inside = inside && at >= 0 && at < w.in[d];
            base += at * steps[d];
          }
          if (!inside) continue;
          const T* from = columns + (c * taps + tap) * places + row * width;
          T* to = image + c * plane;
          for (std::int64_t i = low; i < high; ++i) to[base + first + i * stride] += from[i];
        }
      }
    }
  });
}

void conv_transpose(Context& context) {
  const Array &in = context.input(0), &weights = context.input(1);
  require_type(weights, in.type, "the weight");
  if (weights.rank() != in.rank() || in.rank() < 3 || weights.dims[0] != in.dims[1]) {
    bad_input("a weight of shape {} for an input of shape {}", ir::text(weights.dims), ir::text(in.dims));
  }
  const std::int64_t group = context.node().int_or("group", 1), batch = in.dims[0];
  if (group < 1) bad_input("{} groups", group);
  const std::int64_t out_channels = size_product(weights.dims[1], group);
  const Groups groups(context.node(), in.dims[1], out_channels);
  const Window window =
      transposed_window(context.node(), in.dims, ir::Dims(weights.dims.begin() + 2, weights.dims.end()));
  const Array* bias = optional_bias(context, in, out_channels);
  ir::Dims dims = {batch, out_channels};
  dims.insert(dims.end(), window.in.begin(), window.in.end());
  in_real(context, in.type, [&]<typename T>() {
    const T *from = view<T>(context, in), *by = view<T>(context, weights);
    const T* added = bias ? view<T>(context, *bias) : nullptr;
    Result<T> out(context, 0, in.type, dims);
    if (out.count() == 0) return;
    const std::int64_t places = window.out_size(), plane = window.in_size(),
                       depth = size_product(groups.out, window.taps());
    for (std::int64_t i = 0; i < batch * out_channels; ++i) {
      std::fill_n(out.data() + i * plane, plane, added ? added[i % out_channels] : T{0});
    }
    T* columns = scratch<T>(context, size_product(depth, places));
    for (std::int64_t i = 0; i < batch * groups.count && places > 0; ++i) {
      const std::int64_t g = i % groups.count;
      multiply<T>(depth, groups.in, places, {by + g * groups.in * depth, depth, true},
                  {from + i * groups.in * places, places}, {columns, places});
      scatter_patches(window, columns, groups.out, out.data() + i * groups.out * plane);
    }
    out.finish();
  });
}

// The patches of a convolution, added up where they overlap.
void col2im(Context& context) {
  const Array& in = context.input(0);
  const ir::Node& node = context.node();
  require_rank(in, 3, 3, "the input");
  const ir::Dims image = read_ints(context.input(1)), block = read_ints(context.input(2));
  const std::size_t rank = image.size();
  if (rank == 0 || block.size() != rank) bad_input("an image {} of blocks {}", ir::text(image), ir::text(block));
  Window window(rank);
  window.in = image;
  window.kernel = block;
  window.strides = spatial_attribute(node, "strides", rank, 1, 1);
  window.dilations = spatial_attribute(node, "dilations", rank, 1, 1);
  const ir::Dims pads = spatial_attribute(node, "pads", 2 * rank, 0, 0);
  window.before.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  window.after.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  for (std::size_t d = 0; d < rank; ++d) {
    if (image[d] < 0 || block[d] < 1) bad_input("an image {} of blocks {}", ir::text(image), ir::text(block));
    const std::int64_t extent = size_sum(size_product(block[d] - 1, window.dilations[d]), 1);
    const std::int64_t free = size_sum(size_sum(image[d], pads[d]), pads[d + rank]) - extent;
    if (free < 0) bad_input("blocks of {} are larger than the image {}", ir::text(block), ir::text(image));
    window.out.push_back(free / window.strides[d] + 1);
  }
  const std::int64_t taps = window.taps(), places = window.out_size();
  if (in.dims[1] % taps != 0 || in.dims[2] != places) {
    bad_input("an input of shape {} for {} places in blocks of {}", ir::text(in.dims), places, taps);
  }
  const std::int64_t channels = in.dims[1] / taps;
  ir::Dims dims = {in.dims[0], channels};
  dims.insert(dims.end(), image.begin(), image.end());
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, dims);
    if (out.count() == 0) return;
    std::fill_n(out.data(), out.count(), T{0});
    const std::int64_t plane = window.in_size();
    for (std::int64_t n = 0; n < dims[0]; ++n) {
      scatter_patches(window, from + n * channels * taps * places, channels, out.data() + n * channels * plane);
    }
    out.finish();
  });
}

}  // namespace

std::span<const KernelEntry> conv_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Conv", 1, stateless<conv>},
      {"FusedConv", 1, stateless<fused_conv>, std::numeric_limits<std::int64_t>::max(), "com.microsoft"},
      {"ConvTranspose", 1, stateless<conv_transpose>},
      {"Col2Im", 18, stateless<col2im>},
  };
  return entries;
}

}  // namespace hone::exec
