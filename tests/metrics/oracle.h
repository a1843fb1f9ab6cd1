// Numbers of scikit-learn and SciPy, which make_oracle.py writes.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>

#include "sources.h"

namespace hone::metrics {

inline const nlohmann::json& oracle() {
  static const auto all = [] {
    std::ifstream file(testing::source_path("tests/metrics/oracle.json"));
    return nlohmann::json::parse(file);
  }();
  return all;
}

}  // namespace hone::metrics
