#include "exec/onednn/post_ops.h"

namespace hone::exec::onednn {

dnnl::post_ops post_ops(const std::vector<FusedStep>& steps) {
  using Kind = FusedStep::Kind;
  using Algorithm = dnnl::algorithm;
  dnnl::post_ops result;
  for (const FusedStep& step : steps) {
    switch (step.kind) {
      case Kind::relu:
        result.append_eltwise(Algorithm::eltwise_relu, 0, 0);
        break;
      case Kind::leaky_relu:
        result.append_eltwise(Algorithm::eltwise_relu, step.alpha, 0);
        break;
      case Kind::clip:
        result.append_eltwise(Algorithm::eltwise_clip, step.alpha, step.beta);
        break;
      case Kind::linear:
        result.append_eltwise(Algorithm::eltwise_linear, step.alpha, step.beta);
        break;
      case Kind::sigmoid:
        result.append_eltwise(Algorithm::eltwise_logistic, 0, 0);
        break;
      case Kind::tanh:
        result.append_eltwise(Algorithm::eltwise_tanh, 0, 0);
        break;
      case Kind::hard_sigmoid:
        result.append_eltwise(Algorithm::eltwise_hardsigmoid, step.alpha, step.beta);
        break;
      case Kind::hard_swish:
        result.append_eltwise(Algorithm::eltwise_hardswish, step.alpha, step.beta);
        break;
      case Kind::swish:
        result.append_eltwise(Algorithm::eltwise_swish, step.alpha, 0);
        break;
      case Kind::elu:
        result.append_eltwise(Algorithm::eltwise_elu, step.alpha, 0);
        break;
      case Kind::gelu_erf:
        result.append_eltwise(Algorithm::eltwise_gelu_erf, 0, 0);
        break;
      case Kind::gelu_tanh:
        result.append_eltwise(Algorithm::eltwise_gelu_tanh, 0, 0);
        break;
      case Kind::add:
        result.append_sum(1.0F);
        break;
    }
  }
  return result;
}

}  // namespace hone::exec::onednn
