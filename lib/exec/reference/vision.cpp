// Regions and boxes: NonMaxSuppression RoiAlign MaxRoiPool MaxUnpool.
#include <cmath>
#include <numeric>

#include "exec/reference/list.h"
#include "exec/reference/window.h"

namespace hone::exec {
namespace {

struct Box {
  float x0, y0, x1, y1;
};

// Intersection over union; 0 where either box has no area.
float overlap(const Box& a, const Box& b) {
  const float width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (!(width > 0) || !(height > 0)) return 0;
  const float common = width * height, area_a = (a.x1 - a.x0) * (a.y1 - a.y0), area_b = (b.x1 - b.x0) * (b.y1 - b.y0);
  const float both = area_a + area_b - common;
  return area_a > 0 && area_b > 0 && both > 0 ? common / both : 0;
}

void non_max_suppression(Context& context) {
  const Array &boxes = context.input(0), &scores = context.input(1);
  require_type(boxes, ir::ElementType::float32, "boxes");
  require_type(scores, ir::ElementType::float32, "scores");
  require_rank(boxes, 3, 3, "boxes");
  require_rank(scores, 3, 3, "scores");
  const std::int64_t batches = boxes.dims[0], count = boxes.dims[1], classes = scores.dims[1];
  if (boxes.dims[2] != 4 || scores.dims[0] != batches || scores.dims[2] != count) {
    bad_input("boxes of shape {} and scores of shape {}", ir::text(boxes.dims), ir::text(scores.dims));
  }
  const auto given = [&](std::size_t index) { return context.has_input(index) && context.input(index).count() > 0; };
  const std::int64_t most = given(2) ? std::max<std::int64_t>(0, read_int(context.input(2))) : 0;
  const auto threshold = given(3) ? static_cast<float>(read_double(context.input(3))) : 0.0f;
  const auto least_score = given(4) ? static_cast<float>(read_double(context.input(4))) : 0.0f;
  const bool centered = flag(context.node(), "center_point_box", false);

  std::vector<std::int64_t> result;
  std::vector<Box> corners(static_cast<std::size_t>(count));
  for (std::int64_t b = 0; b < batches && most > 0; ++b) {
    const float* from = boxes.as<float>() + b * count * 4;
    for (std::int64_t i = 0; i < count; ++i, from += 4) {
      if (centered) {
        corners[static_cast<std::size_t>(i)] = {from[0] - from[2] / 2, from[1] - from[3] / 2, from[0] + from[2] / 2,
                                                from[1] + from[3] / 2};
      } else {  // any two opposite corners, y first
        corners[static_cast<std::size_t>(i)] = {std::min(from[1], from[3]), std::min(from[0], from[2]),
                                                std::max(from[1], from[3]), std::max(from[0], from[2])};
      }
    }
    for (std::int64_t c = 0; c < classes; ++c) {
      check_interrupt();
      const float* score = scores.as<float>() + (b * classes + c) * count;
      std::vector<std::int64_t> order;
      for (std::int64_t i = 0; i < count; ++i) {
        if (score[i] == score[i] && (!given(4) || score[i] > least_score)) order.push_back(i);
      }
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t x, std::int64_t y) { return score[x] > score[y]; });
      std::vector<std::int64_t> chosen;
      for (const std::int64_t i : order) {
        if (static_cast<std::int64_t>(chosen.size()) == most) break;
        const bool hidden = std::any_of(chosen.begin(), chosen.end(), [&](std::int64_t other) {
          return overlap(corners[static_cast<std::size_t>(i)], corners[static_cast<std::size_t>(other)]) > threshold;
        });
        if (hidden) continue;
        chosen.push_back(i);
        result.insert(result.end(), {b, c, i});
      }
    }
  }
  Array& out = context.output(0, ir::ElementType::int64, {static_cast<std::int64_t>(result.size() / 3), 3});
  std::copy(result.begin(), result.end(), out.as<std::int64_t>());
}

// A sample between four elements.
template <typename T>
struct Sample {
  std::int64_t at[4];
  T weight[4];
};

template <typename T>
Sample<T> sample_at(T y, T x, std::int64_t height, std::int64_t width) {
  if (!(y >= -1 && y <= static_cast<T>(height) && x >= -1 && x <= static_cast<T>(width)))
    return {{0, 0, 0, 0}, {0, 0, 0, 0}};
  const auto place = [](T& v, std::int64_t size, std::int64_t& low, std::int64_t& high) {
    v = std::max(v, T{0});
    low = static_cast<std::int64_t>(v);
    high = low + 1;
    if (low >= size - 1) {
      low = high = size - 1;
      v = static_cast<T>(low);
    }
    return v - static_cast<T>(low);
  };
  std::int64_t y0 = 0, y1 = 0, x0 = 0, x1 = 0;
  const T ly = place(y, height, y0, y1), lx = place(x, width, x0, x1), hy = 1 - ly, hx = 1 - lx;
  return {{y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1}, {hy * hx, hy * lx, ly * hx, ly * lx}};
}

// Opset 10 had no half pixel.
void roi_align_with(Context& context, const char* default_mode) {
  const Array &in = context.input(0), &rois = context.input(1), &batch_indices = context.input(2);
  const ir::Node& node = context.node();
  require_rank(in, 4, 4, "the input");
  require_type(rois, in.type, "rois");
  const std::int64_t batch = in.dims[0], channels = in.dims[1], height = in.dims[2], width = in.dims[3];
  const ir::Dims images = read_ints(batch_indices);
  const auto count = static_cast<std::int64_t>(images.size());
  if (rois.dims != ir::Dims{count, 4}) bad_input("rois of shape {} for {} batch indices", ir::text(rois.dims), count);
  for (const std::int64_t image : images) {
    if (image < 0 || image >= batch) bad_input("batch index {} of {} images", image, batch);
  }
  const std::string mode = node.string_or("mode", "avg");
  if (mode != "avg" && mode != "max") bad_input("mode is {}", quote(mode));
  const std::string coordinates = node.string_or("coordinate_transformation_mode", default_mode);
  const bool half_pixel = coordinates == "half_pixel";
  if (!half_pixel && coordinates != "output_half_pixel")
    bad_input("coordinate_transformation_mode is {}", quote(coordinates));
  const std::int64_t out_height = node.int_or("output_height", 1), out_width = node.int_or("output_width", 1);
  const std::int64_t ratio = node.int_or("sampling_ratio", 0);
  constexpr std::int64_t most_samples = 1
                                        << 12;  // of one output place along one dimension: far more than any image has
  if (out_height < 1 || out_width < 1 || ratio < 0 || ratio > most_samples) {
    bad_input("an output of {} x {} with {} samples", out_height, out_width, ratio);
  }
  const float spatial_scale = node.float_or("spatial_scale", 1);
  in_real(context, in.type, [&]<typename T>() {
    const T *from = view<T>(context, in), *regions = view<T>(context, rois);
    Result<T> out(context, 0, in.type, ir::Dims{count, channels, out_height, out_width});
    if (out.count() == 0) return;
    if (height == 0 || width == 0) bad_input("an image of {} x {}", height, width);
    parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const T offset = half_pixel ? T{0.5} : T{0}, scale = static_cast<T>(spatial_scale);
        const T x0 = regions[r * 4] * scale - offset, y0 = regions[r * 4 + 1] * scale - offset;
        T w = regions[r * 4 + 2] * scale - offset - x0, h = regions[r * 4 + 3] * scale - offset - y0;
        if (!half_pixel) {
          w = std::max(w, T{1});
          h = std::max(h, T{1});
        }
        const T bin_h = h / static_cast<T>(out_height), bin_w = w / static_cast<T>(out_width);
        const auto samples = [&](T bin) -> std::int64_t {
          if (ratio > 0) return ratio;
          if (!(bin < static_cast<T>(most_samples))) bad_input("a region is far larger than the image");
          return std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil(std::max(bin, T{-1}))));
        };
        const std::int64_t grid_h = samples(bin_h), grid_w = samples(bin_w);
        std::vector<Sample<T>> grid(static_cast<std::size_t>(grid_h * grid_w));
        for (std::int64_t place = 0; place < out_height * out_width; ++place) {
          const std::int64_t out_line = place / out_width;
          const T top = y0 + static_cast<T>(out_line) * bin_h, left = x0 + static_cast<T>(place % out_width) * bin_w;
          for (std::int64_t i = 0; i < grid_h * grid_w; ++i) {
            const std::int64_t line = i / grid_w;
            const T y = top + (static_cast<T>(line) + T{0.5}) * bin_h / static_cast<T>(grid_h);
            const T x = left + (static_cast<T>(i % grid_w) + T{0.5}) * bin_w / static_cast<T>(grid_w);
            grid[static_cast<std::size_t>(i)] = sample_at(y, x, height, width);
          }
          for (std::int64_t c = 0; c < channels; ++c) {
            const T* plane = from + (images[static_cast<std::size_t>(r)] * channels + c) * height * width;
            T value = 0;
            bool first = true;
            for (const Sample<T>& s : grid) {
              if (mode == "avg") {
                for (int k = 0; k < 4; ++k) value += s.weight[k] * plane[s.at[k]];
                continue;
              }
              for (int k = 0; k < 4; ++k) {
                const T weighted = s.weight[k] * plane[s.at[k]];
                value = first ? weighted : std::max(value, weighted);
                first = false;
              }
            }
            if (mode == "avg") value /= static_cast<T>(std::max<std::int64_t>(1, grid_h * grid_w));
            out.data()[(r * channels + c) * out_height * out_width + place] = value;
          }
        }
      }
    });
    out.finish();
  });
}
void roi_align_10(Context& context) { roi_align_with(context, "output_half_pixel"); }
void roi_align(Context& context) { roi_align_with(context, "half_pixel"); }

void max_roi_pool(Context& context) {
  const Array &in = context.input(0), &rois = context.input(1);
  require_rank(in, 4, 4, "the input");
  require_type(rois, in.type, "rois");
  if (rois.rank() != 2 || rois.dims[1] != 5) bad_input("rois of shape {}", ir::text(rois.dims));
  const ir::Dims pooled = required_ints(context.node(), "pooled_shape");
  if (pooled.size() != 2 || pooled[0] < 1 || pooled[1] < 1) bad_input("pooled_shape is {}", ir::text(pooled));
  const float spatial_scale = context.node().float_or("spatial_scale", 1);
  const std::int64_t channels = in.dims[1], height = in.dims[2], width = in.dims[3], count = rois.dims[0];
  in_real(context, in.type, [&]<typename T>() {
    const T *from = view<T>(context, in), *regions = view<T>(context, rois);
    Result<T> out(context, 0, in.type, ir::Dims{count, channels, pooled[0], pooled[1]});
    if (out.count() == 0) return;
    for (std::int64_t r = 0; r < count; ++r) {
      const T image = regions[r * 5];
      if (!(image >= 0 && image < static_cast<T>(in.dims[0])))
        bad_input("a region in image {} of {}", image, in.dims[0]);
      const auto edge = [&](int k) {
        const T at = std::round(regions[r * 5 + k] * static_cast<T>(spatial_scale));
        if (!(std::abs(at) < 1e9)) bad_input("a region is far larger than the image");
        return static_cast<std::int64_t>(at);
      };
      const std::int64_t x0 = edge(1), y0 = edge(2), w = std::max<std::int64_t>(edge(3) - x0 + 1, 1),
                         h = std::max<std::int64_t>(edge(4) - y0 + 1, 1);
      const auto bounds = [](std::int64_t bin, std::int64_t bins, std::int64_t extent, std::int64_t start,
                             std::int64_t size) {
        const T step = static_cast<T>(extent) / static_cast<T>(bins);
        const auto low = static_cast<std::int64_t>(std::floor(static_cast<T>(bin) * step));
        const auto high = static_cast<std::int64_t>(std::ceil(static_cast<T>(bin + 1) * step));
        return std::pair(std::clamp<std::int64_t>(low + start, 0, size),
                         std::clamp<std::int64_t>(high + start, 0, size));
      };
      for (std::int64_t c = 0; c < channels; ++c) {
        const T* plane = from + (static_cast<std::int64_t>(image) * channels + c) * height * width;
        T* to = out.data() + (r * channels + c) * pooled[0] * pooled[1];
        for (std::int64_t ph = 0; ph < pooled[0]; ++ph) {
          const auto [top, bottom] = bounds(ph, pooled[0], h, y0, height);
          for (std::int64_t pw = 0; pw < pooled[1]; ++pw) {
            const auto [left, right] = bounds(pw, pooled[1], w, x0, width);
            T best = top < bottom && left < right ? -std::numeric_limits<T>::infinity() : T{0};
            for (std::int64_t y = top; y < bottom; ++y) {
              for (std::int64_t x = left; x < right; ++x) best = std::max(best, plane[y * width + x]);
            }
            *to++ = best;
          }
        }
      }
    }
    out.finish();
  });
}

// Values go where MaxPool found them, zeros elsewhere. Indices count in the shape that the pool's attributes imply; a
// larger output_shape adds zeros behind.
void max_unpool(Context& context) {
  const Array &in = context.input(0), &indices = context.input(1);
  require_type(indices, ir::ElementType::int64, "indices");
  require_rank(in, 3, std::numeric_limits<std::size_t>::max(), "the input");
  if (indices.dims != in.dims)
    bad_input("indices of shape {} for an input of shape {}", ir::text(indices.dims), ir::text(in.dims));
  const std::size_t rank = in.rank() - 2;
  const ir::Node& node = context.node();
  const ir::Dims kernel = required_ints(node, "kernel_shape");
  if (kernel.size() != rank)
    bad_input("a kernel of shape {} for an input of shape {}", ir::text(kernel), ir::text(in.dims));
  const ir::Dims steps = spatial_attribute(node, "strides", rank, 1, 1),
                 pads = spatial_attribute(node, "pads", 2 * rank, 0, 0);
  ir::Dims implied = {in.dims[0], in.dims[1]};
  for (std::size_t d = 0; d < rank; ++d) {
    const std::int64_t size =
        size_sum(size_product(in.dims[d + 2] - 1, steps[d]), kernel[d]) - size_sum(pads[d], pads[d + rank]);
    if (size < 0) bad_input("pads {} leave less than nothing of the output", ir::text(pads));
    implied.push_back(size);
  }
  ir::Dims dims = implied;
  if (context.has_input(2)) dims = read_ints(context.input(2));
  if (dims.size() != implied.size()) bad_input("output_shape {} for an input of rank {}", ir::text(dims), in.rank());
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] < implied[d]) bad_input("output_shape {} is smaller than {}", ir::text(dims), ir::text(implied));
  }
  const std::int64_t total = product(implied);
  const ir::Dims out_steps = strides(dims);
  Array& out = context.output(0, in.type, dims);
  dispatch_moved(context, in.type, [&]<typename T>() {
    const T* from = moved<T>(in);
    T* to = moved<T>(out);
    std::fill_n(to, out.count(), T{});
    for (std::int64_t i = 0; i < in.count(); ++i) {
      std::int64_t rest = indices.as<std::int64_t>()[i], at = 0;
      if (rest < 0 || rest >= total) bad_input("index {} into {} elements", rest, total);
      for (std::size_t d = implied.size(); d-- > 0; rest /= implied[d]) at += rest % implied[d] * out_steps[d];
      to[at] = from[i];
    }
  });
}

}  // namespace

std::span<const KernelEntry> vision_kernels() {
  static constexpr KernelEntry entries[] = {
      {"NonMaxSuppression", 10, stateless<non_max_suppression>},
      {"RoiAlign", 10, stateless<roi_align_10>, 15},
      {"RoiAlign", 16, stateless<roi_align>},
      {"MaxRoiPool", 1, stateless<max_roi_pool>},
      {"MaxUnpool", 9, stateless<max_unpool>},
  };
  return entries;
}

}  // namespace hone::exec
