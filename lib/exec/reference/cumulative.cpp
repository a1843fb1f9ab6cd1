// CumSum CumProd, and TopK.
#include <numeric>

#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

struct Slices {
  std::int64_t rows, length, inner;
  Slices(const ir::Dims& dims, std::size_t axis)
      : rows(product(dims, 0, axis)), length(dims[axis]), inner(product(dims, axis + 1, dims.size())) {}
};

template <bool sum>
void cumulative(Context& context) {
  const Array& in = context.input(0);
  const Slices s(in.dims, checked_axis(read_int(context.input(1)), in.rank()));
  const bool exclusive = flag(context.node(), "exclusive", false), reverse = flag(context.node(), "reverse", false);
  in_number(context, in.type, [&]<typename T>() {
    using W = std::conditional_t<std::is_floating_point_v<T>, T, std::uint64_t>;  // integers wrap
    const auto run = [&](const T* from, T* to) {
      for (std::int64_t r = 0; r < s.rows && s.length > 0; ++r) {
        for (std::int64_t k = 0; k < s.length; ++k) {
          const std::int64_t step = reverse ? -1 : 1, at = (r * s.length + (reverse ? s.length - 1 - k : k)) * s.inner;
          for (std::int64_t i = at; i < at + s.inner; ++i) {
            const T before = k == 0 ? (sum ? T{0} : T{1}) : to[i - step * s.inner];
            if (exclusive && k == 0) {
              to[i] = before;
              continue;
            }
            const W taken = static_cast<W>(exclusive ? from[i - step * s.inner] : from[i]);
            to[i] = static_cast<T>(sum ? static_cast<W>(before) + taken : static_cast<W>(before) * taken);
          }
        }
      }
    };
    if constexpr (std::is_floating_point_v<T>) {
      const T* from = view<T>(context, in);
      Result<T> out(context, 0, in.type, in.dims);
      run(from, out.data());
      out.finish();
    } else {
      Array& out = context.output(0, in.type, in.dims);
      run(in.as<T>(), out.as<T>());
    }
  });
}

// The k largest or smallest along an axis; of equal elements the first. NaN counts as larger than everything.
void top_k_of(Context& context, std::int64_t k, bool largest, bool sorted) {
  const Array& in = context.input(0);
  const std::size_t axis = checked_axis(context.node().int_or("axis", -1), in.rank());
  const Slices s(in.dims, axis);
  if (k < 0 || k > s.length) bad_input("the first {} of {} elements", k, s.length);
  ir::Dims dims = in.dims;
  dims[axis] = k;
  in_number(context, in.type, [&]<typename T>() {
    const auto run = [&](const T* from, T* to) {
      auto* indices = context.output(1, ir::ElementType::int64, dims).template as<std::int64_t>();
      if (product(dims) == 0) return;
      const double work = static_cast<double>(s.length) * 16;
      parallel_for(s.rows * s.inner, grain_for(work), [&](std::int64_t begin, std::int64_t end) {
        std::vector<std::int64_t> order(static_cast<std::size_t>(s.length));
        for (std::int64_t slice = begin; slice < end; ++slice) {
          const std::int64_t in_at = slice / s.inner * s.length * s.inner + slice % s.inner;
          const std::int64_t out_at = slice / s.inner * k * s.inner + slice % s.inner;
          const auto before = [&](std::int64_t a, std::int64_t b) {
            const T x = from[in_at + a * s.inner], y = from[in_at + b * s.inner];
            if constexpr (std::is_floating_point_v<T>) {
              const bool x_nan = x != x, y_nan = y != y;
              if (x_nan || y_nan) return x_nan && y_nan ? a < b : x_nan == largest;
            }
            if (x != y) return largest ? x > y : x < y;
            return a < b;
          };
          std::iota(order.begin(), order.end(), 0);
          const auto middle = order.begin() + k;
          if (k < s.length) std::nth_element(order.begin(), middle, order.end(), before);
          if (sorted) {
            std::sort(order.begin(), middle, before);
          } else {
            std::sort(order.begin(), middle);  // some fixed order
          }
          for (std::int64_t i = 0; i < k; ++i) {
            const std::int64_t chosen = order[static_cast<std::size_t>(i)];
            to[out_at + i * s.inner] = from[in_at + chosen * s.inner];
            indices[out_at + i * s.inner] = chosen;
          }
        }
      });
    };
    if constexpr (std::is_floating_point_v<T>) {
      const T* from = view<T>(context, in);
      Result<T> out(context, 0, in.type, dims);
      run(from, out.data());
      out.finish();
    } else {
      Array& out = context.output(0, in.type, dims);
      run(in.as<T>(), out.as<T>());
    }
  });
}
void top_k_1(Context& context) { top_k_of(context, required_int(context.node(), "k"), true, true); }
void top_k_10(Context& context) { top_k_of(context, read_int(context.input(1)), true, true); }
void top_k(Context& context) {
  top_k_of(context, read_int(context.input(1)), flag(context.node(), "largest", true),
           flag(context.node(), "sorted", true));
}

}  // namespace

std::span<const KernelEntry> cumulative_kernels() {
  static constexpr KernelEntry entries[] = {
      {"CumSum", 11, stateless<cumulative<true>>},
      {"CumProd", 26, stateless<cumulative<false>>},
      {"TopK", 1, stateless<top_k_1>, 9},
      {"TopK", 10, stateless<top_k_10>, 10},
      {"TopK", 11, stateless<top_k>},
  };
  return entries;
}

}  // namespace hone::exec
