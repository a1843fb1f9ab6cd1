#include "hone/ir/function_index.h"

#include <catch2/catch.hpp>

namespace hone::ir {
namespace {

TEST_CASE("functions are found by domain, name and overload") {
  Model model;
  const auto add = [&](const char* domain, const char* name, const char* overload) {
    auto function = std::make_unique<Function>();
    function->domain = domain;
    function->name = name;
    function->overload = overload;
    function->body = std::make_unique<Graph>();
    model.functions.push_back(std::move(function));
  };
  add("d", "F", "");
  add("d", "F", "two");
  add("e", "F", "");
  add("ai.onnx", "G", "");
  const FunctionIndex index(model);
  const auto found = [&](const char* domain, const char* name, const char* overload) {
    Node& node = model.graph->insert(name, nullptr, domain);
    node.set_op(name, domain, overload);
    const Function* result = index.find(node);
    CHECK(result == model.find_function(domain, name, overload));
    return result;
  };
  CHECK(found("d", "F", "") == model.functions[0].get());
  CHECK(found("d", "F", "two") == model.functions[1].get());
  CHECK(found("e", "F", "") == model.functions[2].get());
  CHECK(found("", "G", "") == model.functions[3].get());
  CHECK(found("d", "F", "three") == nullptr);
  CHECK(found("", "F", "") == nullptr);
}

}  // namespace
}  // namespace hone::ir
