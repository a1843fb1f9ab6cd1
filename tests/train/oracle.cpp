// 100 steps of the networks of examples/ beside PyTorch's, from the same weights on the same rows; tests/train/make_oracle.py
// made the numbers.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apart.h"
#include "hone/onnx/read.h"
#include "hone/train/finetune.h"
#include "hone/train/initialize.h"
#include "sources.h"

namespace hone::train {
namespace {

constexpr std::int64_t kRows = 400;

// The formula of make_oracle.py.
void fill(ir::Model& model, const std::string& name, std::uint32_t index) {
  const ir::Dims dims = model.graph->find(name)->initializer()->dims();
  std::int64_t count = 1;
  for (const std::int64_t dim : dims) count *= dim;
  const std::int64_t fan_in = dims.size() > 1 ? count / dims[0] : 100;
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  std::vector<float> values;
  std::uint32_t state = 12345 + index;
  for (std::int64_t i = 0; i < count; ++i) {
    state = state * 1664525 + 1013904223;
    values.push_back(static_cast<float>((2 * static_cast<double>(state >> 8) / 16777216 - 1) * bound));
  }
  set_weight(model, name, ir::Tensor::of<float>(dims, values));
}

ir::Model mlp() {
  ir::Model model = onnx::read(testing::source_path("examples/mlp.onnxtxt"));
  std::uint32_t index = 0;
  for (const char* name : {"fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "fc3_weight", "fc3_bias"})
    fill(model, name, index++);
  return model;
}

ir::Model cnn() {
  ir::Model model = onnx::read(testing::source_path("examples/cnn.onnxtxt"));
  std::uint32_t index = 0;
  for (const char* name : {"conv1_weight", "conv2_weight", "fc_weight", "fc_bias"}) fill(model, name, index++);
  for (const char* norm : {"norm1", "norm2"}) {
    for (const char* ones : {"_scale", "_variance"}) {
      const std::string name = norm + std::string(ones);
      const std::int64_t count = model.graph->find(name)->initializer()->element_count();
      set_weight(model, name, ir::Tensor::vector(std::vector<float>(static_cast<std::size_t>(count), 1.0F)));
    }
  }
  return model;
}

void follow(const std::string& name, FinetuneOptions options, double rate, const ir::Model& model = mlp()) {
  static const nlohmann::json oracle =
      nlohmann::json::parse(std::ifstream(testing::source_path("tests/train/oracle.json")));
  static const data::Dataset data =
      data::Dataset::open(testing::source_path("examples/digits/digits.csv.gz"),
                          {.label = "digit", .classes = {}, .rows = "0:" + std::to_string(kRows)});
  options.feed.preprocess[""] = data::parse_normalize("scale=1/16").second;
  options.batch_size = 32;
  options.epochs = 8;
  options.max_steps = 100;
  options.seed = 5;
  options.dropout = 0;
  options.learning_rate = rate;
  const auto& expected = oracle.at(name).at("losses");
  std::vector<double> losses;
  const FinetuneResult result =
      finetune(model, data, options,
               {.step = [&](const StepReport& step) { losses.push_back(step.loss); }, .epoch = {}, .updated = {}});
  REQUIRE(losses.size() == 100);
  double worst = 0;
  for (std::size_t i = 0; i < 100; ++i) worst = std::max(worst, testing::apart(losses[i], expected[i].get<double>()));
  INFO(name << ": largest difference of a loss " << worst);
  CHECK(worst < 1e-4);
  // And where it ends: the length of every weight.
  std::size_t which = 0;
  for (const Weight& each : find_weights(result.model)) {
    if (is_statistic(each.role)) continue;
    double squares = 0;
    for (const double value : weight(result.model, each.name).to_doubles()) squares += value * value;
    INFO(name << ": " << each.name);
    CHECK(std::sqrt(squares) == Approx(oracle.at(name).at("norms").at(which++).get<double>()).epsilon(1e-4));
  }
}

}  // namespace

TEST_CASE("stochastic gradient descent follows PyTorch's") {
  follow("sgd", {.optimizer = {.kind = "sgd"}}, 0.1);
  follow("momentum", {.optimizer = {.kind = "sgd", .momentum = 0.9}}, 0.05);
  follow("nesterov", {.optimizer = {.kind = "sgd", .momentum = 0.9, .nesterov = true}}, 0.05);
}

TEST_CASE("adaptive optimizers follow PyTorch's") {
  follow("adam", {.optimizer = {.kind = "adam"}}, 1e-3);
  follow("rmsprop", {.optimizer = {.kind = "rmsprop"}}, 1e-3);
  follow("adagrad", {.optimizer = {.kind = "adagrad"}}, 1e-2);
}

TEST_CASE("regularization follows PyTorch's, on matrices alone") {
  follow("adam-l2", {.optimizer = {.kind = "adam", .l2 = 0.01}}, 1e-3);
  follow("adamw", {.optimizer = {.kind = "adamw", .weight_decay = 0.1}}, 1e-3);
  follow("sgd-l1", {.optimizer = {.kind = "sgd", .l1 = 1e-3}}, 0.1);
  follow("clip-norm", {.optimizer = {.kind = "sgd", .clip_norm = 0.5}}, 0.1);
}

TEST_CASE("losses follow PyTorch's") {
  follow("smoothing", {.label_smoothing = 0.1}, 1e-3);
  follow("class-weights", {.class_weights = {1, 2, 3, 4, 5, 5, 4, 3, 2, 1}}, 1e-3);
}

TEST_CASE("schedules follow PyTorch's") {
  const OptimizerOptions sgd{.kind = "sgd"};
  follow("cosine", {.optimizer = sgd, .schedule = parse_schedule("cosine")}, 0.1);
  follow("step", {.optimizer = sgd, .schedule = parse_schedule("step:every=2,factor=0.5")}, 0.1);
  follow("multistep", {.optimizer = sgd, .schedule = parse_schedule("multistep:at=2+5,factor=0.2")}, 0.1);
  follow("exponential", {.optimizer = sgd, .schedule = parse_schedule("exponential:factor=0.9")}, 0.1);
  follow("polynomial", {.optimizer = sgd, .schedule = parse_schedule("polynomial:power=2")}, 0.1);
}

TEST_CASE("convolutions, batch normalization and pooling follow PyTorch's") {
  follow("cnn", {.optimizer = {.kind = "sgd", .momentum = 0.9}}, 0.05, cnn());
}

TEST_CASE("a batch in pieces is the batch") {
  follow("momentum", {.micro_batch = 10, .optimizer = {.kind = "sgd", .momentum = 0.9}}, 0.05);
}

}  // namespace hone::train
