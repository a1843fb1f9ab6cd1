// SARIF: one run, the rules that were broken, one result a problem.
#include "hone/report/sarif.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "hone/support/sha256.h"
#include "hone/support/version.h"

namespace hone::report {
namespace {

using Json = nlohmann::ordered_json;
using onnx::Problem;

const char* level(const Problem& problem) { return problem.error ? "error" : "warning"; }

// A path as a URI reference: what RFC 3986 does not allow in a path is escaped. A colon in a relative path would make it
// look like a scheme.
std::string uri(std::string_view path) {
  if (path == "-") return "stdin";
  std::string result = path.starts_with('/') ? "file://" : "";
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/!$&'()*+,;=@").find(c) != std::string_view::npos;
    result += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return result;
}

// Stays the same from run to run, so that a host can tell an old finding from a new one. The number tells apart findings
// that are otherwise alike.
std::string fingerprint(const Problem& problem, std::map<std::string, int>& seen) {
  Sha256 hash;
  for (const std::string_view part :
       {std::string_view(problem.rule), std::string_view(problem.node), std::string_view(problem.message)}) {
    hash.update(std::as_bytes(std::span(part.data(), part.size())));
    hash.update(std::as_bytes(std::span("\0", 1)));
  }
  const std::string digest = hash.hex().substr(0, 16);
  return fmt::format("{}:{}", digest, ++seen[digest]);
}

Json rule(const onnx::Rule& from, bool error) {
  return {{"id", from.id},
          {"shortDescription", {{"text", from.help}}},
          {"help", {{"text", fmt::format("{}. See docs/validate.md of hone.", from.help)}}},
          {"defaultConfiguration", {{"level", error ? "error" : "warning"}}},
          {"properties", {{"tags", {"onnx", "correctness"}}}}};
}

}  // namespace

std::string sarif(std::string_view path, std::span<const Problem> problems, std::size_t limit) {
  std::vector<const Problem*> shown;
  for (const Problem& problem : problems) shown.push_back(&problem);
  std::stable_partition(shown.begin(), shown.end(), [](const Problem* problem) { return problem->error; });
  const std::size_t left_out = shown.size() - std::min(limit, shown.size());
  shown.resize(shown.size() - left_out);

  // Of the rules only those that are needed; a rule is an error if one of its results is.
  std::map<std::string_view, bool> broken;
  for (const Problem* problem : shown) broken[problem->rule] |= problem->error;
  Json rules = Json::array();
  std::map<std::string_view, std::size_t> index;
  for (const onnx::Rule& each : onnx::rules()) {
    const auto found = broken.find(each.id);
    if (found == broken.end()) continue;
    index[each.id] = rules.size();
    rules.push_back(rule(each, found->second));
  }

  Json results = Json::array();
  std::map<std::string, int> seen;
  const Json physical = {{"artifactLocation", {{"uri", uri(path)}}}, {"region", {{"startLine", 1}}}};
  for (const Problem* problem : shown) {
    Json location = {{"physicalLocation", physical}};
    std::string text = problem->message;
    if (!problem->node.empty()) {
      location["logicalLocations"] = {{{"fullyQualifiedName", problem->node}, {"kind", "element"}}};
      text = problem->node + ": " + text;
    }
    Json result = {{"ruleId", problem->rule}};
    if (const auto found = index.find(problem->rule); found != index.end()) result["ruleIndex"] = found->second;
    result["level"] = level(*problem);
    result["message"] = {{"text", text}};
    result["locations"] = Json::array({std::move(location)});
    result["partialFingerprints"] = {{"primaryLocationLineHash", fingerprint(*problem, seen)}};
    results.push_back(std::move(result));
  }

  Json invocation = {{"executionSuccessful", true}};
  if (left_out > 0) {
    invocation["toolExecutionNotifications"] = {
        {{"level", "warning"},
         {"message",
          {{"text", fmt::format("{} more problems are left out: hosts take no more than {}", left_out, limit)}}}}};
  }
  const Json document = {
      {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
      {"version", "2.1.0"},
      {"runs",
       {{{"tool", {{"driver", {{"name", "hone"}, {"semanticVersion", std::string(version())}, {"rules", rules}}}}},
         {"invocations", Json::array({std::move(invocation)})},
         {"artifacts", Json::array({{{"location", {{"uri", uri(path)}}}}})},
         {"results", std::move(results)}}}}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace hone::report
