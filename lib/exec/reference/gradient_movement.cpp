// The way back of operators that move elements: the gradient of a place is the sum over everything that was read from it.
// The inputs are (dy, shape of the data, the operator's other inputs).
#include "exec/reference/gradient.h"

namespace hone::exec {
namespace {

// (dy, shape of x0, shape of x1 ...): the parts of dy.
void concat(Context& context) {
  const Array& dy = context.input(0);
  const std::size_t axis = checked_axis(context.node().int_or("axis", 0), dy.rank());
  const std::int64_t outer = product(dy.dims, 0, axis), inner = product(dy.dims, axis + 1, dy.rank());
  in_float(context, dy.type, [&]<typename T>() {
    std::int64_t start = 0;
    for (std::size_t i = 1; i < context.input_count(); ++i) {
      const ir::Dims dims = read_ints(context.input(i));
      if (dims.size() != dy.rank()) bad_input("a part of shape {} of {}", ir::text(dims), ir::text(dy.dims));
      const std::int64_t length = dims[axis];
      if (length < 0 || length > dy.dims[axis] - start) bad_input("parts are larger than {}", ir::text(dy.dims));
      if (context.wants_output(i - 1)) {
        ir::Dims part_dims = dy.dims;
        part_dims[axis] = length;
        T* to = context.output(i - 1, dy.type, part_dims).as<T>();
        const T* from = dy.as<T>() + start * inner;
        for (std::int64_t o = 0; o < outer; ++o) {
          std::copy_n(from + o * dy.dims[axis] * inner, length * inner, to + o * length * inner);
        }
      }
      start += length;
    }
  });
}

// Adds dy to dx, where element i of dy along each dimension d comes from first[d] + i * step[d].
template <typename T>
void add_slice(const T* dy, DimSpan dy_dims, T* dx, DimSpan dims, DimSpan first, DimSpan step) {
  const std::size_t rank = dims.size();
  if (product(dy_dims) == 0) return;
  if (rank == 0) {
    dx[0] += dy[0];
    return;
  }
  const ir::Dims distance = strides(dims);
  const std::int64_t length = dy_dims[rank - 1], stride = step[rank - 1];
  const std::int64_t rows = product(dy_dims.first(rank - 1));
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t rest = row, offset = first[rank - 1];
    for (std::size_t d = rank - 1; d-- > 0;) {
      offset += (first[d] + rest % dy_dims[d] * step[d]) * distance[d];
      rest /= dy_dims[d];
    }
    T* to = dx + offset;
    const T* from = dy + row * length;
    for (std::int64_t i = 0; i < length; ++i) to[i * stride] += from[i];
  }
}

// (dy, shape, starts, ends, axes, steps), or attributes before opset 10.
void slice(Context& context) {
  const Array& dy = context.input(0);
  const ir::Dims dims = read_ints(context.input(1));
  const ir::Node& node = context.node();
  const auto argument = [&](std::size_t index, const char* name) {
    return context.has_input(index) ? read_ints(context.input(index)) : node.ints_or(name, {});
  };
  const ir::Dims starts = argument(2, "starts"), axes_given = argument(4, "axes"), steps = argument(5, "steps");
  ir::Dims axes = axes_given;
  if (axes.empty()) {
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  if (axes.size() != starts.size() || (!steps.empty() && steps.size() != starts.size())) {
    bad_input("starts, axes and steps of different lengths");
  }
  if (dims.size() != dy.rank()) bad_input("a slice of shape {} of {}", ir::text(dy.dims), ir::text(dims));
  ir::Dims first(dims.size(), 0), step(dims.size(), 1);
  const std::vector<std::size_t> checked = checked_axes(axes, dims.size());
  for (std::size_t i = 0; i < checked.size(); ++i) {
    const std::size_t axis = checked[i];
    const std::int64_t by = steps.empty() ? 1 : steps[i], dim = dims[axis];
    if (by == 0) bad_input("a step of 0");
    const std::int64_t start = starts[i] < 0 ? starts[i] + dim : starts[i];  // starts below -dim stay negative: clamped
    first[axis] = by > 0 ? std::clamp<std::int64_t>(start, 0, dim) : std::clamp<std::int64_t>(start, -1, dim - 1);
    step[axis] = by;
  }
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dy.dims[d] == 0) continue;
    const std::int64_t last = size_sum(first[d], size_product(dy.dims[d] - 1, step[d]));
    if (first[d] < 0 || first[d] >= dims[d] || last < 0 || last >= dims[d]) {
      bad_input("a slice of shape {} of {}", ir::text(dy.dims), ir::text(dims));
    }
  }
  in_float(context, dy.type, [&]<typename T>() {
    Array& out = context.output(0, dy.type, dims);
    std::fill_n(out.as<T>(), out.count(), T{0});
    add_slice(dy.as<T>(), dy.dims, out.as<T>(), dims, first, step);
  });
}

// The place that padding reads at `i`, counted from the first element of the data; -1 for a constant.
std::int64_t padded_from(std::int64_t i, std::int64_t dim, const std::string& mode) {
  if (i >= 0 && i < dim) return i;
  if (mode == "constant" || dim == 0) return -1;
  if (mode == "edge") return i < 0 ? 0 : dim - 1;
  if (mode == "wrap") return ((i % dim) + dim) % dim;
  if (dim == 1) return 0;  // reflect
  const std::int64_t period = 2 * (dim - 1), r = ((i % period) + period) % period;
  return r < dim ? r : period - r;
}

// (dy, shape, pads, axes) {mode, pads}
void pad(Context& context) {
  const Array& dy = context.input(0);
  const ir::Dims dims = read_ints(context.input(1));
  const ir::Node& node = context.node();
  const std::size_t rank = dims.size();
  ir::Dims pads =
      context.has_input(2) ? read_ints(context.input(2)) : node.ints_or("pads", node.ints_or("paddings", {}));
  ir::Dims axes = context.has_input(3) ? read_ints(context.input(3)) : ir::Dims{};
  if (axes.empty()) {
    for (std::size_t d = 0; d < rank; ++d) axes.push_back(static_cast<std::int64_t>(d));
  }
  if (dy.rank() != rank || pads.size() != 2 * axes.size()) {
    bad_input("{} pads for {} axes of shape {}", pads.size(), axes.size(), ir::text(dims));
  }
  ir::Dims before(rank, 0);
  const std::vector<std::size_t> checked = checked_axes(axes, rank);
  for (std::size_t i = 0; i < checked.size(); ++i) before[checked[i]] = pads[i];
  const std::string mode = node.string_or("mode", "constant");
  // For each dimension, where each place of dy was read from.
  std::vector<ir::Dims> sources(rank);
  for (std::size_t d = 0; d < rank; ++d) {
    for (std::int64_t i = 0; i < dy.dims[d]; ++i) sources[d].push_back(padded_from(i - before[d], dims[d], mode));
  }
  in_float(context, dy.type, [&]<typename T>() {
    Array& out = context.output(0, dy.type, dims);
    T* to = out.as<T>();
    std::fill_n(to, out.count(), T{0});
    const T* from = dy.as<T>();
    const ir::Dims distance = strides(dims);
    const std::int64_t length = rank == 0 ? 1 : dy.dims[rank - 1];
    const std::int64_t rows = length == 0 ? 0 : dy.count() / length;
    for (std::int64_t row = 0; row < rows; ++row) {
      std::int64_t rest = row, offset = 0;
      bool inside = true;
      for (std::size_t d = rank == 0 ? 0 : rank - 1; d-- > 0;) {
        const std::int64_t source = sources[d][static_cast<std::size_t>(rest % dy.dims[d])];
        rest /= dy.dims[d];
        inside = inside && source >= 0;
        offset += source * distance[d];
      }
      if (!inside) continue;
      for (std::int64_t i = 0; i < length; ++i) {
        const std::int64_t source = rank == 0 ? 0 : sources[rank - 1][static_cast<std::size_t>(i)];
        if (source >= 0) to[offset + source] += from[row * length + i];
      }
    }
  });
}

std::int64_t checked_index(std::int64_t index, std::int64_t dim) {
  if (index < -dim || index >= dim) bad_input("index {} of {} elements", index, dim);
  return index < 0 ? index + dim : index;
}

std::int64_t index_at(const Array& indices, std::int64_t i) {
  switch (indices.type) {
    case ir::ElementType::int64:
      return indices.as<std::int64_t>()[i];
    case ir::ElementType::int32:
      return indices.as<std::int32_t>()[i];
    default:
      bad_input("indices of element type {}", ir::name(indices.type));
  }
}

// (dy, shape, indices) {axis}. Rows of one index are added in the order they come.
void gather(Context& context) {
  const Array &dy = context.input(0), &indices = context.input(2);
  const ir::Dims dims = read_ints(context.input(1));
  const std::size_t axis = checked_axis(context.node().int_or("axis", 0), dims.size());
  const std::int64_t outer = product(dims, 0, axis), inner = product(dims, axis + 1, dims.size());
  const std::int64_t count = indices.count(), dim = dims[axis];
  if (dy.count() != size_product(size_product(outer, count), inner)) {
    bad_input("a gradient of shape {} for {} rows of {}", ir::text(dy.dims), count, ir::text(dims));
  }
  ir::Dims rows(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) rows[static_cast<std::size_t>(i)] = checked_index(index_at(indices, i), dim);
  in_float(context, dy.type, [&]<typename T>() {
    Array& out = context.output(0, dy.type, dims);
    T* to = out.as<T>();
    const T* from = dy.as<T>();
    std::fill_n(to, out.count(), T{0});
    // Columns are cut between threads, not rows, so that the order of the sums is one.
    parallel_for(inner, std::max<std::int64_t>(16, cheap_grain / std::max<std::int64_t>(outer * count, 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t o = 0; o < outer; ++o) {
                     for (std::int64_t i = 0; i < count; ++i) {
                       T* row = to + (o * dim + rows[static_cast<std::size_t>(i)]) * inner;
                       const T* add = from + (o * count + i) * inner;
                       for (std::int64_t c = begin; c < end; ++c) row[c] += add[c];
                     }
                   }
                 });
  });
}

// (dy, shape, indices) {axis}
void gather_elements(Context& context) {
  const Array &dy = context.input(0), &indices = context.input(2);
  const ir::Dims dims = read_ints(context.input(1));
  require_dims(indices, dy.dims, "indices");
  if (dims.size() != dy.rank()) bad_input("a gradient of shape {} for data of {}", ir::text(dy.dims), ir::text(dims));
  const std::size_t axis = checked_axis(context.node().int_or("axis", 0), dims.size());
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (d != axis && dy.dims[d] > dims[d])
      bad_input("indices of shape {} for data of {}", ir::text(dy.dims), ir::text(dims));
  }
  const ir::Dims distance = strides(dims);
  in_float(context, dy.type, [&]<typename T>() {
    Array& out = context.output(0, dy.type, dims);
    T* to = out.as<T>();
    std::fill_n(to, out.count(), T{0});
    const T* from = dy.as<T>();
    for (std::int64_t i = 0; i < dy.count(); ++i) {
      std::int64_t rest = i, offset = 0;
      for (std::size_t d = dims.size(); d-- > 0;) {
        const std::int64_t at = rest % dy.dims[d];
        rest /= dy.dims[d];
        offset += (d == axis ? checked_index(index_at(indices, i), dims[d]) : at) * distance[d];
      }
      to[offset] += from[i];
    }
  });
}

// (dy, shape, indices) {batch_dims}
void gather_nd(Context& context) {
  const Array &dy = context.input(0), &indices = context.input(2);
  const ir::Dims dims = read_ints(context.input(1));
  const auto batch = static_cast<std::size_t>(context.node().int_or("batch_dims", 0));
  if (indices.rank() == 0 || batch >= indices.rank() || batch >= dims.size()) bad_input("{} batch dimensions", batch);
  const auto depth = static_cast<std::size_t>(indices.dims.back());
  if (batch + depth > dims.size()) bad_input("indices of {} places into shape {}", depth, ir::text(dims));
  const std::int64_t inner = product(dims, batch + depth, dims.size());
  const std::int64_t tuples = product(indices.dims, 0, indices.rank() - 1);
  const std::int64_t per_batch = product(indices.dims, batch, indices.rank() - 1);
  const std::int64_t batch_size = product(dims, batch, dims.size());
  if (dy.count() != size_product(tuples, inner) || tuples != size_product(product(dims, 0, batch), per_batch)) {
    bad_input("a gradient of shape {} for data of {}", ir::text(dy.dims), ir::text(dims));
  }
  const ir::Dims distance = strides(dims);
  in_float(context, dy.type, [&]<typename T>() {
    Array& out = context.output(0, dy.type, dims);
    T* to = out.as<T>();
    std::fill_n(to, out.count(), T{0});
    const T* from = dy.as<T>();
    for (std::int64_t t = 0; t < tuples; ++t) {
      std::int64_t offset = per_batch == 0 ? 0 : t / per_batch * batch_size;
      for (std::size_t k = 0; k < depth; ++k) {
        const std::int64_t index =
            index_at(indices, t * static_cast<std::int64_t>(depth) + static_cast<std::int64_t>(k));
        offset += checked_index(index, dims[batch + k]) * distance[batch + k];
      }
      for (std::int64_t i = 0; i < inner; ++i) to[offset + i] += from[t * inner + i];
    }
  });
}

// (dy, shape): the sum of the copies.
void tile(Context& context) {
  const Array& dy = context.input(0);
  const ir::Dims dims = read_ints(context.input(1));
  if (dims.size() != dy.rank()) bad_input("{} is no repetition of {}", ir::text(dy.dims), ir::text(dims));
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 0 ? dy.dims[d] != 0 : dy.dims[d] % dims[d] != 0) {
      bad_input("{} is no repetition of {}", ir::text(dy.dims), ir::text(dims));
    }
  }
  const ir::Dims distance = strides(dims);
  in_float(context, dy.type, [&]<typename T>() {
    Array& out = context.output(0, dy.type, dims);
    T* to = out.as<T>();
    std::fill_n(to, out.count(), T{0});
    const T* from = dy.as<T>();
    for (std::int64_t i = 0; i < dy.count(); ++i) {
      std::int64_t rest = i, offset = 0;
      for (std::size_t d = dims.size(); d-- > 0;) {
        offset += rest % dy.dims[d] % dims[d] * distance[d];
        rest /= dy.dims[d];
      }
      to[offset] += from[i];
    }
  });
}

// The inverse of DepthToSpace in mode CRD: [n, c, h b, w b] to [n, c b b, h, w].
void space_to_column_depth(Context& context) {
  const Array& dy = context.input(0);
  require_rank(dy, 4, 4, "the gradient");
  const std::int64_t b = required_int(context.node(), "blocksize");
  if (b < 1 || dy.dims[2] % b != 0 || dy.dims[3] % b != 0) bad_input("blocks of {} in {}", b, ir::text(dy.dims));
  const std::int64_t planes = dy.dims[0] * dy.dims[1], h = dy.dims[2] / b, w = dy.dims[3] / b;
  in_float(context, dy.type, [&]<typename T>() {
    const T* from = dy.as<T>();
    T* to = context.output(0, dy.type, {dy.dims[0], dy.dims[1] * b * b, h, w}).as<T>();
    for (std::int64_t plane = 0; plane < planes; ++plane) {
      for (std::int64_t by = 0; by < b; ++by) {
        for (std::int64_t bx = 0; bx < b; ++bx) {
          for (std::int64_t y = 0; y < h; ++y) {
            for (std::int64_t x = 0; x < w; ++x) {
              *to++ = from[(plane * h * b + y * b + by) * w * b + x * b + bx];
            }
          }
        }
      }
    }
  });
}

}  // namespace

std::span<const KernelEntry> gradient_movement_kernels() {
  static constexpr KernelEntry entries[] = {
      own_kernel("ConcatGradient", stateless<concat>),
      own_kernel("SliceGradient", stateless<slice>),
      own_kernel("PadGradient", stateless<pad>),
      own_kernel("GatherGradient", stateless<gather>),
      own_kernel("GatherElementsGradient", stateless<gather_elements>),
      own_kernel("GatherNDGradient", stateless<gather_nd>),
      own_kernel("TileGradient", stateless<tile>),
      own_kernel("SpaceToColumnDepth", stateless<space_to_column_depth>),
  };
  return entries;
}

}  // namespace hone::exec
