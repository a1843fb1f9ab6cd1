// Unique, and ReverseSequence.
#include <numeric>

#include "exec/reference/list.h"
#include "exec/reference/strided.h"

namespace hone::exec {
namespace {

// Order and equality of elements; NaN is larger than every number, and one value.
template <typename T>
int compare(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    const bool a_nan = a != a, b_nan = b != b;
    if (a_nan || b_nan) return a_nan && b_nan ? 0 : a_nan ? 1 : -1;
  }
  return a < b ? -1 : b < a ? 1 : 0;
}

struct Groups {
  std::vector<std::int64_t> first, inverse, counts;  // by group: the first item, how many; by item: its group
};

// Items are rows of `length` elements.
template <typename T>
Groups group_rows(const T* rows, std::int64_t count, std::int64_t length, bool sorted) {
  const auto order_of = [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t i = 0; i < length; ++i) {
      if (const int c = compare(rows[a * length + i], rows[b * length + i]); c != 0) return c;
    }
    return 0;
  };
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return order_of(a, b) < 0; });
  Groups groups;
  groups.inverse.resize(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || order_of(order[i - 1], order[i]) != 0) {
      groups.first.push_back(order[i]);
      groups.counts.push_back(0);
    }
    ++groups.counts.back();
    groups.inverse[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(groups.first.size()) - 1;
  }
  if (sorted) return groups;
  // In the order of their first items.
  std::vector<std::int64_t> by_first(groups.first.size()), place(groups.first.size());
  std::iota(by_first.begin(), by_first.end(), 0);
  std::sort(by_first.begin(), by_first.end(), [&](std::int64_t a, std::int64_t b) {
    return groups.first[static_cast<std::size_t>(a)] < groups.first[static_cast<std::size_t>(b)];
  });
  Groups result = groups;
  for (std::size_t i = 0; i < by_first.size(); ++i) {
    const auto from = static_cast<std::size_t>(by_first[i]);
    result.first[i] = groups.first[from];
    result.counts[i] = groups.counts[from];
    place[from] = static_cast<std::int64_t>(i);
  }
  for (std::int64_t& group : result.inverse) group = place[static_cast<std::size_t>(group)];
  return result;
}

void unique(Context& context) {
  const Array& in = context.input(0);
  const bool flat = !context.node().has_attribute("axis"), sorted = flag(context.node(), "sorted", true);
  const std::size_t axis = flat ? 0 : checked_axis(context.node().int_or("axis", 0), in.rank());
  const std::int64_t count = flat ? in.count() : in.dims[axis];
  const std::int64_t length = flat ? 1 : count == 0 ? 0 : in.count() / count;
  // Items as rows: the axis first, the others behind it.
  Array rows = in;
  ir::Dims dims = flat ? ir::Dims{count} : in.dims, steps = strides(dims);
  if (!flat && axis != 0) {
    ir::Dims turned = {dims[axis]}, turned_steps = {steps[axis]};
    for (std::size_t d = 0; d < dims.size(); ++d) {
      if (d == axis) continue;
      turned.push_back(dims[d]);
      turned_steps.push_back(steps[d]);
    }
    rows.dims = turned;
    if (in.type == ir::ElementType::string) {
      rows.strings = std::make_shared<std::vector<std::string>>(static_cast<std::size_t>(in.count()));
    } else {
      rows.data = scratch<std::byte>(context, static_cast<std::int64_t>(in.byte_size()));
    }
    copy_strided(context, in, 0, turned, turned_steps, rows);
  }
  Groups groups;
  if (in.type == ir::ElementType::string) {
    groups = group_rows(rows.strings->data(), count, length, sorted);
  } else if (in.type == ir::ElementType::boolean) {
    groups = group_rows(rows.as<bool>(), count, length, sorted);
  } else {
    in_number(context, in.type, [&]<typename T>() {
      if constexpr (std::is_floating_point_v<T>) {
        groups = group_rows(view<T>(context, rows), count, length, sorted);
      } else {
        groups = group_rows(rows.as<T>(), count, length, sorted);
      }
    });
  }
  const auto found = static_cast<std::int64_t>(groups.first.size());
  dims[axis] = found;
  Array& out = context.output(0, in.type, dims);
  if (out.count() > 0) {
    const std::int64_t outer = product(dims, 0, axis), inner = product(dims, axis + 1, dims.size());
    dispatch_moved(context, in.type, [&]<typename T>() {
      const T* from = moved<T>(in);
      T* to = moved<T>(out);
      for (std::int64_t o = 0; o < outer; ++o) {
        for (std::int64_t k = 0; k < found; ++k) {
          std::copy_n(from + (o * count + groups.first[static_cast<std::size_t>(k)]) * inner, inner,
                      to + (o * found + k) * inner);
        }
      }
    });
  }
  const std::vector<std::int64_t>* lists[] = {&groups.first, &groups.inverse, &groups.counts};
  for (std::size_t i = 0; i < 3; ++i) {
    if (!context.wants_output(i + 1)) continue;
    Array& list = context.output(i + 1, ir::ElementType::int64, {static_cast<std::int64_t>(lists[i]->size())});
    std::copy(lists[i]->begin(), lists[i]->end(), list.as<std::int64_t>());
  }
}

void reverse_sequence(Context& context) {
  const Array& in = context.input(0);
  require_rank(in, 2, std::numeric_limits<std::size_t>::max(), "the input");
  const std::int64_t batch_axis = context.node().int_or("batch_axis", 1),
                     time_axis = context.node().int_or("time_axis", 0);
  if (batch_axis + time_axis != 1 || batch_axis * time_axis != 0) {
    bad_input("batch_axis {} and time_axis {}", batch_axis, time_axis);
  }
  const std::int64_t batch = in.dims[static_cast<std::size_t>(batch_axis)],
                     steps = in.dims[static_cast<std::size_t>(time_axis)];
  const ir::Dims lengths = read_ints(context.input(1));
  if (static_cast<std::int64_t>(lengths.size()) != batch)
    bad_input("{} lengths for {} sequences", lengths.size(), batch);
  for (const std::int64_t length : lengths) {
    if (length < 0 || length > steps) bad_input("a sequence of length {} in {} steps", length, steps);
  }
  Array& out = context.output(0, in.type, in.dims);
  if (in.count() == 0) return;
  const std::int64_t inner = product(in.dims, 2, in.rank());
  move_elements(context, in, out, [&](const auto* from, auto* to) {
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::int64_t length = lengths[static_cast<std::size_t>(b)];
      for (std::int64_t t = 0; t < steps; ++t) {
        const std::int64_t source = t < length ? length - 1 - t : t;
        const auto at = [&](std::int64_t step) {
          return (batch_axis == 0 ? b * steps + step : step * batch + b) * inner;
        };
        std::copy_n(from + at(source), inner, to + at(t));
      }
    }
  });
}

}  // namespace

std::span<const KernelEntry> unique_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Unique", 11, stateless<unique>},
      {"ReverseSequence", 10, stateless<reverse_sequence>},
  };
  return entries;
}

}  // namespace hone::exec
