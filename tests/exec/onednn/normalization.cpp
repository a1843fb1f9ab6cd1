// Softmax and normalization by rows agree with the reference.
#include "agreement.h"
#include "exec/onednn/avx2.h"

namespace hone::exec {
namespace {

Tensor wide_values(Random& random, const Dims& dims) {
  Tensor values = normal(random, dims);
  for (float& value : values.mutable_data<float>()) value *= 5;
  return values;
}

}  // namespace

TEST_CASE("normalization: Softmax and LogSoftmax, along any axis") {
  Random random(44);
  for (int round = 0; round < 60; ++round) {
    Model model = empty_model();
    if (round % 3 == 0) model.set_opset("", 12);  // the dimensions from the axis on are one
    std::vector<ir::NamedDatum> feed;
    const Dims x = {between(random, 1, 5), between(random, 1, 9), between(random, 1, 70)};
    const char* op = random.below(2) == 0 ? "Softmax" : "LogSoftmax";
    ir::Node& node = model.graph->insert(op, {input(model, feed, "x", wide_values(random, x))}, 1);
    const std::int64_t axis = between(random, 0, 2);
    if (random.below(3) != 0) node.set_attribute("axis", random.below(2) == 0 ? axis : axis - 3);
    model.graph->add_output(node.output(0));
    compare(model, feed, fmt::format("{} {}, axis {}", ir::text(x), op, axis));
  }
}

TEST_CASE("normalization: by the moments of a row, or its mean square") {
  Random random(45);
  for (int round = 0; round < 90; ++round) {
    Model model = empty_model();
    model.set_opset("", 23);
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    const Dims x = {between(random, 1, 5), between(random, 1, 9), between(random, 1, 70)};
    const std::int64_t axis = between(random, 1, 2);
    const Dims scale(x.begin() + axis, x.end());
    const char* op = round % 3 == 0   ? "LayerNormalization"
                     : round % 3 == 1 ? "RMSNormalization"
                                      : "SimplifiedLayerNormalization";
    std::vector<Value*> inputs = {input(model, feed, "x", wide_values(random, x)),
                                  graph.add_initializer("scale", normal(random, scale))};
    if (round % 3 == 0 && random.below(2) == 0) inputs.push_back(graph.add_initializer("shift", normal(random, scale)));
    ir::Node& node = graph.insert(op, inputs, 1);
    node.set_attribute("axis", random.below(2) == 0 ? axis : axis - 3);
    if (random.below(2) == 0) node.set_attribute("epsilon", 0.5F);
    graph.add_output(node.output(0));
    const std::string what = fmt::format("{} {}, axis {}", ir::text(x), op, axis);
    compare(model, feed, what);
    INFO(what);
    if (onednn::has_avx2()) CHECK(kernels_run(model, feed).at(0) == "avx2");
  }
}

TEST_CASE("normalization: of a sum with what skipped a layer") {
  Random random(46);
  for (int round = 0; round < 120; ++round) {
    Model model = empty_model();
    model.set_opset("com.microsoft", 1);
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    const bool simple = random.below(2) == 0, flat = random.below(3) == 0, shows = random.below(2) == 0;
    const std::int64_t batch = between(random, 1, 3), rows = between(random, 1, 9), length = between(random, 1, 70);
    const Dims x = flat ? Dims{rows, length} : Dims{batch, rows, length};
    Dims skip = x;
    if (!flat && random.below(3) == 0) skip[0] = 1;
    if (!flat && random.below(3) == 0) skip = {rows, length};
    std::string what = fmt::format("{} {} simple {} shows {}", ir::text(x), ir::text(skip), simple, shows);
    std::vector<Value*> inputs = {input(model, feed, "x", wide_values(random, x)),
                                  input(model, feed, "skip", wide_values(random, skip))};
    for (const char* name : {"scale", "shift", "bias"}) {
      if (simple && std::string_view(name) == "shift") continue;
      const bool given = std::string_view(name) == "scale" || random.below(2) == 0;
      inputs.push_back(given ? graph.add_initializer(name, normal(random, {length})) : nullptr);
      if (given) what += fmt::format(" {}", name);
    }
    while (!inputs.back()) inputs.pop_back();
    ir::Node& node = graph.insert(simple ? "SkipSimplifiedLayerNormalization" : "SkipLayerNormalization", inputs, 1,
                                  nullptr, "com.microsoft");
    graph.add_output(node.output(0));
    if (shows) graph.add_output(node.set_output(3, "sum"));
    compare(model, feed, what);
    INFO(what);
    if (onednn::has_avx2()) CHECK(kernels_run(model, feed).at(0) == "avx2");
  }
}

}  // namespace hone::exec
