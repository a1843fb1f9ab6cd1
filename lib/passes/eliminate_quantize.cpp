// eliminate-quantize: of Quantize, Dequantize, Quantize, Dequantize with one scale and zero point the second pair goes: what
// is on the grid already stays there.
//
// Left alone: one pair alone, which rounds; other scales, zero points or axes; float8, whose rounding is not idempotent
// by these parameters alone; scales that are not constant.
#include "hone/rewrite/match.h"
#include "passes/rules.h"

namespace hone::passes {
namespace {

bool same_constant(const ir::Value* a, const ir::Value* b) {
  if (a == b) return true;
  const ir::Tensor* left = ir::constant(a);
  const ir::Tensor* right = ir::constant(b);
  return left && right && ir::equal(*left, *right);
}

bool same_parameters(const ir::Node& a, const ir::Node& b) {
  return same_constant(a.input(1), b.input(1)) && same_constant(a.input(2), b.input(2)) &&
         a.int_or("axis", 1) == b.int_or("axis", 1) && a.int_or("block_size", 0) == b.int_or("block_size", 0);
}

}  // namespace

Status eliminate_quantize(ir::Node& last, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const ir::Node* quantize = rewrite::producer(last.input(0), "QuantizeLinear");
  const ir::Node* middle = quantize ? rewrite::producer(quantize->input(0), "DequantizeLinear") : nullptr;
  const ir::Node* first = middle ? rewrite::producer(middle->input(0), "QuantizeLinear") : nullptr;
  if (!first) return rewriter.decline(last, "not a second pair");
  if (!ir::constant(last.input(1)) || !same_parameters(last, *quantize) || !same_parameters(*quantize, *middle) ||
      !same_parameters(*middle, *first)) {
    return rewriter.decline(last, "other scale or zero point");
  }
  if (!ir::is_integer(quantize->output(0)->element_type()) ||
      quantize->output(0)->element_type() != first->output(0)->element_type() ||
      middle->output(0)->element_type() != last.output(0)->element_type()) {
    return rewriter.decline(last, "element type");
  }
  return rewriter.replace(last, *middle->output(0));
}

}  // namespace hone::passes
