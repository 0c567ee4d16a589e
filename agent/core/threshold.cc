#include "agent/core/threshold.h"

#include <cmath>
#include <utility>

namespace dyncast::agent {

Threshold::Threshold(config::ThresholdConfig config, const config::DampingConfig& damping)
    : config_(std::move(config)), penalty_(damping) {
  reported_.above.resize(config_.levels.size());
  seen_.above.resize(config_.levels.size());
}

bool Threshold::Far(double from, double to) const {
  const double difference = std::abs(to - from);
  if (config_.change && difference >= *config_.change) return true;
  if (!config_.relative || difference == 0) return false;
  // From 0 every change is infinitely large; then an absolute rule, if there is one, decides alone.
  if (from == 0) return !config_.change;
  return difference >= *config_.relative * std::abs(from);
}

Threshold::Move Threshold::MoveFrom(const Mark& mark, std::optional<double> value, double hysteresis) const {
  const auto move = [&mark](int direction) {
    return Move{.direction = direction, .back = mark.direction == -direction ? Turned::kYes : Turned::kNo};
  };
  if (value.has_value() != mark.value.has_value()) return move(value ? 1 : -1);  // it appeared or vanished
  if (!value) return {};
  const Move by_value = move(*value < *mark.value ? -1 : 1);
  const bool far_enough = by_value.back == Turned::kNo || std::abs(*value - *mark.value) > hysteresis;
  if (far_enough && Far(*mark.value, *value)) return by_value;
  for (size_t i = 0; i < config_.levels.size(); ++i) {
    const double level = config_.levels[i];
    if (mark.above[i] ? *value < level - hysteresis : *value >= level) return by_value;
  }
  return {};
}

void Threshold::Set(Mark* mark, std::optional<double> value) const {
  const Move move = MoveFrom(*mark, value, 0);
  if (move.direction != 0 && mark->known) mark->direction = move.direction;
  mark->known = true;
  mark->value = value;
  for (size_t i = 0; i < config_.levels.size() && value; ++i) {
    if (*value >= config_.levels[i]) {
      mark->above[i] = true;
    } else if (*value < config_.levels[i] - config_.hysteresis) {
      mark->above[i] = false;
    }
  }
}

Threshold::Verdict Threshold::Look(std::optional<double> value, MonoTime now) {
  if (const Move move = MoveFrom(seen_, value, config_.hysteresis); move.direction != 0) {
    if (move.back == Turned::kYes) penalty_.Turn(now);
    Set(&seen_, value);
  }
  if (MoveFrom(reported_, value, config_.hysteresis).direction != 0) {
    return penalty_.Damped(now) ? Verdict::kDamped : Verdict::kReached;
  }
  if (MoveFrom(reported_, value, 0).direction != 0) return Verdict::kHysteresis;
  return Verdict::kUnchanged;
}

void Threshold::Reported(std::optional<double> value) { Set(&reported_, value); }

}  // namespace dyncast::agent
