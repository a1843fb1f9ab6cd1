// Random models through the passes. HONE_FUZZ_SEED and HONE_FUZZ_COUNT choose others and more of them; a finding comes with
// its seed and the smallest model that shows it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iterator>

#include "cases.h"

namespace hone::fuzz {
namespace {

std::uint64_t number(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : fallback;
}

void run(std::uint64_t first, std::uint64_t count) {
  Counts counts;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const auto findings = check_seed(seed, counts);
    for (const Finding& finding : findings) {
      INFO("seed " << seed << ", pipeline '" << finding.pipeline << "': " << finding.kind << ": " << finding.detail);
      FAIL_CHECK(shrink(seed, finding));
      break;  // others of the same model are mostly the same fault
    }
  }
  INFO(counts.models << " models, " << counts.invalid << " invalid, " << counts.not_run << " not run");
  // A generator that makes nothing of use would find nothing.
  CHECK(counts.invalid * 5 <= counts.models);
  CHECK(counts.not_run * 5 <= counts.models);
  CHECK(counts.changed >= counts.models);
  CHECK(counts.runs >= counts.models);
}

TEST_CASE("random models through the passes") { run(number("HONE_FUZZ_SEED", 1), number("HONE_FUZZ_COUNT", 150)); }

// An item of a sequence without an element type, which a model in text can't hold.
TEST_CASE("a model that showed a fault through the passes") { run(8000842, 1); }

TEST_CASE("many random models through the passes", "[slow]") {
  run(number("HONE_FUZZ_SEED", 100000), number("HONE_FUZZ_COUNT", 4000));
}

}  // namespace
}  // namespace hone::fuzz
