// How the learning rate changes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone::train {

struct ScheduleOptions {
  enum class Kind { constant, step, multistep, exponential, cosine, polynomial, plateau };
  Kind kind = Kind::constant;
  double factor = 0.1;     // step, multistep, plateau: what the rate is multiplied by; exponential: 0.95
  double every = 10;       // step: epochs
  std::vector<double> at;  // multistep: epochs
  double end = 0;          // cosine, polynomial: the last rate, as a share of the first
  double power = 1;        // polynomial
  int patience = 5;        // plateau: epochs without a better loss
  double warm_up = 0;      // epochs over which the rate rises from 0 first
};

// "cosine", "step:every=5,factor=0.5", "multistep:at=10+20", "polynomial:power=2,end=0.01", "plateau:patience=3"; any of
// them with warm-up=EPOCHS. Raises usage.
ScheduleOptions parse_schedule(std::string_view text);
std::string text(const ScheduleOptions& schedule);  // parse_schedule(text(s)) is s

class Schedule {
 public:
  Schedule(ScheduleOptions options, double rate, std::uint64_t steps_per_epoch, std::uint64_t epochs)
      : options_(std::move(options)), rate_(rate), steps_per_epoch_(steps_per_epoch), epochs_(epochs) {}

  // For the step with this number, from 0.
  double rate(std::uint64_t step) const;
  // The loss that `plateau` watches, after every epoch.
  void epoch_ended(double loss);

  // What a checkpoint keeps.
  struct State {
    double reduction = 1, best = 0;
    int waited = 0;
    bool any = false;
  };
  const State& state() const { return state_; }
  void set_state(State state) { state_ = state; }

 private:
  ScheduleOptions options_;
  double rate_;
  std::uint64_t steps_per_epoch_, epochs_;
  State state_;
};

}  // namespace hone::train
