// eliminate-expand: an Expand that changes nothing goes; so does one before operators that broadcast anyway, where their
// result provably keeps its shape without it.
//
// Left alone: an Expand whose size the other operands don't have; one that is a graph output; other users.
#include <array>

#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

constexpr std::array<std::string_view, 18> kBroadcasting = {"Add",
                                                            "Sub",
                                                            "Mul",
                                                            "Div",
                                                            "Pow",
                                                            "And",
                                                            "Or",
                                                            "Xor",
                                                            "Equal",
                                                            "Less",
                                                            "Greater",
                                                            "LessOrEqual",
                                                            "GreaterOrEqual",
                                                            "Where",
                                                            "Max",
                                                            "Min",
                                                            "Sum",
                                                            "Mod"};

// Every dimension of the result comes from another operand or from what Expand read.
bool keeps_result(const ir::Node& user, const ir::Value& expanded, const ir::Value& source) {
  const auto& result = user.output(0)->shape();
  if (!result || !source.shape()) return false;
  for (std::size_t axis = 0; axis < result->size(); ++axis) {
    const std::size_t from_end = result->size() - axis;
    bool covered = false;
    for (std::size_t i = 0; i < user.input_count() && !covered; ++i) {
      const ir::Value* input = user.input(i) == &expanded ? &source : user.input(i);
      if (!input || !input->shape() || input->shape()->size() < from_end) continue;
      covered = provably_equal((*input->shape())[input->shape()->size() - from_end], (*result)[axis]);
    }
    if (!covered) return false;
  }
  return true;
}

}  // namespace

Status eliminate_expand(ir::Node& expand, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  ir::Value* source = expand.input(0);
  ir::Value* result = expand.output(0);
  if (!source || !result) return rewriter.decline(expand, "has no input or output");
  if (same_shape(source, result)) return rewriter.replace(expand, *source);
  if (rewriter.opset(expand) < 7) return rewriter.decline(expand, "opset without broadcasting");
  std::vector<ir::Use> uses;
  for (const ir::Use& use : result->uses()) {
    bool broadcasts = false;
    for (const std::string_view op : kBroadcasting) broadcasts |= use.node->is(op);
    if (broadcasts && keeps_result(*use.node, *result, *source)) uses.push_back(use);
  }
  if (uses.empty() || uses.size() != result->uses().size() || result->is_graph_output()) {
    return rewriter.decline(expand, "the result is needed in this size");
  }
  for (std::size_t i = 0; i < uses.size(); ++i) rewriter.set_input(*uses[i].node, uses[i].index, source);
  return Status::changed;
}

}  // namespace hone::passes
