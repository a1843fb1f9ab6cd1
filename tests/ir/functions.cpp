#include "hone/ir/functions.h"

#include <catch2/catch.hpp>

#include "hone/ir/model.h"

namespace hone::ir {
namespace {

Function& add(Model& model, const char* domain, const char* name, const char* overload = "") {
  auto function = std::make_unique<Function>();
  function->domain = domain;
  function->name = name;
  function->overload = overload;
  function->body = std::make_unique<Graph>();
  return model.functions.add(std::move(function));
}

Node& call(Graph& graph, const char* domain, const char* name, const char* overload = "") {
  Node& node = graph.insert(name, nullptr, domain);
  node.set_op(name, domain, overload);
  return node;
}

}  // namespace

TEST_CASE("functions are found by domain, name and overload") {
  Model model;
  const Function &f = add(model, "d", "F"), &two = add(model, "d", "F", "two"), &e = add(model, "e", "F");
  const Function& g = add(model, "ai.onnx", "G");
  const Function& again = add(model, "d", "F");
  const auto called = [&](const char* domain, const char* name, const char* overload) {
    const Function* result = model.functions.called_by(call(*model.graph, domain, name, overload));
    CHECK(result == model.functions.find(domain, name, overload));
    return result;
  };
  CHECK(called("d", "F", "") == &f);
  CHECK(called("d", "F", "two") == &two);
  CHECK(called("e", "F", "") == &e);
  CHECK(called("", "G", "") == &g);
  CHECK(called("d", "F", "three") == nullptr);
  CHECK(called("", "F", "") == nullptr);

  model.functions.erase_if([&](const Function& each) { return &each == &f; });
  CHECK(model.functions.size() == 4);
  CHECK(called("d", "F", "") == &again);
  model.functions.rename(again, "H");
  CHECK(called("d", "F", "") == nullptr);
  CHECK(called("d", "H", "") == &again);
  CHECK(model.functions.release().size() == 4);
  CHECK(called("d", "H", "") == nullptr);
}

TEST_CASE("a graph in a function has the function's imports, and the model's where it has none") {
  Model model;
  model.set_opset("", 17);
  model.set_opset("d", 2);
  Function& function = add(model, "d", "F");
  function.opsets.push_back({"", 13, ""});
  Node& branch = function.body->insert("If", {function.body->add_input("c")}, 1);
  branch.set_attribute("then_branch", std::make_unique<Graph>(branch));
  const Graph& inner = **branch.attribute("then_branch")->get<std::unique_ptr<Graph>>();
  CHECK(model.functions.around(inner) == &function);
  CHECK(model.functions.around(*model.graph) == nullptr);
  CHECK(&model.imports_of(inner) == &function.opsets);
  CHECK(&model.imports_of(*model.graph) == &model.opsets);
  CHECK(model.opset(inner, "") == 13);
  CHECK(model.opset(inner, "d") == 2);
  CHECK(model.opset(*model.graph, "") == 17);
}

TEST_CASE("functions are reachable through functions") {
  Model model;
  Function& f = add(model, "d", "F");
  const Function& g = add(model, "d", "G");
  add(model, "d", "H");
  call(*f.body, "d", "G");
  CHECK(reachable_functions(model).empty());
  call(*model.graph, "d", "F");
  CHECK(reachable_functions(model) == std::unordered_set<const Function*>{&f, &g});
}

}  // namespace hone::ir
