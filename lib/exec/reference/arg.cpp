// ArgMax ArgMin: where the largest or least element along an axis is. The first NaN counts as both.
#include "exec/reference/list.h"
#include "exec/reference/reduce.h"

namespace hone::exec {
namespace {

template <bool largest, typename T>
void find(const T* in, std::int64_t* out, std::int64_t rows, std::int64_t length, std::int64_t inner, bool last) {
  parallel_for(rows, grain_for(static_cast<double>(length) * static_cast<double>(inner)),
               [&](std::int64_t begin, std::int64_t end) {
                 std::vector<T> best(static_cast<std::size_t>(inner));
                 for (std::int64_t r = begin; r < end; ++r) {
                   const T* from = in + r * length * inner;
                   std::int64_t* to = out + r * inner;
                   std::copy_n(from, inner, best.begin());
                   std::fill_n(to, inner, 0);
                   for (std::int64_t k = 1; k < length; ++k) {
                     const T* row = from + k * inner;
                     for (std::int64_t i = 0; i < inner; ++i) {
                       T& b = best[static_cast<std::size_t>(i)];
                       bool better = (largest ? row[i] > b : row[i] < b) || (last && row[i] == b);
                       if constexpr (std::is_floating_point_v<T>) better = b == b && (better || row[i] != row[i]);
                       if (better) {
                         b = row[i];
                         to[i] = k;
                       }
                     }
                   }
                 }
               });
}

template <bool largest>
void arg(Context& context) {
  const Array& in = context.input(0);
  const std::size_t axis = checked_axis(context.node().int_or("axis", 0), in.rank());
  const bool last = flag(context.node(), "select_last_index", false);
  std::vector<bool> axes(in.rank());
  axes[axis] = true;
  const ir::Dims dims = reduced_dims(in.dims, axes, flag(context.node(), "keepdims", true));
  const std::int64_t rows = product(in.dims, 0, axis), inner = product(in.dims, axis + 1, in.rank());
  if (in.dims[axis] == 0 && rows != 0 && inner != 0) bad_input("axis {} of shape {} is empty", axis, ir::text(in.dims));
  in_number(context, in.type, [&]<typename T>() {
    const T* from = nullptr;
    if constexpr (std::is_floating_point_v<T>) {
      from = view<T>(context, in);
    } else {
      from = in.as<T>();
    }
    Array& out = context.output(0, ir::ElementType::int64, dims);
    if (out.count() > 0) find<largest>(from, out.as<std::int64_t>(), rows, in.dims[axis], inner, last);
  });
}

}  // namespace

std::span<const KernelEntry> arg_kernels() {
  static constexpr KernelEntry entries[] = {
      {"ArgMax", 1, stateless<arg<true>>},
      {"ArgMin", 1, stateless<arg<false>>},
  };
  return entries;
}

}  // namespace hone::exec
