// The penalty of one metric, as route flap damping has it for a route (RFC 2439): each turn adds 1, it halves
// in a fixed time, and between two limits the metric is damped. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>

#include "schema/base/time.h"
#include "schema/config/agent.h"

namespace dyncast::agent {

class FlapPenalty {
 public:
  explicit FlapPenalty(const config::DampingConfig& config)
      : config_(config),
        ceiling_(config.reuse *
                 std::exp2(static_cast<double>(config.max_hold.count()) /
                           static_cast<double>(std::max<int64_t>(config.half_life.count(), 1)))) {}

  // The metric turned: it moved against the direction of its move before. `now` does not go back.
  void Turn(MonoTime now) {
    if (!config_.enabled) return;
    Decay(now);
    penalty_ = std::min(penalty_ + 1, ceiling_);
    if (penalty_ > config_.suppress) damped_ = true;
  }
  // Whether its changes are no reason for a report now.
  bool Damped(MonoTime now) {
    Decay(now);
    if (damped_ && penalty_ <= config_.reuse) damped_ = false;
    return damped_;
  }

 private:
  void Decay(MonoTime now) {
    const std::chrono::duration<double> passed = now - at_;
    if (penalty_ > 0) {
      penalty_ *= std::exp2(-passed / std::chrono::duration<double>(config_.half_life));
    }
    at_ = now;
  }

  config::DampingConfig config_;
  double ceiling_;  // what falls to `reuse` in `max_hold`
  double penalty_ = 0;
  MonoTime at_{};
  bool damped_ = false;
};

}  // namespace dyncast::agent
