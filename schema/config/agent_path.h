// The part of agent.yaml about the network between agents: STAMP probes (RFC 8762) and the reflector.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schema/base/ip.h"
#include "schema/base/time.h"

namespace dyncast::config {

// What the sequence numbers of a peer's answers are.
enum class PeerReflector : uint8_t {
  kStateful,   // its own count of each session's answers, as that of every agent of ours
  kStateless,  // copies of the packets' numbers: losses cannot be told apart by direction
};

// One STAMP session that this agent sends.
struct ProbeConfig {
  std::string peer;  // the agent whose reflector answers
  IpAddress address;
  uint16_t port = 862;
  std::optional<IpAddress> source;          // the packets' source address; absent: by the host's routes
  std::chrono::milliseconds interval{100};  // between packets
  std::chrono::milliseconds timeout{500};   // unanswered for this long: lost
  std::chrono::milliseconds window{
      5000};  // what the figures are taken over; at least 2 timeouts, 5 intervals
  PeerReflector reflector = PeerReflector::kStateful;
  std::string key_file;  // empty: unauthenticated
  friend bool operator==(const ProbeConfig&, const ProbeConfig&) = default;
};

struct ReflectorConfig {
  std::vector<IpEndpoint> listen;
  std::vector<IpPrefix> senders;  // who is answered
  std::string key_file;           // empty: unauthenticated
  uint32_t rate_limit = 200;      // packets per second and session
  friend bool operator==(const ReflectorConfig&, const ReflectorConfig&) = default;
};

// A change of a path that is reported at once, between the intervals.
struct PathThresholdConfig {
  double relative = 0.25;                  // of the round trip last reported, and
  std::chrono::microseconds change{1000};  // at least so much; or
  double loss = 0.05;                      // a loss that differs by this part of the packets
  friend bool operator==(const PathThresholdConfig&, const PathThresholdConfig&) = default;
};

}  // namespace dyncast::config
