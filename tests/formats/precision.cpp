#include <catch2/catch.hpp>

#include "hone/data/npy.h"
#include "hone/formats/convert.h"
#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/passes/passes.h"
#include "temporary_folder.h"

namespace hone {
namespace {

ir::Model parse(const std::string& graph, int opset = 17) {
  return onnx::read_text("<ir_version: 8, opset_import: [\"\": " + std::to_string(opset) + "]>\n" + graph);
}

// Wrong by intent: takes every third Neg for an Abs.
rewrite::Status break_neg(ir::Node& node, rewrite::PassContext& context) {
  if (node.name() != "guilty") return rewrite::Status::unchanged;
  context.rewriter.set_op(node, "Abs");
  return rewrite::Status::changed;
}
const rewrite::Pass kWrong{"break-neg", "turn Neg into Abs", "", 0, {"Neg"}, break_neg, nullptr};

// Wrong where the bounds are passed.
rewrite::Status drop_clip(ir::Node& node, rewrite::PassContext& context) {
  return context.rewriter.replace(node, *node.input(0));
}
const rewrite::Pass kDropClip{"drop-clip", "remove Clip", "", 0, {"Clip"}, drop_clip, nullptr};

const char* const kModel = R"(
g (float[4] x) => (float[4] y) {
  a = Identity(x)  [first] b = Neg(a)  c = Identity(b)  [guilty] d = Neg(c)  e = Identity(d)  [last] f = Neg(e)
  y = Identity(f)
})";

formats::ConvertOptions with_wrong_pass() {
  formats::ConvertOptions options;
  options.custom = rewrite::parse_pipeline("eliminate-identity", passes::list());
  options.custom.push_back(&kWrong);
  return options;
}

std::string message(const formats::ConvertOptions& options) {
  ir::Model model = parse(kModel);
  try {
    formats::convert(model, options, silent());
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::internal);
    return error.message();
  }
  return "nothing raised";
}

}  // namespace

TEST_CASE("a wrong pass is found, with the node and the values") {
  formats::ConvertOptions options = with_wrong_pass();
  const auto check = [&] {
    CHECK_THAT(message(options), Catch::Contains("break-neg at node 'guilty' (Neg)") && Catch::Contains("output 'y'") &&
                                     Catch::Contains("became"));
  };
  check();
  options.verify_passes = true;
  check();
  options.verify_passes = false;
  options.bisect = true;
  check();
  options.bisect = false;
  options.verify = formats::Verify::never;
  CHECK(message(options) == "nothing raised");
}

TEST_CASE("the reproducer makes the mistake again") {
  const testing::TemporaryFolder folder;
  formats::ConvertOptions options = with_wrong_pass();
  options.reproducer = folder.path("case.onnx");
  CHECK_THAT(message(options), Catch::Contains("--passes break-neg --rewrite-limit 1") && Catch::Contains("case.npz"));
  ir::Model model = onnx::read(folder.path("case.onnx"));
  CHECK(*model.find_metadata("hone.reproducer.passes") == "break-neg");
  CHECK(*model.find_metadata("hone.reproducer.rewrite-limit") == "1");
  const auto reader = data::NpzReader::open(folder.path("case.npz"));
  CHECK(reader.names() == std::vector<std::string>{"x"});
  formats::ConvertOptions again;
  again.custom = {&kWrong};
  again.passes.rewrite_limit = 1;
  again.verification.variations = 0;
  again.verification.inputs = {{{"x", reader.read("x")}}};
  CHECK_THROWS_WITH(formats::convert(model, again, silent()), Catch::Contains("rewrite 1 of 1"));
}

TEST_CASE("samples are verified beside random inputs") {
  // Wrong only where random inputs hardly ever are.
  const char* const text =
      "g (float[2] x) => (float[2] y) <float low = {-50.0}, float high = {50.0}> { y = Clip(x, low, high) }";
  formats::ConvertOptions options;
  options.custom = {&kDropClip};
  ir::Model model = parse(text);
  CHECK_NOTHROW(formats::convert(model, options, silent()));
  options.samples = [](const ir::Model&) {
    return std::vector<std::vector<ir::NamedDatum>>{{{"x", ir::Tensor::of<float>({2}, {100, 0})}}};
  };
  model = parse(text);
  CHECK_THROWS_WITH(formats::convert(model, options, silent()),
                    Catch::Contains("drop-clip") && Catch::Contains("50 became 100"));
}

TEST_CASE("half precision where the data allow it") {
  const char* const text = R"(
g (float[1,2] x) => (float[1,2] y, float[1,2] z) <float[2,2] w = {100, 200, 300, 400}, float tiny = {1e-6}, float one = {1.5}> {
  big = MatMul(x, w)  y = Mul(big, tiny)  z = Mul(x, one) })";
  formats::ConvertOptions options;
  options.level = 0;
  options.precision.emplace();
  options.samples = [](const ir::Model&) {
    return std::vector<std::vector<ir::NamedDatum>>{{{"x", ir::Tensor::of<float>({1, 2}, {100, 300})}}};
  };
  ir::Model model = parse(text);
  const auto result = formats::convert(model, options, silent());
  REQUIRE(result.precision);
  CHECK(result.precision->samples == 1);
  CHECK(result.precision->lowered == 1);
  REQUIRE(result.precision->kept.size() == 2);  // MatMul, and Mul, which reads what overflows
  CHECK(result.precision->kept[0].op_type == "MatMul");
  CHECK_THAT(result.precision->kept[0].reason, Catch::Contains("1.4e+05"));
  REQUIRE(result.precision->values.size() == 1);
  CHECK(result.precision->values[0].name == "big");
  CHECK(result.precision->values[0].overflowing == 1);
  CHECK(result.precision->error < 1e-3);
  // Without data the rules alone decide.
  options.samples = nullptr;
  options.verify = formats::Verify::never;
  model = parse(text);
  CHECK(formats::convert(model, options, silent()).precision->lowered == 3);
  // bfloat16 has the range.
  options.precision->type = ir::ElementType::bfloat16;
  model = parse(text);
  CHECK(formats::convert(model, options, silent()).precision->lowered == 3);
}

TEST_CASE("a bound on the error sends nodes back to float32") {
  // What the two Adds leave is less than half precision can tell at 1000; the Mul loses little.
  const auto text = [](const std::string& more, const std::string& outputs) {
    return "g (float[1,2] x) => (float[1,2] y" + outputs +
           ") <float[1,2] a = {1000.3, 2000.7}, float[1,2] b = {-1000.1, -2000.2}, float c = {1.5}> {\n"
           "s = Add(x, a) y = Add(s, b) " +
           more + "}";
  };
  formats::ConvertOptions options;
  options.level = 0;
  options.precision.emplace();
  options.precision->max_error = 1e-3;
  options.samples = [](const ir::Model&) {
    return std::vector<std::vector<ir::NamedDatum>>{{{"x", ir::Tensor::of<float>({1, 2}, {0.5, 0.25})}}};
  };
  ir::Model model = parse(text("z = Mul(x, c) ", ", float[1,2] z"));
  const auto result = formats::convert(model, options, silent());
  CHECK(result.precision->error <= 1e-3);
  CHECK(result.precision->kept.size() == 2);
  CHECK(result.precision->lowered == 1);
  model = parse(text("", ""));
  CHECK_THROWS_WITH(formats::convert(model, options, silent()), Catch::Contains("every node in float32"));
}

TEST_CASE("inputs and outputs change their types only when asked") {
  const char* const text = "g (float[2,2] x) => (float[2,2] y, float[2,2] z) { t = Relu(x) y = Neg(t) z = Softmax(x) }";
  formats::ConvertOptions options;
  options.level = 0;
  options.precision.emplace();
  ir::Model model = parse(text);
  formats::convert(model, options, silent());
  CHECK(ir::text(model.graph->inputs()[0]->type()) == "float[2,2]");
  CHECK(ir::text(model.graph->outputs()[0]->type()) == "float[2,2]");
  options.precision->convert_signature = true;
  model = parse(text);
  formats::convert(model, options, silent());
  ir::verify(*model.graph);
  const ir::Model again = onnx::read(File::from_memory(onnx::to_bytes(model), "again.onnx"));
  CHECK(ir::text(again.graph->inputs()[0]->type()) == "float16[2,2]");
  CHECK(again.graph->outputs()[0]->name() == "y");
  CHECK(ir::text(again.graph->outputs()[0]->type()) == "float16[2,2]");
  CHECK(ir::text(again.graph->outputs()[1]->type()) == "float16[2,2]");
  // Relu, Neg, and Softmax between two Casts.
  CHECK(again.graph->node_count() == 5);
}

}  // namespace hone
