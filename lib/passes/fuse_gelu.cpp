// fuse-gelu: Gelu as ONNX Runtime has it beside ONNX's:
//   0.5 y (1 + erf(y / sqrt 2))                             Gelu, below opset 20
//   the same, or ONNX's Gelu, of y = x + bias               BiasGelu
//   0.5 y (1 + tanh(sqrt(2/pi) (y + 0.044715 y^3)))         FastGelu, with a bias or without, below opset 20
//   ONNX's Gelu<tanh> of y = x + bias                       FastGelu
//   x Sigmoid(alpha x)                                      QuickGelu
// One pass over memory each instead of up to nine.
//
// Left alone: values in between that anybody else sees; types other than float32, which its CPU kernels don't take;
// ONNX's Gelu without a bias.
#include "hone/rewrite/match.h"
#include "passes/gelu.h"
#include "passes/microsoft.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Bindings {
  ir::Value* x;
  const char* op;
  ir::Value* bias = nullptr;
  std::optional<float> alpha;
};

Match<Bindings> with_bias(ir::Value* y, bool by_tanh) {
  const Biased sum = biased(y, false);
  const bool own = !y->is_graph_output() && y->uses().size() == (by_tanh ? 3 : 2);  // those of the pattern itself
  if (sum.x && own) return Bindings{sum.x, by_tanh ? "FastGelu" : "BiasGelu", sum.bias, {}};
  return Bindings{y, by_tanh ? "FastGelu" : "Gelu", nullptr, {}};
}

// x Sigmoid(alpha x)
Match<Bindings> gated(const ir::Node& mul) {
  for (std::size_t i = 0; i < 2; ++i) {
    const ir::Node* gate = rewrite::sole_producer(mul.input(i), "Sigmoid");
    ir::Value* x = mul.input(1 - i);
    if (!gate || !x) continue;
    if (gate->input(0) == x) return Bindings{x, "QuickGelu", nullptr, 1.0f};
    const ir::Node* scaled = rewrite::sole_producer(gate->input(0), "Mul");
    for (std::size_t k = 0; scaled && k < 2; ++k) {
      const auto alpha = splat(scaled->input(k));
      if (alpha && scaled->input(1 - k) == x && same_shape(x, scaled->output(0))) {
        return Bindings{x, "QuickGelu", nullptr, static_cast<float>(*alpha)};
      }
    }
  }
  return no("no activation");
}

Match<Bindings> match(const ir::Node& node, std::int64_t opset) {
  if (node.output(0)->element_type() != ir::ElementType::float32) return no("element type");
  if (node.is("Gelu")) {
    const bool by_tanh = node.string_or("approximate", "none") == "tanh";
    const Biased sum = biased(node.input(0));
    if (!sum.x) return no("no bias");
    return Bindings{sum.x, by_tanh ? "FastGelu" : "BiasGelu", sum.bias, {}};
  }
  if (!node.is("Mul")) return no("no activation");
  if (opset < 20) {
    if (const auto found = spelled_out_gelu(node)) return with_bias(found->x, found->by_tanh);
  }
  if (opset < 24) return gated(node);  // Swish from 24 on
  return no("no activation");
}

}  // namespace

Status fuse_gelu(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (!node.domain().empty()) return Status::unchanged;
  const auto found = match(node, rewriter.opset(node));
  if (!found) return rewriter.decline(node, found.reason());
  if (!same_shape(found->x, node.output(0))) return rewriter.decline(node, "a constant enlarges the value");
  if (!takes_microsoft(rewriter, node)) return rewriter.decline(node, "com.microsoft has no place here");
  std::vector<ir::Value*> inputs{found->x};
  if (found->bias) inputs.push_back(found->bias);
  rewrite::Attributes attributes;
  if (found->alpha) attributes.emplace_back("alpha", *found->alpha);
  ir::Node& fused = add_microsoft(rewriter, found->op, inputs, std::move(attributes), node, &node);
  return rewriter.replace(node, *fused.output(0));
}

}  // namespace hone::passes
