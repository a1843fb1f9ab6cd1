// The packed LSTM and GRU agree with the reference kernels, on random sizes, directions, layouts and states; what they decline
// still runs.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "apart.h"
#include "hone/exec/session.h"
#include "hone/ir/model.h"
#include "hone/support/random.h"

namespace hone::exec {
namespace {

using ir::Tensor;

Tensor normal(Random& random, const ir::Dims& dims, float scale = 0.4F) {
  Tensor tensor = Tensor::allocate(ir::ElementType::float32, dims);
  for (float& value : tensor.mutable_data<float>()) value = scale * static_cast<float>(random.normal());
  return tensor;
}

struct RecurrentCase {
  ir::Model model;
  std::vector<ir::NamedDatum> feed;
};

RecurrentCase recurrent(Random& random, const std::string& op, std::string& what) {
  const auto draw = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(high - low + 1)));
  };
  const std::int64_t gates = op == "LSTM" ? 4 : 3, hidden = draw(1, 40), width = draw(1, 20), steps = draw(1, 6),
                     batch = draw(1, 9);
  const bool both = draw(0, 2) == 0, by_batch = draw(0, 3) == 0;
  const std::int64_t directions = both ? 2 : 1;
  RecurrentCase result;
  ir::Model& model = result.model;
  model.ir_version = 9;
  model.set_opset("", 20);
  ir::Graph& graph = *model.graph;
  const auto input = [&](const char* name, Tensor tensor) {
    ir::Value* value = graph.add_input(name, ir::Type::tensor(tensor.type()));
    result.feed.push_back({name, std::move(tensor)});
    return value;
  };
  const ir::Dims state = by_batch ? ir::Dims{batch, directions, hidden} : ir::Dims{directions, batch, hidden};
  std::vector<ir::Value*> inputs{
      input("x", normal(random, by_batch ? ir::Dims{batch, steps, width} : ir::Dims{steps, batch, width}, 1)),
      graph.add_initializer("w", normal(random, {directions, gates * hidden, width})),
      graph.add_initializer("r", normal(random, {directions, gates * hidden, hidden}))};
  inputs.push_back(draw(0, 3) == 0 ? nullptr
                                   : graph.add_initializer("b", normal(random, {directions, 2 * gates * hidden})));
  const std::uint64_t lengths = random.below(4);  // 0: all whole, 1: random
  inputs.push_back(nullptr);
  if (lengths < 2) {
    std::vector<std::int32_t> each(static_cast<std::size_t>(batch), static_cast<std::int32_t>(steps));
    if (lengths == 1) {
      for (std::int32_t& length : each) length = static_cast<std::int32_t>(draw(0, steps));
    }
    inputs.back() = input("lengths", Tensor::vector(each));
  }
  inputs.push_back(draw(0, 1) == 0 ? nullptr : input("h", normal(random, state)));
  if (op == "LSTM") inputs.push_back(draw(0, 1) == 0 ? nullptr : input("c", normal(random, state)));
  ir::Node& node = graph.insert(op, inputs, op == "LSTM" ? 3 : 2);
  node.set_attribute("hidden_size", hidden);
  if (both) node.set_attribute("direction", std::string("bidirectional"));
  if (!both && draw(0, 1) == 0) node.set_attribute("direction", std::string("reverse"));
  if (by_batch) node.set_attribute("layout", std::int64_t{1});
  if (op == "GRU" && draw(0, 1) == 0) node.set_attribute("linear_before_reset", std::int64_t{1});
  if (draw(0, 7) == 0) node.set_attribute("clip", 0.3F);  // declined
  for (std::size_t i = 0; i < node.output_count(); ++i) graph.add_output(node.output(i));
  what = fmt::format("{} hidden {} width {} steps {} batch {} directions {} by batch {} lengths {}", op, hidden, width,
                     steps, batch, directions, by_batch, lengths);
  return result;
}

}  // namespace

TEST_CASE("recurrent: packed kernels agree with the reference") {
  for (std::uint64_t seed = 0; seed < 120; ++seed) {
    Random random(seed, 7);
    std::string what;
    const RecurrentCase made = recurrent(random, seed % 2 == 0 ? "LSTM" : "GRU", what);
    INFO("seed " << seed << ": " << what);
    SessionOptions options;
    options.reference = true;
    Session reference(made.model, options), packed(made.model);
    const auto expected = reference.run(made.feed);
    for (int round = 0; round < 2; ++round) {
      const auto got = packed.run(made.feed);
      REQUIRE(got.size() == expected.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        REQUIRE(got[i].tensor()->dims() == expected[i].tensor()->dims());
        const auto a = got[i].tensor()->to_floats(), b = expected[i].tensor()->to_floats();
        double worst = 0;
        for (std::size_t k = 0; k < a.size(); ++k) worst = std::max(worst, hone::testing::apart(a[k], b[k]));
        CHECK(worst < 5e-6);
      }
    }
  }
}

TEST_CASE("recurrent: NaN stays NaN, infinity saturates") {
  Random random(3, 7);
  std::string what;
  RecurrentCase made;
  do {
    made = recurrent(random, "LSTM", what);
  } while (made.feed.size() != 1 || made.model.graph->first()->has_attribute("clip"));
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Tensor x = made.feed[0].datum.tensor()->clone();
    x.mutable_data<float>()[0] = value;
    SessionOptions options;
    options.reference = true;
    const std::vector<ir::NamedDatum> feed{{made.feed[0].name, x}};
    const auto a = Session(made.model).run(feed)[0].tensor()->to_floats(),
               b = Session(made.model, options).run(feed)[0].tensor()->to_floats();
    for (std::size_t k = 0; k < a.size(); ++k)
      CHECK((std::isnan(a[k]) == std::isnan(b[k]) && (std::isnan(b[k]) || std::abs(a[k] - b[k]) < 5e-6F)));
  }
}

}  // namespace hone::exec
