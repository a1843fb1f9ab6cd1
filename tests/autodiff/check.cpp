#include "check.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "hone/autodiff/gradient.h"
#include "hone/exec/session.h"
#include "hone/onnx/read.h"
#include "hone/support/random.h"

namespace hone::testing {
namespace {

// Dimensions of an input; symbols are 3.
ir::Dims dims_of(const ir::Value& value) {
  ir::Dims dims;
  for (const ir::Dimension& dim : *value.shape()) dims.push_back(dim.number().value_or(3));
  return dims;
}

ir::Tensor draw(ir::Dims dims, double low, double high, Random& random) {
  ir::Tensor tensor = ir::Tensor::allocate(ir::ElementType::float64, std::move(dims));
  for (double& x : tensor.mutable_data<double>()) x = low + (high - low) * random.uniform();
  return tensor;
}

// The sum of the outputs, each times a factor of its own shape. Which shape that is comes out of a run.
void add_loss(ir::Model& model, const std::vector<ir::Datum>& outputs, Random& random) {
  ir::Graph& graph = *model.graph;
  model.set_opset("ai.hone", 1);
  ir::Value* loss = nullptr;
  ir::Value* scalar = graph.add_initializer("no_dims", ir::Tensor::of<std::int64_t>({0}, {}));
  const std::vector<ir::Value*> values(graph.outputs().begin(), graph.outputs().end());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const ir::Tensor& result = *outputs[i].tensor();
    if (result.type() != ir::ElementType::float64) continue;
    ir::Value* factor = graph.add_initializer("factor", draw(result.dims(), -1, 1, random));
    factor->set_type(ir::Type::tensor(ir::ElementType::float64, ir::Shape(result.dims().begin(), result.dims().end())));
    ir::Value* product = graph.insert("Mul", {values[i], factor}, 1).output();
    product->set_type(factor->type());
    ir::Value* sum = graph.insert("SumTo", {product, scalar}, 1, nullptr, "ai.hone").output();
    sum->set_type(ir::Type::tensor(ir::ElementType::float64, ir::Shape{}));
    loss = loss ? graph.insert("Add", {loss, sum}, 1).output() : sum;
  }
  REQUIRE(loss != nullptr);
  loss->set_type(ir::Type::tensor(ir::ElementType::float64, ir::Shape{}));
  while (!graph.outputs().empty()) graph.remove_output(0);
  graph.rename(*loss, "the_loss");
  graph.add_output(loss);
}

double run(exec::Session& session, const std::vector<ir::NamedDatum>& inputs) {
  return session.run(inputs)[0].tensor()->data<double>()[0];
}

}  // namespace

void check_gradients(const std::string& graph, const GradientCheck& options) {
  INFO(graph);
  ir::Model model = onnx::read_text("<ir_version: 10, opset_import: [\"\" : " + std::to_string(options.opset) +
                                    ", \"ai.hone\" : 1]>\n" + graph);
  Random random(1, 0);
  std::vector<ir::NamedDatum> inputs;
  std::vector<std::string> names;
  for (const ir::Value* input : model.graph->inputs()) {
    REQUIRE(input->element_type() == ir::ElementType::float64);
    inputs.push_back({input->name(), draw(dims_of(*input), options.low, options.high, random)});
    names.push_back(input->name());
  }
  exec::SessionOptions settings;
  settings.reference = options.reference;
  {
    exec::Session forward(model, settings);
    const std::vector<ir::Datum> outputs = forward.run(inputs);
    add_loss(model, outputs, random);
  }
  ir::Model both = model.clone();
  const std::vector<std::string> gradients = autodiff::gradient(both, "the_loss", names);
  ir::verify(*both.graph);
  exec::SessionOptions with_gradients = settings;
  for (const std::string& name : gradients) {
    if (!name.empty()) with_gradients.extra_outputs.push_back(name);
  }
  exec::Session backward(both, with_gradients);
  const std::vector<ir::Datum> results = backward.run(inputs);
  exec::Session forward(model, settings);
  CHECK(results[0].tensor()->data<double>()[0] == Approx(run(forward, inputs)));

  std::size_t next = 1;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const ir::Tensor original = *inputs[i].datum.tensor();
    std::vector<double> found(static_cast<std::size_t>(original.element_count()), 0.0);
    if (!gradients[i].empty()) {
      const ir::Tensor& gradient = *results.at(next++).tensor();
      REQUIRE(gradient.dims() == original.dims());
      const auto values = gradient.data<double>();
      found.assign(values.begin(), values.end());
    }
    std::vector<double> expected;
    double largest = 0;
    for (std::int64_t k = 0; k < original.element_count(); ++k) {
      double losses[2];
      for (const int side : {0, 1}) {
        ir::Tensor moved = original.clone();
        moved.mutable_data<double>()[static_cast<std::size_t>(k)] += side == 0 ? -options.step : options.step;
        inputs[i].datum = moved;
        losses[side] = run(forward, inputs);
      }
      expected.push_back((losses[1] - losses[0]) / (2 * options.step));
      largest = std::max(largest, std::abs(expected.back()));
    }
    inputs[i].datum = original;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      INFO("gradient of " << names[i] << ", element " << k);
      CHECK(std::abs(found[k] - expected[k]) <= options.tolerance * (1 + largest));
    }
  }
}

}  // namespace hone::testing
