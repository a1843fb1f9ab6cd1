// Metrics of a run as it goes, one JSON object a line: {"step": 10, "epoch": 0, "loss": 0.143}.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hone::report {

class MetricsLog {
 public:
  // Starts the file anew, or with `resume_step` keeps the lines with a smaller "step" (a line that a crash cut off goes).
  explicit MetricsLog(const std::string& path);
  MetricsLog(const std::string& path, std::int64_t resume_step);
  ~MetricsLog();
  MetricsLog(MetricsLog&&) noexcept;

  // NaN and infinities are null. Written at once, so that others can follow the file.
  void write(std::int64_t step, const std::vector<std::pair<std::string, double>>& values);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hone::report
