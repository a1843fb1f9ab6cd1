// MatMul and Gemm.
#include "exec/reference/matmul.h"

#include "exec/reference/gemm.h"
#include "exec/reference/list.h"

namespace hone::exec {

MatMulShape::MatMulShape(const ir::Dims& a, const ir::Dims& b) {
  if (a.empty() || b.empty()) bad_input("a scalar can't be multiplied as a matrix");
  const bool a_vector = a.size() == 1, b_vector = b.size() == 1;
  rows = a_vector ? 1 : a[a.size() - 2];
  depth = a.back();
  columns = b_vector ? 1 : b.back();
  if ((b_vector ? b[0] : b[b.size() - 2]) != depth) {
    bad_input("shapes {} and {} can't be multiplied", ir::text(a), ir::text(b));
  }
  const auto stack_of = [](const ir::Dims& dims) {
    return dims.size() <= 2 ? ir::Dims() : ir::Dims(dims.begin(), dims.end() - 2);
  };
  const ir::Dims a_stack = stack_of(a), b_stack = stack_of(b);
  dims = broadcast_dims(a_stack, b_stack);
  stacks = product(dims);
  const ir::Dims stack_dims = dims;
  if (!a_vector) dims.push_back(rows);
  if (!b_vector) dims.push_back(columns);
  if (stacks == 0) return;
  if (product(b_stack) == 1) {  // one matrix for all: the stack of `a` is one tall matrix
    rows = size_product(rows, stacks);
    stacks = 1;
    a_at = b_at = {0};
    return;
  }
  // Shapes that hold matrices can still be too many to list.
  if (product(dims) == 0) {
    stacks = 0;
    return;
  }
  a_at.resize(static_cast<std::size_t>(stacks));
  b_at.resize(static_cast<std::size_t>(stacks));
  const auto walk = broadcast<2>(stack_dims, {a_stack, b_stack});
  for_each_run(walk, stacks, [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 2>& from) {
    for (std::int64_t i = 0; i < length; ++i) {
      a_at[static_cast<std::size_t>(at + i)] = from[0] + (walk.moves[0] ? i : 0);
      b_at[static_cast<std::size_t>(at + i)] = from[1] + (walk.moves[1] ? i : 0);
    }
  });
}

namespace {

template <typename F>
void in_product(const Context& context, ir::ElementType type, F&& f) {
  if (ir::is_float(type)) return in_real(context, type, std::forward<F>(f));
  if (!dispatch<std::int32_t, std::int64_t, std::uint32_t, std::uint64_t>(type, std::forward<F>(f))) {
    unsupported_type(context, type);
  }
}
template <typename T>
const T* factor(Context& context, const Array& array) {
  if constexpr (std::is_floating_point_v<T>) {
    return view<T>(context, array);
  } else {
    return array.as<T>();
  }
}

void mat_mul(Context& context) {
  const Array &a = context.input(0), &b = context.input(1);
  require_type(b, a.type, "the second input");
  const MatMulShape shape(a.dims, b.dims);
  in_product(context, a.type, [&]<typename T>() {
    const T *left = factor<T>(context, a), *right = factor<T>(context, b);
    Result<T> out(context, 0, a.type, shape.dims);
    if (out.count() == 0) return;
    const std::int64_t a_size = shape.rows * shape.depth, b_size = shape.depth * shape.columns;
    parallel_for(shape.stacks, grain_for(static_cast<double>(a_size) * static_cast<double>(shape.columns)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const auto at = static_cast<std::size_t>(i);
                     multiply<T>(shape.rows, shape.depth, shape.columns, {left + shape.a_at[at] * a_size, shape.depth},
                                 {right + shape.b_at[at] * b_size, shape.columns},
                                 {out.data() + i * shape.rows * shape.columns, shape.columns});
                   }
                 });
    out.finish();
  });
}

// alpha A B + beta C, where C broadcasts to the result.
void gemm(Context& context) {
  const Array &a = context.input(0), &b = context.input(1);
  require_type(b, a.type, "B");
  require_rank(a, 2, 2, "A");
  require_rank(b, 2, 2, "B");
  const ir::Node& node = context.node();
  const float alpha = node.float_or("alpha", 1), beta = node.float_or("beta", 1);
  const bool a_transposed = flag(node, "transA", false), b_transposed = flag(node, "transB", false);
  const std::int64_t rows = a.dims[a_transposed ? 1 : 0], depth = a.dims[a_transposed ? 0 : 1];
  const std::int64_t columns = b.dims[b_transposed ? 0 : 1];
  if (b.dims[b_transposed ? 1 : 0] != depth) {
    bad_input("shapes {} and {} can't be multiplied", ir::text(a.dims), ir::text(b.dims));
  }
  const ir::Dims dims = {rows, columns};
  const Array* c = context.has_input(2) ? &context.input(2) : nullptr;
  if (c) {
    require_type(*c, a.type, "C");
    if (c->rank() > 2 || broadcast_dims(dims, c->dims) != dims) {
      bad_input("C of shape {} does not broadcast to {}", ir::text(c->dims), ir::text(dims));
    }
  }
  in_product(context, a.type, [&]<typename T>() {
    const T *left = factor<T>(context, a), *right = factor<T>(context, b);
    const T* added = c ? factor<T>(context, *c) : nullptr;
    Result<T> out(context, 0, a.type, dims);
    T* to = out.data();
    multiply<T>(rows, depth, columns, {left, a.dims[1], a_transposed}, {right, b.dims[1], b_transposed}, {to, columns});
    const auto scaled = [](T x, float factor) {
      if (factor == 1) return x;
      if constexpr (std::is_floating_point_v<T>) {
        return x * static_cast<T>(factor);
      } else {
        return static_cast<T>(static_cast<double>(x) * static_cast<double>(factor));
      }
    };
    if (added) {
      combine(broadcast<2>(dims, {dims, c->dims}), to, added, to, cheap_grain, [=](T x, T y) {
        if constexpr (std::is_floating_point_v<T>) {
          return scaled(x, alpha) + scaled(y, beta);
        } else {
          return static_cast<T>(static_cast<std::uint64_t>(scaled(x, alpha)) +
                                static_cast<std::uint64_t>(scaled(y, beta)));
        }
      });
    } else if (alpha != 1) {
      map_range(to, to, out.count(), cheap_grain, [=](T x) { return scaled(x, alpha); });
    }
    out.finish();
  });
}

}  // namespace

std::span<const KernelEntry> matmul_kernels() {
  static constexpr KernelEntry entries[] = {
      {"MatMul", 1, stateless<mat_mul>},
      {"Gemm", 1, stateless<gemm>},
  };
  return entries;
}

}  // namespace hone::exec
