// What an agent did with its looks at the metrics of its instances: how many updates it sent, and how many it
// did not send, and why. Sums since the agent started.
#pragma once

#include <cstdint>

namespace dyncast {

struct UpdateCounters {
  uint64_t sent_interval = 0;   // the regular report, and the one after a start
  uint64_t sent_threshold = 0;  // a metric changed as its rule says
  uint64_t sent_refresh = 0;    // a controller connected, or nothing was said for the refresh time
  // Each look that sent nothing counts once, for the first of these that holds.
  uint64_t suppressed_gap = 0;         // due, but held back until the minimum gap has passed
  uint64_t suppressed_damped = 0;      // a metric changed that turns back and forth too often
  uint64_t suppressed_hysteresis = 0;  // a metric turned back, but not far enough
  uint64_t suppressed_unchanged = 0;   // no threshold was reached
  friend bool operator==(const UpdateCounters&, const UpdateCounters&) = default;

  uint64_t sent() const { return sent_interval + sent_threshold + sent_refresh; }
  uint64_t suppressed() const {
    return suppressed_gap + suppressed_damped + suppressed_hysteresis + suppressed_unchanged;
  }
  UpdateCounters& operator+=(const UpdateCounters& more) {
    sent_interval += more.sent_interval;
    sent_threshold += more.sent_threshold;
    sent_refresh += more.sent_refresh;
    suppressed_gap += more.suppressed_gap;
    suppressed_damped += more.suppressed_damped;
    suppressed_hysteresis += more.suppressed_hysteresis;
    suppressed_unchanged += more.suppressed_unchanged;
    return *this;
  }
};

}  // namespace dyncast
