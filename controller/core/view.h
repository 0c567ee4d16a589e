// What the core shows of itself: plain rows for the API, made on request. Never used for decisions.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "schema/base/ids.h"
#include "schema/base/ip.h"
#include "schema/base/time.h"
#include "schema/model/path.h"
#include "schema/model/port.h"
#include "schema/model/record.h"
#include "schema/model/score.h"
#include "schema/model/updates.h"

namespace dyncast::core {

// Slots of one instance in a switch's table of a service with dispatch learn: of kSlots, per family.
struct ShareView {
  InstanceId instance;
  std::string instance_name;
  uint32_t slots_v4 = 0;
  uint32_t slots_v6 = 0;
};
// A service on one switch.
struct ServiceAtView {
  SwitchId at;
  std::string switch_name;
  BindingStoreKind store = BindingStoreKind::kTimed;  // at D-Forwarders it may be another one; never kAuto
  bool bindings_known = true;                         // as ServiceView's
  uint64_t bindings = 0;
  bool closed = false;            // dispatch learn, over the limit: demands are steered by hash
  uint64_t closings = 0;          // how often that happened
  uint8_t generation = 0;         // store generations: the current table
  uint64_t flips = 0;             // store generations: tables taken anew
  std::vector<ShareView> shares;  // dispatch learn: instances with slots, by id
};

struct ServiceView {
  ServiceId id;
  ServiceSpec spec;
  BindingStoreKind store = BindingStoreKind::kTimed;  // what affinity.store means; never kAuto
  // False: with stores conntrack and none the controller knows no bindings, `bindings` is 0 and says nothing.
  // True if they are known on some switch.
  bool bindings_known = true;
  bool closed = false;                  // on some switch
  std::vector<ServiceAtView> switches;  // by id
  uint32_t instances_up = 0;
  uint32_t instances_known = 0;
  uint64_t bindings = 0;
  uint64_t demands = 0;          // decided since the start
  uint64_t demands_refused = 0;  // no instance
  uint64_t demands_unbound = 0;  // packets steered without a binding: over the limit
};

struct MetricView {
  MetricSample sample;
  std::chrono::milliseconds age{0};
};

// One metric or score, as `dyncastctl metrics` shows it.
struct MetricRow {
  std::string instance;     // empty: of the site as a whole, or of the way to it
  std::string service;      // empty: of the way to a site, which is every service's
  std::string site;         // the agent
  std::string switch_name;  // whose way to the site counts; empty: none
  std::string_view family;  // of the way itself: "ipv4" or "ipv6"; else empty
  MetricSample sample;
  std::optional<ScoreCategory> category;  // absent: the metric makes no score, or level 2
  std::optional<double> score;            // the value as a score, 0..10; absent: it makes none now
  bool in_force = true;  // levels 1 and 2: false for an agent's own score beside a computed one
  std::chrono::milliseconds age{0};
};

struct InstanceView {
  InstanceId id;
  std::string name;
  std::string service;
  std::string agent;
  IpAddress bid;
  InstanceState state = InstanceState::kDown;
  std::string reason;
  bool trusted_from_before = false;  // known from the database, not yet announced again
  std::chrono::milliseconds in_state{0};
  uint64_t bindings = 0;
  uint64_t demands = 0;
  Capacity capacity;
  std::optional<double> load;
  std::optional<double> estimated_capacity;
  std::vector<MetricView> metrics;
};

struct AgentView {
  std::string name;
  bool silent = true;
  uint64_t boot_epoch = 0;
  uint64_t last_sequence = 0;
  std::optional<std::chrono::milliseconds> last_heard;  // ago
  std::chrono::milliseconds heartbeat_interval{0};
  uint64_t messages = 0;
  uint64_t gaps = 0;      // sequence numbers that never came
  uint64_t replayed = 0;  // old epoch or sequence: refused
  uint64_t refused = 0;   // broke a rule
  std::string last_refusal;
  std::optional<UpdateCounters> updates;  // by the agent's own count; absent: it does not count
};

struct LinkView : LinkSample {
  std::optional<PortNo> number{};    // absent: OVSDB has not told it
  std::chrono::milliseconds age{0};  // of the counters
};

struct SwitchView {
  SwitchId id;
  std::string name;
  SwitchRole role = SwitchRole::kDRouter;
  std::string state;  // "waiting-ports", "away", "found", "synced"
  uint64_t bindings = 0;
  uint64_t demands = 0;
  uint64_t plan_changes = 0;
  uint64_t refused_flows = 0;
  uint64_t learned = 0;       // bindings that the switch made by itself
  uint64_t monitor_gaps = 0;  // pauses of its flow monitor
  std::string asks;           // a D-Forwarder: its D-Router; empty: there is none
  uint64_t misses = 0;        // a D-Forwarder: packets without a binding that it asked about, as counted last
  std::string last_error;
  std::vector<LinkView> links{};  // in the order of the configuration
};

// What one agent says of the way to another. `sample.peer` is the other.
struct PathView {
  std::string from;
  PathSample sample;
  std::chrono::milliseconds age{0};
};

struct FabricView {
  WallTime at{};
  std::vector<ServiceView> services;
  std::vector<InstanceView> instances;
  std::vector<AgentView> agents;
  std::vector<SwitchView> switches;
  // Counters by name: demands, reselected, refused messages by rule, held packets dropped, ...
  std::map<std::string, uint64_t> counters;
};

struct ExplainedCandidate {
  InstanceId instance;
  std::string name;
  InstanceState state = InstanceState::kDown;
  std::string excluded;  // why it may not be chosen; empty if it may
  std::optional<double> cost;
  std::optional<double> load;
  std::optional<double> capacity;
  std::optional<double> share;        // dispatch learn: part of new demands on the switch asked for, 0..1
  std::optional<Micros> rtt;          // network there and back, from the switch asked for
  std::optional<double> outstanding;  // demands before the next one, as the core reckons
  std::optional<double> expected_ms;  // until the demand would be answered, as the policy reckons
  ScoreValues scores{};               // with the way from the switch asked for, if one was
  uint64_t bindings = 0;
  std::vector<MetricView> metrics;
};
struct ExplainedBinding {
  SwitchId at;
  std::string switch_name;
  BindingKey key;
  InstanceId instance;
  std::string instance_name;
  bool instance_gone = false;  // it will select again with its next packet
};
struct Explanation {
  std::string service;
  std::string policy;
  std::string formula;  // how cost is computed, for people
  Dispatch dispatch = Dispatch::kReactive;
  BindingStoreKind store = BindingStoreKind::kTimed;
  BindingKey key;                              // `at` as asked, or 0
  std::vector<ExplainedBinding> bound;         // live bindings of that key (of that client where ports are 0)
  std::vector<ExplainedCandidate> candidates;  // best first
  // dispatch learn: the slots in force on the switch asked for, of the demand's family. The switch decides by
  // the key's hash: slots[pipeline::SlotOf(key, slots.size())]. Empty: nobody takes the demand, or no switch
  // was named.
  std::vector<InstanceId> slots;
  bool closed = false;  // dispatch learn: over the limit there, nothing is learned
  std::string asks;     // at a D-Forwarder: the D-Router that decides
  // dispatch reactive only.
  std::optional<InstanceId> would_choose;
  std::string would_choose_name;
  std::string no_instance_reason;
};

}  // namespace dyncast::core
