#include "hone/rewrite/reduce.h"

#include <catch2/catch.hpp>

#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/support/error.h"

namespace hone {
namespace {

ir::Model chain() {
  return onnx::read_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n,6] x, float[n,6] unused) => (float[n,6] y, float[?,?] z)
<float[6] w = {1,2,3,4,5,6}, bool c = {1}>
{ a = Relu(x) b = Add(a, w) d = Neg(b) e = Exp(d)
  f = If(c) <then_branch = t () => (float[?,?] p) { p = Abs(e) }, else_branch = o () => (float[?,?] q) { q = Neg(e) }>
  y = Tanh(f) z = Sigmoid(a) })");
}

bool has(const ir::Model& model, const char* op) {
  bool found = false;
  ir::for_each_graph(*model.graph, [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) found |= node.is(op);
  });
  return found;
}

TEST_CASE("what shows the fault is all that is left") {
  const auto result =
      rewrite::reduce(chain(), [](const ir::Model& model) { return has(model, "Neg") && has(model, "Exp"); });
  CHECK(result.complete);
  INFO(onnx::to_text(result.model));
  CHECK(ir::total_node_count(*result.model.graph) <= 3);
  CHECK(has(result.model, "Exp"));
  CHECK(has(result.model, "Neg"));
  CHECK(result.model.graph->inputs().size() <= 1);
  CHECK(result.model.graph->outputs().size() == 1);
}

TEST_CASE("sizes shrink, too") {
  const ir::Model model = onnx::read_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[8,6] x) => (float[8,6] y) <float[6] w = {1,2,3,4,5,6}> { y = Add(x, w) })");
  const auto result = rewrite::reduce(model, [](const ir::Model& each) { return has(each, "Add"); });
  for (const ir::Value* input : result.model.graph->inputs()) {
    for (const ir::Dimension& dim : *input->shape()) CHECK(dim.number().value_or(99) <= 2);
  }
}

TEST_CASE("a model that does not fail is not reduced") {
  CHECK_THROWS_AS(rewrite::reduce(chain(), [](const ir::Model&) { return false; }), Error);
}

TEST_CASE("the number of trials is kept") {
  rewrite::ReduceOptions options;
  options.max_trials = 3;
  const auto result = rewrite::reduce(
      chain(), [](const ir::Model& model) { return has(model, "Neg"); }, options);
  CHECK(result.trials <= 3);
  CHECK_FALSE(result.complete);
}

}  // namespace
}  // namespace hone
