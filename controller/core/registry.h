// The instances: who announced them, in which state they are and why, what they report.
//
// States: see InstanceState. An instance is `in_plan` (has its egress flow, may be bound to) while it is up,
// or draining before its drain's deadline. Pure; every change is noted for TakeChanges.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/agent_tracker.h"
#include "controller/core/id_allocator.h"
#include "controller/core/instance_load.h"
#include "controller/core/instance_metrics.h"
#include "controller/core/metric_levels.h"
#include "controller/core/services.h"
#include "schema/model/record.h"
#include "schema/wire/message.h"

namespace dyncast::core {

// InstanceRecord::reason of an instance whose drain passed its deadline.
inline constexpr std::string_view kDrained = "drained";

struct Instance {
  InstanceRecord record;
  bool drained = false;              // draining, and past the deadline
  bool trusted_from_before = false;  // from the database, not yet announced in our life
  // Must be announced until then: after our start, and after its agent's.
  std::optional<MonoTime> announce_by;
  std::optional<MonoTime> drain_until;  // bound flows move then
  MonoTime state_since{};
  std::optional<MonoTime> up_since;  // start of its slow start; absent: warm already
  InstanceMetrics metrics;
  MetricHistory history;
  // What was last recorded of its scores, made at most once in kScoresGap.
  static constexpr std::chrono::seconds kScoresGap{1};
  std::optional<MonoTime> scored_at;
  std::vector<InstanceScores> scores;
  WallTime scores_at{};
  InstanceLoad load;
  double credit = 0;
  double recent = 0;  // part of the service's last decisions
  uint64_t chosen_at = 0;
  uint64_t demands = 0;

  InstanceId id() const { return record.id; }
  bool up() const { return record.state == InstanceState::kUp; }
  bool in_plan() const { return up() || (record.state == InstanceState::kDraining && !drained); }
};

class Registry {
 public:
  // `services` and `agents` outlive the registry.
  Registry(ServiceTable* services, const AgentTracker* agents) : services_(services), agents_(agents) {}

  // Rows of the database. Those that were up or draining are trusted until now + startup_grace.
  void Load(const std::vector<InstanceRecord>& records, const config::FabricConfig& config, Now now);
  // What a new configuration forbids goes down.
  void Configure(const config::FabricConfig& config, Now now);

  // A refusal leaves everything as it was.
  std::optional<Refusal> Announce(const std::string& agent, const wire::Announce& announce, Now now);
  // Implausible samples are left out; *left_out says how many.
  std::optional<Refusal> Report(const std::string& agent, const wire::Report& report, Now now,
                                uint64_t* left_out);
  std::optional<Refusal> Withdraw(const std::string& agent, const wire::Withdraw& withdraw, Now now);
  void AgentSilent(std::string_view agent, Now now);
  // The agent started again: what it does not announce within the grace is gone.
  void AgentRebooted(std::string_view agent, Now now);
  // False if unknown.
  bool Drain(std::string_view instance, std::chrono::seconds deadline, Now now);
  bool Undrain(std::string_view instance, Now now);
  // Deadlines that passed.
  void Tick(Now now);
  std::optional<MonoTime> NextDeadline() const;

  struct Change {
    InstanceId instance;
    std::string event;  // "instance-up", ...; empty: only the row changed
    std::string detail;
    bool plan_changed = false;
    bool rebuilt = false;  // other D-BID or service: what was bound to it must not follow
  };
  std::vector<Change> TakeChanges() { return std::exchange(changes_, {}); }

  // nullptr if unknown.
  Instance* Find(InstanceId id) const {
    return id.value() < instances_.size() ? instances_[id.value()].get() : nullptr;
  }
  Instance* FindByName(std::string_view name) const;
  // In the order of ids.
  template <typename F>
  void ForEach(F&& f) const {
    for (const auto& instance : instances_) {
      if (instance) f(*instance);
    }
  }

 private:
  Instance* Make(const InstanceRecord& record);
  void SetState(Instance* instance, InstanceState state, std::string reason, Now now);
  void GoDown(Instance* instance, std::string reason, Now now);
  void GoUp(Instance* instance, Now now);
  void Note(Instance* instance, std::string event, std::string detail, bool plan_changed);
  void Join(Instance* instance);
  void Leave(Instance* instance);
  bool CheckOwner(const Instance& instance, const std::string& agent) const;
  std::optional<Refusal> CheckAnnounce(const std::string& agent, const wire::Announce& announce,
                                       const Service* service, const Instance* known) const;
  // Of a D-BID at all: family, gateways, D-SIDs, the agent's allowance.
  std::optional<Refusal> CheckBid(const std::string& agent, const IpAddress& bid,
                                  const Service& service) const;
  // Another instance that may not stand beside one of `service` at `bid`.
  const Instance* Conflicting(const IpAddress& bid, const Service& service, const std::string& agent,
                              const Instance* self) const;

  ServiceTable* const services_;
  const AgentTracker* const agents_;
  IdAllocator<InstanceId> ids_;
  std::vector<std::unique_ptr<Instance>> instances_;  // by id
  std::vector<IpAddress> gateways_;
  std::chrono::milliseconds grace_{5000};
  std::vector<Change> changes_;
};

}  // namespace dyncast::core
