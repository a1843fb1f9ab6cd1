// Every family of reference kernels. A new family: its function here, and its name in list.cpp.
#pragma once

#include <span>

#include "hone/exec/kernel.h"

namespace hone::exec {

// For training graphs.
std::span<const KernelEntry> gradient_elementwise_kernels();
std::span<const KernelEntry> gradient_reduction_kernels();
std::span<const KernelEntry> gradient_movement_kernels();
std::span<const KernelEntry> gradient_convolution_kernels();
std::span<const KernelEntry> gradient_pooling_kernels();
std::span<const KernelEntry> gradient_normalization_kernels();
std::span<const KernelEntry> training_loss_kernels();

// For any graph.
std::span<const KernelEntry> control_flow_kernels();
std::span<const KernelEntry> identity_kernels();
std::span<const KernelEntry> activation_kernels();
std::span<const KernelEntry> function_kernels();
std::span<const KernelEntry> arithmetic_kernels();
std::span<const KernelEntry> comparison_kernels();
std::span<const KernelEntry> reshape_kernels();
std::span<const KernelEntry> movement_kernels();
std::span<const KernelEntry> concat_kernels();
std::span<const KernelEntry> gather_kernels();
std::span<const KernelEntry> scatter_kernels();
std::span<const KernelEntry> pad_kernels();
std::span<const KernelEntry> generate_kernels();
std::span<const KernelEntry> cast_kernels();
std::span<const KernelEntry> matmul_kernels();
std::span<const KernelEntry> conv_kernels();
std::span<const KernelEntry> pool_kernels();
std::span<const KernelEntry> batch_normalization_kernels();
std::span<const KernelEntry> normalization_kernels();
std::span<const KernelEntry> softmax_kernels();
std::span<const KernelEntry> reduce_kernels();
std::span<const KernelEntry> arg_kernels();
std::span<const KernelEntry> resize_kernels();
std::span<const KernelEntry> dropout_kernels();
std::span<const KernelEntry> quantize_kernels();
std::span<const KernelEntry> integer_product_kernels();
std::span<const KernelEntry> recurrent_kernels();
std::span<const KernelEntry> cumulative_kernels();
std::span<const KernelEntry> einsum_kernels();
std::span<const KernelEntry> sequence_kernels();
std::span<const KernelEntry> unique_kernels();
std::span<const KernelEntry> vision_kernels();
std::span<const KernelEntry> grid_sample_kernels();
std::span<const KernelEntry> signal_kernels();
std::span<const KernelEntry> loss_kernels();
std::span<const KernelEntry> random_kernels();
std::span<const KernelEntry> attention_kernels();
std::span<const KernelEntry> text_kernels();
std::span<const KernelEntry> image_kernels();
std::span<const KernelEntry> feature_kernels();
std::span<const KernelEntry> tree_kernels();
std::span<const KernelEntry> linear_model_kernels();
std::span<const KernelEntry> training_kernels();

// The entries of all families, in the order of list.cpp: where two match a node, the first is taken.
std::span<const std::span<const KernelEntry>> reference_kernels();

}  // namespace hone::exec
