// Schemas, function bodies and type inference node by node.
#include "hone/onnx/schema.h"

#include <catch2/catch.hpp>

#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "onnx/registry.h"
#include "onnx/versions.h"

namespace hone {
namespace {

ir::Model parse(const std::string& text) { return onnx::read_text(text); }

std::string inferred(const std::string& text) {
  const ir::Model model = parse(text);
  std::string result;
  for (const ir::Type& type : onnx::infer_types(*model.graph->last(), model)) {
    if (!result.empty()) result += ' ';
    result += ir::text(type);
  }
  return result;
}

constexpr const char* header = "<ir_version: 10, opset_import: [\"\" : 20]>\n";

}  // namespace

TEST_CASE("the newest schema that an opset has") {
  REQUIRE(onnx::find_schema("Relu", "", 17));
  CHECK(onnx::find_schema("Relu", "", 17)->since_version == 14);
  CHECK(onnx::find_schema("Relu", "", 13)->since_version == 13);
  CHECK(onnx::find_schema("Relu", "ai.onnx", 5)->since_version == 1);
  CHECK(onnx::find_schema("Gelu", "", 19) == nullptr);
  CHECK(onnx::find_schema("Gelu", "", 20)->has_function_body);
  CHECK(onnx::find_schema("Relu", "ai.onnx.ml", 3) == nullptr);
  CHECK(onnx::find_schema("NoSuch", "", 17) == nullptr);
  CHECK(onnx::find_schema("TreeEnsemble", "ai.onnx.ml", 5)->domain == "ai.onnx.ml");
  CHECK(onnx::latest_opset() == 28);
  CHECK(onnx::latest_opset("nobody") == 0);

  const onnx::Schema& concat = *onnx::find_schema("Concat", "", 17);
  CHECK(concat.inputs.at(0).option == onnx::Parameter::Option::variadic);
  CHECK(concat.attributes.at(0).name == "axis");
  CHECK(concat.attributes.at(0).required);
  CHECK_FALSE(onnx::find_schema("RandomNormal", "", 17)->deterministic);
  CHECK(onnx::find_schema("Upsample", "", 17)->deprecated);
  CHECK(onnx::find_schema("Clip", "", 17)->min_inputs == 1);
}

TEST_CASE("made one by one, schemas are those of ONNX's own registry") {
  onnx::register_everything();
  std::size_t count = 0;
  for (const ::onnx::OpSchema& schema : ::onnx::OpSchemaRegistry::get_all_schemas_with_history()) {
    INFO(schema.Name() << ' ' << schema.domain() << ' ' << schema.SinceVersion());
    const ::onnx::OpSchema* found = onnx::find_op_schema(schema.Name(), schema.domain(), schema.SinceVersion());
    REQUIRE(found);
    CHECK(found->SinceVersion() == schema.SinceVersion());
    CHECK(found->domain() == schema.domain());
    ++count;
  }
  CHECK(count > 600);
  CHECK(onnx::newest_ir_version == ::onnx::Version::IR_VERSION);
}

TEST_CASE("types are inferred from types and constants") {
  CHECK(inferred(std::string(header) + "g (float[N,4] x, float[4,3] w) => (y) { y = MatMul(x, w) }") == "float[N,3]");
  CHECK(inferred(std::string(header) + "g (float[N,12] x) => (y) <int64[3] s = {0, 4, -1}> { y = Reshape(x, s) }") ==
        "float[N,4,3]");
  CHECK(inferred(std::string(header) + "g (float[N,4] x) => (y) { y = NoSuch(x) }") == "?");
  CHECK(inferred(std::string(header) + "g (float[2,4] x) => (a, b) { a, b = Split<axis = 0, num_outputs = 2>(x) }") ==
        "float[1,4] float[1,4]");
  CHECK(inferred(std::string(header) + "g (float[2,4] x) => (y) { y = LayerNormalization(x, x) }") == "float[2,4]");
  // By the body of a function whose attributes have default values.
  CHECK(inferred(std::string(header) + "g (float[2,4,3,3] x) => (y) { y = MeanVarianceNormalization(x) }") ==
        "float[2,4,3,3]");
  // A branch sees values around it.
  CHECK(inferred(std::string(header) + "g (bool c, float[N,4] x) => (y) { y = If(c) <"
                                       "then_branch = t () => (float[N,4] a) { a = Relu(x) }, "
                                       "else_branch = e () => (float[N,4] b) { b = Abs(x) }> }") == "float[N,4]");
  // A model-local function.
  CHECK(inferred("<ir_version: 10, opset_import: [\"\" : 20, \"local\" : 1]>\n"
                 "g (float[N,4] x) => (y) { y = local.twice(x) }\n"
                 "<domain: \"local\", opset_import: [\"\" : 20]>\n"
                 "twice (a) => (b) { b = Concat<axis = 1>(a, a) }") == "float[N,8]");
}

TEST_CASE("an invalid node is named, unless the types of its inputs are not known") {
  const ir::Model model = parse(std::string(header) + "g (float[2,4] x, float[3,5] w) => (y) { y = MatMul(x, w) }");
  CHECK_THROWS_AS(onnx::infer_types(*model.graph->first(), model), Error);
  CHECK(inferred(std::string(header) + "g (float[2,4] x) => (y) { t = NoSuch(x)  y = MatMul(x, t) }") == "float");
}

TEST_CASE("functions have their attributes bound") {
  const ir::Model model = parse(std::string(header) + "g (float[2,4] x) => (y) { y = Softplus(x) }");
  CHECK(onnx::function_body(*model.graph->first(), model));

  const ir::Model relu = parse(std::string(header) + "g (float[2,4] x) => (y) { y = LeakyRelu<alpha = 0.5>(x) }");
  const auto body = onnx::function_body(*relu.graph->first(), relu);
  REQUIRE(body);
  CHECK(body->body->inputs().size() == 1);
  CHECK(body->body->outputs().size() == 1);
  bool found = false;
  for (const ir::Node& node : body->body->nodes()) {
    for (const ir::Attribute& attribute : node.attributes()) {
      CHECK(attribute.reference.empty());
      if (const ir::Tensor* tensor = attribute.get<ir::Tensor>(); tensor && tensor->element_count() == 1) {
        found |= tensor->to_floats()[0] == 0.5f;
      }
      if (const float* value = attribute.get<float>()) found |= *value == 0.5f;
    }
  }
  CHECK(found);

  // One that depends on the types of its inputs.
  const ir::Model norm =
      parse(std::string(header) + "g (float[2,4] x, float[4] s) => (y) { y = LayerNormalization(x, s) }");
  CHECK(onnx::function_body(*norm.graph->first(), norm));
  const ir::Model add = parse(std::string(header) + "g (float[2,4] x) => (y) { y = Add(x, x) }");
  CHECK_FALSE(onnx::function_body(*add.graph->first(), add));
}

}  // namespace hone
