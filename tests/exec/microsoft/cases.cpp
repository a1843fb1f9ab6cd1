// Every node of cases.onnx (make.py), on what ONNX Runtime gave for it. An expected NaN is a place nobody defines.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "hone/exec/evaluate.h"
#include "hone/exec/kernel.h"
#include "hone/onnx/check.h"
#include "hone/onnx/read.h"
#include "hone/shapes/inference.h"
#include "sources.h"

namespace hone::exec {
namespace {

// One step of the kernels that compute in whole numbers on either side; of float sums in another order; and of numbers
// quantized while running, where a code more or less is a difference of a hundredth.
double tolerance(const ir::Node& node, const ir::Tensor& expected) {
  if (!ir::is_float(expected.type())) return expected.type() == ir::ElementType::int32 ? 0 : 1;
  double largest = 0;
  for (const double x : expected.to_doubles()) {
    if (x == x) largest = std::max(largest, std::abs(x));
  }
  const bool dynamic = node.op_type() == "DynamicQuantizeLSTM";
  return largest * (expected.type() == ir::ElementType::float16 ? 2e-3 : dynamic ? 1e-2 : 1e-5);
}

TEST_CASE("operators of com.microsoft compute what ONNX Runtime does") {
  ir::Model model = onnx::read(testing::source_path("tests/exec/microsoft/cases.onnx"));
  // Before inference each result has the type the file declares; a fresh copy shows what inference alone finds.
  ir::Model bare = model.clone();
  for (ir::Node& node : bare.graph->nodes()) {
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (ir::Value* output = node.output(i)) output->set_type({});
    }
  }
  shapes::Inference inference(bare);
  inference.run();
  std::size_t count = 0;
  for (const ir::Node& node : model.graph->nodes()) {
    INFO(node.name());
    ++count;
    std::vector<std::optional<ir::Datum>> inputs;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      inputs.emplace_back();
      if (const ir::Value* input = node.input(i)) inputs.back() = ir::Datum{*input->initializer()};
    }
    std::vector<ir::Datum> results;
    REQUIRE_NOTHROW(results = evaluate(node, model, inputs));
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      const ir::Value* output = node.output(i);
      if (!output) continue;
      INFO(output->name());
      const ir::Tensor& expected = *model.graph->find(output->name() + "/expected")->initializer();
      REQUIRE(results.at(i).tensor());
      const ir::Tensor& found = *results[i].tensor();
      CHECK(found.type() == expected.type());
      REQUIRE(found.dims() == expected.dims());
      const ir::Value* inferred = bare.graph->find(output->name());
      CHECK(inferred->element_type() == expected.type());
      CHECK((inferred->shape() && ir::static_dims(*inferred->shape()) == expected.dims()));
      const std::vector<double> a = expected.to_doubles(), b = found.to_doubles();
      const double most = tolerance(node, expected);
      double worst = 0;
      for (std::size_t k = 0; k < a.size(); ++k) {
        if (a[k] == a[k]) worst = b[k] == b[k] ? std::max(worst, std::abs(a[k] - b[k])) : INFINITY;
      }
      CHECK(worst <= most);
    }
  }
  CHECK(count >= 130);
}

TEST_CASE("lint knows the operators of com.microsoft") {
  const ir::Model model = onnx::read(testing::source_path("tests/exec/microsoft/cases.onnx"));
  for (const onnx::Problem& problem : onnx::lint(model)) {
    INFO(problem.rule << ": " << problem.node << ": " << problem.message);
    CHECK((problem.rule == "unused-initializer" || problem.rule == "non-finite-weights"));  // what is expected
  }
  const ir::Model wrong = onnx::read_text(
      "<ir_version: 8, opset_import: [\"\": 17, \"com.microsoft\": 1]>\n"
      "g (float[2,3,4] q) => (float[2,3,4] y) { y = com.microsoft.MultiHeadAttention<scale = 1>(q) }");
  std::vector<std::string> rules;
  for (const onnx::Problem& problem : onnx::lint(wrong)) {
    if (problem.error) rules.push_back(problem.rule);
  }
  std::sort(rules.begin(), rules.end());
  CHECK(rules == std::vector<std::string>{"bad-attribute", "missing-attribute"});
  // What is missing is refused before: kernels rely on it.
  CHECK_THROWS_WITH(onnx::read_text("<ir_version: 8, opset_import: [\"\": 17, \"com.microsoft\": 1]>\n"
                                    "g (float[2,3,4] q) => (float[2,3,4] y) { y = com.microsoft.BiasGelu(q) }"),
                    Catch::Contains("BiasGelu") && Catch::Contains("input 1 is missing"));
}

}  // namespace
}  // namespace hone::exec
