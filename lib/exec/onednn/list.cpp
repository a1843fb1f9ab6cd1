#include "exec/onednn/list.h"

#include <vector>

#include "exec/onednn/families.h"

namespace hone::exec {

std::span<const std::span<const KernelEntry>> onednn_kernels() {
  static const std::vector<std::span<const KernelEntry>> families = {
      // Before those in float, which may take what has no type until it runs.
      onednn::quantized_pooling_kernels(),
      onednn::quantized_convolution_kernels(),
      onednn::quantized_elementwise_kernels(),
      onednn::quantized_product_kernels(),
      onednn::attention_kernels(),
      onednn::convolution_kernels(),
      onednn::elementwise_kernels(),
      onednn::expression_kernels(),
      onednn::matmul_kernels(),
      onednn::normalization_kernels(),
      onednn::pooling_kernels(),
      onednn::recurrent_kernels(),
  };
  return families;
}

}  // namespace hone::exec
