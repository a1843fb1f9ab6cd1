#include "exec/onednn/avx2_tail.h"

#ifdef HONE_HAS_AVX2
namespace hone::exec::onednn::avx2 {
namespace {

using Kind = FusedStep::Kind;

// The kind is known where the loop is compiled: nothing is chosen for each vector.
template <Kind kind>
HONE_AVX2 void apply(FusedStep step, float* values, std::int64_t count) {
  step.kind = kind;
  for (std::int64_t i = 0; i < count; ++i) store(values + i * lanes, step_of(step, load(values + i * lanes), nullptr));
}

}  // namespace

void apply_step(const FusedStep& step, float* values, std::int64_t count) {
  switch (step.kind) {
    case Kind::relu:
      return apply<Kind::relu>(step, values, count);
    case Kind::leaky_relu:
      return apply<Kind::leaky_relu>(step, values, count);
    case Kind::clip:
      return apply<Kind::clip>(step, values, count);
    case Kind::linear:
      return apply<Kind::linear>(step, values, count);
    case Kind::sigmoid:
      return apply<Kind::sigmoid>(step, values, count);
    case Kind::tanh:
      return apply<Kind::tanh>(step, values, count);
    case Kind::hard_sigmoid:
      return apply<Kind::hard_sigmoid>(step, values, count);
    case Kind::hard_swish:
      return apply<Kind::hard_swish>(step, values, count);
    case Kind::swish:
      return apply<Kind::swish>(step, values, count);
    case Kind::elu:
      return apply<Kind::elu>(step, values, count);
    case Kind::gelu_erf:
      return apply<Kind::gelu_erf>(step, values, count);
    case Kind::gelu_tanh:
      return apply<Kind::gelu_tanh>(step, values, count);
    case Kind::add:
      return;
  }
}

}  // namespace hone::exec::onednn::avx2
#endif
