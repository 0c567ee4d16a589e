// Health of one instance from its checks: `fall` failures in a row until down, `rise` successes in a row
// until up. Pure.
#pragma once

#include <cstdint>

#include "schema/wire/message.h"

namespace dyncast::agent {

enum class CheckOutcome : uint8_t { kPass, kFail };
enum class HealthChange : uint8_t { kSame, kChanged };

class HealthTracker {
 public:
  // Preconditions: fall and rise are at least 1. `initial` is what holds until the checks say otherwise.
  HealthTracker(uint32_t fall, uint32_t rise, wire::Health initial)
      : fall_(fall), rise_(rise), health_(initial) {}

  HealthChange OnCheck(CheckOutcome outcome) {
    if (outcome != last_) in_a_row_ = 0;
    last_ = outcome;
    const uint32_t needed = outcome == CheckOutcome::kPass ? rise_ : fall_;
    const wire::Health target = outcome == CheckOutcome::kPass ? wire::Health::kUp : wire::Health::kDown;
    if (in_a_row_ < needed) ++in_a_row_;
    if (in_a_row_ < needed || health_ == target) return HealthChange::kSame;
    health_ = target;
    return HealthChange::kChanged;
  }
  wire::Health health() const { return health_; }

 private:
  uint32_t fall_;
  uint32_t rise_;
  wire::Health health_;
  CheckOutcome last_ = CheckOutcome::kPass;
  uint32_t in_a_row_ = 0;
};

}  // namespace dyncast::agent
