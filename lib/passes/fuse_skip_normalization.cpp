// fuse-skip-normalization: the sum before a LayerNormalization (RMSNormalization) goes into it: SkipLayerNormalization
// (SkipSimplifiedLayerNormalization) of com.microsoft. A per-place bias that was added to one operand goes along, and whoever
// reads the sum reads the new node's.
//
// Left alone:
//  1. values of other than two or three dimensions, and axes other than the last;
//  2. operands of different shapes, but for one that lacks the first dimension or has 1 there;
//  3. scales and biases that are computed, since the node moves up to where the sum is;
//  4. mean and deviation in use; types other than float32.
#include "hone/rewrite/match.h"
#include "hone/support/error.h"
#include "passes/microsoft.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Bindings {
  ir::Node* add;
  ir::Value *x, *skip;
  ir::Value* bias = nullptr;
};

bool is_row(const ir::Value* value, const ir::Dimension& length) {
  return value && !value->producer() && value->shape() && value->shape()->size() == 1 &&
         provably_equal(value->shape()->front(), length);
}

// Of the result's shape, or that without its first dimension or with 1 there.
bool is_skip(const ir::Value* value, const ir::Shape& shape) {
  if (!value->shape()) return false;
  ir::Shape own = *value->shape();
  if (provably_same_shape(own, shape)) return true;
  if (shape.size() != 3) return false;
  if (own.size() == 3 && own[0].number() == 1) own.erase(own.begin());
  return own.size() == 2 && provably_equal(own[0], shape[1]) && provably_equal(own[1], shape[2]);
}

Match<Bindings> match(const ir::Node& norm) {
  ir::Node* add = rewrite::producer(norm.input(0), "Add");
  if (!add || &add->graph() != &norm.graph()) return no("no sum is normalized");
  const auto& shape = add->output(0)->shape();
  if (!shape || shape->size() < 2 || shape->size() > 3) return no("not two or three dimensions");
  const std::int64_t axis = norm.int_or("axis", -1);
  if (axis != -1 && axis != static_cast<std::int64_t>(shape->size()) - 1)
    return no("more than one dimension is normalized");
  if (norm.output(0)->element_type() != ir::ElementType::float32 || norm.int_or("stash_type", 1) != 1)
    return no("element type");
  for (std::size_t i = 1; i < norm.output_count(); ++i) {
    if (norm.output(i)) return no("mean or deviation is asked for");
  }
  const bool simple = norm.is("RMSNormalization");
  if (!is_row(norm.input(1), shape->back()) || (norm.input(2) && (simple || !is_row(norm.input(2), shape->back())))) {
    return no("scale or bias is no constant row");
  }
  for (std::size_t i = 0; i < 2; ++i) {
    ir::Value *x = add->input(i), *skip = add->input(1 - i);
    if (!x || !skip || !x->shape() || !provably_same_shape(*x->shape(), *shape) || !is_skip(skip, *shape)) continue;
    for (ir::Value** operand : {&x, &skip}) {
      const Biased sum = biased(*operand);
      if (!sum.x) continue;
      *operand = sum.x;
      return Bindings{add, x, skip, sum.bias};
    }
    return Bindings{add, x, skip, nullptr};
  }
  return no("operands of different shapes");
}

}  // namespace

Status fuse_skip_normalization(ir::Node& norm, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (!norm.domain().empty()) return Status::unchanged;
  const auto found = match(norm);
  if (!found) return rewriter.decline(norm, found.reason());
  if (!takes_microsoft(rewriter, norm)) return rewriter.decline(norm, "com.microsoft has no place here");
  const bool simple = norm.is("RMSNormalization");
  std::vector<ir::Value*> inputs{found->x, found->skip, norm.input(1)};
  if (!simple && (norm.input(2) || found->bias)) inputs.push_back(norm.input(2));
  if (found->bias) inputs.push_back(found->bias);
  const bool shares = found->add->output(0)->only_use() == nullptr;
  ir::Node& fused = add_microsoft(rewriter, simple ? "SkipSimplifiedLayerNormalization" : "SkipLayerNormalization",
                                  inputs, rewrite::attributes("epsilon", norm.float_or("epsilon", 1e-5f)), *found->add,
                                  &norm, shares ? 4 : 1);
  if (shares) {
    fused.drop_output(1);
    fused.drop_output(2);
    // A fresh value of the same graph can always take a graph output's name.
    if (!rewriter.replace_value(*found->add->output(0), *fused.output(3)))
      fail(ErrorKind::internal, "the sum has no replacement");
    rewriter.erase(*found->add);
  }
  return rewriter.replace(norm, *fused.output(0));
}

}  // namespace hone::passes
