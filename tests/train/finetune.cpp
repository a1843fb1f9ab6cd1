// The loop around the steps: masks, interruption and resuming, early stopping, what is refused.
#include "hone/train/finetune.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "hone/onnx/write.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"
#include "hone/train/initialize.h"
#include "temporary_folder.h"
#include "text_model.h"

namespace hone::train {
namespace {

using Catch::Matchers::Contains;
using ir::Tensor;

const char* const kMlp = R"(g (float[N,4] x) => (float[N,3] y) <float[8,4] w1, float[8] b1, float[3,8] w2, float[3] b2>
  { a = Gemm<transB=1>(x, w1, b1) r = Relu(a) y = Gemm<transB=1>(r, w2, b2) })";
const char* const kNormalized = R"(g (float[N,4] x) => (float[N,3] y)
  <float[8,4] w1, float[8] s, float[8] b, float[8] m, float[8] v, float[3,8] w2, float ratio = {0.3}, bool on = {0}>
  { a = Gemm<transB=1>(x, w1) n = BatchNormalization(a, s, b, m, v) r = Relu(n) d, k = Dropout(r, ratio, on) y = Gemm<transB=1>(d, w2) })";

// Three clouds of points; the class is the largest of the first three numbers.
data::Dataset clouds(std::int64_t rows = 96, std::uint64_t seed = 1) {
  Random random(seed);
  std::vector<float> x;
  std::vector<std::int64_t> y;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto label = static_cast<std::int64_t>(random.below(3));
    for (std::int64_t i = 0; i < 4; ++i) x.push_back(static_cast<float>(random.normal() + (i == label ? 3 : 0)));
    y.push_back(label);
  }
  std::vector<data::Array> arrays;
  arrays.push_back({"x", Tensor::of<float>({rows, 4}, x)});
  arrays.push_back({"y", Tensor::vector(y)});
  return data::Dataset::of(std::move(arrays), {.label = "y"});
}

data::Dataset with_labels(const Tensor& labels, std::int64_t rows) {
  std::vector<data::Array> arrays;
  arrays.push_back({"x", testing::drawn({rows, 4})});
  arrays.push_back({"y", labels});
  return data::Dataset::of(std::move(arrays), {.label = "y"});
}

ir::Model model(const char* text = kMlp) {
  ir::Model result = testing::text_model(text);
  initialize(result, "he", 3);
  return result;
}

FinetuneOptions quick(std::int64_t epochs = 3) {
  FinetuneOptions options;
  options.batch_size = 16;
  options.epochs = epochs;
  options.learning_rate = 0.01;
  options.seed = 4;
  return options;
}

std::vector<double> losses_of(const FinetuneResult& result) {
  std::vector<double> losses;
  for (const EpochReport& epoch : result.epochs) losses.push_back(epoch.train_loss);
  return losses;
}

}  // namespace

TEST_CASE("training learns, and gives the model back with other weights only") {
  const ir::Model before = model();
  const FinetuneResult result = finetune(before, clouds(), quick(20));
  CHECK(result.loss == "cross-entropy");
  CHECK(result.epochs.back().train_accuracy.value() > 0.9);
  CHECK(result.epochs.front().train_loss > 2 * result.epochs.back().train_loss);
  CHECK(result.steps == 120);
  CHECK(result.trained_parameters == 32 + 8 + 24 + 3);
  CHECK(testing::count_nodes(result.model, "Gemm") == 2);
  CHECK(result.model.graph->find("w1")->initializer()->dims() == ir::Dims{8, 4});
  CHECK(onnx::to_bytes(before) == onnx::to_bytes(model()));  // the one given is as it was
}

TEST_CASE("one seed gives the same bits, another seed others") {
  const auto run = [](std::uint64_t seed) {
    FinetuneOptions options = quick();
    options.seed = seed;
    return onnx::to_bytes(finetune(model(kNormalized), clouds(), options).model);
  };
  CHECK(run(4) == run(4));
  CHECK(run(4) != run(5));
}

TEST_CASE("zeros of pruned weights stay zero under every optimizer") {
  for (const std::string_view kind : optimizers()) {
    ir::Model sparse = model();
    std::vector<float> weights = weight(sparse, "w1").to_floats();
    for (std::size_t i = 0; i < weights.size(); i += 2) weights[i] = 0;
    set_weight(sparse, "w1", Tensor::of<float>({8, 4}, weights));
    FinetuneOptions options = quick(2);
    options.optimizer.kind = kind;
    options.optimizer.l1 = options.optimizer.l2 = options.optimizer.weight_decay = 1e-3;
    const FinetuneResult kept = finetune(sparse, clouds(), options);
    const auto after = weight(kept.model, "w1").to_floats();
    for (std::size_t i = 0; i < after.size(); ++i) CHECK((after[i] == 0) == (i % 2 == 0));
    CHECK(kept.sparsity[0].kept);
    CHECK(kept.sparsity[0].zeros_before == 16);
    CHECK(kept.sparsity[0].zeros_after == 16);
    CHECK_FALSE(kept.sparsity[1].kept);
    options.keep_sparsity = "off";
    CHECK(finetune(sparse, clouds(), options).sparsity[0].zeros_after < 4);
  }
}

TEST_CASE("killed at any step and resumed is the same as not killed") {
  const testing::TemporaryFolder folder;
  for (const char* text : {kMlp, kNormalized}) {
    FinetuneOptions options = quick(4);
    options.optimizer.kind = "adam";
    options.schedule = parse_schedule("cosine:warm-up=1");
    options.average = 0.9;
    options.validation_split = 0.25;
    options.dropout = 0.2;
    const FinetuneResult whole = finetune(model(text), clouds(), options);
    for (const std::uint64_t stop : {1, 7, 10, 18}) {
      FinetuneOptions parts = options;
      parts.checkpoint = folder.path("c.npz");
      parts.resume = true;
      std::filesystem::remove(parts.checkpoint);
      const Hooks hooks{.step =
                            [&](const StepReport& step) {
                              if (step.step == stop) request_interrupt(15);
                            },
                        .epoch = {},
                        .updated = {}};
      CHECK_THROWS_AS(finetune(model(text), clouds(), parts, hooks), Error);
      request_interrupt(0);
      const FinetuneResult rest = finetune(model(text), clouds(), parts);
      CHECK(rest.resumed);
      CHECK(onnx::to_bytes(rest.model) == onnx::to_bytes(whole.model));
      CHECK(losses_of(rest) == losses_of(whole));
      CHECK(rest.epochs.back().validation_loss == whole.epochs.back().validation_loss);
    }
  }
}

TEST_CASE("more epochs than before go on from the end") {
  const testing::TemporaryFolder folder;
  FinetuneOptions options = quick(2);
  const FinetuneResult whole = finetune(model(), clouds(), quick(5));
  options.checkpoint = folder.path("c.npz");
  finetune(model(), clouds(), options);
  options.epochs = 5;
  options.resume = true;
  CHECK(onnx::to_bytes(finetune(model(), clouds(), options).model) == onnx::to_bytes(whole.model));
}

TEST_CASE("a checkpoint of something else is refused, by name") {
  const testing::TemporaryFolder folder;
  FinetuneOptions options = quick(1);
  options.checkpoint = folder.path("c.npz");
  finetune(model(), clouds(), options);
  options.resume = true;
  FinetuneOptions other = options;
  other.optimizer.l2 = 0.1;
  CHECK_THROWS_WITH(finetune(model(), clouds(), other), Contains("l2"));
  CHECK_THROWS_WITH(finetune(model(), clouds(96, 2), options), Contains("other data"));
  ir::Model changed = model();
  initialize(changed, "he", 9);
  CHECK_THROWS_WITH(finetune(changed, clouds(), options), Contains("another model"));
  std::string bytes = folder.read("c.npz");
  folder.write("c.npz", bytes.substr(0, bytes.size() / 2));
  CHECK_THROWS_AS(finetune(model(), clouds(), options), Error);
  const std::size_t epoch = bytes.find("\"epoch\":1");
  REQUIRE(epoch != std::string::npos);
  bytes[epoch + 8] = '2';  // which the checksum tells
  folder.write("c.npz", bytes);
  CHECK_THROWS_AS(finetune(model(), clouds(), options), Error);
  folder.write("c.npz", "not a checkpoint");
  CHECK_THROWS_AS(finetune(model(), clouds(), options), Error);
}

TEST_CASE("early stopping keeps the best epoch") {
  FinetuneOptions options = quick(60);
  options.learning_rate = 0.3;  // overshoots soon
  options.optimizer.kind = "sgd";
  options.optimizer.momentum = 0.9;
  options.validation_split = 0.3;
  options.early_stopping = 3;
  const FinetuneResult result = finetune(model(), clouds(), options);
  REQUIRE(result.stopped_early);
  CHECK(static_cast<std::int64_t>(result.epochs.size()) == result.best_epoch + 3);
  double best = INFINITY;
  for (const EpochReport& epoch : result.epochs) best = std::min(best, epoch.validation_loss.value());
  CHECK(result.epochs[static_cast<std::size_t>(result.best_epoch) - 1].validation_loss == best);
  // The weights are those of that epoch.
  FinetuneOptions shorter = options;
  shorter.epochs = result.best_epoch;
  shorter.early_stopping = 0;
  CHECK(onnx::to_bytes(finetune(model(), clouds(), shorter).model) == onnx::to_bytes(result.model));
}

TEST_CASE("an architecture without values wants --init, and gets one") {
  const ir::Model empty = testing::text_model(kMlp);
  CHECK_THROWS_WITH(finetune(empty, clouds(), quick()), Contains("--init"));
  for (const std::string_view scheme : initializations()) {
    FinetuneOptions options = quick(15);
    options.init = scheme;
    CHECK(finetune(empty, clouds(), options).epochs.back().train_accuracy.value() > 0.8);
  }
}

TEST_CASE("the loss follows from the end of the model and the labels") {
  const auto loss_of = [](const char* text, const Tensor& labels) {
    FinetuneOptions options = quick(1);
    options.learning_rate = 1e-4;
    return finetune(model(text), with_labels(labels, 6), options).loss;
  };
  const std::string base = "g (float[N,4] x) => (float[N,3] y) <float[4,3] w> ";
  const Tensor classes = Tensor::vector<std::int64_t>({0, 1, 2, 0, 1, 2});
  CHECK(loss_of((base + "{ y = MatMul(x, w) }").c_str(), classes) == "cross-entropy");
  CHECK(loss_of((base + "{ a = MatMul(x, w) y = Softmax(a) }").c_str(), classes) == "cross-entropy");
  CHECK(loss_of((base + "{ y = MatMul(x, w) }").c_str(), testing::drawn({6, 3})) == "mse");
  const std::string one = "g (float[N,4] x) => (float[N,1] y) <float[4,1] w> ";
  const Tensor binary = Tensor::vector<std::int64_t>({0, 1, 0, 1, 1, 1});
  CHECK(loss_of((one + "{ a = MatMul(x, w) y = Sigmoid(a) }").c_str(), binary) == "binary-cross-entropy");
  CHECK(loss_of((one + "{ y = MatMul(x, w) }").c_str(), binary) == "binary-cross-entropy");
  CHECK(loss_of((one + "{ y = MatMul(x, w) }").c_str(), testing::drawn({6})) == "mse");
}

TEST_CASE("a Softmax at the end trains as its logits do") {
  const std::string head = "g (float[N,4] x) => (float[N,3] y) <float[4,3] w> ";
  const FinetuneResult logits = finetune(model((head + "{ y = MatMul(x, w) }").c_str()), clouds(), quick());
  const FinetuneResult softmax =
      finetune(model((head + "{ a = MatMul(x, w) y = Softmax(a) }").c_str()), clouds(), quick());
  CHECK(weight(logits.model, "w").to_floats() == weight(softmax.model, "w").to_floats());
  CHECK(testing::count_nodes(softmax.model, "Softmax") == 1);
}

TEST_CASE("label smoothing keeps answers apart by less") {
  FinetuneOptions plain = quick(40), smooth = quick(40);
  smooth.label_smoothing = 0.2;
  const auto spread = [](const FinetuneResult& result) {
    double sum = 0;
    for (const float value : testing::output_of(result.model, testing::drawn({32, 4}))) sum += std::abs(value);
    return sum;
  };
  CHECK(spread(finetune(model(), clouds(), smooth)) < 0.8 * spread(finetune(model(), clouds(), plain)));
}

TEST_CASE("weights that are frozen, statistics that are frozen") {
  FinetuneOptions options = quick(2);
  options.freeze = {"^w1$"};
  const FinetuneResult result = finetune(model(), clouds(), options);
  CHECK(weight(result.model, "w1").to_floats() == weight(model(), "w1").to_floats());
  CHECK(weight(result.model, "w2").to_floats() != weight(model(), "w2").to_floats());
  CHECK_THROWS_WITH(
      [&] {
        options.freeze = {"nothing"};
        finetune(model(), clouds(), options);
      }(),
      Contains("nothing"));

  FinetuneOptions frozen = quick(2);
  frozen.batch_norm = "frozen";
  CHECK(weight(finetune(model(kNormalized), clouds(), frozen).model, "m").to_floats() ==
        weight(model(kNormalized), "m").to_floats());
  CHECK(weight(finetune(model(kNormalized), clouds(), quick(2)).model, "m").to_floats() !=
        weight(model(kNormalized), "m").to_floats());
}

TEST_CASE("inserted Dropout is for training alone") {
  FinetuneOptions options = quick(2);
  options.dropout = 0.5;
  const FinetuneResult result = finetune(model(), clouds(), options);
  CHECK(testing::count_nodes(result.model, "Dropout") == 0);
  CHECK(losses_of(result) != losses_of(finetune(model(), clouds(), quick(2))));
}

TEST_CASE("a loss that is no number ends with a sentence") {
  FinetuneOptions options = quick(5);
  options.optimizer.kind = "sgd";
  options.learning_rate = 1e30;
  CHECK_THROWS_WITH(finetune(model(), clouds(), options), Contains("learning rate"));
}

TEST_CASE("what training refuses") {
  const data::Dataset data = clouds();
  const auto refused = [&](auto&& change, const char* text, const char* graph = kMlp) {
    FinetuneOptions options = quick();
    change(options);
    CHECK_THROWS_WITH(finetune(model(graph), data, options), Contains(text));
  };
  refused([](auto& o) { o.batch_size = 0; }, "batch");
  refused([](auto& o) { o.loss = "mean"; }, "cross-entropy");
  refused([](auto& o) { o.output = "z"; }, "has no output 'z'");
  refused([](auto& o) { o.optimizer.kind = "adm"; }, "Did you mean adam");
  refused([](auto& o) { o.optimizer.momentum = 1; }, "momentum");
  refused([](auto& o) { o.optimizer.nesterov = true; }, "nesterov needs");
  refused([](auto& o) { o.learning_rate = -1; }, "learning rate");
  refused([](auto& o) { o.early_stopping = 2; }, "validation");
  refused([](auto& o) { o.resume = true; }, "checkpoint");
  refused([](auto& o) { o.init = "hee"; }, "Did you mean he");
  refused([](auto& o) { o.class_weights = {1, 2}; }, "2 class weights for 3 classes");
  refused([](auto& o) { o.validation_split = 1; }, "validation split");
  refused(
      [](auto& o) {
        o.dropout_after = "(";
        o.dropout = 0.1;
      },
      "regular expression");
  refused(
      [](auto& o) {
        o.monitor = "accuracy";
        o.validation_split = 0.2;
        o.loss = "mse";
      },
      "classifier", "g (float[N,4] x) => (float[N,1] y) <float[4,1] w> { y = MatMul(x, w) }");
  // Labels.
  CHECK_THROWS_WITH(finetune(model(), with_labels(Tensor::vector<std::int64_t>({0, 3}), 2), quick()),
                    Contains("row 1") && Contains("3 classes"));
  CHECK_THROWS_WITH(finetune(model(), with_labels(Tensor::vector<std::int64_t>({-1, 0}), 2), quick()),
                    Contains("row 0"));
  std::vector<data::Array> arrays;
  arrays.push_back({"x", testing::drawn({3, 4})});
  CHECK_THROWS_WITH(finetune(model(), data::Dataset::of(std::move(arrays)), quick()), Contains("--label"));
  // Operators without a gradient: all of them, before the first step.
  const char* const hard = "g (float[N,4] x) => (float[N,3] y) <float[4,3] w> { a = MatMul(x, w) y = Hardmax(a) }";
  CHECK_THROWS_WITH(finetune(model(hard), data, quick()), Contains("Hardmax"));
  const auto obstacles = check(model(hard), data, quick());
  REQUIRE(obstacles.size() == 1);
  CHECK(obstacles[0].op_type == "Hardmax");
  CHECK(check(model(), data, quick()).empty());
}

}  // namespace hone::train
