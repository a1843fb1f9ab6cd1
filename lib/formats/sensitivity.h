// Which parts of a model may become less exact, by measurement, so that the whole stays within a bound.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace hone::formats {

struct Sensitivity {
  std::vector<bool> chosen;   // parts that are made less exact
  std::vector<double> alone;  // of each part: the error where it, or the run of parts it was measured with, is alone so
  double error = 0;           // of the whole, with all that are chosen
  int trials = 0;
};

// `error` says how wrong the whole is with these parts less exact (infinity: out of range); parts are in order, neighbours
// alike. Runs of parts are measured alone, those that cost most are split, and the cheapest are taken together as long as
// the error measured for all of them is at most `bound`: as many parts as that finds, with about `budget` measurements.
Sensitivity choose_by_sensitivity(std::size_t parts, double bound,
                                  const std::function<double(const std::vector<bool>&)>& error, int budget = 64);

}  // namespace hone::formats
