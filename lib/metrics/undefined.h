// What a metric is where it has no value: no rows, no positives, no errors to divide by.
#pragma once

#include <limits>

namespace hone::metrics {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

}  // namespace hone::metrics
