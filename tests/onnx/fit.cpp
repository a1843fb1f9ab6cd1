// Does a node fit another version of its operator?
#include <catch2/catch.hpp>

#include "hone/onnx/ir_version.h"
#include "hone/onnx/read.h"
#include "hone/onnx/schema.h"

namespace hone {
namespace {

std::string reason(const std::string& graph, int from, int to) {
  const ir::Model model =
      onnx::read_text("<ir_version: 10, opset_import: [\"\": " + std::to_string(from) + ", \"own\": 1]>\n" + graph);
  return onnx::misfit(*model.graph->last(), from, to).value_or("");
}

}  // namespace

TEST_CASE("a node that an older operator takes") {
  CHECK(reason("g (float[2] x) => (float[2] y) { y = Relu(x) }", 14, 6).empty());
  CHECK(reason("g (float[2] x) => (float[2] y) { y = Relu(x) }", 14, 14).empty());
}

TEST_CASE("what an older operator does not take") {
  CHECK(reason("g (int32[2] x) => (int32[2] y) { y = Relu(x) }", 14, 13) == "input 'X' is a tensor(int32)");
  CHECK(reason("g (float[4] x, int64[1] k) => (float[2] y, int64[2] i) { y, i = TopK<largest = 0>(x, k) }", 11, 10) ==
        "attribute 'largest' does not exist there");
  CHECK(reason("g (float[4] x, float r) => (float[4] y) { y = Dropout(x, r) }", 12, 10) ==
        "input 1 does not exist there");
  CHECK(reason("g (float[2, 2] x) => (float[2, 2] y) { y = Gemm(x, x) }", 11, 9) ==
        "it has 2 inputs, and 3 are needed there");
  CHECK(reason("g (float[2] x, int64[2] e) => (float[2] y) { y = Pow(x, e) }", 12, 7) ==
        "input 'Y' is a tensor(int64)");
  CHECK(reason("g (float[2] x) => (float[2] y) { y = Mish(x) }", 18, 17) == "the operator does not exist there");
}

TEST_CASE("a type that is not known counts as the worst") {
  const std::string unknown = "g (float[2] x) => (float[2] y) { a = own.f(x) y = Relu(a) }";
  CHECK(reason(unknown, 14, 13) == "the type of input 'a' is not known, and fewer are taken there");
  CHECK(reason(unknown, 13, 14).empty());
}

TEST_CASE("versions in which operators changed") {
  CHECK(onnx::schema_versions("Relu", "") == std::vector<std::int64_t>{1, 6, 13, 14});
  CHECK(onnx::schema_versions("Upsample", "") == std::vector<std::int64_t>{1, 7, 9, 10});
  CHECK(onnx::schema_versions("NoSuchOperator", "").empty());
}

TEST_CASE("graphs for training are noticed") {
  ir::Model model =
      onnx::read_text("<ir_version: 8, opset_import: [\"\": 17]>\ng (float x) => (float y) { y = Relu(x) }");
  CHECK_FALSE(onnx::has_training_info(model));
  model.rest = std::string("\xa2\x01\x00", 3);
  CHECK(onnx::has_training_info(model));
}

}  // namespace hone
