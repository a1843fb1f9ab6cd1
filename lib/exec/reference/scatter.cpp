// A copy of a tensor with some elements replaced or combined: Scatter ScatterElements ScatterND.
//
// Where indices repeat, updates are applied in the order of the indices: the last one stays.
#include "exec/reference/elements.h"
#include "exec/reference/indices.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

enum class Reduction { none, add, multiply, minimum, maximum };

Reduction reduction_of(const ir::Node& node) {
  const std::string name = node.string_or("reduction", "none");
  if (name == "none") return Reduction::none;
  if (name == "add") return Reduction::add;
  if (name == "mul") return Reduction::multiply;
  if (name == "min") return Reduction::minimum;
  if (name == "max") return Reduction::maximum;
  bad_input("reduction is {}", quote(name));
}

template <typename T>
T combined(Reduction reduction, T old, T update) {
  // Integers wrap: unsigned arithmetic of at least 32 bits.
  using W = std::conditional_t<std::is_floating_point_v<T>, T, std::uint64_t>;
  switch (reduction) {
    case Reduction::add:
      return static_cast<T>(static_cast<W>(old) + static_cast<W>(update));
    case Reduction::multiply:
      return static_cast<T>(static_cast<W>(old) * static_cast<W>(update));
    case Reduction::minimum:
      return old < update || old != old ? old : update;
    case Reduction::maximum:
      return old > update || old != old ? old : update;
    case Reduction::none:
      break;
  }
  return update;
}

// `place` calls put(at, from) for every updated element: where it lies in the data, and in the updates.
template <typename Place>
void scatter(Context& context, Reduction reduction, const Place& place) {
  const Array &in = context.input(0), &updates = context.input(2);
  require_type(updates, in.type, "updates");
  if (reduction == Reduction::none) {
    Array& out = context.output_over(0, 0, in.type, in.dims);
    if (ir::is_sub_byte(in.type)) unsupported_type(context, in.type);
    dispatch_moved(context, in.type, [&]<typename T>() {
      const T *from = moved<T>(in), *changes = moved<T>(updates);
      T* to = moved<T>(out);
      if (to != from) std::copy_n(from, in.count(), to);
      place([&](std::int64_t at, std::int64_t update) { to[at] = changes[update]; });
    });
    return;
  }
  if (in.type == ir::ElementType::boolean) {  // add and max are or, the others and
    Array& out = context.output_over(0, 0, in.type, in.dims);
    const bool *from = in.as<bool>(), *changes = updates.as<bool>();
    bool* to = out.as<bool>();
    if (to != from) std::copy_n(from, in.count(), to);
    const bool either = reduction == Reduction::add || reduction == Reduction::maximum;
    place([&](std::int64_t at, std::int64_t update) {
      to[at] = either ? to[at] || changes[update] : to[at] && changes[update];
    });
    return;
  }
  in_number(context, in.type, [&]<typename T>() {
    const auto apply = [&](T* to, const T* changes) {
      place([&](std::int64_t at, std::int64_t update) { to[at] = combined(reduction, to[at], changes[update]); });
    };
    if constexpr (std::is_floating_point_v<T>) {
      const T *from = view<T>(context, in), *changes = view<T>(context, updates);
      Result<T> out(context, 0, in.type, in.dims);
      std::copy_n(from, in.count(), out.data());
      apply(out.data(), changes);
      out.finish();
    } else {
      Array& out = context.output(0, in.type, in.dims);
      std::copy_n(in.as<T>(), in.count(), out.as<T>());
      apply(out.as<T>(), updates.as<T>());
    }
  });
}

void scatter_elements(Context& context) {
  const Array &in = context.input(0), &indices = context.input(1), &updates = context.input(2);
  if (indices.rank() != in.rank() || indices.dims != updates.dims) {
    bad_input("indices of shape {} and updates of shape {} for a tensor of shape {}", ir::text(indices.dims),
              ir::text(updates.dims), ir::text(in.dims));
  }
  const std::size_t axis = checked_axis(context.node().int_or("axis", 0), in.rank());
  for (std::size_t d = 0; d < in.rank(); ++d) {
    if (d != axis && indices.dims[d] > in.dims[d]) {
      bad_input("indices of shape {} for a tensor of shape {}", ir::text(indices.dims), ir::text(in.dims));
    }
  }
  const std::int64_t* picked = checked_indices(context, indices, in.dims[axis]);
  const ElementWalk walk(in.dims, indices.dims, axis);
  scatter(context, reduction_of(context.node()), [&](const auto& put) {
    walk.for_each([&](std::int64_t i, std::int64_t base) { put(base + picked[i] * walk.axis_step(), i); });
  });
}

void scatter_nd(Context& context) {
  const Array &in = context.input(0), &indices = context.input(1), &updates = context.input(2);
  if (indices.rank() == 0) bad_input("indices are a scalar");
  const std::int64_t given = indices.dims.back();
  if (given < 0 || given > static_cast<std::int64_t>(in.rank())) {
    bad_input("indices of {} numbers for a tensor of rank {}", given, in.rank());
  }
  const auto covered = static_cast<std::size_t>(given);
  ir::Dims expected(indices.dims.begin(), indices.dims.end() - 1);
  expected.insert(expected.end(), in.dims.begin() + given, in.dims.end());
  if (updates.dims != expected) {
    bad_input("updates of shape {}, where shape {} is expected", ir::text(updates.dims), ir::text(expected));
  }
  const std::int64_t inner = product(in.dims, covered, in.rank());
  const std::int64_t tuples = product(indices.dims, 0, indices.rank() - 1);
  const std::int64_t* picked =
      covered == 0 ? nullptr : checked_tuples(context, indices, DimSpan(in.dims).first(covered));
  scatter(context, reduction_of(context.node()), [&](const auto& put) {
    if (inner == 0) return;
    for (std::int64_t i = 0; i < tuples; ++i) {
      const std::int64_t base = picked ? picked[i] * inner : 0;
      for (std::int64_t k = 0; k < inner; ++k) put(base + k, i * inner + k);
    }
  });
}

}  // namespace

std::span<const KernelEntry> scatter_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Scatter", 9, stateless<scatter_elements>},
      {"ScatterElements", 11, stateless<scatter_elements>},
      {"ScatterND", 11, stateless<scatter_nd>},
  };
  return entries;
}

}  // namespace hone::exec
