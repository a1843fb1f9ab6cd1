// eliminate-dropout: Dropout in inference mode passes its input on.
//
// Left alone: training_mode that is true, or not a constant (opset 12 on); is_test = 0 (before opset 7); a mask that is
// in use.
#include "passes/rules.h"

namespace hone::passes {

Status eliminate_dropout(ir::Node& dropout, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const std::int64_t opset = rewriter.opset(dropout);
  if (opset >= 12 && dropout.input(2)) {
    const ir::Tensor* training = ir::constant(dropout.input(2));
    const auto value = training ? ir::uniform<bool>(*training) : std::nullopt;
    if (!value) return rewriter.decline(dropout, "training_mode is not constant");
    if (*value) return rewriter.decline(dropout, "training mode");
  }
  if (opset < 7 && dropout.int_or("is_test", 0) == 0) return rewriter.decline(dropout, "training mode");
  for (std::size_t i = 1; i < dropout.output_count(); ++i) {
    if (dropout.output(i) && dropout.output(i)->has_uses()) return rewriter.decline(dropout, "mask is in use");
  }
  return rewriter.replace(dropout, *dropout.input(0));
}

}  // namespace hone::passes
