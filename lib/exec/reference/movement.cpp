// Elements in another order, or repeated: Transpose Slice Expand Tile DepthToSpace SpaceToDepth.
#include "exec/reference/broadcast.h"
#include "exec/reference/list.h"
#include "exec/reference/strided.h"

namespace hone::exec {
namespace {

void transpose(Context& context) {
  const Array& in = context.raw_input(0);  // in whatever layout, while nothing moves
  ir::Dims order = context.node().ints_or("perm", {});
  if (!context.node().has_attribute("perm")) {
    for (std::size_t i = in.rank(); i-- > 0;) order.push_back(static_cast<std::int64_t>(i));
  }
  if (order.size() != in.rank()) bad_input("perm {} for a tensor of rank {}", ir::text(order), in.rank());
  const ir::Dims in_steps = strides(in.dims);
  ir::Dims dims, steps;
  bool moved = false;
  std::int64_t previous = -1;
  for (const std::size_t axis : checked_axes(order, in.rank())) {
    dims.push_back(in.dims[axis]);
    steps.push_back(in_steps[axis]);
    if (in.dims[axis] == 1) continue;
    moved = moved || static_cast<std::int64_t>(axis) < previous;
    previous = static_cast<std::int64_t>(axis);
  }
  if (!moved) return context.forward(0, 0, dims);  // only dimensions of 1 change places
  const Array& from = context.input(0);
  Array& out = context.output(0, from.type, dims);
  copy_strided(context, from, 0, dims, steps, out);
}

void slice_with(Context& context, const ir::Dims& starts, const ir::Dims& ends, const ir::Dims* given_axes,
                const ir::Dims* given_steps) {
  const Array& in = context.raw_input(0);  // in whatever layout, while all of it stays
  if (starts.size() != ends.size() || (given_axes && given_axes->size() != starts.size()) ||
      (given_steps && given_steps->size() != starts.size())) {
    bad_input("starts, ends, axes and steps have different lengths");
  }
  if (starts.size() > in.rank()) bad_input("{} starts for a tensor of rank {}", starts.size(), in.rank());
  std::vector<std::size_t> axes;
  if (given_axes) {
    axes = checked_axes(*given_axes, in.rank());
  } else {
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(i);
  }
  ir::Dims dims = in.dims, steps = strides(in.dims);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t dim = in.dims[axes[i]], step = given_steps ? (*given_steps)[i] : 1;
    if (step == 0) bad_input("a step of 0 along axis {}", axes[i]);
    // A backward slice starts at the last element at most, and may end before the first.
    const auto bound = [&](std::int64_t at, std::int64_t low) {
      return std::clamp(at < 0 ? at + dim : at, low, std::max(low, step > 0 ? dim : dim - 1));
    };
    const std::int64_t start = bound(starts[i], 0), end = bound(ends[i], step > 0 ? 0 : -1);
    const std::int64_t distance = dim == 0 ? 0 : step > 0 ? end - start : start - end;
    const std::uint64_t stride = step > 0 ? static_cast<std::uint64_t>(step) : 0 - static_cast<std::uint64_t>(step);
    const std::int64_t length =
        distance <= 0 ? 0 : static_cast<std::int64_t>(static_cast<std::uint64_t>(distance - 1) / stride) + 1;
    dims[axes[i]] = length;
    if (length > 0) offset += start * steps[axes[i]];
    steps[axes[i]] = length > 1 ? steps[axes[i]] * step : 0;
  }
  if (dims == in.dims &&
      std::all_of(axes.begin(), axes.end(), [&](std::size_t a) { return dims[a] <= 1 || steps[a] > 0; })) {
    return context.forward(0, 0, dims);
  }
  const Array& from = context.input(0);
  Array& out = context.output(0, from.type, dims);
  copy_strided(context, from, offset, dims, steps, out);
}
void slice_1(Context& context) {
  const ir::Dims starts = required_ints(context.node(), "starts"), ends = required_ints(context.node(), "ends");
  const ir::Dims axes = context.node().ints_or("axes", {});
  slice_with(context, starts, ends, context.node().has_attribute("axes") ? &axes : nullptr, nullptr);
}
void slice(Context& context) {
  const ir::Dims starts = read_ints(context.input(1)), ends = read_ints(context.input(2));
  const ir::Dims axes = context.has_input(3) ? read_ints(context.input(3)) : ir::Dims();
  const ir::Dims steps = context.has_input(4) ? read_ints(context.input(4)) : ir::Dims();
  slice_with(context, starts, ends, context.has_input(3) ? &axes : nullptr, context.has_input(4) ? &steps : nullptr);
}

void expand(Context& context) {
  const Array& in = context.input(0);
  const ir::Dims target = read_ints(context.input(1));
  for (const std::int64_t dim : target) {
    if (dim < 0) bad_input("a negative dimension in {}", ir::text(target));
  }
  const ir::Dims dims = broadcast_dims(in.dims, target);
  if (product(dims) == in.count()) return context.forward(0, 0, dims);
  Array& out = context.output(0, in.type, dims);
  ir::Dims steps(dims.size());
  const ir::Dims own = strides(in.dims);
  const std::size_t added = dims.size() - in.rank();
  for (std::size_t i = 0; i < in.rank(); ++i) steps[added + i] = in.dims[i] == 1 ? 0 : own[i];
  copy_strided(context, in, 0, dims, steps, out);
}

void tile_with(Context& context, const ir::Dims& repeats) {
  const Array& in = context.input(0);
  if (repeats.size() != in.rank()) bad_input("{} repeats for a tensor of rank {}", repeats.size(), in.rank());
  const ir::Dims own = strides(in.dims);
  ir::Dims dims, walked, steps;  // each dimension as (repetition, element)
  for (std::size_t i = 0; i < in.rank(); ++i) {
    if (repeats[i] < 0) bad_input("repeats {} holds a negative number", ir::text(repeats));
    dims.push_back(size_product(in.dims[i], repeats[i]));
    walked.insert(walked.end(), {repeats[i], in.dims[i]});
    steps.insert(steps.end(), {0, own[i]});
  }
  if (dims == in.dims) return context.forward(0, 0, dims);
  Array& out = context.output(0, in.type, dims);
  copy_strided(context, in, 0, walked, steps, out);
}
void tile_1(Context& context) {
  const Array& in = context.input(0);
  ir::Dims repeats(in.rank(), 1);
  // Numbers of the input's type; NaN fails both comparisons of clamp, and is caught with the negative ones.
  const auto whole = [](double x) { return x == x ? static_cast<std::int64_t>(std::clamp(x, -1.0, 9e15)) : -1; };
  const std::int64_t count = whole(read_double(context.input(1))), axis = whole(read_double(context.input(2)));
  if (axis < 0) bad_input("a negative axis");
  repeats[checked_axis(axis, in.rank())] = count;
  tile_with(context, repeats);
}
void tile(Context& context) { tile_with(context, read_ints(context.input(1))); }

// Blocks of the depth become blocks of the plane: a transposition of six dimensions.
void depth_to_space(Context& context) {
  const Array& in = context.input(0);
  require_rank(in, 4, 4, "the input");
  const std::int64_t block = required_int(context.node(), "blocksize");
  const std::string mode = context.node().string_or("mode", "DCR");
  const std::int64_t n = in.dims[0], c = in.dims[1], h = in.dims[2], w = in.dims[3];
  if (block <= 0 || c % size_product(block, block) != 0) bad_input("{} channels for blocks of {}", c, block);
  const std::int64_t depth = c / (block * block);
  ir::Dims split;
  std::array<std::size_t, 6> order{};
  if (mode == "DCR") {
    split = {n, block, block, depth, h, w};
    order = {0, 3, 4, 1, 5, 2};
  } else if (mode == "CRD") {
    split = {n, depth, block, block, h, w};
    order = {0, 1, 4, 2, 5, 3};
  } else {
    bad_input("mode is {}, not 'DCR' or 'CRD'", quote(mode));
  }
  const ir::Dims own = strides(split);
  ir::Dims dims, steps;
  for (const std::size_t axis : order) {
    dims.push_back(split[axis]);
    steps.push_back(own[axis]);
  }
  Array& out = context.output(0, in.type, {n, depth, size_product(h, block), size_product(w, block)});
  copy_strided(context, in, 0, dims, steps, out);
}
void space_to_depth(Context& context) {
  const Array& in = context.input(0);
  require_rank(in, 4, 4, "the input");
  const std::int64_t block = required_int(context.node(), "blocksize");
  const std::string mode = context.node().string_or("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") bad_input("mode is {}, not 'DCR' or 'CRD'", quote(mode));
  const std::int64_t n = in.dims[0], c = in.dims[1], h = in.dims[2], w = in.dims[3];
  if (block <= 0 || h % block != 0 || w % block != 0) bad_input("a plane of {} x {} for blocks of {}", h, w, block);
  const ir::Dims split = {n, c, h / block, block, w / block, block};
  const ir::Dims own = strides(split);
  const std::array<std::size_t, 6> order =
      mode == "DCR" ? std::array<std::size_t, 6>{0, 3, 5, 1, 2, 4} : std::array<std::size_t, 6>{0, 1, 3, 5, 2, 4};
  ir::Dims dims, steps;
  for (const std::size_t axis : order) {
    dims.push_back(split[axis]);
    steps.push_back(own[axis]);
  }
  const std::int64_t depth = size_product(c, size_product(block, block));
  Array& out = context.output(0, in.type, {n, depth, h / block, w / block});
  copy_strided(context, in, 0, dims, steps, out);
}

}  // namespace

std::span<const KernelEntry> movement_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Transpose", 1, stateless<transpose>},
      {"Slice", 1, stateless<slice_1>, 9},
      {"Slice", 10, stateless<slice>},
      {"Expand", 8, stateless<expand>},
      {"Tile", 1, stateless<tile_1>, 5},
      {"Tile", 6, stateless<tile>},
      {"DepthToSpace", 1, stateless<depth_to_space>},
      {"SpaceToDepth", 1, stateless<space_to_depth>},
  };
  return entries;
}

}  // namespace hone::exec
