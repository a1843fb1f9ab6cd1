#include "hone/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::train {
namespace {

constexpr std::string_view names[] = {"constant", "step",       "multistep", "exponential",
                                      "cosine",   "polynomial", "plateau"};

double number(std::string_view key, std::string_view value, double least, double most) {
  const auto parsed = parse_double(value);
  if (!parsed || !(*parsed >= least && *parsed <= most)) {
    usage_error("schedule: {}={} is no number from {} to {}", printable(key), printable(value), least, most);
  }
  return *parsed;
}

}  // namespace

ScheduleOptions parse_schedule(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view kind = trim(text.substr(0, colon));
  const auto* found = std::find(std::begin(names), std::end(names), kind);
  if (found == std::end(names)) {
    const std::vector<std::string> all(std::begin(names), std::end(names));
    const std::string near = nearest(kind, all);
    usage_error("no schedule is called {}; there are {}{}", quote(kind), join(all, ", "),
                near.empty() ? "" : fmt::format(". Did you mean {}?", near));
  }
  ScheduleOptions options;
  options.kind = static_cast<ScheduleOptions::Kind>(found - std::begin(names));
  using Kind = ScheduleOptions::Kind;
  if (options.kind == Kind::exponential) options.factor = 0.95;
  if (options.kind == Kind::plateau) options.factor = 0.5;
  constexpr double many = 1e9;
  if (colon != std::string_view::npos) {
    for (const std::string_view piece : split(text.substr(colon + 1), ',')) {
      const std::size_t equals = piece.find('=');
      const std::string_view key = trim(piece.substr(0, equals));
      const std::string_view value = equals == std::string_view::npos ? "" : trim(piece.substr(equals + 1));
      const bool steps = options.kind == Kind::step || options.kind == Kind::multistep;
      if (key == "warm-up") {
        options.warm_up = number(key, value, 0, many);
      } else if (key == "factor" && (steps || options.kind == Kind::exponential || options.kind == Kind::plateau)) {
        options.factor = number(key, value, 0, 1);
      } else if (key == "every" && options.kind == Kind::step) {
        options.every = number(key, value, 1e-6, many);
      } else if (key == "at" && options.kind == Kind::multistep) {
        for (const std::string_view each : split(value, '+')) options.at.push_back(number(key, each, 0, many));
      } else if (key == "end" && (options.kind == Kind::cosine || options.kind == Kind::polynomial)) {
        options.end = number(key, value, 0, 1);
      } else if (key == "power" && options.kind == Kind::polynomial) {
        options.power = number(key, value, 0, 100);
      } else if (key == "patience" && options.kind == Kind::plateau) {
        options.patience = static_cast<int>(number(key, value, 0, 1e6));
      } else {
        usage_error("schedule {} takes no {}", kind, quote(key));
      }
    }
  }
  if (options.kind == Kind::multistep && options.at.empty()) usage_error("schedule multistep needs at=EPOCH+EPOCH...");
  return options;
}

std::string text(const ScheduleOptions& s) {
  using Kind = ScheduleOptions::Kind;
  std::string result(names[static_cast<std::size_t>(s.kind)]);
  char separator = ':';
  const auto add = [&](std::string_view key, const auto& value) {
    result += fmt::format("{}{}={}", separator, key, value);
    separator = ',';
  };
  switch (s.kind) {
    case Kind::constant:
      break;
    case Kind::step:
      add("every", s.every);
      add("factor", s.factor);
      break;
    case Kind::multistep: {
      std::string epochs;
      for (const double at : s.at) epochs += fmt::format("{}{}", epochs.empty() ? "" : "+", at);
      add("at", epochs);
      add("factor", s.factor);
      break;
    }
    case Kind::exponential:
      add("factor", s.factor);
      break;
    case Kind::cosine:
      add("end", s.end);
      break;
    case Kind::polynomial:
      add("power", s.power);
      add("end", s.end);
      break;
    case Kind::plateau:
      add("patience", s.patience);
      add("factor", s.factor);
      break;
  }
  if (s.warm_up > 0) add("warm-up", s.warm_up);
  return result;
}

double Schedule::rate(std::uint64_t step) const {
  using Kind = ScheduleOptions::Kind;
  const auto per_epoch = static_cast<double>(std::max<std::uint64_t>(steps_per_epoch_, 1));
  const double warm_up = options_.warm_up * per_epoch;
  const auto at = static_cast<double>(step);
  // The first step counts: a rate of 0 would be a step for nothing.
  if (at < warm_up) return rate_ * (at + 1) / (warm_up + 1);
  const double total = std::max(1.0, static_cast<double>(epochs_) * per_epoch - warm_up);
  const double share = std::min(1.0, (at - warm_up) / total);
  const double epoch = std::floor(at / per_epoch);
  double factor = 1;
  switch (options_.kind) {
    case Kind::constant:
      break;
    case Kind::step:
      factor = std::pow(options_.factor, std::floor(epoch / options_.every));
      break;
    case Kind::multistep:
      for (const double each : options_.at) factor *= epoch >= each ? options_.factor : 1;
      break;
    case Kind::exponential:
      factor = std::pow(options_.factor, epoch);
      break;
    case Kind::cosine:
      factor = options_.end + (1 - options_.end) * (1 + std::cos(std::numbers::pi * share)) / 2;
      break;
    case Kind::polynomial:
      factor = options_.end + (1 - options_.end) * std::pow(1 - share, options_.power);
      break;
    case Kind::plateau:
      factor = state_.reduction;
      break;
  }
  return rate_ * factor;
}

void Schedule::epoch_ended(double loss) {
  if (options_.kind != ScheduleOptions::Kind::plateau) return;
  // Better by less than a ten-thousandth is noise, as in torch.optim.lr_scheduler.ReduceLROnPlateau.
  if (!state_.any || loss < state_.best * (1 - 1e-4)) {
    state_.best = loss;
    state_.any = true;
    state_.waited = 0;
    return;
  }
  if (++state_.waited > options_.patience) {
    state_.reduction *= options_.factor;
    state_.waited = 0;
  }
}

}  // namespace hone::train
