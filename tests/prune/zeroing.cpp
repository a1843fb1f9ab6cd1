// Unstructured and N:M pruning: exact counts, ties, what stays.
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "hone/onnx/write.h"
#include "hone/prune/prune.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"
#include "text_model.h"

namespace hone::prune {
namespace {

using Catch::Matchers::Contains;
using ir::Tensor;

// Two layers, one with weights half as large as the other's.
const char* const kTwo = R"(g (float[N,4] x) => (float[N,2] y)
  <float[4,8] big, float[8] bias, float[8,2] small>
  { a = MatMul(x, big) b = Add(a, bias) c = Relu(b) y = MatMul(c, small) })";

ir::Model two(std::uint64_t seed = 1) {
  ir::Model model = testing::text_model(kTwo);
  testing::draw_weights(model, seed);
  std::vector<float> small = model.graph->find("small")->initializer()->to_floats();
  for (float& weight : small) weight *= 0.5F;
  model.graph->set_initializer(*model.graph->find("small"), Tensor::of<float>({8, 2}, small));
  return model;
}

std::vector<float> weights(const ir::Model& model, const char* name) {
  return model.graph->find(name)->initializer()->to_floats();
}
std::int64_t zeros(const std::vector<float>& values) { return std::count(values.begin(), values.end(), 0.0F); }

PruneResult prune(ir::Model& model, const PruneOptions& options) { return prune::prune(model, options, silent()); }

ir::Model matrix(ir::Dims dims, const std::vector<float>& values) {
  const std::string rows = std::to_string(dims[0]), columns = std::to_string(dims[1]);
  ir::Model model = testing::text_model("g (float[N," + rows + "] x) => (float[N," + columns + "] y) <float[" + rows +
                                        "," + columns + "] w> { y = MatMul(x, w) }");
  model.graph->set_initializer(*model.graph->find("w"), Tensor::of<float>(std::move(dims), values));
  return model;
}

}  // namespace

TEST_CASE("the number of zeros is exact, over the model or in each layer") {
  for (const double sparsity : {0.0, 0.1, 0.25, 0.5}) {
    ir::Model global = two(), layer = two();
    const PruneResult all = prune(global, {.sparsity = sparsity});
    CHECK(zeros(weights(global, "big")) + zeros(weights(global, "small")) == std::floor(sparsity * 48));
    CHECK(all.zeros_after == static_cast<std::uint64_t>(std::floor(sparsity * 48)));
    CHECK(all.weights_before == 48);
    prune(layer, {.sparsity = sparsity, .scope = Scope::layer});
    CHECK(zeros(weights(layer, "big")) == std::floor(sparsity * 32));
    CHECK(zeros(weights(layer, "small")) == std::floor(sparsity * 16));
  }
}

TEST_CASE("the smallest magnitudes go, and biases stay") {
  const ir::Model before = two();
  ir::Model after = two();
  prune(after, {.sparsity = 0.5});
  CHECK(weights(after, "bias") == weights(before, "bias"));
  float largest_gone = 0, smallest_kept = INFINITY;
  for (const char* name : {"big", "small"}) {
    const auto old = weights(before, name), now = weights(after, name);
    for (std::size_t i = 0; i < old.size(); ++i) {
      if (now[i] == 0) {
        largest_gone = std::max(largest_gone, std::abs(old[i]));
      } else {
        CHECK(now[i] == old[i]);
        smallest_kept = std::min(smallest_kept, std::abs(old[i]));
      }
    }
  }
  CHECK(largest_gone <= smallest_kept);
}

TEST_CASE("equal magnitudes go in file order") {
  ir::Model model = matrix({2, 4}, {1, -1, 1, -1, 1, 1, 2, 1});
  prune(model, {.sparsity = 0.5});
  CHECK(weights(model, "w") == std::vector<float>{0, 0, 0, 0, 1, 1, 2, 1});
}

TEST_CASE("zeros that are there count, and more of them than asked for stay") {
  ir::Model model = matrix({2, 4}, {0, 3, 0, -0.0F, 1, 2, 0, 4});
  const PruneResult result = prune(model, {.sparsity = 0.25});
  CHECK(zeros(weights(model, "w")) == 4);
  CHECK(result.layers[0].zeros_before == 4);
  CHECK(result.layers[0].zeros_after == 4);
  prune(model, {.sparsity = 0.625});
  CHECK(weights(model, "w") == std::vector<float>{0, 3, 0, 0, 0, 2, 0, 4});
}

TEST_CASE("a layer keeps something") {
  ir::Model model = two();
  prune(model, {.sparsity = 0.6});  // the small layer alone could give nearly all
  CHECK(zeros(weights(model, "small")) <= 15);
  ir::Model one = matrix({1, 4}, {1, 2, 3, 4});
  prune(one, {.sparsity = 0.99});
  CHECK(weights(one, "w") == std::vector<float>{0, 0, 0, 4});
}

TEST_CASE("N of M along the sum") {
  ir::Model columns = matrix({8, 1}, {1, -4, 3, 2, 5, 5, 5, 5});
  prune(columns, {.sparsity = 0.5, .structure = Structure::n_of_m});
  CHECK(weights(columns, "w") == std::vector<float>{0, -4, 3, 0, 5, 5, 0, 0});
  // A Gemm with its matrix the other way round sums along rows; a rest of fewer than M keeps its share, rounded up.
  ir::Model gemm = testing::text_model(
      "g (float[N,6] x) => (float[N,1] y) <float[1,6] w = {1, 2, 3, 4, 6, 5}> { y = Gemm<transB=1>(x, w) }");
  prune(gemm, {.sparsity = 0.5, .structure = Structure::n_of_m});
  CHECK(weights(gemm, "w") == std::vector<float>{0, 0, 3, 4, 6, 0});
  // A convolution: along input channels, each place of the filter by itself.
  ir::Model conv =
      testing::text_model("g (float[N,4,3,3] x) => (float[N,1,2,2] y) <float[1,4,2,2] w> { y = Conv(x, w) }");
  testing::draw_weights(conv);
  const auto before = weights(conv, "w");
  prune(conv, {.sparsity = 0.75, .structure = Structure::n_of_m, .n = 1, .m = 4});
  const auto after = weights(conv, "w");
  for (std::size_t place = 0; place < 4; ++place) {
    float largest = 0;
    int kept = 0;
    for (std::size_t c = 0; c < 4; ++c) {
      largest = std::max(largest, std::abs(before[c * 4 + place]));
      kept += after[c * 4 + place] != 0;
      if (after[c * 4 + place] != 0) CHECK(std::abs(after[c * 4 + place]) >= largest);
    }
    CHECK(kept == 1);
  }
  // A sum shorter than M is left alone and says so.
  ir::Model narrow = matrix({3, 2}, {1, 2, 3, 4, 5, 6});
  CHECK_THROWS_WITH(prune(narrow, {.sparsity = 0.5, .structure = Structure::n_of_m}), Contains("fewer than 4"));
}

TEST_CASE("windows and threads change nothing") {
  // Larger than a window of reading, so that ties and thresholds cross its border.
  std::vector<float> values(700 * 512);
  Random random(3);
  for (float& value : values) value = static_cast<float>(static_cast<int>(random.below(200)) - 100);
  std::string first;
  for (const int threads : {1, 2}) {
    set_threads(threads);
    ir::Model model = matrix({700, 512}, values);
    prune(model, {.sparsity = 0.5});
    CHECK(zeros(weights(model, "w")) == 700 * 256);
    const std::string bytes = onnx::to_bytes(model);
    if (first.empty()) first = bytes;
    CHECK(bytes == first);
  }
  set_threads(0);
  ir::Model model = matrix({700, 512}, values);
  prune(model, {.sparsity = 0.5, .structure = Structure::n_of_m});
  const auto now = weights(model, "w");
  for (std::size_t row = 0; row < 700; row += 4) {
    for (std::size_t column = 0; column < 512; ++column) {
      int kept = 0;
      for (std::size_t k = 0; k < 4; ++k) kept += now[(row + k) * 512 + column] != 0;
      if (kept > 2) FAIL("row " << row << ", column " << column);
    }
  }
}

TEST_CASE("names choose layers") {
  ir::Model model = two();
  const auto big = weights(model, "big");
  const PruneResult result = prune(model, {.sparsity = 0.5, .exclude = "^big$"});
  CHECK(weights(model, "big") == big);
  CHECK(zeros(weights(model, "small")) == 8);
  CHECK(std::any_of(result.layers.begin(), result.layers.end(), [](const LayerResult& layer) {
    return layer.weight == "big" && layer.skipped == "excluded by name";
  }));
  CHECK_THROWS_WITH(prune(model, {.include = "nothing"}), Contains("matches no layer"));
  CHECK_THROWS_WITH(prune(model, {.include = "("}), Contains("not a regular expression"));
}

TEST_CASE("what can't be pruned says so") {
  ir::Model model = two();
  for (const double sparsity : {-0.1, 1.0, 1.5, static_cast<double>(NAN)})
    CHECK_THROWS_AS(prune(model, {.sparsity = sparsity}), Error);
  ir::Model none = testing::text_model("g (float[2] x) => (float[2] y) { y = Relu(x) }");
  CHECK_THROWS_AS(prune(none, {}), Error);
  PruneOptions options;
  parse_structure("2:4", options);
  CHECK((options.structure == Structure::n_of_m && options.n == 2 && options.m == 4));
  for (const char* wrong : {"", "4:2", "2:2", "0:4", "2:4:8", "a:b", "2:65", "channels"}) {
    CHECK_THROWS_AS(parse_structure(wrong, options), Error);
  }
}

TEST_CASE("tied weights stay tied, and count once") {
  ir::Model model = testing::text_model(R"(g (float[N,4] x) => (float[N,4] y) <float[4,4] w, float[4,4] other>
    { a = MatMul(x, w) b = Gemm<transB=1>(a, w) y = MatMul(b, other) })");
  testing::draw_weights(model);
  const PruneResult result = prune(model, {.sparsity = 0.5, .scope = Scope::layer});
  CHECK(result.layers.size() == 2);
  CHECK(zeros(weights(model, "w")) == 8);
  CHECK(zeros(weights(model, "other")) == 8);
}

}  // namespace hone::prune
