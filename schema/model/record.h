// What the controller records: plain rows, made by the core, written by the store. Ids stand for names;
// the store's views join them. A record never changes a decision.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "schema/base/ids.h"
#include "schema/base/ip.h"
#include "schema/base/time.h"
#include "schema/model/binding.h"
#include "schema/model/metric.h"
#include "schema/model/path.h"
#include "schema/model/port.h"
#include "schema/model/score.h"
#include "schema/model/service.h"
#include "schema/model/switch_plan.h"

namespace dyncast {

enum class InstanceState : uint8_t {
  kUp,        // may take demands
  kDraining,  // keeps its bindings, takes no new demands
  kDown,      // unhealthy, withdrawn, or its agent is silent: no egress flow
};
std::string_view InstanceStateName(InstanceState state);  // "up", "draining", "down"

struct SwitchRecord {
  SwitchId id;
  std::string name;
  SwitchRole role = SwitchRole::kDRouter;
};

struct ServiceRecord {
  ServiceId id;
  std::string name;
  std::optional<IpAddress> sid_v4;
  std::optional<IpAddress> sid_v6;
  bool removed = false;  // no longer configured; the id stays taken
};

struct InstanceRecord {
  InstanceId id;
  std::string name;
  ServiceId service;
  IpAddress bid;
  std::string agent;
  Capacity capacity;
  InstanceState state = InstanceState::kDown;
  std::string reason;  // why it is in that state: "health", "withdrawn", "agent-silent", "operator", ...
  bool drained_by_operator = false;
  WallTime changed_at{};
  std::optional<WallTime> drain_until;  // drained: its bindings move then; absent: they end by themselves
};

// Scores of one instance, levels 1 and 2 of CATS, 0..10; absent where nothing makes them.
struct ScoreValues {
  PerCategory<std::optional<double>> l1{};
  std::optional<double> l2{};
  friend bool operator==(const ScoreValues&, const ScoreValues&) = default;
};
struct InstanceScores {
  SwitchId at;  // whose way to the instance counts; none: no way does
  ScoreValues scores;
};

// The candidates of a service as they stood when decisions were made, without what changes with each
// decision. Written once per change, referred to by `context`.
struct CandidateContext {
  InstanceId instance;
  InstanceState state = InstanceState::kUp;
  std::optional<double> load;      // as the service's selection defines it
  std::optional<double> capacity;  // what the policy divides by, in its own unit
  std::optional<double> request_rate_per_s;
  std::optional<Micros> rtt;          // network there and back, from the switch of the decision
  std::optional<double> outstanding;  // demands before the next one, as the core reckons
  std::optional<double> expected_ms;  // until the demand would be answered, as the policy reckons
  std::optional<std::chrono::milliseconds> metrics_age;
  std::string excluded;  // why it could not be chosen; empty if it could
  // dispatch learn: part of new demands that the switch gives it by hash, 0..1.
  std::optional<double> share;
  // With the way from `switch_id` of the record, if it has one.
  ScoreValues scores{};
  std::vector<MetricSample> metrics;
};
struct DecisionContextRecord {
  uint64_t context = 0;  // unique for ever: high bits from the controller's start time
  ServiceId service;
  PolicyKind policy = PolicyKind::kLeastBindings;
  WallTime at{};
  // Whose way to the candidates counts and, with dispatch learn, whose shares these are. Invalid: of any
  // switch whose place in the network is not known.
  SwitchId switch_id;
  std::vector<CandidateContext> candidates;
};

// One candidate at one decision. Lower cost is better, whatever the policy.
struct CandidateScore {
  InstanceId instance;
  float cost = 0;
  uint32_t bindings = 0;  // held by the instance, fabric-wide, before this decision
};

struct Decision {
  static constexpr size_t kKept = 8;  // the best ones; `candidates` says how many there were
  uint64_t context = 0;
  std::array<CandidateScore, kKept> scores{};
  uint16_t kept = 0;
  uint16_t candidates = 0;
};

enum class StartReason : uint8_t { kNew, kInstanceGone, kFound };
std::string_view StartReasonName(StartReason reason);  // "new", "instance-gone", "found"

struct BindingStarted {
  BindingKey key;
  IpAddress sid;
  InstanceId instance;
  DecidedBy decided_by = DecidedBy::kController;
  StartReason reason = StartReason::kNew;
  WallTime at{};
  std::chrono::seconds idle_timeout{0};
  Decision decision;
};
// Totals as the switch counts them.
struct BindingTouched {
  BindingKey key;
  WallTime last_seen{};
  uint64_t packets = 0;
  uint64_t bytes = 0;
};
struct BindingEnded {
  BindingKey key;
  EndReason reason = EndReason::kIdle;
  WallTime at{};
  std::optional<uint64_t> packets;  // final totals where known
  std::optional<uint64_t> bytes;
};

// Anything an operator may want to see later: `dyncastctl events`.
struct EventRecord {
  WallTime at{};
  std::string kind;     // "instance-up", "switch-lost", "agent-silent", "config-refused", ...
  std::string subject;  // the name of the instance, switch, agent or service it is about
  std::string detail;
};

struct MetricsRecord {  // the newest report of an instance
  InstanceId instance;
  WallTime at{};
  std::vector<MetricSample> metrics;
  std::vector<InstanceScores> scores{};  // without any way, then from each switch whose way is known
  WallTime scores_at{};                  // when those were made: at most a second before `at`
};

struct PathsRecord {  // what an agent says newest of its ways to others; complete, so that none is gone
  std::string agent;
  WallTime at{};
  std::vector<PathSample> paths;
};

struct LinksRecord {  // what a switch's ports do, as counted newest; complete, none while it is away
  SwitchId at_switch;
  WallTime at{};
  std::vector<LinkSample> links;
};

using Record =
    std::variant<BindingStarted, BindingTouched, BindingEnded, DecisionContextRecord, SwitchRecord,
                 ServiceRecord, InstanceRecord, EventRecord, MetricsRecord, PathsRecord, LinksRecord>;

// What a controller finds in its database when it starts.
struct PersistedBinding {
  BindingKey key;
  InstanceId instance;
};
struct PersistedState {
  std::vector<SwitchRecord> switches;
  std::vector<ServiceRecord> services;
  std::vector<InstanceRecord> instances;
  std::vector<PersistedBinding> bindings;
};

}  // namespace dyncast
