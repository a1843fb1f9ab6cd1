// The options of a conversion, by library call.
#include "hone/formats/convert.h"

#include <catch2/catch.hpp>

#include "hone/onnx/write.h"
#include "hone/support/error.h"
#include "text_model.h"

namespace hone::formats {
namespace {

using Catch::Matchers::Contains;

const char* const kText = R"(g (float[N,3] x) => (float[N,2] y) <float[3,2] w, float[2] b>
  { i = Identity(x) m = MatMul(i, w) y = Add(m, b) })";

ir::Model model() {
  ir::Model result = testing::text_model(kText);
  testing::draw_weights(result);
  return result;
}

}  // namespace

TEST_CASE("levels: nothing, dead code, all rewrites") {
  ir::Model kept = model();
  ConvertOptions level;
  level.level = 0;
  const ConvertResult nothing = convert(kept, level, silent());
  CHECK_FALSE(nothing.changed);
  CHECK(onnx::to_bytes(kept) == onnx::to_bytes(model()));
  ir::Model full = model();
  const ConvertResult result = convert(full, {}, silent());
  CHECK(result.changed);
  CHECK(result.nodes_before == 3);
  CHECK(result.nodes_after == 1);
  CHECK(testing::count_nodes(full, "Gemm") == 1);
  CHECK(result.verified);
  CHECK(result.verification.verdict == rewrite::VerifyResult::Verdict::equal);
  CHECK_FALSE(convert(full, {}, silent()).changed);
}

TEST_CASE("passes by name, instead of a level") {
  ir::Model only = model();
  ConvertOptions options;
  options.pipeline = "eliminate-identity";
  CHECK(convert(only, options, silent()).nodes_after == 2);
  CHECK(testing::count_nodes(only, "MatMul") == 1);
  options.pipeline = "eliminate-identiti";
  CHECK_THROWS_WITH(convert(only, options, silent()), Contains("eliminate-identity"));
}

TEST_CASE("verification when asked for, and never") {
  ir::Model never = model();
  ConvertOptions options;
  options.verify = Verify::never;
  CHECK_FALSE(convert(never, options, silent()).verified);
  ir::Model always = model();
  options.verify = Verify::always;
  CHECK(convert(always, options, silent()).verified);
  ir::Model each = model();
  options.verify_passes = options.bisect = true;
  CHECK(convert(each, options, silent()).verified);
}

TEST_CASE("signatures: a shape, a symbol, the batch") {
  const auto first = [](const ir::Model& of) { return (*of.graph->inputs()[0]->shape())[0]; };
  ir::Model batch = model(), symbol = model(), shape = model();
  ConvertOptions options;
  options.batch = 4;
  CHECK(convert(batch, options, silent()).changed);
  CHECK(first(batch).number() == 4);
  CHECK((*batch.graph->outputs()[0]->shape())[0].number() == 4);
  ConvertOptions by_symbol;
  by_symbol.symbols.emplace_back("N", 5);
  convert(symbol, by_symbol, silent());
  CHECK(first(symbol).number() == 5);
  ConvertOptions by_shape;
  by_shape.input_shapes.emplace_back("x", ir::Shape{7, 3});
  convert(shape, by_shape, silent());
  CHECK(first(shape).number() == 7);
  ConvertOptions wrong;
  wrong.input_shapes.emplace_back("z", ir::Shape{7, 3});
  CHECK_THROWS_WITH(convert(shape, wrong, silent()), Contains("'z'"));
}

TEST_CASE("half precision") {
  ir::Model half = model();
  ConvertOptions options;
  options.precision.emplace();
  convert(half, options, silent());
  bool found = false;
  for (const ir::Value* value : half.graph->initializers())
    found |= value->initializer()->type() == ir::ElementType::float16;
  CHECK(found);
}

}  // namespace hone::formats
