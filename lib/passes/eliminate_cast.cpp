// eliminate-cast: a Cast to the type its input has goes; of two Casts in a row the first goes where it loses nothing:
//   Cast(to C, Cast(to B, x of A)) = Cast(to C, x) when every value of A is a value of B.
//
// Left alone: chains that round on the way (float -> int64 -> float, float -> float16 -> float); strings.
#include "hone/rewrite/match.h"
#include "passes/rules.h"

namespace hone::passes {
namespace {

using ir::ElementType;

// Every value of `from` is exactly a value of `to`.
bool widens(ElementType from, ElementType to) {
  const auto bits = [](ElementType type) { return static_cast<int>(ir::bit_width(type)); };
  if (from == to) return true;
  if (from == ElementType::boolean) {
    return ir::is_integer(to) || to == ElementType::float32 || to == ElementType::float64;
  }
  if (ir::is_integer(from) && ir::is_integer(to)) {
    const bool from_signed = ir::is_signed_integer(from), to_signed = ir::is_signed_integer(to);
    if (from_signed == to_signed) return bits(from) <= bits(to);
    return !from_signed && bits(from) < bits(to);
  }
  if (ir::is_integer(from)) {  // exact up to the width of the significand
    return (to == ElementType::float64 && bits(from) <= 32) || (to == ElementType::float32 && bits(from) <= 16);
  }
  if (from == ElementType::float16 || from == ElementType::bfloat16) {
    return to == ElementType::float32 || to == ElementType::float64;
  }
  return from == ElementType::float32 && to == ElementType::float64;
}

}  // namespace

Status eliminate_cast(ir::Node& cast, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const ir::Value* input = cast.input(0);
  const auto to = static_cast<ElementType>(cast.int_or("to", 0));
  if (!input || to == ElementType::undefined) return rewriter.decline(cast, "target type is unknown");
  if (input->type().is_tensor() && input->element_type() == to) return rewriter.replace(cast, *cast.input(0));
  const ir::Node* first = rewrite::producer(input, "Cast");
  if (!first || !first->input(0)->type().is_tensor()) return rewriter.decline(cast, "changes the type");
  const ElementType from = first->input(0)->element_type();
  const auto middle = static_cast<ElementType>(first->int_or("to", 0));
  if (from == ElementType::undefined || from == ElementType::string || !widens(from, middle)) {
    return rewriter.decline(cast, "the Cast before it may round");
  }
  // float -> integer of a value that a wider middle type holds is the same conversion; out of range is undefined in both.
  rewriter.set_input(cast, 0, first->input(0));
  return Status::changed;
}

}  // namespace hone::passes
