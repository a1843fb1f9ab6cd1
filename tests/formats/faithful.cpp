// Defects known from other tools that are about checks and what must survive: T12 to T15 of tests/passes/known-defects.txt.
#include <catch2/catch.hpp>

#include "hone/exec/session.h"
#include "hone/formats/convert.h"
#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/rewrite/verify.h"
#include "hone/support/error.h"

namespace hone {
namespace {

ir::Model text(const char* graph) {
  return onnx::read_text(std::string("<ir_version: 8, opset_import: [\"\": 17]>\n") + graph);
}

// A conversion with a pass that is wrong: after the first rewrite, "w" is another number.
std::string error_of_wrong_pass(ErrorKind& kind) {
  ir::Model model = text("g (float[2] x) => (float[2] y) <float[2] w = {1,2}> { t = Identity(x) y = Mul(t, w) }");
  formats::ConvertOptions options;
  options.passes.after_pass = [](std::string_view, ir::Model& after) {
    ir::Value* w = after.graph->find("w");
    if (w && w->initializer()) after.graph->set_initializer(*w, ir::Tensor::vector(std::vector<float>{1, 3}));
  };
  try {
    formats::convert(model, options, silent());
  } catch (const Error& error) {
    kind = error.kind();
    return error.message();
  }
  return "";
}

TEST_CASE("T12: a wrong result is found without asking, and is an error") {
  ErrorKind kind = ErrorKind::usage;
  const std::string message = error_of_wrong_pass(kind);
  CHECK(kind == ErrorKind::internal);
  CHECK(exit_code(kind) == 70);
}

TEST_CASE("T13: the error says what differs") {
  ErrorKind kind = ErrorKind::usage;
  const std::string message = error_of_wrong_pass(kind);
  INFO(message);
  CHECK_THAT(message, Catch::Contains("output 'y'"));
  CHECK_THAT(message, Catch::Contains("element 1"));
  CHECK_THAT(message, Catch::Contains("nothing was written"));
}

TEST_CASE("T14: two draws that became one are found") {
  const ir::Model two =
      text("g (float[8] x) => (float[8] y) { a = RandomNormalLike(x) b = RandomNormalLike(x) y = Sub(a, b) }");
  const ir::Model merged = text("g (float[8] x) => (float[8] y) { a = RandomNormalLike(x) y = Sub(a, a) }");
  rewrite::VerifyOptions options;
  options.reference = true;
  CHECK(rewrite::verify_equal(two, merged, options).verdict == rewrite::VerifyResult::Verdict::different);
}

TEST_CASE("T15: doc strings and metadata of nodes survive") {
  ir::Model model = text(
      "g (float[2,3] x) => (float[2,2] y) <float[3,2] w = {1,2,3,4,5,6}, float[2] b = {1,2}> "
      "{ t = MatMul(x, w) u = Add(t, b) i = Identity(u) y = Relu(i) }");
  // NodeProto: doc_string is field 6, metadata_props field 9 with key 1 and value 2.
  const std::string rest = std::string("\x32\x03") + "doc" + "\x4a\x06" + "\x0a\x01k\x12\x01v";
  for (ir::Node& node : model.graph->nodes()) node.set_rest(rest);
  model.doc_string = "of the model";
  model.set_metadata("key", "value");
  formats::ConvertOptions options;
  formats::convert(model, options, silent());
  CHECK(model.graph->node_count() == 2);
  for (const ir::Node& node : model.graph->nodes()) {
    INFO(node.op_type());
    CHECK(node.rest() == rest);
  }
  CHECK(model.doc_string == "of the model");
  REQUIRE(model.find_metadata("key"));
  CHECK(*model.find_metadata("key") == "value");
}

}  // namespace
}  // namespace hone
