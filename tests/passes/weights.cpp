#include "passes/weights.h"

#include <catch2/catch.hpp>
#include <cstring>

namespace hone::passes {
namespace {

TEST_CASE("matrices side by side, at once and as windows of a deferred tensor") {
  // The second is past what is made at once.
  const std::int64_t rows = GENERATE(2, 1000);
  const std::vector<std::int64_t> widths{100, 7, 300};
  std::vector<ir::Tensor> matrices;
  std::vector<float> expected(static_cast<std::size_t>(rows * 407));
  std::int64_t at = 0;
  for (const std::int64_t width : widths) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < rows * width; ++i) {
      values.push_back(static_cast<float>(at * 1000 + i));
      expected[static_cast<std::size_t>(i / width * 407 + at + i % width)] = values.back();
    }
    matrices.push_back(ir::Tensor::of<float>({rows, width}, values));
    at += width;
  }
  const ir::Tensor all = side_by_side(matrices);
  CHECK(all.dims() == ir::Dims{rows, 407});
  CHECK(all.is_deferred() == (rows == 1000));
  CHECK(all.to_floats() == expected);
  // A range that begins and ends inside rows and elements.
  std::vector<std::byte> part(all.byte_size() - 1621 - 6);
  all.read(1621, part);
  CHECK(std::memcmp(part.data(), reinterpret_cast<const std::byte*>(expected.data()) + 1621, part.size()) == 0);
}

}  // namespace
}  // namespace hone::passes
