#include "hone/release/bench.h"

#include <catch2/catch.hpp>

#include "hone/onnx/read.h"
#include "hone/support/error.h"

namespace hone::release {
namespace {

ir::Model model(std::string_view graph) {
  return onnx::read_text("<ir_version: 9, opset_import: [\"\" : 17]>\n" + std::string(graph));
}

const std::string small = "g (float[n] x) => (float[n] y) { y = Add(x, x) }";
const std::string large =
    R"(g (float[n] x) => (float[n] y) { a = Exp(x) b = Sin(a) c = Exp(b) d = Sin(c) e = Exp(d) y = Sin(e) })";

InputSets sets(std::initializer_list<std::int64_t> sizes) {
  InputSets result;
  for (const std::int64_t size : sizes) result.push_back({{"x", ir::Tensor::zeros(ir::ElementType::float32, {size})}});
  return result;
}

BenchOptions quick(int runs) {
  BenchOptions options;
  options.turns.runs = runs;
  return options;
}

}  // namespace

TEST_CASE("bench: a model alone, with as many runs as asked for") {
  const Bench result = bench(model(small), sets({100}), quick(7));
  CHECK(result.model.seconds.size() == 7);
  CHECK(result.model.latency.p50 > 0);
  CHECK(result.model.interval->low <= result.model.latency.p50);
  CHECK_FALSE(result.against);
  CHECK_FALSE(result.ratio);
}

TEST_CASE("bench: the ratio is above 1 where the second is slower, on inputs that take turns") {
  const Bench result = bench(model(small), model(large), sets({50'000, 60'000}), quick(15));
  REQUIRE(result.against);
  CHECK(result.against->seconds.size() == 15);
  CHECK(result.ratio->ratio > 1);
  CHECK(result.ratio->interval->low <= result.ratio->ratio);
}

TEST_CASE("bench: a model that asks for other inputs is refused with its name") {
  const ir::Model other = model("g (float[n] x, float[n] z) => (float[n] y) { y = Add(x, z) }");
  try {
    bench(model(small), other, sets({3}), quick(1));
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::bad_input);
    CHECK(error.message().find("'z'") != std::string::npos);
  }
}

TEST_CASE("bench: a library that is not ONNX Runtime is refused") {
  std::string version;
  try {
    bench_against_onnxruntime(model(small), "m.onnx", "libz.so.1", sets({3}), quick(1), version);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.message().find("OrtGetApiBase") != std::string::npos);
  }
  CHECK_THROWS_AS(
      bench_against_onnxruntime(model(small), "m.onnx", "/no/such/library.so", sets({3}), quick(1), version), Error);
}

}  // namespace hone::release
