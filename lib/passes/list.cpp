// The list: order is the order of the default pipeline. Rules that stand together share one worklist.
#include <algorithm>

#include "hone/passes/passes.h"
#include "hone/passes/precision.h"
#include "passes/microsoft.h"
#include "passes/rules.h"

namespace hone::passes {
namespace {

using rewrite::Pass;

Pass on(std::string_view name, std::vector<std::string_view> op_types, rewrite::Rule rule, int level,
        std::string_view help, std::string_view leaves_alone) {
  return {name, help, leaves_alone, level, std::move(op_types), rule, nullptr};
}
Pass whole(std::string_view name, rewrite::ModelPass run, int level, std::string_view help,
           std::string_view leaves_alone) {
  return {name, help, leaves_alone, level, {}, nullptr, run};
}

std::vector<Pass> make_list() {
  return {
      whole("lift-initializers", lift_initializers, 1, "make the initializers of a model before IR version 4 constants",
            "models of IR version 4 and later, where the caller may override such inputs"),
      whole("inline-functions", inline_functions, 2, "put the bodies of model-local functions in place of their calls",
            "functions for other operator sets than the model's"),
      whole("eliminate-dead-code", eliminate_dead_code, 1, "remove nodes, initializers and functions nothing uses",
            "graph inputs"),
      on("constant-to-initializer", {"Constant"}, constant_to_initializer, 1, "turn Constant nodes into initializers",
         "function bodies, graph outputs, sparse values"),
      on("fold-constants", {"*"}, fold_constants, 1, "compute what is constant, shape arithmetic included",
         "results that make the file grow, random operators, DequantizeLinear"),
      on("inline-if", {"If"}, inline_if, 1, "put the branch that a constant condition takes in place of If",
         "conditions that are not constant"),
      on("inline-loop", {"Loop"}, inline_loop, 1, "put the body of a Loop that runs once in its place",
         "other trip counts, values collected over turns"),
      on("eliminate-identity", {"Identity"}, eliminate_identity, 1, "remove Identity",
         "one that gives a graph input or initializer a second name as graph output"),
      on("eliminate-dropout", {"Dropout"}, eliminate_dropout, 1, "remove Dropout in inference mode",
         "training mode, a mask in use"),
      on("eliminate-cast", {"Cast"}, eliminate_cast, 1, "remove Casts that change nothing, merge exact chains",
         "chains that round on the way"),
      on("eliminate-transpose", {"Transpose"}, eliminate_transpose, 1, "remove and merge Transposes",
         "permutations that are not known"),
      on("eliminate-reshape", {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}, eliminate_reshape, 1,
         "remove and merge changes of shape, make their targets constant",
         "targets with two dimensions nobody can name"),
      on("eliminate-slice", {"Slice"}, eliminate_slice, 1,
         "remove Slices that take everything, merge those of other axes", "two Slices of one axis"),
      on("eliminate-split", {"Split"}, eliminate_split, 1, "remove Splits into one piece",
         "lengths that may not be the input's"),
      on("eliminate-concat", {"Concat"}, eliminate_concat, 1,
         "remove Concats of one value, of all pieces of a Split, or in Concats",
         "pieces in another order, Concats that others read"),
      on("eliminate-expand", {"Expand"}, eliminate_expand, 1,
         "remove Expand where nothing changes, or its users broadcast", "sizes that no other operand has"),
      on("eliminate-where", {"Where"}, eliminate_where, 1, "replace Where by the one branch it can take",
         "branches that are broadcast"),
      on("eliminate-neutral", {"Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor"}, eliminate_neutral, 1,
         "remove operations that change nothing: + 0, * 1", "operands that enlarge the other; * 0"),
      on("eliminate-zero-state", {"LSTM", "GRU", "RNN"}, eliminate_zero_state, 2,
         "leave out initial states that are zero", "any other state"),
      on("eliminate-pad", {"Pad"}, eliminate_pad, 2, "move zeros around an image into Conv or AveragePool",
         "MaxPool, other modes and values, batch and channels"),
      on("eliminate-quantize", {"DequantizeLinear"}, eliminate_quantize, 2,
         "remove the second of two equal Quantize-Dequantize pairs", "a pair alone, which rounds"),
      on("eliminate-einsum", {"Einsum"}, eliminate_einsum, 2, "turn Einsum into Transpose or MatMul",
         "everything that would need more than one node"),
      on("fuse-conv-batch-normalization", {"BatchNormalization"}, fuse_conv_batch_normalization, 2,
         "move BatchNormalization into the convolution before it", "training mode, shared results"),
      on("fuse-conv-add", {"Add", "Sub"}, fuse_conv_add, 2, "move a per-channel constant into the convolution's bias",
         "constants of any other shape"),
      on("fuse-conv-mul", {"Mul", "Div"}, fuse_conv_mul, 2, "move a per-channel factor into the convolution's weights",
         "factors of any other shape"),
      on("fuse-matmul-add", {"Add"}, fuse_matmul_add, 2, "turn MatMul and Add of matrices into Gemm",
         "more than two dimensions"),
      on("fuse-reshape-transpose", {"Reshape"}, fuse_reshape_transpose, 1,
         "turn Reshape, Transpose, Reshape into one Transpose", "a first Reshape that does more than merge dimensions"),
      on("fuse-gelu", {"Mul", "Gelu"}, fuse_gelu, 3,
         "recognize Gelu, BiasGelu, FastGelu and QuickGelu of com.microsoft", "types other than float32"),
      on("fuse-activation", {"Mul", "Div"}, fuse_activation, 2,
         "recognize HardSwish (opset 14), Mish (18), Gelu (20) and Swish (24)", "older opsets"),
      on("fuse-scale", {"Mul", "Div"}, fuse_scale, 2, "move a constant factor into the weights of MatMul or Gemm",
         "shared values and weights, factors that enlarge the product, the half of Gelu"),
      on("fuse-matmul-batch-normalization", {"BatchNormalization"}, fuse_matmul_batch_normalization, 2,
         "move BatchNormalization into the Gemm or MatMul before it", "training mode, shared results"),
      on("fuse-batch-normalization-conv", {"Conv"}, fuse_batch_normalization_conv, 2,
         "move BatchNormalization into the Conv after it", "convolutions that pad, groups"),
      on("fuse-normalization", {"Div", "Mul"}, fuse_normalization, 2,
         "recognize LayerNormalization (opset 17) and RMSNormalization (23)", "axes that are not the last ones"),
      on("fuse-clip", {"Clip", "Relu"}, fuse_clip, 2, "merge Relu and Clip in a row", "bounds that are not constant"),
      on("fuse-split", {"Slice"}, fuse_split, 2, "turn Slices that cover a value into one Split", "pieces with gaps"),
      on("sink-transpose",
         {"Transpose", "Concat", "Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "ReduceMax", "ReduceMean",
          "ReduceMin", "ReduceProd", "ReduceSum", "ReduceL2", "ReduceSumSquare"},
         sink_transpose, 2, "move Transposes through elementwise operators until they cancel",
         "moves that do not make them fewer"),
      whole("share-shapes", share_shapes, 1, "compute every dimension once, from the inputs",
            "dimensions that are not known as expressions"),
      on("fuse-attention", {"Softmax"}, fuse_attention, 3, "recognize MultiHeadAttention of com.microsoft",
         "fewer key than query heads, types other than float32"),
      on("pack-attention", {"MultiHeadAttention"}, pack_attention, 3,
         "multiply queries, keys and values at once: Attention of com.microsoft",
         "more samples than one, no mask, weights that others use"),
      on("recognize-attention", {"Softmax"}, recognize_attention, 2, "recognize Attention (opset 23)",
         "scores that others see, types other than float32"),
      on("recognize-rotary-embedding", {"Add", "Concat"}, recognize_rotary_embedding, 2,
         "recognize RotaryEmbedding (opset 23)", "pairs of neighbours, types other than float32"),
      on("fuse-matmul-nbits", {"MatMul"}, fuse_matmul_nbits, 3,
         "multiply by codes in blocks as they are: MatMulNBits of com.microsoft",
         "blocks along other axes, signed 8-bit codes"),
      whole("eliminate-common-subexpressions", eliminate_common_subexpressions, 1,
            "compute once what is computed twice", "random operators, custom domains"),
      on("fuse-transpose-reshape", {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}, fuse_transpose_reshape,
         1, "move a Transpose of dimensions of 1 into the Reshape beside it", "values between them that others see"),
      on("fuse-skip-normalization", {"LayerNormalization", "RMSNormalization"}, fuse_skip_normalization, 3,
         "move the sum before a normalization into SkipLayerNormalization of com.microsoft",
         "more than three dimensions, operands that broadcast in another than the first"),
      on("fuse-matmul-transpose", {"MatMul", "FusedMatMul", "Mul", "Div"}, fuse_matmul_transpose, 3,
         "move Transposes and factors into FusedMatMul of com.microsoft",
         "permutations of other than the last two dimensions"),
      whole("share-initializers", share_initializers, 1, "keep one of equal initializers",
            "initializers that are graph inputs or outputs"),
      on("fuse-group-normalization", {"InstanceNormalization"}, fuse_group_normalization, 0,
         "recognize GroupNormalization (opset 21)", "unless it is named: ONNX Runtime has no kernel for the CPU"),
      whole("convert-float16", convert_float16, 0,
            "compute in half precision, inputs and outputs kept (--precision fp16)",
            "delicate operators, values outside the range of half"),
      whole("convert-bfloat16", convert_bfloat16, 0, "compute in bfloat16, inputs and outputs kept (--precision bf16)",
            "delicate operators, operators without bfloat16 in the model's opset"),
  };
}

}  // namespace

std::span<const Pass> list() {
  static const std::vector<Pass> passes = make_list();
  return passes;
}

std::vector<const Pass*> pipeline(int level, std::string_view target) {
  std::vector<const Pass*> result;
  const int highest = target == "onnxruntime" ? level : std::min(level, 2);
  for (const Pass& pass : list()) {
    if (pass.level > 0 && pass.level <= highest) result.push_back(&pass);
  }
  return result;
}

}  // namespace hone::passes
