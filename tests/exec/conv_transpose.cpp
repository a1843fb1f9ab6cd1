#include <catch2/catch.hpp>

#include "helpers.h"

namespace hone::exec {

using testing::dims;
using testing::floats;
using testing::model;
using testing::values;

namespace {

// By oneDNN where it is there, or by the reference kernels.
std::vector<float> transposed(const std::string& attributes, const std::vector<float>& kernel, bool reference) {
  const ir::Model m = model("g (float[1,1,2] x, float[1,1," + std::to_string(kernel.size()) +
                            "] w) => (float[1,1,n] y) { y = ConvTranspose<" + attributes + ">(x, w) }");
  SessionOptions options;
  options.reference = reference;
  Session session(m, options);
  const auto out = session.run(
      {{"x", floats({1, 1, 2}, {1, 2})}, {"w", floats({1, 1, static_cast<std::int64_t>(kernel.size())}, kernel)}});
  CHECK(dims(out[0])[2] == static_cast<std::int64_t>(values(out[0]).size()));
  return values(out[0]);
}

}  // namespace

TEST_CASE("conv transpose: what output_shape and auto_pad cut off, and where") {
  using Values = std::vector<float>;
  const Values kernel = {1, 10, 100};
  for (const bool reference : {false, true}) {
    INFO((reference ? "reference" : "default") << " kernels");
    CHECK(transposed("strides = [1]", kernel, reference) == Values{1, 12, 120, 200});
    CHECK(transposed("output_shape = [3]", kernel, reference) == Values{12, 120, 200});
    CHECK(transposed("output_shape = [3], auto_pad = \"SAME_LOWER\"", kernel, reference) == Values{12, 120, 200});
    CHECK(transposed("output_shape = [3], auto_pad = \"SAME_UPPER\"", kernel, reference) == Values{1, 12, 120});
    CHECK(transposed("auto_pad = \"SAME_UPPER\"", kernel, reference) == Values{12, 120});
    // A kernel smaller than its stride: as ONNX Runtime and ONNX's inference have it.
    CHECK(transposed("strides = [2], auto_pad = \"SAME_UPPER\"", {3}, reference) == Values{3, 0, 6});
  }
}

}  // namespace hone::exec
