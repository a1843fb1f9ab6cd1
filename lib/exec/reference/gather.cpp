// Elements picked by index: Gather GatherElements GatherND, and Compress, which picks by truth.
//
// Indices are int32 or int64; a negative one counts from the end; one out of range is an error.
#include "exec/reference/elements.h"
#include "exec/reference/indices.h"
#include "exec/reference/list.h"

namespace hone::exec {

const std::int64_t* checked_indices(Context& context, const Array& indices, std::int64_t bound) {
  const std::int64_t count = indices.count();
  auto* result = scratch<std::int64_t>(context, count);
  const bool known = dispatch<std::int64_t, std::int32_t>(indices.type, [&]<typename T>() {
    const T* from = indices.as<T>();
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t index = from[i];
      if (index < -bound || index >= bound) bad_input("index {} into {} elements", index, bound);
      result[i] = index < 0 ? index + bound : index;
    }
  });
  if (!known) bad_input("indices of {}, not int32 or int64", ir::name(indices.type));
  return result;
}

const std::int64_t* checked_tuples(Context& context, const Array& indices, DimSpan dims) {
  const auto width = static_cast<std::int64_t>(dims.size());
  const std::int64_t count = width == 0 ? 0 : indices.count() / width;
  const ir::Dims steps = strides(dims);
  auto* result = scratch<std::int64_t>(context, count);
  const bool known = dispatch<std::int64_t, std::int32_t>(indices.type, [&]<typename T>() {
    const T* from = indices.as<T>();
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t at = 0;
      for (std::int64_t k = 0; k < width; ++k) {
        const std::int64_t index = from[i * width + k], bound = dims[static_cast<std::size_t>(k)];
        if (index < -bound || index >= bound) bad_input("index {} into {} elements", index, bound);
        at += (index < 0 ? index + bound : index) * steps[static_cast<std::size_t>(k)];
      }
      result[i] = at;
    }
  });
  if (!known) bad_input("indices of {}, not int32 or int64", ir::name(indices.type));
  return result;
}

namespace {

// For each of `rows`, and each of the picked positions: a block of `inner` elements.
template <typename T>
void gather_blocks(const T* in, T* out, std::int64_t rows, std::int64_t row_step, std::int64_t inner,
                   const std::int64_t* picked, std::int64_t count) {
  parallel_for(rows * count, std::max<std::int64_t>(1, cheap_grain / 4 / std::max<std::int64_t>(1, inner)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t unit = begin; unit < end; ++unit) {
                   const T* from = in + unit / count * row_step + picked[unit % count] * inner;
                   if (inner == 1) {
                     out[unit] = *from;
                   } else {
                     std::copy_n(from, inner, out + unit * inner);
                   }
                 }
               });
}

void gather(Context& context) {
  const Array &in = context.input(0), &indices = context.input(1);
  const std::size_t axis = checked_axis(context.node().int_or("axis", 0), in.rank());
  ir::Dims dims(in.dims.begin(), in.dims.begin() + static_cast<std::ptrdiff_t>(axis));
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), in.dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, in.dims.end());
  const std::int64_t* picked = checked_indices(context, indices, in.dims[axis]);
  Array& out = context.output(0, in.type, dims);
  if (product(dims) == 0) return;
  const std::int64_t rows = product(in.dims, 0, axis), inner = product(in.dims, axis + 1, in.rank());
  move_elements(context, in, out, [&](const auto* from, auto* to) {
    gather_blocks(from, to, rows, in.dims[axis] * inner, inner, picked, indices.count());
  });
}

void compress(Context& context) {
  const Array &in = context.input(0), &condition = context.input(1);
  require_type(condition, ir::ElementType::boolean, "the condition");
  require_rank(condition, 1, 1, "the condition");
  const bool flat = !context.node().has_attribute("axis");
  const std::size_t axis = flat ? 0 : checked_axis(context.node().int_or("axis", 0), in.rank());
  const std::int64_t dim = flat ? in.count() : in.dims[axis];
  auto* picked = scratch<std::int64_t>(context, condition.count());
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < condition.count(); ++i) {
    if (!condition.as<bool>()[i]) continue;
    if (i >= dim) bad_input("the condition picks element {} of {}", i, dim);
    picked[count++] = i;
  }
  ir::Dims dims = flat ? ir::Dims{count} : in.dims;
  dims[axis] = count;
  Array& out = context.output(0, in.type, dims);
  if (product(dims) == 0) return;
  const std::int64_t rows = flat ? 1 : product(in.dims, 0, axis);
  const std::int64_t inner = flat ? 1 : product(in.dims, axis + 1, in.rank());
  move_elements(context, in, out,
                [&](const auto* from, auto* to) { gather_blocks(from, to, rows, dim * inner, inner, picked, count); });
}

void gather_elements(Context& context) {
  const Array &in = context.input(0), &indices = context.input(1);
  if (indices.rank() != in.rank()) bad_input("indices of rank {} for a tensor of rank {}", indices.rank(), in.rank());
  const std::size_t axis = checked_axis(context.node().int_or("axis", 0), in.rank());
  for (std::size_t d = 0; d < in.rank(); ++d) {
    if (d != axis && indices.dims[d] > in.dims[d]) {
      bad_input("indices of shape {} for a tensor of shape {}", ir::text(indices.dims), ir::text(in.dims));
    }
  }
  const std::int64_t* picked = checked_indices(context, indices, in.dims[axis]);
  Array& out = context.output(0, in.type, indices.dims);
  const ElementWalk walk(in.dims, indices.dims, axis);
  move_elements(context, in, out, [&](const auto* from, auto* to) {
    walk.for_each([&](std::int64_t i, std::int64_t base) { to[i] = from[base + picked[i] * walk.axis_step()]; });
  });
}

void gather_nd(Context& context) {
  const Array &in = context.input(0), &indices = context.input(1);
  const std::int64_t batch_dims = context.node().int_or("batch_dims", 0);
  if (indices.rank() == 0) bad_input("indices are a scalar");
  const std::size_t least = std::min(in.rank(), indices.rank() - 1);
  if (batch_dims < 0 || batch_dims > static_cast<std::int64_t>(least)) bad_input("batch_dims is {}", batch_dims);
  const auto batched = static_cast<std::size_t>(batch_dims);
  if (!std::equal(in.dims.begin(), in.dims.begin() + batch_dims, indices.dims.begin())) {
    bad_input("shapes {} and {} differ in the first {} dimensions", ir::text(in.dims), ir::text(indices.dims), batched);
  }
  const std::int64_t given = indices.dims.back();
  if (given < 1 || given > static_cast<std::int64_t>(in.rank() - batched)) {
    bad_input("indices of {} numbers for a tensor of rank {}", given, in.rank());
  }
  const std::size_t covered = batched + static_cast<std::size_t>(given);
  const std::int64_t* picked =
      checked_tuples(context, indices, DimSpan(in.dims).subspan(batched, static_cast<std::size_t>(given)));
  ir::Dims dims(indices.dims.begin(), indices.dims.end() - 1);
  dims.insert(dims.end(), in.dims.begin() + static_cast<std::ptrdiff_t>(covered), in.dims.end());
  Array& out = context.output(0, in.type, dims);
  if (product(dims) == 0) return;
  const std::int64_t batches = product(in.dims, 0, batched), inner = product(in.dims, covered, in.rank());
  const std::int64_t per_batch = indices.count() / given / batches, batch_step = product(in.dims, batched, in.rank());
  move_elements(context, in, out, [&](const auto* from, auto* to) {
    for (std::int64_t b = 0; b < batches; ++b) {
      gather_blocks(from + b * batch_step, to + b * per_batch * inner, 1, 0, inner, picked + b * per_batch, per_batch);
    }
  });
}

}  // namespace

std::span<const KernelEntry> gather_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Gather", 1, stateless<gather>},
      {"GatherElements", 11, stateless<gather_elements>},
      {"GatherND", 11, stateless<gather_nd>},
      {"Compress", 9, stateless<compress>},
  };
  return entries;
}

}  // namespace hone::exec
