// Elementwise operators that run as one node.
#include <cstring>
#include <functional>
#include <limits>

#include "agreement.h"
#include "exec/onednn/avx2.h"
#include "hone/support/threads.h"

namespace hone::exec {
namespace {

std::vector<float> run(const Model& model, const std::vector<ir::NamedDatum>& feed) {
  return Session(model).run(feed)[0].tensor()->to_floats();
}

// A value of the shape, or of one that broadcasts to it.
Dims operand_dims(Random& random, const Dims& dims) {
  Dims result = dims;
  for (auto& dim : result) {
    if (random.below(3) == 0) dim = 1;
  }
  if (random.below(3) == 0) result.erase(result.begin());
  return random.below(2) == 0 ? dims : result;
}

}  // namespace

TEST_CASE("elementwise: functions are as exact as floats allow, beyond their range too") {
  struct Function {
    const char* op;
    std::function<double(double)> exact;
    double low, high;
  };
  const Function functions[] = {
      {"Exp", [](double x) { return std::exp(x); }, -110, 90},
      {"Log", [](double x) { return std::log(x); }, 1e-42, 50},
      {"Tanh", [](double x) { return std::tanh(x); }, -12, 12},
      {"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, -80, 80},
      {"Erf", [](double x) { return std::erf(x); }, -6, 6},
      {"Gelu", [](double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }, -0.5, 6},
      {"Sqrt", [](double x) { return std::sqrt(x); }, 0, 9},
      {"Reciprocal", [](double x) { return 1 / x; }, 0.1, 9},
  };
  for (const Function& each : functions) {
    INFO(each.op);
    constexpr std::int64_t count = 4001;
    Tensor tensor = Tensor::allocate(ElementType::float32, {count});
    auto values = tensor.mutable_data<float>();
    for (std::int64_t i = 0; i < count; ++i) {
      values[static_cast<std::size_t>(i)] =
          static_cast<float>(each.low + (each.high - each.low) * static_cast<double>(i) / (count - 1));
    }
    const float infinity = std::numeric_limits<float>::infinity();
    values[0] = std::numeric_limits<float>::quiet_NaN();
    values[1] = infinity;
    values[2] = -infinity;
    values[3] = 0;
    values[4] = std::numeric_limits<float>::min();
    values[5] = std::numeric_limits<float>::max();
    const std::vector<float> x(values.begin(), values.end());
    Model model = empty_model();
    std::vector<ir::NamedDatum> feed;
    // Twice negated, so that functions that oneDNN has are part of a fused node, too.
    Value* value = input(model, feed, "x", std::move(tensor));
    for (const char* op : {"Neg", "Neg", each.op}) value = model.graph->insert(op, {value}, 1).output(0);
    model.graph->add_output(value);
    if (onednn::has_avx2()) CHECK(kernels_run(model, feed).size() == 1);
    const std::vector<float> y = run(model, feed);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto expected = static_cast<float>(each.exact(static_cast<double>(x[i])));
      INFO(x[i] << " gives " << y[i] << ", exactly " << expected);
      if (std::isnan(expected)) {
        CHECK(std::isnan(y[i]));
      } else if (std::isinf(expected)) {
        CHECK(y[i] == expected);
      } else {
        CHECK(std::abs(y[i] - expected) <= 5e-7F * std::abs(expected) + 1e-38F);
      }
    }
  }
}

TEST_CASE("elementwise: random expressions agree with the reference, in any layout and broadcast") {
  Random random(11);
  const char* const unary[] = {"Neg",  "Abs",       "Relu",        "Tanh",      "Sigmoid", "Exp",
                               "Gelu", "HardSwish", "HardSigmoid", "LeakyRelu", "Erf",     "Elu"};
  const char* const binary[] = {"Add", "Sub", "Mul", "Max", "Min"};
  for (int round = 0; round < 200; ++round) {
    Model model = empty_model();
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    const std::int64_t channels = between(random, 1, 3) * (random.below(3) == 0 ? 5 : 8);
    Dims dims = {between(random, 1, 2), channels, between(random, 1, 40), between(random, 1, 40)};
    Value* value = input(model, feed, "x", normal(random, dims));
    std::string what = ir::text(dims);
    if (random.below(2) == 0) {  // a blocked layout
      Value* weights = graph.add_initializer("w", normal(random, {channels, channels, 1, 1}));
      value = graph.insert("Conv", {value, weights}, 1).output(0);
      if (random.below(2) == 0) {  // two of them
        Value* more = graph.add_initializer("w2", normal(random, {channels, channels, 1, 1}));
        Value* other = graph.insert("Conv", {value, more}, 1).output(0);
        value = graph.insert("Mul", {value, other}, 1).output(0);
      }
      what += " after Conv";
    }
    std::vector<Value*> made = {value};
    for (std::uint64_t i = between(random, 1, 9); i > 0; --i) {
      Value* a = made[random.below(made.size())];
      if (random.below(2) == 0) {
        const char* op = unary[random.below(std::size(unary))];
        value = graph.insert(op, {a}, 1).output(0);
        what += fmt::format(" {}", op);
      } else {
        Value* b = made[random.below(made.size())];
        if (random.below(2) == 0) {
          Tensor tensor = normal(random, random.below(4) == 0 ? Dims{} : operand_dims(random, dims));
          what += fmt::format(" {}", ir::text(tensor.dims()));
          b = random.below(2) == 0 ? graph.add_initializer("c", std::move(tensor))
                                   : input(model, feed, fmt::format("i{}", feed.size()), std::move(tensor));
          // Sometimes a small value of its own before.
          if (random.below(2) == 0) b = graph.insert("Abs", {b}, 1).output(0);
        }
        const char* op = binary[random.below(std::size(binary))];
        value = graph.insert(op, {a, b}, 1).output(0);
        what += fmt::format(" {}", op);
      }
      // Bounded, so that differences stay comparable.
      value = graph
                  .insert("Clip",
                          {value, graph.add_initializer("low", Tensor::scalar(-4.0F)),
                           graph.add_initializer("high", Tensor::scalar(4.0F))},
                          1)
                  .output(0);
      made.push_back(value);
    }
    graph.add_output(value);
    compare(model, feed, what, 1e-4);  // errors of the convolutions grow on the way
  }
}

TEST_CASE("elementwise: what somebody else reads stays, other types are left alone") {
  if (!onednn::has_avx2()) return;
  Model model = empty_model();
  Graph& graph = *model.graph;
  std::vector<ir::NamedDatum> feed;
  Random random(1);
  Value* x = input(model, feed, "x", normal(random, {3, 5}));
  Value* square = graph.insert("Mul", {x, x}, 1).output(0);
  Value* sum = graph.insert("Add", {square, x}, 1).output(0);
  graph.add_output(graph.insert("Sqrt", {graph.insert("Abs", {sum}, 1).output(0)}, 1).output(0));
  CHECK(kernels_run(model, feed).size() == 1);
  graph.add_output(sum);  // two nodes, then
  CHECK(kernels_run(model, feed).size() == 2);
  SessionOptions options;
  options.extra_outputs = {square->name()};
  Session session(model, options);
  const auto results = session.run(feed);
  const std::vector<float> values = feed[0].datum.tensor()->to_floats();
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(results[2].tensor()->to_floats()[i] == values[i] * values[i]);

  Model integers = empty_model();
  Value* n = integers.graph->add_input("n", ir::Type::tensor(ElementType::int64));
  Value* product = integers.graph->insert("Mul", {n, n}, 1).output(0);
  integers.graph->add_output(integers.graph->insert("Neg", {product}, 1).output(0));
  std::vector<ir::NamedDatum> counts = {{"n", Tensor::of<std::int64_t>({2}, {3, 1LL << 40})}};
  CHECK(kernels_run(integers, counts).size() == 2);
  CHECK(Session(integers).run(counts)[0].tensor()->to_ints() == std::vector<std::int64_t>{-9, 0});
}

TEST_CASE("elementwise: results don't depend on the number of threads") {
  Model model = empty_model();
  Graph& graph = *model.graph;
  std::vector<ir::NamedDatum> feed;
  Random random(2);
  Value* x = input(model, feed, "x", normal(random, {7, 301, 83}));
  Value* bias = graph.add_initializer("bias", normal(random, {83}));
  Value* value = graph.insert("Tanh", {graph.insert("Add", {x, bias}, 1).output(0)}, 1).output(0);
  graph.add_output(graph.insert("Mul", {value, x}, 1).output(0));
  std::vector<std::vector<float>> results;
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    results.push_back(run(model, feed));
  }
  set_threads(0);
  for (const auto& each : results) CHECK(std::memcmp(each.data(), results[0].data(), each.size() * sizeof(float)) == 0);
}

}  // namespace hone::exec
