// Softmax LogSoftmax Hardmax. Before opset 13 the dimensions from the axis on count as one.
#include <cmath>

#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

// One slice: `length` elements that lie `step` apart.
struct Softmax {
  template <typename T>
  static void slice(const T* in, T* out, std::int64_t length, std::int64_t step) {
    const T largest = maximum(in, length, step);
    double sum = 0;
    for (std::int64_t i = 0; i < length; ++i) {
      const T e = std::exp(in[i * step] - largest);
      out[i * step] = e;
      sum += static_cast<double>(e);
    }
    const T scale = static_cast<T>(1 / sum);
    for (std::int64_t i = 0; i < length; ++i) out[i * step] *= scale;
  }
  template <typename T>
  static T maximum(const T* in, std::int64_t length, std::int64_t step) {
    T largest = in[0];
    for (std::int64_t i = 1; i < length; ++i) largest = in[i * step] > largest ? in[i * step] : largest;
    return largest;
  }
};
struct LogSoftmax {
  template <typename T>
  static void slice(const T* in, T* out, std::int64_t length, std::int64_t step) {
    const T largest = Softmax::maximum(in, length, step);
    double sum = 0;
    for (std::int64_t i = 0; i < length; ++i) sum += static_cast<double>(std::exp(in[i * step] - largest));
    const T shift = static_cast<T>(std::log(sum));
    for (std::int64_t i = 0; i < length; ++i) out[i * step] = in[i * step] - largest - shift;
  }
};
struct Hardmax {
  template <typename T>
  static void slice(const T* in, T* out, std::int64_t length, std::int64_t step) {
    std::int64_t best = 0;
    for (std::int64_t i = 1; i < length; ++i) {
      if (in[i * step] > in[best * step]) best = i;
    }
    for (std::int64_t i = 0; i < length; ++i) out[i * step] = i == best ? T{1} : T{0};
  }
};

template <typename Op, bool flattened>
void run(Context& context) {
  const Array& in = context.input(0);
  std::size_t axis = 0;
  if (const std::int64_t given = context.node().int_or("axis", flattened ? 1 : -1);
      flattened && given == static_cast<std::int64_t>(in.rank())) {
    axis = in.rank();
  } else if (in.rank() > 0 || given < -1 || given > 0) {  // a scalar is its own slice
    axis = checked_axis(given, in.rank());
  }
  const std::int64_t rows = product(in.dims, 0, axis);
  const std::int64_t length = flattened ? product(in.dims, axis, in.rank()) : in.rank() == 0 ? 1 : in.dims[axis];
  const std::int64_t inner = flattened || in.rank() == 0 ? 1 : product(in.dims, axis + 1, in.rank());
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, in.dims);
    if (out.count() == 0) return;
    parallel_for(rows * inner, grain_for(static_cast<double>(length) * 8), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t at = i / inner * length * inner + i % inner;
        Op::slice(from + at, out.data() + at, length, inner);
      }
    });
    out.finish();
  });
}

}  // namespace

std::span<const KernelEntry> softmax_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Softmax", 1, stateless<run<Softmax, true>>, 12},     {"LogSoftmax", 1, stateless<run<LogSoftmax, true>>, 12},
      {"Hardmax", 1, stateless<run<Hardmax, true>>, 12},     {"Softmax", 13, stateless<run<Softmax, false>>},
      {"LogSoftmax", 13, stateless<run<LogSoftmax, false>>}, {"Hardmax", 13, stateless<run<Hardmax, false>>},
  };
  return entries;
}

}  // namespace hone::exec
