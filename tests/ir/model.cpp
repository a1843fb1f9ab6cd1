#include "hone/ir/model.h"

#include <catch2/catch.hpp>

using namespace hone::ir;

TEST_CASE("opsets, metadata and functions are looked up") {
  Model model;
  CHECK(model.opset() == 0);
  model.set_opset("ai.onnx", 17);
  model.set_opset("custom", 1);
  model.set_opset("", 18);
  CHECK(model.opset() == 18);
  CHECK(model.opset("ai.onnx") == 18);
  CHECK(model.opset("custom") == 1);
  CHECK(model.opsets.size() == 2);

  CHECK(model.find_metadata("key") == nullptr);
  model.set_metadata("key", "1");
  model.metadata.emplace_back("key", "duplicate");
  model.set_metadata("key", "2");
  CHECK(*model.find_metadata("key") == "2");
  CHECK(model.metadata.size() == 2);

  auto function = std::make_unique<Function>();
  function->domain = "custom";
  function->name = "f";
  function->body = std::make_unique<Graph>();
  model.functions.add(std::move(function));
  CHECK(model.functions.find("custom", "f") == model.functions[0].get());
  CHECK(model.functions.find("custom", "f", "overload") == nullptr);
}

TEST_CASE("a model's copy is its own") {
  Model model;
  model.ir_version = 8;
  model.set_opset("", 17);
  model.set_metadata("key", "1");
  model.producer_name = "test";
  model.model_version = 3;
  Value* x = model.graph->add_input("x");
  Value* w = model.graph->add_initializer("w", Tensor::vector<float>({1, 2}));
  model.graph->add_output(model.graph->insert("Add", {x, w}, 1).output());
  auto function = std::make_unique<Function>();
  function->name = "f";
  function->body = std::make_unique<Graph>();
  Node& node = function->body->insert("Relu", {function->body->add_input("a")}, 1);
  Attribute reference;
  reference.name = "alpha";
  reference.reference = "beta";
  reference.reference_type = 1;
  node.attributes().push_back(std::move(reference));
  function->attribute_defaults.emplace_back("beta", 0.5f);
  model.functions.add(std::move(function));

  Model copy = model.clone();
  verify(*copy.graph);
  verify(*copy.functions[0]->body);
  CHECK(copy.ir_version == 8);
  CHECK(copy.opset() == 17);
  CHECK(*copy.find_metadata("key") == "1");
  CHECK(copy.producer_name == "test");
  CHECK(copy.model_version == 3);
  CHECK(copy.graph->find("w") != w);
  CHECK(copy.graph->find("w")->initializer()->buffer() == w->initializer()->buffer());
  CHECK(*copy.functions[0]->attribute_defaults[0].get<float>() == 0.5f);
  CHECK(copy.functions[0]->body->first()->attribute("alpha")->reference == "beta");

  model = Model();
  verify(*copy.graph);
  const Model moved = std::move(copy);
  CHECK(moved.graph->outputs().size() == 1);
}
