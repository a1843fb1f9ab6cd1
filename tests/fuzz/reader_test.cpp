// The readers on the corpus, and on its files with random changes. HONE_FUZZ_SEED and HONE_FUZZ_COUNT as in passes_test.cpp.
#include "reader.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "sources.h"

namespace hone::fuzz {
namespace {

void run(std::uint64_t count) {
  const auto corpus = read_corpus(testing::source_path("tests/fuzz/corpus"));
  REQUIRE(corpus.size() > 10);
  for (const std::string& bytes : corpus) CHECK_NOTHROW(read_bytes(bytes));
  const char* first = std::getenv("HONE_FUZZ_SEED");
  const char* wanted = std::getenv("HONE_FUZZ_COUNT");
  if (wanted) count = std::strtoull(wanted, nullptr, 10);
  const std::uint64_t start = first ? std::strtoull(first, nullptr, 10) : 0;
  for (std::uint64_t seed = start; seed < start + count; ++seed) {
    Random random(seed);
    const std::string bytes = mutate(corpus[random.below(corpus.size())], corpus, random);
    INFO("seed " << seed);
    CHECK_NOTHROW(read_bytes(bytes));
  }
}

TEST_CASE("readers take any bytes") { run(1500); }
TEST_CASE("readers take many bytes", "[slow]") { run(40000); }

}  // namespace
}  // namespace hone::fuzz
