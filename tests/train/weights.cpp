// Which constants are weights, what each is for, and what they begin with.
#include "hone/train/weights.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "hone/train/initialize.h"
#include "text_model.h"

namespace hone::train {
namespace {

std::map<std::string, Weight> weights_of(const char* text) {
  std::map<std::string, Weight> result;
  for (const Weight& each : find_weights(testing::text_model(text))) result[each.name] = each;
  return result;
}

}  // namespace

TEST_CASE("weights by what uses them") {
  const auto all = weights_of(R"(g (int64[N,5] ids, float[N,3,8,8] image) => (float[N,5,6] y, float[N,4,6,6] z)
    <float[10,4] table, float[6,4] matrix, float[6] bias, float[6] gamma, float[4,3,3,3] filter, float[4] s, float[4] b, float[4] mean, float[4] var,
     float[4,1,1] slope, float two = {2}, float[1,5,6] shift, float[1,3,1,1] pixel_mean>
    { e = Gather(table, ids) mt = Transpose(matrix) m = MatMul(e, mt) a = Add(m, bias) g = Mul(a, gamma) h = Mul(g, two) y = Add(h, shift)
      centered = Sub(image, pixel_mean) c = Conv(centered, filter) n = BatchNormalization(c, s, b, mean, var) z = PRelu(n, slope) })");
  CHECK(all.at("table").role == Role::embedding);
  CHECK(all.at("matrix").role == Role::matrix);
  CHECK(all.at("matrix").fan_in == 4);
  CHECK(all.at("matrix").fan_out == 6);
  CHECK(all.at("bias").role == Role::bias);
  CHECK(all.at("gamma").role == Role::scale);
  CHECK(all.at("filter").role == Role::matrix);
  CHECK(all.at("filter").fan_in == 27);
  CHECK(all.at("filter").fan_out == 36);
  CHECK(all.at("s").role == Role::scale);
  CHECK(all.at("b").role == Role::bias);
  CHECK(all.at("mean").role == Role::mean);
  CHECK(all.at("var").role == Role::variance);
  CHECK(all.at("slope").role == Role::slope);
  CHECK_FALSE(all.contains("two"));         // a constant of one element
  CHECK_FALSE(all.contains("pixel_mean"));  // normalizes the input
}

TEST_CASE("first values: the variance of each scheme, the seed, the name") {
  const auto deviation = [](const char* scheme, std::uint64_t seed = 1) {
    ir::Model model = testing::text_model(
        "g (float[N,200] x) => (float[N,300] y) <float[300,200] w, float[300] b> { y = Gemm<transB=1>(x, w, b) }");
    initialize(model, scheme, seed);
    double squares = 0;
    const auto values = weight(model, "w").to_floats();
    for (const float value : values) squares += static_cast<double>(value) * static_cast<double>(value);
    return std::sqrt(squares / static_cast<double>(values.size()));
  };
  CHECK(deviation("he") == Approx(std::sqrt(2.0 / 200)).epsilon(0.02));
  CHECK(deviation("he-uniform") == Approx(std::sqrt(2.0 / 200)).epsilon(0.02));
  CHECK(deviation("xavier") == Approx(std::sqrt(2.0 / 500)).epsilon(0.02));
  CHECK(deviation("xavier-normal") == Approx(std::sqrt(2.0 / 500)).epsilon(0.02));
  CHECK(deviation("lecun") == Approx(std::sqrt(1.0 / 200)).epsilon(0.02));
  CHECK(deviation("torch") == Approx(1 / std::sqrt(3.0 * 200)).epsilon(0.02));
  CHECK(deviation("orthogonal") == Approx(std::sqrt(1.0 / 300)).epsilon(1e-4));
  CHECK(deviation("he", 1) == deviation("he", 1));
  CHECK(deviation("he", 1) != deviation("he", 2));
}

TEST_CASE("empty matrices are those without values") {
  ir::Model model = testing::text_model(
      "g (float[N,2] x) => (float[N,2] y) <float[2,2] a, float[2,2] b = {1, 0, 0, 1}> { m = MatMul(x, a) y = MatMul(m, "
      "b) }");
  CHECK(empty_matrices(model) == std::vector<std::string>{"a"});
}

}  // namespace hone::train
