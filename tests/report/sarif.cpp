// Against the rules of the SARIF 2.1.0 schema that apply to what we write, and the limits of the host that reads it.
#include "hone/report/sarif.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

namespace hone {
namespace {

using Json = nlohmann::json;
using onnx::Problem;

Json parse(std::string_view path, const std::vector<Problem>& problems, std::size_t limit = 100) {
  return Json::parse(report::sarif(path, problems, limit));
}

std::string uri_of(std::string_view path) {
  return parse(path, {{"cycle", true, "",
                       "x"}})["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
}

}  // namespace

TEST_CASE("a clean model is a run without results") {
  const Json document = parse("m.onnx", {});
  CHECK(document["version"] == "2.1.0");
  REQUIRE(document["runs"].size() == 1);
  CHECK(document["runs"][0]["tool"]["driver"]["name"] == "hone");
  CHECK(document["runs"][0]["results"] == Json::array());
  CHECK(document["runs"][0]["invocations"][0]["executionSuccessful"] == true);
}

TEST_CASE("problems are results, errors first, with their rules") {
  const Json document = parse("models/m.onnx", {{"unused-initializer", false, "", "nobody uses 'w'"},
                                                {"missing-input", true, "node 'c' (Conv)", "input 1 (W) is missing"},
                                                {"missing-input", true, "node 'c' (Conv)", "input 1 (W) is missing"}});
  const Json& run = document["runs"][0];
  REQUIRE(run["results"].size() == 3);
  std::set<std::string> fingerprints;
  for (const Json& result : run["results"]) {
    const std::size_t index = result["ruleIndex"];
    CHECK(run["tool"]["driver"]["rules"][index]["id"] == result["ruleId"]);
    CHECK(result["locations"].size() == 1);
    const Json& place = result["locations"][0]["physicalLocation"];
    CHECK(place["artifactLocation"]["uri"] == "models/m.onnx");
    CHECK(place["region"]["startLine"] == 1);
    fingerprints.insert(result["partialFingerprints"]["primaryLocationLineHash"].get<std::string>());
  }
  CHECK(fingerprints.size() == 3);
  const Json& first = run["results"][0];
  CHECK(first["level"] == "error");
  CHECK(first["message"]["text"] == "node 'c' (Conv): input 1 (W) is missing");
  CHECK(first["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "node 'c' (Conv)");
  CHECK(run["results"][2]["level"] == "warning");
  CHECK_FALSE(run["results"][2]["locations"][0].contains("logicalLocations"));
  for (const Json& rule : run["tool"]["driver"]["rules"]) {
    CHECK(rule["properties"]["tags"].size() <= 20);
    CHECK_FALSE(rule["shortDescription"]["text"].get<std::string>().empty());
  }
}

TEST_CASE("more problems than hosts take are cut, and said to be; errors stay") {
  std::vector<Problem> problems(8, Problem{"unused-initializer", false, "", "w"});
  problems.push_back({"cycle", true, "", "c"});
  const Json run = parse("m.onnx", problems, 5)["runs"][0];
  CHECK(run["results"].size() == 5);
  CHECK(run["results"][0]["level"] == "error");
  const std::string said = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
  CHECK(said.find("4 more") != std::string::npos);
}

TEST_CASE("paths become URIs, and odd bytes do no harm") {
  CHECK(uri_of("a b/ü%.onnx") == "a%20b/%C3%BC%25.onnx");
  CHECK(uri_of("/tmp/m.onnx") == "file:///tmp/m.onnx");
  CHECK(uri_of("c:m.onnx") == "c%3Am.onnx");
  CHECK(uri_of("-") == "stdin");
  const Json result = parse("m.onnx", {{"cycle", true, "", "\xff"}})["runs"][0]["results"][0];
  CHECK(result["message"]["text"] == "\xef\xbf\xbd");
}

}  // namespace hone
