#include "exec/reference/list.h"

#include <vector>

#include "exec/reference/microsoft/list.h"

namespace hone::exec {

std::span<const std::span<const KernelEntry>> reference_kernels() {
  static const std::vector<std::span<const KernelEntry>> families = {
      // For training graphs.
      gradient_elementwise_kernels(),
      gradient_reduction_kernels(),
      gradient_movement_kernels(),
      gradient_convolution_kernels(),
      gradient_pooling_kernels(),
      gradient_normalization_kernels(),
      training_loss_kernels(),
      // For any graph.
      control_flow_kernels(),
      identity_kernels(),
      activation_kernels(),
      function_kernels(),
      arithmetic_kernels(),
      comparison_kernels(),
      reshape_kernels(),
      movement_kernels(),
      concat_kernels(),
      gather_kernels(),
      scatter_kernels(),
      pad_kernels(),
      generate_kernels(),
      cast_kernels(),
      matmul_kernels(),
      conv_kernels(),
      pool_kernels(),
      batch_normalization_kernels(),
      softmax_kernels(),
      reduce_kernels(),
      arg_kernels(),
      resize_kernels(),
      dropout_kernels(),
      quantize_kernels(),
      integer_product_kernels(),
      normalization_kernels(),
      recurrent_kernels(),
      cumulative_kernels(),
      einsum_kernels(),
      sequence_kernels(),
      unique_kernels(),
      vision_kernels(),
      grid_sample_kernels(),
      signal_kernels(),
      loss_kernels(),
      random_kernels(),
      attention_kernels(),
      text_kernels(),
      image_kernels(),
      feature_kernels(),
      tree_kernels(),
      linear_model_kernels(),
      training_kernels(),
      // Of ONNX Runtime's domain.
      microsoft_activation_kernels(),
      microsoft_normalization_kernels(),
      microsoft_product_kernels(),
      microsoft_attention_kernels(),
      microsoft_quantize_kernels(),
      microsoft_integer_product_kernels(),
      microsoft_recurrent_kernels(),
  };
  return families;
}

}  // namespace hone::exec
