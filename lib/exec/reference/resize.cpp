// Resize and Upsample of every opset: nearest, linear and cubic, in any number of dimensions.
//
// Interpolation goes one dimension at a time: for each place along it, a few places of the input and their weights.
// Coordinates are computed in double. Upsample and Resize of opset 10 know scales only and asymmetric coordinates; the
// nearest place is the one below, but above where a dimension shrinks, as in ONNX Runtime.
#include <cmath>

#include "exec/reference/list.h"
#include "exec/reference/tables.h"

namespace hone::exec {
namespace {

constexpr const char* outward = "outward";  // no mode of ONNX's: what Resize of opset 10 does

struct Options {
  std::string mode = "nearest", coordinates = "half_pixel", nearest = "round_prefer_floor";
  double cubic_a = -0.75;
  bool antialias = false, exclude_outside = false;
  double extrapolation = 0;
};

// One dimension's change: `roi` is the part of the input it covers (tf_crop_and_resize).
struct Change {
  std::int64_t in = 0, out = 0;
  double scale = 1;
  double roi_begin = 0, roi_end = 1;
};

// Where place `x` of the output lies in the input.
double source(const Options& options, const Change& change, double x) {
  const double in = static_cast<double>(change.in), length = change.scale * in;
  const std::string& mode = options.coordinates;
  if (mode == "half_pixel") return (x + 0.5) / change.scale - 0.5;
  if (mode == "pytorch_half_pixel") return length == 1 ? -0.5 : (x + 0.5) / change.scale - 0.5;
  if (mode == "asymmetric") return x / change.scale;
  if (mode == "align_corners") return length == 1 ? 0 : x * (in - 1) / (length - 1);
  if (mode == "tf_half_pixel_for_nn") return (x + 0.5) / change.scale;
  if (mode == "half_pixel_symmetric") {
    const double adjustment = static_cast<double>(change.out) / length;
    return in / 2 * (1 - adjustment) + (x + 0.5) / change.scale - 0.5;
  }
  if (mode == "tf_crop_and_resize") {
    const double extent = (change.roi_end - change.roi_begin) * (in - 1);
    return change.roi_begin * (in - 1) + (length == 1 ? extent / 2 : x * extent / (length - 1));
  }
  bad_input("coordinate_transformation_mode is {}", quote(mode));
}
bool outside(const Options& options, const Change& change, double at) {
  return options.coordinates == "tf_crop_and_resize" && !(at >= 0 && at <= static_cast<double>(change.in - 1));
}
// Far coordinates are as good as those just outside, and fit an integer.
std::int64_t whole(double at, std::int64_t in) {
  return static_cast<std::int64_t>(std::clamp(at == at ? at : 0.0, -2.0, static_cast<double>(in) + 1));
}

ir::Dims nearest_table(const Options& options, const Change& change) {
  ir::Dims table;
  for (std::int64_t i = 0; i < change.out; ++i) {
    const double at = source(options, change, static_cast<double>(i)), below = std::floor(at);
    if (outside(options, change, at)) {
      table.push_back(-1);
      continue;
    }
    bool up = false;
    if (options.nearest == "round_prefer_floor") {
      up = at - below > 0.5;
    } else if (options.nearest == "round_prefer_ceil") {
      up = at - below >= 0.5;
    } else if (options.nearest == "ceil") {
      up = at > below;
    } else if (options.nearest == outward) {
      up = at > below && change.scale < 1;
    } else if (options.nearest != "floor") {
      bad_input("nearest_mode is {}", quote(options.nearest));
    }
    table.push_back(std::clamp<std::int64_t>(whole(below + (up ? 1 : 0), change.in), 0, change.in - 1));
  }
  return table;
}

// For each place of the output `width` places of the input, and their weights; no places where it is extrapolated.
template <typename T>
struct Taps {
  std::int64_t width = 0;
  std::vector<std::int64_t> at;
  std::vector<T> weight;
  std::vector<bool> extrapolated;
};

double cubic(double distance, double a) {
  const double x = std::abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

template <typename T>
Taps<T> taps_of(const Options& options, const Change& change) {
  const bool linear = options.mode == "linear";
  const double reach = linear ? 1 : 2;
  const double shrink = options.antialias ? std::min(change.scale, 1.0) : 1;  // the filter is stretched by 1 / shrink
  const auto first = static_cast<std::int64_t>(std::floor(-reach / shrink)) + 1;
  Taps<T> taps;
  taps.width = 2 - 2 * first;
  const auto width = static_cast<std::size_t>(taps.width);
  std::vector<double> weights(width);
  for (std::int64_t i = 0; i < change.out; ++i) {
    const double at = source(options, change, static_cast<double>(i)), below = std::floor(at), ratio = at - below;
    const std::int64_t base = whole(below, change.in);
    double sum = 0, inside = 0;
    for (std::size_t k = 0; k < width; ++k) {
      const double distance = (static_cast<double>(first + static_cast<std::int64_t>(k)) - ratio) * shrink;
      weights[k] = linear ? std::max(0.0, 1 - std::abs(distance)) : cubic(distance, options.cubic_a);
      const std::int64_t place = base + first + static_cast<std::int64_t>(k);
      sum += weights[k];
      if (place >= 0 && place < change.in) inside += weights[k];
    }
    for (std::size_t k = 0; k < width; ++k) {
      const std::int64_t place = base + first + static_cast<std::int64_t>(k);
      const bool within = place >= 0 && place < change.in;
      double weight = weights[k];
      if (options.exclude_outside) {
        weight = within ? weight / (inside == 0 ? 1 : inside) : 0;
      } else if (options.antialias) {
        weight /= sum;
      }
      taps.at.push_back(std::clamp<std::int64_t>(place, 0, change.in - 1));
      taps.weight.push_back(static_cast<T>(weight));
    }
    taps.extrapolated.push_back(outside(options, change, at));
  }
  return taps;
}

template <typename T>
void resample(const Taps<T>& taps, const T* in, T* out, std::int64_t rows, std::int64_t in_length, std::int64_t inner,
              T extrapolation) {
  const auto out_length = static_cast<std::int64_t>(taps.extrapolated.size());
  const double work = static_cast<double>(taps.width) * static_cast<double>(inner);
  parallel_for(rows * out_length, grain_for(work), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t unit = begin; unit < end; ++unit) {
      const std::int64_t i = unit % out_length;
      const T* from = in + unit / out_length * in_length * inner;
      T* to = out + unit * inner;
      if (taps.extrapolated[static_cast<std::size_t>(i)]) {
        std::fill_n(to, inner, extrapolation);
        continue;
      }
      const std::int64_t* at = taps.at.data() + i * taps.width;
      const T* weight = taps.weight.data() + i * taps.width;
      if (inner == 1) {
        T sum = 0;
        for (std::int64_t k = 0; k < taps.width; ++k) sum += weight[k] == 0 ? T{0} : weight[k] * from[at[k]];
        *to = sum;
        continue;
      }
      std::fill_n(to, inner, T{0});
      for (std::int64_t k = 0; k < taps.width; ++k) {
        const T* row = from + at[k] * inner;
        if (weight[k] == 0) continue;
        for (std::int64_t c = 0; c < inner; ++c) to[c] += weight[k] * row[c];
      }
    }
  });
}

template <typename T>
T* interpolate(Context& context, const Options& options, const std::vector<Change>& changes, const T* in) {
  ir::Dims dims;
  for (const Change& change : changes) dims.push_back(change.in);
  T* from = const_cast<T*>(in);
  for (std::size_t d = 0; d < changes.size(); ++d) {
    const Change& change = changes[d];
    if (change.in == change.out && change.scale == 1 && change.roi_begin == 0 && change.roi_end == 1) continue;
    const std::int64_t rows = product(dims, 0, d), inner = product(dims, d + 1, dims.size());
    dims[d] = change.out;
    T* to = scratch<T>(context, product(dims));
    resample(taps_of<T>(options, change), from, to, rows, change.in, inner, static_cast<T>(options.extrapolation));
    from = to;
  }
  return from;
}

template <typename T>
T rounded(double x) {
  if (x != x) return 0;
  const double nearest = std::nearbyint(x);
  if (nearest <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  if (nearest >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  return static_cast<T>(nearest);
}

void resize(Context& context, const Options& options, const std::vector<Change>& changes) {
  const Array& in = context.input(0);
  ir::Dims dims;
  bool same = true;
  for (const Change& change : changes) {
    dims.push_back(change.out);
    same = same && change.in == change.out && change.scale == 1 && change.roi_begin == 0 && change.roi_end == 1;
  }
  if (same) return context.forward(0, 0, dims);
  const std::int64_t count = product(dims);
  if (count > 0 && in.count() == 0) bad_input("an input of shape {} can't be resized", ir::text(in.dims));
  if (options.mode == "nearest") {
    Array& out = context.output(0, in.type, dims);
    if (count == 0) return;
    std::vector<ir::Dims> tables;
    for (const Change& change : changes) tables.push_back(nearest_table(options, change));
    move_elements(context, in, out, [&]<typename T>(const T* from, T* to) {
      T constant{};
      if (const auto number = static_cast<float>(options.extrapolation); number != 0 && !ir::is_sub_byte(in.type)) {
        Array one;
        one.type = in.type;
        std::byte memory[16] = {};
        one.data = memory;
        if (is_narrow_float(in.type)) {
          narrow(&number, one);
        } else {
          dispatch_number(in.type, [&]<typename N>() {
            if constexpr (std::is_integral_v<N>) {
              *one.as<N>() = rounded<N>(options.extrapolation);
            } else {
              *one.as<N>() = static_cast<N>(options.extrapolation);
            }
          });
        }
        if constexpr (!std::is_same_v<T, std::string>) constant = *one.as<T>();
      }
      fill_from<T>(from, in.dims, to, tables, constant);
    });
    return;
  }
  if (options.mode != "linear" && options.mode != "cubic") bad_input("mode is {}", quote(options.mode));
  in_number(context, in.type, [&]<typename N>() {
    using T = std::conditional_t<std::is_same_v<N, float>, float, double>;
    if constexpr (std::is_floating_point_v<N>) {
      Result<T> out(context, 0, in.type, dims);
      if (count == 0) return;
      std::copy_n(interpolate(context, options, changes, view<T>(context, in)), count, out.data());
      out.finish();
    } else {
      Array& out = context.output(0, in.type, dims);
      if (count == 0) return;
      const T* values = interpolate(context, options, changes, view<T>(context, in));
      map_range(values, out.as<N>(), count, cheap_grain, [](T x) { return rounded<N>(x); });
    }
  });
}

// The length that a scale gives, computed in float as ONNX's shape inference does.
Change scaled(std::int64_t in, float scale) {
  if (!(scale > 0) || !std::isfinite(scale)) bad_input("a scale of {}", scale);
  const float out = std::floor(static_cast<float>(in) * scale);
  if (out >= 9e18f) bad_input("a scale of {} for {} elements", scale, in);
  return {in, scale == 1 ? in : static_cast<std::int64_t>(out), static_cast<double>(scale)};
}

std::vector<float> read_scales(Context& context, std::size_t index) {
  const Array& array = context.input(index);
  const float* values = view<float>(context, array);
  return {values, values + array.count()};
}

// Upsample, and Resize before opset 11.
void upsample_by(Context& context, const std::vector<float>& scales) {
  const Array& in = context.input(0);
  if (scales.size() != in.rank()) bad_input("{} scales for a tensor of rank {}", scales.size(), in.rank());
  Options options;
  options.mode = context.node().string_or("mode", "nearest");
  if (options.mode == "bilinear") options.mode = "linear";
  options.coordinates = "asymmetric";
  options.nearest = outward;
  std::vector<Change> changes;
  for (std::size_t d = 0; d < in.rank(); ++d) changes.push_back(scaled(in.dims[d], scales[d]));
  resize(context, options, changes);
}
void upsample_1(Context& context) {
  const ir::Node& node = context.node();
  upsample_by(context, {1, 1, node.float_or("height_scale", 1), node.float_or("width_scale", 1)});
}
void upsample_7(Context& context) { upsample_by(context, context.node().floats_or("scales", {})); }
void upsample_9(Context& context) { upsample_by(context, read_scales(context, 1)); }

void resize_11(Context& context) {
  const Array& in = context.input(0);
  const ir::Node& node = context.node();
  Options options;
  options.mode = node.string_or("mode", "nearest");
  options.coordinates = node.string_or("coordinate_transformation_mode", "half_pixel");
  options.nearest = node.string_or("nearest_mode", "round_prefer_floor");
  options.cubic_a = static_cast<double>(node.float_or("cubic_coeff_a", -0.75f));
  options.antialias = flag(node, "antialias", false);
  options.exclude_outside = flag(node, "exclude_outside", false);
  options.extrapolation = static_cast<double>(node.float_or("extrapolation_value", 0));

  ir::Dims given = node.ints_or("axes", {});
  if (!node.has_attribute("axes")) {
    for (std::size_t d = 0; d < in.rank(); ++d) given.push_back(static_cast<std::int64_t>(d));
  }
  const std::vector<std::size_t> axes = checked_axes(given, in.rank());
  std::vector<Change> changes;
  for (const std::int64_t dim : in.dims) changes.push_back({dim, dim});

  const bool by_size = context.has_input(3) && context.input(3).count() > 0;
  if (by_size) {
    const ir::Dims sizes = read_ints(context.input(3));
    if (sizes.size() != axes.size()) bad_input("{} sizes for {} dimensions", sizes.size(), axes.size());
    const std::string policy = node.string_or("keep_aspect_ratio_policy", "stretch");
    if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller") {
      bad_input("keep_aspect_ratio_policy is {}", quote(policy));
    }
    double common = policy == "not_larger" ? std::numeric_limits<double>::infinity() : 0;
    for (std::size_t i = 0; i < axes.size(); ++i) {
      Change& change = changes[axes[i]];
      if (sizes[i] < 0) bad_input("a size of {}", sizes[i]);
      change.out = sizes[i];
      change.scale = change.in == 0 ? 1 : static_cast<double>(sizes[i]) / static_cast<double>(change.in);
      common = policy == "not_larger" ? std::min(common, change.scale) : std::max(common, change.scale);
    }
    for (std::size_t i = 0; policy != "stretch" && i < axes.size(); ++i) {
      Change& change = changes[axes[i]];
      change.scale = common;
      change.out = static_cast<std::int64_t>(std::min(common * static_cast<double>(change.in) + 0.5, 9e18));
    }
  } else {
    if (!context.has_input(2)) bad_input("neither scales nor sizes");
    const std::vector<float> scales = read_scales(context, 2);
    if (scales.size() != axes.size()) bad_input("{} scales for {} dimensions", scales.size(), axes.size());
    for (std::size_t i = 0; i < axes.size(); ++i) changes[axes[i]] = scaled(in.dims[axes[i]], scales[i]);
  }
  if (options.coordinates == "tf_crop_and_resize") {
    if (!context.has_input(1)) bad_input("tf_crop_and_resize without a roi");
    const Array& roi = context.input(1);
    if (roi.count() != 2 * static_cast<std::int64_t>(axes.size())) {
      bad_input("a roi of {} numbers for {} dimensions", roi.count(), axes.size());
    }
    const double* values = view<double>(context, roi);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      changes[axes[i]].roi_begin = values[i];
      changes[axes[i]].roi_end = values[i + axes.size()];
    }
  }
  resize(context, options, changes);
}

}  // namespace

std::span<const KernelEntry> resize_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Upsample", 1, stateless<upsample_1>, 6}, {"Upsample", 7, stateless<upsample_7>, 8},
      {"Upsample", 9, stateless<upsample_9>},    {"Resize", 10, stateless<upsample_9>, 10},
      {"Resize", 11, stateless<resize_11>},
  };
  return entries;
}

}  // namespace hone::exec
