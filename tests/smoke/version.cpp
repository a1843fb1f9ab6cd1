#include "hone/support/version.h"

#include <onnx/checker.h>
#include <onnx/defs/operator_sets.h>
#include <onnx/defs/parser.h>
#include <onnx/defs/printer.h>
#include <onnx/shape_inference/implementation.h>
#include <onnx/version_converter/convert.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

TEST_CASE("the version is three numbers") {
  const std::string version(hone::version());
  CHECK(std::count(version.begin(), version.end(), '.') == 2);
}

// The pieces of ONNX that hone builds on are in the libraries that scripts/setup installs.
TEST_CASE("ONNX parses, checks, infers, converts and prints") {
  REQUIRE(onnx::IsOnnxStaticRegistrationDisabled());
  onnx::RegisterOnnxOperatorSetSchema(0);
  onnx::ModelProto model;
  onnx::OnnxParser parser(R"(<ir_version: 8, opset_import: ["" : 17]> g (float[N, 4] x) => (float[N, M] y) {
    y = Relu(x)
  })");
  const auto status = parser.Parse(model);
  REQUIRE(status.IsOK());
  onnx::checker::check_model(model);
  onnx::shape_inference::InferShapes(model);
  const onnx::ModelProto newer = onnx::version_conversion::ConvertVersion(model, 18);
  CHECK(newer.opset_import(0).version() == 18);
  CHECK(onnx::ProtoToString(newer).find("Relu") != std::string::npos);
}
