// TensorBoard event files: scalars, histograms, text and hyperparameters. No TensorFlow needed to write or read them.
//
// Records are appended as they come: TensorBoard reads them while a run goes on, and a record cut off by a crash is what
// its reader expects.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace hone::report {

struct EventOptions {
  // Seconds since 1970; empty: the system's clock.
  std::function<double()> clock = {};
  // The part of the file's name after the time; empty: host and process.
  std::string suffix = {};
};

class EventWriter {
 public:
  // Makes the folder, and a file of its own in it. Raises io.
  explicit EventWriter(const std::string& folder, EventOptions options = {});
  ~EventWriter();
  EventWriter(EventWriter&&) noexcept;

  void scalar(std::string_view tag, std::int64_t step, double value);
  // `buckets` of equal width between the least and the largest finite value.
  void histogram(std::string_view tag, std::int64_t step, std::span<const float> values, std::size_t buckets = 30);
  void text(std::string_view tag, std::int64_t step, std::string_view markdown);

  using HParam = std::variant<std::string, bool, double>;
  // Once, at the start; `metrics` are the tags of scalars that the table of runs shows.
  void hyperparameters(const std::vector<std::pair<std::string, HParam>>& values,
                       const std::vector<std::string>& metrics);
  void finish(bool success);  // of a run with hyperparameters

  const std::string& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hone::report
