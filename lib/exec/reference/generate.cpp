// Tensors made from a shape or a few numbers: ConstantOfShape Range EyeLike OneHot; and parts of one: Trilu NonZero.
#include <cmath>

#include "exec/arrays.h"
#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

void constant_of_shape(Context& context) {
  const ir::Dims dims = read_ints(context.input(0));
  const ir::Tensor* value = context.node().tensor("value");
  if (value && value->element_count() != 1) bad_input("the value has {} elements", value->element_count());
  const Array one = value ? to_array(*value) : Array();
  const ir::ElementType type = value ? one.type : ir::ElementType::float32;
  for (const std::int64_t dim : dims) {
    if (dim < 0) bad_input("a negative dimension in {}", ir::text(dims));
  }
  Array& out = context.output(0, type, dims);
  const std::int64_t count = product(dims);
  if (!value) {
    std::fill_n(out.as<float>(), count, 0.0f);
  } else if (ir::is_sub_byte(type)) {
    std::uint8_t code = 0;
    unpack(one, &code);
    const auto bits = static_cast<unsigned>(ir::bit_width(type));
    unsigned byte = 0;
    for (unsigned shift = 0; shift < 8; shift += bits) byte |= static_cast<unsigned>(code) << shift;
    std::fill_n(out.data, out.byte_size(), static_cast<std::byte>(byte));
  } else {
    dispatch_moved(context, type, [&]<typename T>() { std::fill_n(moved<T>(out), count, moved<T>(one)[0]); });
  }
}

template <typename T>
std::int64_t steps_between(T start, T limit, T delta) {
  if (delta == 0) bad_input("a delta of 0");
  if constexpr (std::is_integral_v<T>) {
    if (delta > 0 ? start >= limit : start <= limit) return 0;
    const auto distance = delta > 0 ? static_cast<std::uint64_t>(limit) - static_cast<std::uint64_t>(start)
                                    : static_cast<std::uint64_t>(start) - static_cast<std::uint64_t>(limit);
    const auto step = delta > 0 ? static_cast<std::uint64_t>(delta) : 0 - static_cast<std::uint64_t>(delta);
    const std::uint64_t count = (distance - 1) / step + 1;
    if (count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) bad_input("too many elements");
    return static_cast<std::int64_t>(count);
  } else {
    const double count =
        std::ceil((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(delta));
    if (!(count > 0)) {
      if (count != count) bad_input("start, limit and delta give no number of elements");
      return 0;
    }
    if (count >= 9e18) bad_input("too many elements");
    return static_cast<std::int64_t>(count);
  }
}
void range(Context& context) {
  const Array &start = context.input(0), &limit = context.input(1), &delta = context.input(2);
  require_type(limit, start.type, "the limit");
  require_type(delta, start.type, "the delta");
  for (std::size_t i = 0; i < 3; ++i) {
    if (context.input(i).count() != 1) bad_input("input {} has {} elements", i, context.input(i).count());
  }
  in_number(context, start.type, [&]<typename T>() {
    if constexpr (std::is_floating_point_v<T>) {
      const T first = *view<T>(context, start), step = *view<T>(context, delta);
      Result<T> out(context, 0, start.type, ir::Dims{steps_between(first, *view<T>(context, limit), step)});
      for (std::int64_t i = 0; i < out.count(); ++i) out.data()[i] = first + static_cast<T>(i) * step;
      out.finish();
    } else {
      const T first = *start.as<T>(), step = *delta.as<T>();
      Array& out = context.output(0, start.type, {steps_between(first, *limit.as<T>(), step)});
      auto value = static_cast<std::uint64_t>(first);
      const std::int64_t count = out.count();
      for (std::int64_t i = 0; i < count; ++i, value += static_cast<std::uint64_t>(step)) {
        out.as<T>()[i] = static_cast<T>(value);
      }
    }
  });
}

void eye_like(Context& context) {
  const Array& in = context.raw_input(0);
  if (in.rank() != 2) bad_input("a tensor of rank {}", in.rank());
  const ir::Dims dims = in.dims;
  const ir::ElementType type = type_attribute(context.node(), "dtype", in.type);
  const std::int64_t k = context.node().int_or("k", 0);
  Array& out = context.output(0, type, dims);
  const std::int64_t count = out.count();
  const auto fill = [&](auto* to, auto zero, auto one) {
    std::fill_n(to, count, zero);
    if (k >= dims[1] || k <= -dims[0]) return;
    for (std::int64_t row = std::max<std::int64_t>(0, -k); row < dims[0] && row + k < dims[1]; ++row) {
      to[row * dims[1] + row + k] = one;
    }
  };
  if (is_narrow_float(type) && !ir::is_sub_byte(type)) {
    auto* values = scratch<float>(context, count);
    fill(values, 0.0f, 1.0f);
    narrow(values, out);
  } else if (type == ir::ElementType::boolean) {
    fill(out.as<bool>(), false, true);
  } else if (!dispatch_number(type, [&]<typename T>() { fill(out.as<T>(), T{0}, T{1}); })) {
    unsupported_type(context, type);
  }
}

void one_hot(Context& context) {
  const Array &indices = context.input(0), &values = context.input(2);
  if (values.count() != 2) bad_input("values hold {} elements, not 2", values.count());
  const double given_depth = read_double(context.input(1));
  if (!(given_depth >= 0 && given_depth < 9e15)) bad_input("a depth of {}", given_depth);
  const auto depth = static_cast<std::int64_t>(given_depth);
  const std::size_t axis = checked_axis(context.node().int_or("axis", -1), indices.rank() + 1);
  ir::Dims dims = indices.dims;
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis), depth);
  // Indices may be of any number type; one outside [-depth, depth) marks nothing.
  const double* numbers = view<double>(context, indices);
  Array& out = context.output(0, values.type, dims);
  if (product(dims) == 0) return;
  const std::int64_t inner = product(indices.dims, axis, indices.rank()), count = indices.count();
  dispatch_moved(context, values.type, [&]<typename T>() {
    const T off = moved<T>(values)[0], on = moved<T>(values)[1];
    T* to = moved<T>(out);
    std::fill_n(to, count * depth, off);
    for (std::int64_t i = 0; i < count; ++i) {
      const double number = numbers[i];
      if (!(number >= -static_cast<double>(depth) && number < static_cast<double>(depth))) continue;
      auto at = static_cast<std::int64_t>(number);
      if (at < 0) at += depth;
      to[(i / inner * depth + at) * inner + i % inner] = on;
    }
  });
}

void trilu(Context& context) {
  const Array& in = context.input(0);
  require_rank(in, 2, std::numeric_limits<std::size_t>::max(), "the input");
  const bool upper = flag(context.node(), "upper", true);
  const std::int64_t rows = in.dims[in.rank() - 2], columns = in.dims[in.rank() - 1];
  const std::int64_t k = std::clamp(context.has_input(1) ? read_int(context.input(1)) : 0, -rows, columns);
  Array& out = context.output_over(0, 0, in.type, in.dims);
  if (in.count() == 0) return;
  const std::int64_t lines = product(in.dims, 0, in.rank() - 1);
  dispatch_moved(context, in.type, [&]<typename T>() {
    const T* from = moved<T>(in);
    T* to = moved<T>(out);
    for (std::int64_t line = 0; line < lines; ++line, from += columns, to += columns) {
      // Columns from the diagonal on, or up to and with it.
      const std::int64_t cut = std::clamp<std::int64_t>(line % rows + k + (upper ? 0 : 1), 0, columns);
      if (to != from) std::copy(from + (upper ? cut : 0), from + (upper ? columns : cut), to + (upper ? cut : 0));
      std::fill(to + (upper ? 0 : cut), to + (upper ? cut : columns), T{});
    }
  });
}

void non_zero(Context& context) {
  const Array& in = context.input(0);
  const std::int64_t count = in.count();
  std::vector<std::int64_t> found;
  const auto find = [&](const auto* values) {
    for (std::int64_t i = 0; i < count; ++i) {
      if (values[i] != 0) found.push_back(i);
    }
  };
  if (in.type == ir::ElementType::boolean) {
    find(in.as<bool>());
  } else {
    in_number(context, in.type, [&]<typename T>() {
      if constexpr (std::is_floating_point_v<T>) {
        find(view<T>(context, in));
      } else {
        find(in.as<T>());
      }
    });
  }
  const auto n = static_cast<std::int64_t>(found.size());
  const ir::Dims dims = in.dims;
  const std::size_t rank = dims.size();
  Array& out = context.output(0, ir::ElementType::int64, {static_cast<std::int64_t>(rank), n});
  auto* to = out.as<std::int64_t>();
  for (std::int64_t i = 0; i < n; ++i) {
    std::int64_t rest = found[static_cast<std::size_t>(i)];
    for (std::size_t d = rank; d-- > 0; rest /= dims[d]) to[static_cast<std::int64_t>(d) * n + i] = rest % dims[d];
  }
}

}  // namespace

std::span<const KernelEntry> generate_kernels() {
  static constexpr KernelEntry entries[] = {
      {"ConstantOfShape", 9, stateless<constant_of_shape>},
      {"Range", 11, stateless<range>},
      {"EyeLike", 9, stateless<eye_like>},
      {"OneHot", 9, stateless<one_hot>},
      {"Trilu", 14, stateless<trilu>},
      {"NonZero", 9, stateless<non_zero>},
  };
  return entries;
}

}  // namespace hone::exec
