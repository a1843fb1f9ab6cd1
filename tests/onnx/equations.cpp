// Equations of Einsum that ONNX's own inference does not come back from.
#include <catch2/catch.hpp>

#include "hone/onnx/read.h"
#include "hone/onnx/schema.h"
#include "hone/support/error.h"

namespace hone {
namespace {

std::string inferred(const std::string& graph) {
  const ir::Model model = onnx::read_text("<ir_version: 10, opset_import: [\"\": 20]>\n" + graph);
  return ir::text(onnx::infer_types(*model.graph->last(), model).at(0));
}

std::string einsum(const std::string& equation) {
  return inferred("g (float[2,3] x) => (y) { y = Einsum<equation = \"" + equation + "\">(x) }");
}

}  // namespace

TEST_CASE("equations that ONNX's own inference does not come back from are refused before it") {
  CHECK(einsum(" i j -> j i") == "float[3,2]");
  CHECK(einsum("...i->i...") == "float[3,2]");
  for (const char* equation : {"i.j->i", "......->...", "i-j", "i1->i", "...i...->i"}) {
    INFO(equation);
    CHECK_THROWS_AS(einsum(equation), Error);
  }
  // Nor may it get there by way of a subgraph.
  CHECK_THROWS_AS(inferred(R"(g (bool c, float[2,3] x) => (y) {
                     y = If (c) <then_branch = a () => (p) { p = Einsum<equation = "i.j->i">(x) },
                                 else_branch = b () => (q) { q = Identity(x) }>
                   })"),
                  Error);
}

}  // namespace hone
