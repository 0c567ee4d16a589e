// The inside of Core: the state of the step function, and one method for each event. core.cc dispatches,
// core_config.cc, core_agents.cc, core_switches.cc, core_demand.cc and core_view.cc hold the methods.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/agent_tracker.h"
#include "controller/core/binding_table.h"
#include "controller/core/chooser.h"
#include "controller/core/core.h"
#include "controller/core/id_allocator.h"
#include "controller/core/neighbors.h"
#include "controller/core/planner.h"
#include "controller/core/registry.h"
#include "controller/core/services.h"

namespace dyncast::core {

struct Switch {
  SwitchId id;
  config::SwitchConfig config;  // unless configured only the role, as recorded
  bool configured = false;
  std::optional<PortNumbers> numbers;  // absent: OVSDB has not yet told
  bool connected = false;              // its bindings were found on this connection
  bool synced = false;
  bool found_before = false;               // at least once in our life
  std::shared_ptr<const SwitchPlan> plan;  // null until it was set once; kept equal to PlanAnew after
  std::optional<MonoTime> plan_sent;       // the last SetPlan
  MonoTime next_count{};
  std::optional<MonoTime> last_counted;  // on this connection
  uint64_t demands = 0;
  uint64_t plan_changes = 0;
  uint64_t refused_flows = 0;
  std::string last_error;

  bool ready() const { return configured && connected && numbers.has_value(); }
};

struct Core::Impl {
  Impl(std::shared_ptr<const config::FabricConfig> config, const PersistedState& persisted, Now now,
       uint64_t seed, uint64_t context_base);

  // Events.
  void On(const ConfigChanged& event, Now now, Effects* effects);
  void On(const AgentSaid& event, Now now, Effects* effects);
  void On(const PortsKnown& event, Now now, Effects* effects);
  void On(const SwitchFound& event, Now now, Effects* effects);
  void On(const SwitchSynced& event, Now now, Effects* effects);
  void On(const SwitchLost& event, Now now, Effects* effects);
  void On(const DemandArrived& event, Now now, Effects* effects);
  void On(const BindingFlowEnded& event, Now now, Effects* effects);
  void On(const BindingFlowRefused& event, Now now, Effects* effects);
  void On(const BindingsCounted& event, Now now, Effects* effects);
  void On(const NeighborWanted& event, Now now, Effects* effects);
  void On(const NeighborFound& event, Now now, Effects* effects);
  void On(const DrainRequested& event, Now now, Effects* effects);
  void On(const Tick& event, Now now, Effects* effects);
  // What a step leaves to do: records of instances that changed, plans that changed.
  void Finish(Now now, Effects* effects);

  // Configuration and plans.
  void Configure(std::shared_ptr<const config::FabricConfig> config, Now now, Effects* effects);
  void UpdatePlan(Switch* sw, Now now, Effects* effects);
  void EmitPlan(Switch* sw, Now now, Effects* effects);
  SwitchPlan Anew(const Switch& sw) const;
  void UnbindService(ServiceId service, Effects* effects, Now now);
  void DropSwitch(Switch* sw, EndReason reason, Effects* effects, Now now);

  // Demands.
  bool Usable(const BindingRow& row) const;
  void FollowBinding(const DemandArrived& event, BindingRow* row, Now now, Effects* effects);
  // The idle timeout that a binding has after this packet; `current_s` is 0 for a new one.
  static uint16_t IdleTimeout(const Service& service, const DemandArrived& event, uint16_t current_s);
  void SelectFor(const DemandArrived& event, Service* service, const BindingKey& key, BindingRow* row,
                 Now now, Effects* effects);
  void ServeUnbound(const DemandArrived& event, Service* service, const BindingKey& key, Now now,
                    Effects* effects);
  // True (and counted) for a packet that would come back for ever: the switch lacks the egress that its plan
  // has, and not only because the plan is on its way.
  bool DropsForNoEgress(const DemandArrived& event, Now now);
  void Refuse(const DemandArrived& event, Service* service, Effects* effects);
  // Fills `candidates` with the service's instances as they stand; returns a hash of what excludes them
  // and of which metrics are fresh.
  uint64_t Gather(const Service& service, bool v4, MonoTime now, std::vector<Candidate>* candidates) const;
  void EmitContext(Service* service, uint64_t shape, Now now, Effects* effects);
  void Install(const Service& service, BindingRow* row, MonoTime now, Effects* effects);
  BindingFlow FlowOf(const BindingRow& row) const;

  // Found bindings.
  void TakeFound(const FoundBinding& found, SwitchId at, Now now, Effects* effects);
  void HandleMissing(Switch* sw, Now now, Effects* effects);
  BindingRow* Adopt(const FoundBinding& found, const Service& service, Now now, Effects* effects);
  void TouchIfChanged(const FoundBinding& found, BindingRow* row, Now now, Effects* effects);
  void AgeFlowless(Now now, Effects* effects);
  void SweepStale(Now now, Effects* effects);
  void RemoveBindingsOfInstance(InstanceId instance, Effects* effects, Now now);

  // Helpers.
  Switch* FindSwitch(SwitchId at);
  const Switch* FindSwitch(SwitchId at) const;
  template <typename R>
  void Emit(R record, Effects* effects) {
    effects->emplace_back(std::in_place_type<Record>, std::move(record));
  }
  void Tell(std::string kind, std::string subject, std::string detail, Now now, Effects* effects);
  // Ends the row (erases it) and records why.
  void End(const BindingKey& key, EndReason reason, std::optional<uint64_t> packets,
           std::optional<uint64_t> bytes, Now now, Effects* effects);
  // Why a binding to `instance`, which is not usable, ends.
  EndReason GoneReason(InstanceId instance) const;
  Decis Since(MonoTime at) const;
  void Refused(const std::string& agent, const Refusal& refusal, Now now, Effects* effects);
  void UpdateDeadline(MonoTime now);

  const MonoTime started_;
  std::shared_ptr<const config::FabricConfig> config_;
  IdAllocator<SwitchId> switch_ids_;
  std::vector<std::unique_ptr<Switch>> switches_;  // by id
  ServiceTable services_;
  AgentTracker agents_;
  Registry registry_;
  BindingTable table_;
  Neighbors neighbors_;
  mutable Chooser chooser_;
  std::vector<Candidate> candidates_;  // scratch
  uint64_t next_context_;
  // Rows without a flow, each with the time to look at it again.
  std::deque<std::pair<MonoTime, BindingKey>> flowless_;
  std::set<BindingKey> flowless_keys_;  // of flowless_: a key stands there once, its rows may come and go
  Effects pending_;                     // of the constructor, given out with the first step
  bool plans_dirty_ = false;
  MonoTime next_sweep_{};
  MonoTime deadline_{};
  std::map<std::string, MonoTime, std::less<>> refusal_told_;  // by agent: last event about it
  std::map<std::string, uint64_t, std::less<>> counters_;
  // Counters of the hot path.
  uint64_t demands_ = 0;
  uint64_t followed_ = 0;
  uint64_t selected_ = 0;
  uint64_t reselected_ = 0;
};

}  // namespace dyncast::core
