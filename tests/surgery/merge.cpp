#include "hone/surgery/merge.h"

#include "helpers.h"

namespace hone {

using testing::names;
using testing::parse;
using testing::run;

TEST_CASE("equal names connect, others get names of their own") {
  ir::Model first =
      parse("g (float[n,2] x) => (float[n,2] f, float[n,2] extra) { t = Relu(x) f = Neg(t) extra = Abs(t) }");
  const ir::Model second = parse("g (float[m,2] f, float[m,2] x) => (float[m,2] t) { u = Exp(f) t = Add(u, x) }");
  SECTION("inputs of one name are one input") {
    const auto result = surgery::merge(first, second);
    CHECK(result.connected.size() == 2);
    CHECK(names(first.graph->inputs()) == std::vector<std::string>{"x"});
    CHECK(names(first.graph->outputs()) == std::vector<std::string>{"extra", "t"});  // the first's inner t gives way
    CHECK(ir::text(first.graph->outputs()[1]->type()) == "float[n,2]");              // m is n here
    const auto x = ir::Tensor::of<float>({1, 2}, {0, 0});
    CHECK(run(first, {{"x", x}})["t"].to_floats() == std::vector<float>{1, 1});
  }
  SECTION("a map connects what it says and nothing else") {
    surgery::MergeOptions options;
    options.connections = {{"f", "f"}};
    const auto result = surgery::merge(first, second, options);
    CHECK(names(first.graph->inputs()) == std::vector<std::string>{"x", "x_1"});
    REQUIRE(result.renamed.size() == 1);
    CHECK(result.renamed[0] == std::pair<std::string, std::string>("x", "x_1"));
  }
}

TEST_CASE("merging refuses what does not fit") {
  const ir::Model first = parse("g (float[n,2] x) => (float[n,2] feature) { feature = Relu(x) }");
  const auto message = [&](const std::string& second, int opset, std::vector<std::pair<std::string, std::string>> map) {
    ir::Model copy = first.clone();
    surgery::MergeOptions options;
    options.connections = std::move(map);
    try {
      surgery::merge(copy, parse(second, opset), options);
    } catch (const Error& error) {
      return error.message();
    }
    return std::string("nothing raised");
  };
  CHECK_THAT(message("g (float[n,3] a) => (float[n,3] y) { y = Neg(a) }", 17, {{"feature", "a"}}),
             Catch::Contains("is float[n,2]") && Catch::Contains("float[n,3]"));
  CHECK_THAT(message("g (float16[n,2] a) => (float16[n,2] y) { y = Neg(a) }", 17, {{"feature", "a"}}),
             Catch::Contains("float16"));
  CHECK_THAT(message("g (float[n,2] a) => (float[n,2] y) { y = Neg(a) }", 17, {{"featur", "a"}}),
             Catch::Contains("did you mean 'feature'?"));
  CHECK_THAT(message("g (float[n,2] a) => (float[n,2] y) { y = Neg(a) }", 17, {}),
             Catch::Contains("say which feeds which"));
  CHECK_THAT(
      message("g (float[n,2] a, float[n,2] b) => (float[n,2] y) { y = Add(a, b) }", 17, {{"feature", "a"}, {"x", "a"}}),
      Catch::Contains("fed twice"));
  // Softmax means something else before version 13; Neg and Relu were not touched since.
  CHECK_THAT(message("g (float[n,2] a) => (float[n,2] y) { y = Softmax(a) }", 11, {{"feature", "a"}}),
             Catch::Contains("versions 17 and 11") && Catch::Contains("--opset 17"));
  CHECK(message("g (float[n,2] a) => (float[n,2] y) { y = Neg(a) }", 16, {{"feature", "a"}}) == "nothing raised");
}

TEST_CASE("functions of one name and different bodies stay apart") {
  const auto model = [](const std::string& body, const std::string& in, const std::string& out) {
    return onnx::read_text("<ir_version: 8, opset_import: [\"\": 17, \"local\": 1]>\ng (float[2] " + in +
                           ") => (float[2] " + out + ") { " + out + " = local.f(" + in +
                           ") }\n<domain: \"local\", opset_import: [\"\": 17]> f (v) "
                           "=> (r) { " +
                           body + " }");
  };
  const auto x = ir::Tensor::of<float>({2}, {1, -2});
  ir::Model first = model("r = Neg(v)", "x", "t");
  surgery::merge(first, model("r = Relu(v)", "t", "y"));
  CHECK(first.functions.size() == 2);
  CHECK(run(first, {{"x", x}})["y"].to_floats() == std::vector<float>{0, 2});
  ir::Model same = model("r = Neg(v)", "x", "t");
  surgery::merge(same, model("r = Neg(v)", "t", "y"));
  CHECK(same.functions.size() == 1);
  CHECK(run(same, {{"x", x}})["y"].to_floats() == std::vector<float>{1, -2});
}

TEST_CASE("metadata of both, the first's where both have a key") {
  ir::Model first = parse("g (float[2] x) => (float[2] t) { t = Relu(x) }");
  ir::Model second = parse("g (float[2] t) => (float[2] y) { y = Neg(t) }");
  first.set_metadata("a", "1");
  second.set_metadata("a", "2");
  second.set_metadata("b", "3");
  surgery::merge(first, second);
  CHECK(*first.find_metadata("a") == "1");
  CHECK(*first.find_metadata("b") == "3");
}

}  // namespace hone
