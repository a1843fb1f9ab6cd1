// fuse-activation: spelled-out activations become the operators that newer opsets have:
//   0.5 x (1 + erf(x / sqrt 2))                               Gelu          (20)
//   0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))           Gelu<tanh>    (20)
//   x HardSigmoid<1/6, 0.5>(x),  x Clip(x + 3, 0, 6) / 6      HardSwish     (14)
//   x Sigmoid(x)                                              Swish         (24)
//   x Tanh(Softplus(x))                                       Mish          (18)
//
// Left alone: values in between that anybody else sees; constants off by more than float16 rounds; older opsets.
#include <cmath>

#include "hone/rewrite/match.h"
#include "passes/gelu.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Bindings {
  ir::Value* x;
  const char* op;
  bool by_tanh = false;
};

Match<Bindings> match(const ir::Node& last, std::int64_t opset) {
  const ir::ElementType type = last.output(0)->element_type();
  if (type != ir::ElementType::float32 && type != ir::ElementType::float16 && type != ir::ElementType::float64) {
    return no("element type");
  }
  if (last.is("Mul") && opset >= 20) {
    if (const auto found = spelled_out_gelu(last)) return Bindings{found->x, "Gelu", found->by_tanh};
  }
  if (opset >= 14) {
    // x * Clip(x + 3, 0, 6), divided by 6 before or after.
    ir::Value* product = scaled_by(&last, 1.0 / 6);
    const ir::Node* mul = product ? rewrite::sole_producer(product, "Mul") : nullptr;
    for (std::size_t i = 0; mul && i < 2; ++i) {
      const ir::Node* clip = rewrite::sole_producer(mul->input(i), "Clip");
      if (!clip || !is_splat(clip->input(1), 0) || !is_splat(clip->input(2), 6)) continue;
      const ir::Node* add = rewrite::sole_producer(clip->input(0), "Add");
      ir::Value* x = mul->input(1 - i);
      if (add &&
          ((add->input(0) == x && is_splat(add->input(1), 3)) || (add->input(1) == x && is_splat(add->input(0), 3)))) {
        return Bindings{x, "HardSwish"};
      }
    }
  }
  if (!last.is("Mul")) return no("no activation");
  for (std::size_t i = 0; i < 2; ++i) {
    ir::Value* x = last.input(1 - i);
    const ir::Node* gate = last.input(i)->only_use() ? last.input(i)->producer() : nullptr;
    if (!gate || !x) continue;
    if (opset >= 14 && gate->is("HardSigmoid") && gate->input(0) == x &&
        std::abs(gate->float_or("alpha", 0.2f) - 1.0 / 6) < 1e-4 && gate->float_or("beta", 0.5f) == 0.5f) {
      return Bindings{x, "HardSwish"};
    }
    if (opset >= 24 && gate->is("Sigmoid") && gate->input(0) == x) return Bindings{x, "Swish"};
    if (opset >= 18 && gate->is("Tanh")) {
      const ir::Node* softplus = rewrite::sole_producer(gate->input(0), "Softplus");
      if (softplus && softplus->input(0) == x) return Bindings{x, "Mish"};
    }
  }
  return no("no activation");
}

}  // namespace

Status fuse_activation(ir::Node& last, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const auto found = match(last, rewriter.opset(last));
  if (!found) return rewriter.decline(last, found.reason());
  if (!same_shape(found->x, last.output(0))) return rewriter.decline(last, "a constant enlarges the value");
  rewrite::Attributes attributes;
  if (found->by_tanh) attributes.emplace_back("approximate", std::string("tanh"));
  ir::Node& fused = rewriter.add(found->op, {found->x}, std::move(attributes), last, &last);
  return rewriter.replace(last, *fused.output(0));
}

}  // namespace hone::passes
