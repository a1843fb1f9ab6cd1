// The tail of elementwise steps (exec/fuse.h) on vectors, for kernels of our own.
#pragma once

#include "exec/fuse.h"
#include "exec/onednn/avx2.h"

#ifdef HONE_HAS_AVX2
namespace hone::exec::onednn::avx2 {

// `held`: what a step that adds finds in the destination.
HONE_AVX2_INLINE Vector step_of(const FusedStep& step, Vector x, const float* held) {
  using Kind = FusedStep::Kind;
  const Vector alpha = all(step.alpha), beta = all(step.beta), zero = all(0.0F), half = all(0.5F), one = all(1.0F);
  switch (step.kind) {
    case Kind::relu:
      return larger(zero, x);
    case Kind::leaky_relu:
      return select(x < zero, x * alpha, x);
    case Kind::clip:
      return smaller(beta, larger(alpha, x));
    case Kind::linear:
      return fused(x, alpha, beta);
    case Kind::sigmoid:
      return sigmoid(x);
    case Kind::tanh:
      return hyperbolic_tangent(x);
    case Kind::hard_sigmoid:
      return smaller(one, larger(zero, fused(x, alpha, beta)));
    case Kind::hard_swish:
      return x * smaller(one, larger(zero, fused(x, alpha, beta)));
    case Kind::swish:
      return x * sigmoid(alpha * x);
    case Kind::elu:
      return select(x < zero, alpha * (normal_exponential(x) - one), x);
    case Kind::gelu_erf:
      return half * x * (one + error_function(x * all(0.707106781F)));
    case Kind::gelu_tanh:
      return half * x * (one + hyperbolic_tangent(all(0.797884561F) * fused(all(0.044715F) * x * x, x, x)));
    case Kind::add:
      return x + load(held);
  }
  return x;
}

// A step other than `add` on `count` vectors.
void apply_step(const FusedStep& step, float* values, std::int64_t count);

}  // namespace hone::exec::onednn::avx2
#endif
