// The agent's messages as domain types, and their form on the wire (dyncast.proto, docs/wire.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "schema/base/ip.h"
#include "schema/base/result.h"
#include "schema/base/time.h"
#include "schema/model/metric.h"
#include "schema/model/path.h"
#include "schema/model/updates.h"

namespace dyncast::wire {

enum class Health : uint8_t { kUnknown, kUp, kDown };

struct Announce {
  std::string instance;
  std::string service;
  std::optional<IpAddress> sid;
  IpAddress bid;
  Capacity capacity;
  Health health = Health::kUnknown;
  friend bool operator==(const Announce&, const Announce&) = default;
};

struct Report {
  std::string instance;
  std::vector<MetricSample> metrics;
  // Samples that were left out because their value broke a rule (NaN, negative, no value); each counts.
  uint32_t refused_metrics = 0;
  friend bool operator==(const Report&, const Report&) = default;
};

struct Withdraw {
  std::string instance;
  std::string reason;  // at most 128 bytes
  friend bool operator==(const Withdraw&, const Withdraw&) = default;
};

struct Heartbeat {
  std::chrono::milliseconds interval{1000};  // 10 ms .. 1 h
  std::optional<UpdateCounters> updates{};   // absent: the agent does not count
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

// The network from the agent to others, complete.
struct Paths {
  std::vector<PathSample> paths;  // at most one per peer and family
  // Sessions that were left out because a value broke a rule; each counts.
  uint32_t refused_paths = 0;
  friend bool operator==(const Paths&, const Paths&) = default;
};

struct AgentMessage {
  std::string agent;
  uint64_t boot_epoch = 0;
  uint64_t sequence = 0;
  WallTime sent_at{};
  std::variant<Announce, Report, Withdraw, Heartbeat, Paths> body;
  friend bool operator==(const AgentMessage&, const AgentMessage&) = default;
};

inline constexpr size_t kMaxMessageBytes = 64 * 1024;
inline constexpr size_t kMaxMetrics = 256;
inline constexpr size_t kMaxPaths = 256;

// "announce/AGENT" and so on: what a subscriber filters on.
std::string Topic(const AgentMessage& message);
std::string Encode(const AgentMessage& message);
// Strict: any message that breaks a rule of dyncast.proto is refused whole, except single metrics of a
// report and single sessions of paths, which are left out and counted. The topic must agree with the body.
// Never throws.
Result<AgentMessage> Decode(std::string_view topic, std::string_view bytes);

}  // namespace dyncast::wire
