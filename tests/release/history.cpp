// What a model tells of itself: entries are appended, odd ones are survived.
#include "hone/release/history.h"

#include <catch2/catch.hpp>

#include "hone/onnx/write.h"
#include "text_model.h"

namespace hone::release {
namespace {

ir::Model model() { return testing::text_model("g (float[2] x) => (float[2] y) { y = Relu(x) }"); }

}  // namespace

TEST_CASE("history grows, and survives writing and reading") {
  ir::Model first = model();
  CHECK(read_history(first).empty());
  append_history(first, "prune", {{"sparsity", "0.5"}, {"name", "\"quoted\" \xff"}});
  append_history(first, "quantize", {});
  const ir::Model second = onnx::read(File::from_memory(onnx::to_bytes(first), "m.onnx"));
  const auto entries = read_history(second);
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].tool == "prune");
  CHECK_FALSE(entries[0].version.empty());
  CHECK(entries[0].options[0] == std::pair<std::string, std::string>("sparsity", "0.5"));
  CHECK(entries[1].tool == "quantize");
  CHECK(entries[1].options.empty());
}

TEST_CASE("history that others wrote") {
  ir::Model odd = model();
  odd.set_metadata("hone.history", "not JSON");
  CHECK(read_history(odd).empty());
  odd.set_metadata("hone.history", R"({"tool": "x"})");
  CHECK(read_history(odd).empty());
  odd.set_metadata(
      "hone.history",
      R"([7, {"tool": 3}, {"tool": "a", "version": 5, "options": {"n": 3}}, {"tool": "b", "options": []}])");
  const auto entries = read_history(odd);
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].tool == "a");
  CHECK(entries[0].options[0].second == "3");
  CHECK(entries[1].tool == "b");
  append_history(odd, "convert", {});
  CHECK(read_history(odd).back().tool == "convert");
}

TEST_CASE("the same work gives the same bytes") {
  ir::Model a = model(), b = model();
  append_history(a, "convert", {{"level", "2"}});
  append_history(b, "convert", {{"level", "2"}});
  CHECK(onnx::to_bytes(a) == onnx::to_bytes(b));
}

}  // namespace hone::release
