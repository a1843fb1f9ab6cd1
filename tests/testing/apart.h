// How far two results are apart, for bounds that a NaN must not pass: std::max(worst, NaN) is `worst`.
#pragma once

#include <cmath>
#include <limits>

namespace hone::testing {

// 0 for two NaN, infinite where one of them is.
inline double apart(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double result = std::abs(a - b);
  return std::isnan(result) ? std::numeric_limits<double>::infinity() : result;
}

}  // namespace hone::testing
