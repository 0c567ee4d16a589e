// The network between two places of the fabric, as an agent measured it: STAMP sessions (RFC 8762) from the
// agent's sender to another agent's reflector.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "schema/base/time.h"

namespace dyncast {

// One session over its newest window. What was not seen is absent, never 0: a path that lost everything has
// losses and no times.
struct PathSample {
  std::string peer;   // the agent whose reflector was asked
  bool ipv6 = false;  // the session's address family
  // Round-trip time without the reflector's own: (T4 - T1) - (T3 - T2). 0 .. 10 minutes.
  std::optional<Micros> rtt;      // mean over the window
  std::optional<Micros> rtt_min;  // <= rtt
  // Mean difference between successive one-way delays (as RFC 3550 section 6.4.1, without its smoothing).
  std::optional<Micros> jitter_forward;   // to the peer
  std::optional<Micros> jitter_backward;  // back from it
  // Part of the packets of the window that did not arrive, 0..1: on the way to the peer, and back. From the
  // reflector's own sequence numbers; absent with a stateless reflector, whose losses all count as `loss`.
  std::optional<double> loss_forward;
  std::optional<double> loss_backward;
  double loss = 0;                      // of both ways together, 0..1
  uint32_t sent = 0;                    // packets of the window whose answer is in or overdue, > 0
  std::chrono::milliseconds window{0};  // > 0
  friend bool operator==(const PathSample&, const PathSample&) = default;
};

}  // namespace dyncast
