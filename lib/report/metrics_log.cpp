// Metrics of a run, a line at a time.
#include "hone/report/metrics_log.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "report/append_file.h"

namespace hone::report {

struct MetricsLog::State {
  explicit State(const std::string& path) : file(path) {}
  AppendFile file;
};

MetricsLog::MetricsLog(const std::string& path) : MetricsLog(path, std::numeric_limits<std::int64_t>::min()) {}

MetricsLog::MetricsLog(const std::string& path, std::int64_t resume_step) : state_(std::make_unique<State>(path)) {
  const std::string contents = state_->file.read();
  std::string kept;
  for (std::size_t at = 0; at < contents.size();) {
    const std::size_t end = contents.find('\n', at);
    if (end == std::string::npos) break;
    const auto line = nlohmann::json::parse(contents.begin() + static_cast<std::ptrdiff_t>(at),
                                            contents.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    const bool has_step = line.is_object() && line.contains("step") && line["step"].is_number_integer();
    if (has_step && line["step"].get<std::int64_t>() < resume_step) kept += contents.substr(at, end + 1 - at);
    at = end + 1;
  }
  if (kept == contents) return;
  state_->file.truncate(0);
  state_->file.append(kept);
}

MetricsLog::~MetricsLog() = default;
MetricsLog::MetricsLog(MetricsLog&&) noexcept = default;

void MetricsLog::write(std::int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  nlohmann::ordered_json line;
  line["step"] = step;
  for (const auto& [name, value] : values) {
    // Counts such as the epoch stay integers.
    constexpr double exact = 9007199254740992.0;  // 2^53
    if (std::trunc(value) == value && std::abs(value) < exact) {
      line[name] = static_cast<std::int64_t>(value);
    } else {
      line[name] = value;
    }
  }
  state_->file.append(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace hone::report
