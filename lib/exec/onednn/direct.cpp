#include "exec/onednn/direct.h"

#include <algorithm>
#include <cstring>

#include "exec/onednn/panels.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {
namespace {

// A band of input rows with their pads, as the window passes over it: within half of a second-level cache of 512 KiB.
constexpr std::int64_t band_floats = 48 << 10;

std::int64_t depth_of(const DirectShape& shape) { return shape.in_channels * shape.kernel_height * shape.kernel_width; }

// A window of one place over an image as it lies: the places are rows of one matrix.
bool is_flat(const DirectShape& shape) {
  return shape.kernel_height * shape.kernel_width == 1 && shape.stride_height * shape.stride_width == 1 &&
         shape.out_height == shape.height && shape.out_width == shape.width;
}

// How the image is cut into bands of output rows, and what a band holds of the input.
struct Bands {
  std::int64_t rows = 0, count = 0;           // output rows of a band; bands of an image
  std::int64_t in_rows = 0, in_width = 0;     // of the input
  bool copies = false;                        // into memory of its own, since there are pads
  std::int64_t step = 1, row = 0, plane = 0;  // floats from a place, row, block of channels to the next
  std::int64_t planes = 0;

  explicit Bands(const DirectShape& shape) {
    const std::int64_t span_height = (shape.kernel_height - 1) * shape.dilation_height + 1,
                       span_width = (shape.kernel_width - 1) * shape.dilation_width + 1;
    const std::int64_t reach_height = (shape.out_height - 1) * shape.stride_height + span_height,
                       reach_width = (shape.out_width - 1) * shape.stride_width + span_width;
    step = shape.reads_blocks() ? 8 : 1;
    planes = shape.in_channels / step;
    copies = shape.top > 0 || shape.left > 0 || reach_height > shape.height || reach_width > shape.width;
    if (!copies) {
      rows = shape.out_height;
      count = 1;
      in_rows = shape.height;
      in_width = shape.width;
    } else {
      in_width = reach_width;
      const std::int64_t fit = band_floats / (in_width * shape.in_channels);
      rows = std::clamp<std::int64_t>((fit - span_height) / shape.stride_height + 1, 1, shape.out_height);
      count = (shape.out_height - 1) / rows + 1;
      rows = (shape.out_height - 1) / count + 1;
      count = (shape.out_height - 1) / rows + 1;
      in_rows = (rows - 1) * shape.stride_height + span_height;
    }
    row = in_width * step;
    plane = in_rows * row;
  }
  std::int64_t floats() const { return copies ? planes * plane : 0; }
};

// The rows of the input that output rows from `first` on need, with pads of zeros.
void take_band(const DirectShape& shape, const Bands& bands, const float* image, std::int64_t first, float* to) {
  const std::int64_t top = first * shape.stride_height - shape.top;
  const std::int64_t before = std::min(shape.left, bands.in_width),
                     inside = std::clamp<std::int64_t>(shape.width, 0, bands.in_width - before),
                     after = bands.in_width - before - inside;
  const auto bytes = [&](std::int64_t places) { return static_cast<std::size_t>(places * bands.step) * sizeof(float); };
  for (std::int64_t p = 0; p < bands.planes; ++p) {
    const float* plane = image + p * shape.height * shape.width * bands.step;
    for (std::int64_t r = 0; r < bands.in_rows; ++r, to += bands.row) {
      const std::int64_t y = top + r;
      if (y < 0 || y >= shape.height) {
        std::memset(to, 0, bytes(bands.in_width));
        continue;
      }
      std::memset(to, 0, bytes(before));
      std::memcpy(to + before * bands.step, plane + y * shape.width * bands.step, bytes(inside));
      std::memset(to + (before + inside) * bands.step, 0, bytes(after));
    }
  }
}

// Where the runs of a window begin, relative to its first place.
std::vector<std::int64_t> window(const DirectShape& shape, const Bands& bands, std::int64_t& length) {
  const bool row_at_once = bands.step == 1 && shape.dilation_width == 1;
  length = bands.step > 1 ? bands.step : row_at_once ? shape.kernel_width : 1;
  const std::int64_t across = row_at_once ? 1 : shape.kernel_width;
  std::vector<std::int64_t> starts;
  starts.reserve(static_cast<std::size_t>(bands.planes * shape.kernel_height * across));
  for (std::int64_t p = 0; p < bands.planes; ++p) {
    for (std::int64_t y = 0; y < shape.kernel_height; ++y) {
      for (std::int64_t x = 0; x < across; ++x)
        starts.push_back(p * bands.plane + y * shape.dilation_height * bands.row +
                         x * shape.dilation_width * bands.step);
    }
  }
  return starts;
}

Results results_of(const DirectShape& shape, const DirectRun& run, std::int64_t first) {
  const std::int64_t places = shape.out_height * shape.out_width;
  Results results;
  if (places == 1) {
    results.row_step = shape.out_channels;
    first *= shape.out_channels;
  } else if (shape.writes_blocks()) {
    results.row_step = 8;
    results.vector_step = places * 8;
    first *= 8;
  } else {
    results.row_step = 1;
    results.vector_step = places * 8;
    results.column_step = places;
  }
  results.data = run.out + first;
  results.bias = run.bias;
  results.steps = run.steps;
  results.held = run.held ? run.held + first : nullptr;
  return results;
}

void flat(const DirectShape& shape, const DirectRun& run, const RightSide& right, double seconds) {
  const std::int64_t places = shape.height * shape.width, size = shape.in_channels * places,
                     out_size = shape.out_channels * places;
  // Single places are rows, as many as images.
  const std::int64_t rows = places == 1 ? shape.batch : places, images = places == 1 ? 1 : shape.batch;
  const bool planes = !shape.reads_blocks() && places > 1;
  std::int64_t length = places == 1 ? shape.in_channels : planes ? 1 : 8;
  std::vector<std::int64_t> starts(static_cast<std::size_t>(shape.in_channels / length));
  for (std::size_t i = 0; i < starts.size(); ++i) starts[i] = static_cast<std::int64_t>(i) * places * length;
  const auto one = [&](std::int64_t image, auto&& each) {
    LeftSide left;
    left.data = run.in + image * size;
    left.row_step = places == 1 ? shape.in_channels : planes ? 1 : 8;
    left.starts = starts.data();
    left.runs = static_cast<std::int64_t>(starts.size());
    left.length = length;
    Results results = results_of(shape, run, 0);
    results.data += image * out_size;
    if (results.held) results.held += image * out_size;
    each(left, results);
  };
  const std::int64_t parts = worthwhile_threads(seconds);
  if (images < parts) {
    for (std::int64_t image = 0; image < images; ++image)
      one(image, [&](const LeftSide& left, const Results& results) { multiply(left, rows, right, results); });
    return;
  }
  const Part all{0, tile_count(rows), 0, panel_count(shape.out_channels)};
  parallel_for(images, (images - 1) / parts + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t image = begin; image < end; ++image)
      one(image, [&](const LeftSide& left, const Results& results) { multiply(left, rows, right, results, all); });
  });
}

}  // namespace

std::uint64_t direct_weight_bytes(const DirectShape& shape) { return panel_bytes(depth_of(shape), shape.out_channels); }

void direct_weights(const DirectShape& shape, const float* weights, float* packed) {
  const std::int64_t depth = depth_of(shape), taps = shape.kernel_height * shape.kernel_width;
  if (!shape.reads_blocks() || taps == 1) return fill_panels(weights, depth, shape.out_channels, 1, depth, packed);
  // In the order of window(): the channels of a block last.
  std::vector<float> ordered(static_cast<std::size_t>(depth * shape.out_channels));
  float* to = ordered.data();
  for (std::int64_t o = 0; o < shape.out_channels; ++o) {
    for (std::int64_t c = 0; c < shape.in_channels; c += 8) {
      for (std::int64_t t = 0; t < taps; ++t) {
        for (std::int64_t i = 0; i < 8; ++i) *to++ = weights[(o * shape.in_channels + c + i) * taps + t];
      }
    }
  }
  fill_panels(ordered.data(), depth, shape.out_channels, 1, depth, packed);
}

std::uint64_t direct_scratch_bytes(const DirectShape& shape) {
  if (is_flat(shape)) return 0;
  return static_cast<std::uint64_t>(Bands(shape).floats() * threads()) * sizeof(float);
}

bool direct_keeps_sums(const DirectShape& shape) { return keeps_sums(depth_of(shape)); }

void direct_convolution(const DirectShape& shape, const DirectRun& run) {
  const std::int64_t depth = depth_of(shape), panels = panel_count(shape.out_channels);
  RightSide right;
  right.data = run.weights;
  right.panel_step = depth * panel_columns;
  right.columns = shape.out_channels;
  const double seconds = panel_seconds(2 * static_cast<double>(shape.batch * shape.out_height * shape.out_width) *
                                       static_cast<double>(depth) * static_cast<double>(panels * panel_columns));
  if (is_flat(shape)) return flat(shape, run, right, seconds);

  const Bands bands(shape);
  std::int64_t length = 0;
  const std::vector<std::int64_t> starts = window(shape, bands, length);
  const std::int64_t in_size = shape.in_channels * shape.height * shape.width,
                     out_size = shape.out_channels * shape.out_height * shape.out_width;
  const std::int64_t parts = worthwhile_threads(seconds);
  // Output rows that a task computes; where they are few, panels are handed out, too.
  const std::int64_t rows =
      bands.copies ? bands.rows : std::max<std::int64_t>(1, shape.out_height / (parts == 1 ? 1 : 4 * parts));
  const std::int64_t cuts = (shape.out_height - 1) / rows + 1;
  const std::int64_t groups = shape.batch * cuts >= parts ? 1 : std::min(parts, panels);
  const std::int64_t tasks = shape.batch * cuts * groups;
  const std::int64_t workers = std::min(parts, tasks);
  const Part all{0, tile_count(shape.out_width), 0, 0};
  // Each worker has memory of its own.
  parallel_for(workers, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t worker = begin; worker < end; ++worker) {
      float* band = run.scratch + worker * bands.floats();
      for (std::int64_t task = tasks * worker / workers; task < tasks * (worker + 1) / workers; ++task) {
        const std::int64_t group = task % groups, cut = task / groups % cuts, image = task / groups / cuts;
        const std::int64_t first = cut * rows, last = std::min(first + rows, shape.out_height);
        const float* in = run.in + image * in_size;
        std::int64_t origin = 0;  // the output row whose window is at the beginning of `in`
        if (bands.copies) {
          take_band(shape, bands, in, first, band);
          in = band;
          origin = first;
        }
        const std::int64_t end_panel = panels * (group + 1) / groups;
        for (std::int64_t panel = panels * group / groups; panel < end_panel; panel += panels_at_once()) {
          for (std::int64_t y = first; y < last; ++y) {
            LeftSide left;
            left.data = in + (y - origin) * shape.stride_height * bands.row;
            left.row_step = shape.stride_width * bands.step;
            left.starts = starts.data();
            left.runs = static_cast<std::int64_t>(starts.size());
            left.length = length;
            Results results = results_of(shape, run, y * shape.out_width);
            results.data += image * out_size;
            if (results.held) results.held += image * out_size;
            multiply(left, shape.out_width, right, results,
                     Part{all.first_tile, all.last_tile, panel, std::min(panel + panels_at_once(), end_panel)});
          }
        }
      }
    }
  });
}

}  // namespace hone::exec::onednn
