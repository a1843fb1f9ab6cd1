// fuse-matmul-batch-normalization: BatchNormalization in inference mode after Gemm, or after MatMul with its Add, moves into
// the weights: one factor and one summand per column.
//
// Left alone: training mode; products that anybody else sees; Gemm with alpha or beta other than 1; results that are no
// matrices; parameters or weights that are not constant, not finite, or huge.
#include <cmath>

#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"
#include "passes/weights.h"

namespace hone::passes {

Status fuse_matmul_batch_normalization(ir::Node& norm, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (norm.int_or("training_mode", 0) != 0 || (rewriter.opset(norm) < 7 && norm.int_or("is_test", 0) == 0)) {
    return rewriter.decline(norm, "training mode");
  }
  for (std::size_t i = 1; i < norm.output_count(); ++i) {
    if (norm.output(i) && norm.output(i)->has_uses()) return rewriter.decline(norm, "training mode");
  }
  ir::Node* gemm = rewrite::sole_producer(norm.input(0), "Gemm");
  if (!gemm) gemm = rewrite::sole_producer(norm.input(0), "MatMul");
  if (!gemm) return rewriter.decline(norm, "no product of its own before it");
  const bool is_gemm = gemm->is("Gemm");
  const ir::Tensor* weight = ir::constant(gemm->input(1));
  const ir::Tensor* bias = is_gemm ? ir::constant(gemm->input(2)) : nullptr;
  if (!weight || weight->rank() != 2 || !is_scalable(weight->type()) || (is_gemm && gemm->input(2) && !bias)) {
    return rewriter.decline(norm, "weights are not constant");
  }
  const auto& shape = gemm->output(0)->shape();
  if (!shape || shape->size() != 2) return rewriter.decline(norm, "the product is no matrix");
  if (gemm->float_or("alpha", 1) != 1 || gemm->float_or("beta", 1) != 1) return rewriter.decline(norm, "alpha or beta");
  const std::size_t axis = is_gemm && gemm->int_or("transB", 0) != 0 ? 0 : 1;
  const std::int64_t columns = weight->dims()[axis];
  std::vector<std::vector<double>> parameters;
  for (std::size_t i = 1; i < 5; ++i) {
    const ir::Tensor* tensor = ir::constant(norm.input(i));
    if (!tensor || tensor->element_count() != columns || !is_scalable(tensor->type())) {
      return rewriter.decline(norm, "parameters are not constant");
    }
    parameters.push_back(tensor->to_doubles());
  }
  std::vector<double> shift(static_cast<std::size_t>(columns), 0.0), scale(shift);
  if (bias) {
    const auto values = per_channel(*bias, 2, 1, columns);
    if (!values) return rewriter.decline(norm, "bias is not one per column");
    shift = *values;
  }
  const double epsilon = static_cast<double>(norm.float_or("epsilon", 1e-5f));
  for (std::size_t c = 0; c < shift.size(); ++c) {
    scale[c] = parameters[0][c] / std::sqrt(parameters[3][c] + epsilon);
    shift[c] = (shift[c] - parameters[2][c]) * scale[c] + parameters[1][c];
    if (!std::isfinite(scale[c]) || !is_moderate(weight->type(), shift[c]))
      return rewriter.decline(norm, "parameters are not finite, or huge");
  }
  if (!is_moderate(*weight, scale)) return rewriter.decline(norm, "weights would be huge");
  ir::Value& scaled = rewriter.constant(norm, scale_along(*weight, axis, scale), gemm->input(1)->name());
  ir::Value& moved = rewriter.constant(norm, from_doubles(weight->type(), {columns}, shift), norm.input(2)->name());
  rewrite::Attributes attributes;
  for (const char* name : {"transA", "transB"}) {
    if (is_gemm && gemm->int_or(name, 0) != 0) attributes.emplace_back(name, std::int64_t{1});
  }
  ir::Node& fused = rewriter.add("Gemm", {gemm->input(0), &scaled, &moved}, std::move(attributes), norm, gemm);
  return rewriter.replace(norm, *fused.output(0));
}

}  // namespace hone::passes
