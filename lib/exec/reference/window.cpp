#include "exec/reference/window.h"

namespace hone::exec {

ir::Dims spatial_attribute(const ir::Node& node, std::string_view name, std::size_t rank, std::int64_t fallback,
                           std::int64_t least) {
  ir::Dims values = node.ints_or(name, {});
  if (values.empty()) values.assign(rank, fallback);
  if (values.size() != rank) bad_input("{} has {} numbers for {} dimensions", name, values.size(), rank);
  for (const std::int64_t value : values) {
    if (value < least) bad_input("{} holds {}", name, value);
  }
  return values;
}

Window::Window(const ir::Node& node, const ir::Dims& dims, ir::Dims weights, bool ceil)
    : in(dims.begin() + std::min<std::ptrdiff_t>(2, static_cast<std::ptrdiff_t>(dims.size())), dims.end()) {
  if (dims.size() < 3) bad_input("an input of shape {} has no spatial dimensions", ir::text(dims));
  rank = in.size();
  kernel = node.ints_or("kernel_shape", weights);
  if (kernel.size() != rank || (!weights.empty() && weights != kernel)) {
    bad_input("a kernel of shape {} for an input of shape {}", ir::text(weights.empty() ? kernel : weights),
              ir::text(dims));
  }
  strides = spatial_attribute(node, "strides", rank, 1, 1);
  dilations = spatial_attribute(node, "dilations", rank, 1, 1);
  const std::string auto_pad = node.string_or("auto_pad", "NOTSET");
  const bool same_upper = auto_pad == "SAME_UPPER", same_lower = auto_pad == "SAME_LOWER", valid = auto_pad == "VALID";
  if (!same_upper && !same_lower && !valid && auto_pad != "NOTSET" && !auto_pad.empty()) {
    bad_input("auto_pad is {}", quote(auto_pad));
  }
  if (same_upper || same_lower || valid) {
    before.assign(rank, 0);
    after.assign(rank, 0);
  } else {
    const ir::Dims pads = spatial_attribute(node, "pads", 2 * rank, 0, 0);
    before.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
    after.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  }
  for (std::size_t d = 0; d < rank; ++d) {
    if (kernel[d] <= 0) bad_input("a kernel of shape {}", ir::text(kernel));
    const std::int64_t extent = size_sum(size_product(kernel[d] - 1, dilations[d]), 1);
    if (same_upper || same_lower) {
      out.push_back(ceil_div(in[d], strides[d]));
      const std::int64_t covered = size_sum(size_product(std::max<std::int64_t>(0, out[d] - 1), strides[d]), extent);
      const std::int64_t total = std::max<std::int64_t>(0, covered - in[d]);
      before[d] = same_upper ? total / 2 : total - total / 2;
      after[d] = total - before[d];
      continue;
    }
    const std::int64_t free = size_sum(size_sum(in[d], before[d]), after[d]) - extent;
    if (free < 0) {
      bad_input("a kernel of shape {} (dilated by {}) is larger than the padded input of shape {}", ir::text(kernel),
                ir::text(dilations), ir::text(dims));
    }
    std::int64_t places = free / strides[d] + 1;
    if (ceil && free % strides[d] != 0 && places * strides[d] < in[d] + before[d]) ++places;
    out.push_back(places);
  }
}

Window transposed_window(const ir::Node& node, const ir::Dims& dims, const ir::Dims& kernel) {
  const std::size_t rank = kernel.size();
  const ir::Dims strides = spatial_attribute(node, "strides", rank, 1, 1);
  const ir::Dims dilations = spatial_attribute(node, "dilations", rank, 1, 1);
  const ir::Dims extra = spatial_attribute(node, "output_padding", rank, 0, 0);
  const ir::Dims pads = spatial_attribute(node, "pads", 2 * rank, 0, 0);
  const std::string auto_pad = node.string_or("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (!same && auto_pad != "VALID" && auto_pad != "NOTSET" && !auto_pad.empty())
    bad_input("auto_pad is {}", quote(auto_pad));
  ir::Dims wanted = node.ints_or("output_shape", {});
  if (wanted.size() == rank + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);  // some files give all dimensions
  if (!wanted.empty() && wanted.size() != rank)
    bad_input("output_shape has {} numbers for {} dimensions", wanted.size(), rank);
  if (node.ints_or("kernel_shape", kernel) != kernel)
    bad_input("kernel_shape differs from the weight's {}", ir::text(kernel));

  Window w(rank);
  w.kernel = kernel;
  w.strides = strides;
  w.dilations = dilations;
  w.out.assign(dims.begin() + 2, dims.end());
  for (std::size_t d = 0; d < rank; ++d) {
    if (kernel[d] <= 0) bad_input("a kernel of shape {}", ir::text(kernel));
    const std::int64_t extent = size_sum(size_product(kernel[d] - 1, dilations[d]), 1);
    const std::int64_t full = size_sum(size_sum(size_product(w.out[d] - 1, strides[d]), extent), extra[d]);
    if (!wanted.empty() || same) {
      // A kernel smaller than its stride does not reach all that the operator's text promises; ONNX's inference and ONNX
      // Runtime leave it at what it reaches.
      const std::int64_t size =
          !wanted.empty() ? wanted[d] : std::min(size_product(w.out[d], strides[d]), std::max<std::int64_t>(full, 0));
      if (size < 0) bad_input("output_shape holds {}", size);
      const std::int64_t total = std::max<std::int64_t>(0, full - size);
      w.before.push_back(auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2);
      w.in.push_back(size);
    } else {
      const bool padded = auto_pad != "VALID";
      w.before.push_back(padded ? pads[d] : 0);
      const std::int64_t size = full - (padded ? size_sum(pads[d], pads[d + rank]) : 0);
      if (size < 0) bad_input("pads {} leave less than nothing of the output", ir::text(pads));
      w.in.push_back(w.out[d] == 0 ? 0 : size);
    }
    w.after.push_back(full - extra[d] - w.before[d] - w.in[d]);
  }
  return w;
}

namespace {

// Calls f(tap, position of the tap relative to the window's start along each dimension) in row-major order.
template <typename F>
void for_each_tap(const Window& w, const F& f) {
  ir::Dims index(w.rank), offset(w.rank);
  const std::int64_t taps = w.taps();
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    f(tap, offset);
    for (std::size_t d = w.rank; d-- > 0;) {
      offset[d] += w.dilations[d];
      if (++index[d] < w.kernel[d]) break;
      index[d] = 0;
      offset[d] = 0;
    }
  }
}

// Output places as rows of the last dimension: calls f(first place, number of places, start of the row's windows in all
// but the last dimension, column of the first place).
template <typename F>
void for_each_row(const Window& w, std::int64_t begin, std::int64_t end, const F& f) {
  const std::int64_t width = w.out.back();
  ir::Dims start(w.rank - 1);
  for (std::int64_t place = begin; place < end;) {
    const std::int64_t column = place % width, length = std::min(width - column, end - place);
    std::int64_t rest = place / width;
    for (std::size_t d = w.rank - 1; d-- > 0; rest /= w.out[d]) start[d] = rest % w.out[d] * w.strides[d] - w.before[d];
    f(place, length, start, column);
    place += length;
  }
}

}  // namespace

template <typename T>
void gather_patches(const Window& w, const T* image, std::int64_t channels, std::int64_t begin, std::int64_t end,
                    T padding, T* columns) {
  const std::int64_t plane = w.in_size(), taps = w.taps(), places = end - begin;
  const ir::Dims steps = exec::strides(w.in);
  const std::int64_t stride = w.strides.back(), width = w.in.back();
  for_each_tap(w, [&](std::int64_t tap, const ir::Dims& offset) {
    for_each_row(
        w, begin, end, [&](std::int64_t place, std::int64_t length, const ir::Dims& start, std::int64_t column) {
          std::int64_t base = 0;
          bool inside = true;
          for (std::size_t d = 0; d + 1 < w.rank; ++d) {
            const std::int64_t at = start[d] + offset[d];
            inside = inside && at >= 0 && at < w.in[d];
            base += at * steps[d];
          }
          // Places whose tap lies within the row of the input: first + i * stride in [0, width).
          const std::int64_t first = column * stride - w.before.back() + offset.back();
          const std::int64_t low = inside ? std::clamp<std::int64_t>(ceil_div(-first, stride), 0, length) : length;
          const std::int64_t high =
              inside ? std::clamp<std::int64_t>(ceil_div(width - first, stride), low, length) : length;
          for (std::int64_t c = 0; c < channels; ++c) {
            T* to = columns + (c * taps + tap) * places + (place - begin);
            const T* from = image + c * plane;
            const std::int64_t at = base + first;
            std::fill_n(to, low, padding);
            if (stride == 1) {
              if (high > low) std::copy_n(from + (at + low), high - low, to + low);
            } else {
              for (std::int64_t i = low; i < high; ++i) to[i] = from[at + i * stride];
            }
            std::fill(to + high, to + length, padding);
          }
        });
  });
}

template <typename T>
void gather_patch_rows(const Window& w, const T* image, std::int64_t channels, std::int64_t begin, std::int64_t end,
                       T padding, T* rows) {
  const std::int64_t plane = w.in_size(), taps = w.taps(), depth = channels * taps;
  const ir::Dims steps = exec::strides(w.in);
  for_each_row(w, begin, end, [&](std::int64_t place, std::int64_t length, const ir::Dims& start, std::int64_t column) {
    for_each_tap(w, [&](std::int64_t tap, const ir::Dims& offset) {
      std::int64_t base = 0;
      bool inside = true;
      for (std::size_t d = 0; d + 1 < w.rank; ++d) {
        const std::int64_t at = start[d] + offset[d];
        inside = inside && at >= 0 && at < w.in[d];
        base += at * steps[d];
      }
      for (std::int64_t i = 0; i < length; ++i) {
        const std::int64_t at = (column + i) * w.strides.back() - w.before.back() + offset.back();
        const bool valid = inside && at >= 0 && at < w.in.back();
        T* to = rows + (place - begin + i) * depth + tap;
        for (std::int64_t c = 0; c < channels; ++c) to[c * taps] = valid ? image[c * plane + base + at] : padding;
      }
    });
  });
}

template void gather_patches<float>(const Window&, const float*, std::int64_t, std::int64_t, std::int64_t, float,
                                    float*);
template void gather_patches<double>(const Window&, const double*, std::int64_t, std::int64_t, std::int64_t, double,
                                     double*);
template void gather_patch_rows<std::int16_t>(const Window&, const std::int16_t*, std::int64_t, std::int64_t,
                                              std::int64_t, std::int16_t, std::int16_t*);

}  // namespace hone::exec
