// The list: order is the order of the default pipeline. Rules that stand together share one worklist.
#include "hone/passes/passes.h"
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
      whole("eliminate-dead-code", eliminate_dead_code, 1, "remove nodes, initializers and functions nothing uses",
            "graph inputs"),
      on("constant-to-initializer", {"Constant"}, constant_to_initializer, 1,
         "turn Constant nodes into initializers", "function bodies, graph outputs, sparse values"),
      on("fold-constants", {"*"}, fold_constants, 1, "compute what is constant, shape arithmetic included",
         "results that make the file grow, random operators, DequantizeLinear"),
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
      on("fuse-scale", {"Mul", "Div"}, fuse_scale, 2, "move a constant factor into the weights of MatMul or Gemm",
         "shared values and weights, factors that enlarge the product"),
      whole("share-shapes", share_shapes, 1, "compute every dimension once, from the inputs",
            "dimensions that are not known as expressions"),
      whole("eliminate-common-subexpressions", eliminate_common_subexpressions, 1,
            "compute once what is computed twice", "random operators, custom domains"),
      whole("share-initializers", share_initializers, 1, "keep one of equal initializers",
            "initializers that are graph inputs or outputs"),
  };
}

}  // namespace

std::span<const Pass> list() {
  static const std::vector<Pass> passes = make_list();
  return passes;
}

std::vector<const Pass*> pipeline(int level) {
  std::vector<const Pass*> result;
  for (const Pass& pass : list()) {
    if (pass.level > 0 && pass.level <= level) result.push_back(&pass);
  }
  return result;
}

}  // namespace hone::passes
