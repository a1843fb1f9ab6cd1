#include "formats/sensitivity.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace hone::formats {
namespace {

double root_of_squares(const std::vector<double>& costs, const std::vector<bool>& chosen) {
  double sum = 0;
  for (std::size_t i = 0; i < costs.size(); ++i) sum += chosen[i] ? costs[i] * costs[i] : 0;
  return std::sqrt(sum);
}

TEST_CASE("the dearest parts are left out, and only they") {
  std::vector<double> costs(200, 1e-5);
  costs[37] = costs[150] = 1;
  const auto error = [&](const std::vector<bool>& chosen) { return root_of_squares(costs, chosen); };
  const Sensitivity found = choose_by_sensitivity(costs.size(), 1e-3, error);
  CHECK_FALSE(found.chosen[37]);
  CHECK_FALSE(found.chosen[150]);
  CHECK(std::count(found.chosen.begin(), found.chosen.end(), true) >= 190);
  CHECK(found.error <= 1e-3);
  CHECK(found.error == error(found.chosen));
  CHECK(found.alone[37] == Approx(1));
  CHECK(found.trials <= 64 + 8);
}

TEST_CASE("infinite errors are never chosen, and nothing is where nothing fits") {
  const auto error = [](const std::vector<bool>& chosen) { return chosen[1] ? INFINITY : chosen[0] ? 0.5 : 0.0; };
  const Sensitivity found = choose_by_sensitivity(3, 0.1, error);
  CHECK(found.chosen == std::vector<bool>{false, false, true});
  CHECK(choose_by_sensitivity(2, 0.1, [](const std::vector<bool>&) { return 1.0; }).chosen ==
        std::vector<bool>{false, false});
  CHECK(choose_by_sensitivity(0, 0.1, [](const std::vector<bool>&) { return 1.0; }).chosen.empty());
}

TEST_CASE("a part that only others make too dear does not keep the rest out") {
  // 0 and 1 together are wrong; 2 is not.
  const auto error = [](const std::vector<bool>& chosen) {
    return chosen[0] && chosen[1] ? 1.0 : chosen[2] ? 0.05 : 0.01;
  };
  const Sensitivity found = choose_by_sensitivity(3, 0.1, error);
  CHECK(found.chosen == std::vector<bool>{true, false, true});
}

}  // namespace
}  // namespace hone::formats
