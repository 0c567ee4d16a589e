// One metric's rule: when its value has moved far enough from the one last reported. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/core/damping.h"
#include "schema/base/time.h"
#include "schema/config/agent.h"

namespace dyncast::agent {

class Threshold {
 public:
  Threshold(config::ThresholdConfig config, const config::DampingConfig& damping);

  // In the order of what counts more: of several metrics the largest verdict holds.
  enum class Verdict : uint8_t {
    kUnchanged,
    kHysteresis,  // it turned back, but not far enough
    kDamped,      // it moved far enough, but turns too often
    kReached,
  };
  // Looks at a value; nullopt: the metric is absent. Every value that is seen counts for the damping.
  Verdict Look(std::optional<double> value, MonoTime now);
  // The value was reported, for whatever reason.
  void Reported(std::optional<double> value);
  const std::string& metric() const { return config_.metric; }

 private:
  // A value that others are compared with, and where it came from.
  struct Mark {
    bool known = false;  // a first value, or none, was set
    std::optional<double> value;
    int direction = 0;        // of the last move that reached the rule: 1 up, -1 down, 0 none yet
    std::vector<bool> above;  // for each level: it was reached and not left since
  };
  enum class Turned : uint8_t { kNo, kYes };
  struct Move {
    int direction = 0;  // 0: it did not move far enough
    Turned back = Turned::kNo;
  };
  Move MoveFrom(const Mark& mark, std::optional<double> value, double hysteresis) const;
  bool Far(double from, double to) const;
  void Set(Mark* mark, std::optional<double> value) const;

  config::ThresholdConfig config_;
  Mark reported_;
  Mark seen_;  // moves with each value that reaches the rule, reported or not
  FlapPenalty penalty_;
};

}  // namespace dyncast::agent
