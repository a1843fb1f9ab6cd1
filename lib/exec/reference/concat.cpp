// Joining and cutting along an axis: Concat Split.
#include <cstring>

#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

// Copies `rows` rows of `length` elements between tensors whose rows lie `in_step` and `out_step` elements apart.
template <typename T>
void copy_rows(const T* in, std::int64_t in_step, T* out, std::int64_t out_step, std::int64_t rows,
               std::int64_t length) {
  if (length == 0) return;
  if (rows == 1) {
    parallel_for(length, cheap_grain,
                 [&](std::int64_t begin, std::int64_t end) { std::copy(in + begin, in + end, out + begin); });
    return;
  }
  parallel_for(rows, std::max<std::int64_t>(1, cheap_grain / length), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) std::copy_n(in + r * in_step, length, out + r * out_step);
  });
}

void concat_along(Context& context, std::int64_t given_axis) {
  const std::size_t n = context.input_count();
  if (n == 0) bad_input("no inputs");
  const Array& first = context.input(0);
  const std::size_t axis = checked_axis(given_axis, first.rank());
  ir::Dims dims = first.dims;
  for (std::size_t i = 1; i < n; ++i) {
    const Array& in = context.input(i);
    require_type(in, first.type, "every input");
    bool fits = in.rank() == first.rank();
    for (std::size_t d = 0; fits && d < in.rank(); ++d) fits = d == axis || in.dims[d] == first.dims[d];
    if (!fits) {
      bad_input("shapes {} and {} differ beside axis {}", ir::text(first.dims), ir::text(in.dims), axis);
    }
    dims[axis] = size_sum(dims[axis], in.dims[axis]);
  }
  if (n == 1) return context.forward(0, 0, dims);
  Array& out = context.output(0, first.type, dims);
  if (product(dims) == 0) return;
  const std::int64_t rows = product(dims, 0, axis), inner = product(dims, axis + 1, dims.size());
  const std::int64_t out_step = dims[axis] * inner;
  const auto join = [&](auto* to, const auto& from) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::int64_t length = context.input(i).dims[axis] * inner;
      copy_rows(from(context.input(i)), length, to, out_step, rows, length);
      to += length;
    }
  };
  if (ir::is_sub_byte(first.type)) {
    auto* codes = scratch<std::uint8_t>(context, product(dims));
    join(codes, [&](const Array& in) {
      auto* own = scratch<std::uint8_t>(context, in.count());
      unpack(in, own);
      return static_cast<const std::uint8_t*>(own);
    });
    return pack(codes, out);
  }
  dispatch_moved(context, first.type,
                 [&]<typename T>() { join(moved<T>(out), [](const Array& in) { return moved<T>(in); }); });
}
void concat_1(Context& context) { concat_along(context, context.node().int_or("axis", 1)); }
void concat(Context& context) { concat_along(context, required_int(context.node(), "axis")); }

// Lengths of the parts; null: equal ones, whose last may be shorter if `ragged`.
void split_into(Context& context, const ir::Dims* lengths, bool ragged) {
  const Array& in = context.input(0);
  const std::size_t axis = checked_axis(context.node().int_or("axis", 0), in.rank());
  const auto n = static_cast<std::int64_t>(context.output_count());
  if (n == 0) return;
  const std::int64_t dim = in.dims[axis];
  ir::Dims parts;
  if (lengths) {
    parts = *lengths;
    std::int64_t sum = 0;
    for (const std::int64_t part : parts) {
      if (part < 0) bad_input("split {} holds a negative length", ir::text(parts));
      sum = size_sum(sum, part);
    }
    if (sum != dim || parts.size() < static_cast<std::size_t>(n)) {
      bad_input("split {} of {} elements into {} outputs", ir::text(parts), dim, n);
    }
  } else {
    if (!ragged && dim % n != 0) bad_input("{} elements don't split into {} equal parts", dim, n);
    const std::int64_t length = ceil_div(dim, n);
    for (std::int64_t i = 0; i < n; ++i) parts.push_back(std::clamp<std::int64_t>(dim - i * length, 0, length));
  }
  const std::int64_t rows = product(in.dims, 0, axis), inner = product(in.dims, axis + 1, in.rank());
  std::int64_t at = 0;
  const bool empty = in.count() == 0;
  const auto cut = [&](const auto* from, auto&& into, std::size_t i) {
    const std::int64_t length = parts[i] * inner;
    if (!empty) copy_rows(from + at * inner, dim * inner, into, length, rows, length);
  };
  const std::uint8_t* codes = nullptr;
  if (ir::is_sub_byte(in.type)) {
    auto* own = scratch<std::uint8_t>(context, in.count());
    unpack(in, own);
    codes = own;
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); at += parts[i++]) {
    if (!context.wants_output(i)) continue;
    ir::Dims dims = in.dims;
    dims[axis] = parts[i];
    Array& out = context.output(i, in.type, dims);
    if (codes) {
      auto* own = scratch<std::uint8_t>(context, out.count());
      cut(codes, own, i);
      pack(own, out);
    } else {
      dispatch_moved(context, in.type, [&]<typename T>() { cut(moved<T>(in), moved<T>(out), i); });
    }
  }
}
void split_1(Context& context) {
  const bool from_input = context.has_input(1);
  if (!from_input && !context.node().has_attribute("split")) return split_into(context, nullptr, false);
  ir::Dims lengths;
  if (from_input) {  // numbers of the data's type
    const Array& split = context.input(1);
    const double* values = view<double>(context, split);
    for (std::int64_t i = 0; i < split.count(); ++i)
      lengths.push_back(values[i] >= 0 && values[i] < 9e15 ? static_cast<std::int64_t>(values[i]) : -1);
  } else {
    lengths = context.node().ints_or("split", {});
  }
  split_into(context, &lengths, false);
}
void split_2(Context& context) {
  const ir::Dims lengths = context.node().ints_or("split", {});
  split_into(context, context.node().has_attribute("split") ? &lengths : nullptr, false);
}
void split_with(Context& context, bool ragged) {
  if (!context.has_input(1)) {
    if (ragged && context.node().int_or("num_outputs", 0) != static_cast<std::int64_t>(context.output_count()) &&
        context.node().has_attribute("num_outputs")) {
      bad_input("num_outputs is {} for {} outputs", context.node().int_or("num_outputs", 0), context.output_count());
    }
    return split_into(context, nullptr, ragged);
  }
  const ir::Dims lengths = read_ints(context.input(1));
  split_into(context, &lengths, ragged);
}
void split_13(Context& context) { split_with(context, false); }
void split(Context& context) { split_with(context, true); }

}  // namespace

std::span<const KernelEntry> concat_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Concat", 1, stateless<concat_1>, 3},  {"Concat", 4, stateless<concat>},
      {"Split", 1, stateless<split_1>, 1},    {"Split", 2, stateless<split_2>, 12},
      {"Split", 13, stateless<split_13>, 17}, {"Split", 18, stateless<split>},
  };
  return entries;
}

}  // namespace hone::exec
