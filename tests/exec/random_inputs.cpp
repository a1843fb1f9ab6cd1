#include "hone/exec/random_inputs.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "hone/onnx/read.h"

namespace hone {
namespace {

// The largest of a good many draws for the input "i".
std::int64_t largest(const std::string& graph) {
  const ir::Model model = onnx::read_text("<ir_version: 8, opset_import: [\"\": 17, \"local\": 1]>\n" + graph);
  std::int64_t result = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (const ir::NamedDatum& input : exec::random_inputs(model, seed)) {
      if (input.name != "i") continue;
      for (const std::int64_t value : input.datum.tensor()->to_ints()) result = std::max(result, value);
    }
  }
  return result;
}

}  // namespace

TEST_CASE("indices stay inside the table they index") {
  CHECK(largest("g (int64[32] i, float[7,2] t) => (float[32,2] y) { y = Gather(t, i) }") == 6);
  CHECK(largest("g (int32[32] i, float[7,2] t) => (float[32,2] y) { c = Cast<to = 7>(i) y = Gather(t, c) }") == 6);
  CHECK(largest("g (int64[32,2] i, float[7,5] t) => (float[32] y) { y = GatherND(t, i) }") == 4);
  CHECK(largest("g (int64[4,5] i, float[7,5] t, float[4,5] u) => (float[7,5] y) { y = ScatterElements(t, i, u) }") ==
        6);
  CHECK(largest(R"(g (int64[32] i) => (float[32,2] y) { y = local.look(i) }
<domain: "local", opset_import: ["": 17]> look (k) => (r) {
  t = Constant<value = float[5,2] {0,0,0,0,0,0,0,0,0,0}>() r = Gather(t, k) })") == 4);
  CHECK(largest("g (int64[32] i) => (int64[32] y) { y = Neg(i) }") == 1);  // masks
}

TEST_CASE("symbols have one size everywhere, and another one each time") {
  const ir::Model model = onnx::read_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n,s] a, float[n,s] b) => (float[n,s] y) { y = Add(a, b) })");
  const auto dims = [&](int variation) {
    const auto inputs = exec::random_inputs(model, 0, variation);
    CHECK(inputs[0].datum.tensor()->dims() == inputs[1].datum.tensor()->dims());
    return inputs[0].datum.tensor()->dims();
  };
  CHECK(dims(0) != dims(1));
  CHECK(dims(1) != dims(2));
}

}  // namespace hone
