// Equal Greater GreaterOrEqual Less LessOrEqual, And Or Xor, Where.
//
// Comparisons with NaN are false. Before opset 7, operands broadcast only on request.
#include "exec/reference/arithmetic.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

// bool(T, T) of two operands of one type.
template <typename F>
void compare(Context& context, DimSpan b_dims, const F& f) {
  const Array &a = context.input(0), &b = context.input(1);
  require_type(b, a.type, "the second input");
  const ir::Dims dims = broadcast_dims(a.dims, b_dims);
  const auto shape = broadcast<2>(dims, {a.dims, b_dims});
  const auto into_output = [&]<typename T>(const T* x, const T* y) {
    Array& out = context.output(0, ir::ElementType::boolean, dims);
    combine(shape, x, y, out.as<bool>(), cheap_grain, f);
  };
  if (a.type == ir::ElementType::string) return into_output(a.strings->data(), b.strings->data());
  if (a.type == ir::ElementType::boolean) return into_output(a.as<bool>(), b.as<bool>());
  in_number(context, a.type, [&]<typename T>() {
    if constexpr (std::is_floating_point_v<T>) {
      into_output(view<T>(context, a), view<T>(context, b));
    } else {
      into_output(a.as<T>(), b.as<T>());
    }
  });
}

struct Equal {
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return a == b;
  }
};
struct Greater {
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return a > b;
  }
};
struct GreaterOrEqual {
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return a >= b;
  }
};
struct Less {
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return a < b;
  }
};
struct LessOrEqual {
  template <typename T>
  bool operator()(const T& a, const T& b) const {
    return a <= b;
  }
};

template <typename F>
void comparison_1(Context& context) {
  compare(context, legacy_dims(context.node(), context.input(0).dims, context.input(1).dims), F{});
}
template <typename F>
void comparison(Context& context) {
  compare(context, context.input(1).dims, F{});
}

struct And {
  bool operator()(bool a, bool b) const { return a & b; }
};
struct Or {
  bool operator()(bool a, bool b) const { return a | b; }
};
struct Xor {
  bool operator()(bool a, bool b) const { return a != b; }
};
template <typename F>
void logic(Context& context, DimSpan b_dims) {
  const Array &a = context.input(0), &b = context.input(1);
  require_type(a, ir::ElementType::boolean, "the first input");
  require_type(b, ir::ElementType::boolean, "the second input");
  const ir::Dims dims = broadcast_dims(a.dims, b_dims);
  Array& out = context.output(0, ir::ElementType::boolean, dims);
  combine(broadcast<2>(dims, {a.dims, b_dims}), a.as<bool>(), b.as<bool>(), out.as<bool>(), cheap_grain, F{});
}
template <typename F>
void logical_1(Context& context) {
  logic<F>(context, legacy_dims(context.node(), context.input(0).dims, context.input(1).dims));
}
template <typename F>
void logical(Context& context) {
  logic<F>(context, context.input(1).dims);
}

void where(Context& context) {
  const Array &condition = context.input(0), &x = context.input(1), &y = context.input(2);
  require_type(condition, ir::ElementType::boolean, "the condition");
  require_type(y, x.type, "Y");
  const ir::Dims dims = broadcast_dims(condition.dims, broadcast_dims(x.dims, y.dims));
  const auto shape = broadcast<3>(dims, {condition.dims, x.dims, y.dims});
  Array& out = context.output(0, x.type, dims);
  dispatch_moved(context, x.type, [&]<typename T>() {
    const bool* chosen = condition.as<bool>();
    const T *left = moved<T>(x), *right = moved<T>(y);
    T* to = moved<T>(out);
    for_each_run(shape, cheap_grain,
                 [&](std::int64_t at, std::int64_t length, const std::array<std::int64_t, 3>& from) {
                   const T *a = left + from[1], *b = right + from[2];
                   const bool* c = chosen + from[0];
                   const std::int64_t c_step = shape.moves[0], a_step = shape.moves[1], b_step = shape.moves[2];
                   if (c_step == 0) {  // one branch for the whole run
                     const T* source = *c ? a : b;
                     if (*c ? a_step : b_step) {
                       std::copy_n(source, length, to + at);
                     } else {
                       std::fill_n(to + at, length, *source);
                     }
                     return;
                   }
                   for (std::int64_t i = 0; i < length; ++i) to[at + i] = c[i] ? a[i * a_step] : b[i * b_step];
                 });
  });
}

}  // namespace

std::span<const KernelEntry> comparison_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Equal", 1, stateless<comparison_1<Equal>>, 6},
      {"Greater", 1, stateless<comparison_1<Greater>>, 6},
      {"Less", 1, stateless<comparison_1<Less>>, 6},
      {"And", 1, stateless<logical_1<And>>, 6},
      {"Or", 1, stateless<logical_1<Or>>, 6},
      {"Xor", 1, stateless<logical_1<Xor>>, 6},
      {"Equal", 7, stateless<comparison<Equal>>},
      {"Greater", 7, stateless<comparison<Greater>>},
      {"Less", 7, stateless<comparison<Less>>},
      {"GreaterOrEqual", 12, stateless<comparison<GreaterOrEqual>>},
      {"LessOrEqual", 12, stateless<comparison<LessOrEqual>>},
      {"And", 7, stateless<logical<And>>},
      {"Or", 7, stateless<logical<Or>>},
      {"Xor", 7, stateless<logical<Xor>>},
      {"Where", 9, stateless<where>},
  };
  return entries;
}

}  // namespace hone::exec
