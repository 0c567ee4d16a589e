// The inside of Core: the state of the step function, and one method for each event. core.cc dispatches, the
// other core_*.cc and generations.cc hold the methods.
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
#include "controller/core/dispatch.h"
#include "controller/core/id_allocator.h"
#include "controller/core/links.h"
#include "controller/core/neighbors.h"
#include "controller/core/paths.h"
#include "controller/core/planner.h"
#include "controller/core/registry.h"
#include "controller/core/services.h"
#include "controller/core/slots.h"

namespace dyncast::core {

// From a switch to an instance and back. Negative: not known.
struct Distance {
  float rtt_s = -1;
  float loss = -1;
  uint64_t revision = UINT64_MAX;  // of the table of paths when it was looked up, and when that was
  MonoTime at{};
};

struct Switch {
  SwitchId id;
  config::SwitchConfig config;  // unless configured only the role, as recorded
  bool configured = false;
  std::optional<PortNumbers> numbers;  // absent: OVSDB has not yet told
  bool connected = false;              // its bindings were found on this connection
  bool synced = false;
  bool serving = false;                    // was in sync on this connection: a resync does not end it
  bool endpoint_known = false;             // the host behind LOCAL, on this connection; only with a tunnel
  bool found_before = false;               // at least once in our life
  std::shared_ptr<const SwitchPlan> plan;  // null until it was set once; kept equal to PlanAnew after
  std::optional<MonoTime> plan_sent;       // the last SetPlan
  std::optional<MonoTime> synced_at;       // the last SwitchSynced on this connection
  DispatchMap dispatch;                    // of configured services
  MonoTime next_count{};
  std::optional<MonoTime> last_counted;  // on this connection
  LinkTable links;                       // likewise
  bool links_told = false;               // they stand in the database
  uint64_t demands = 0;
  uint64_t plan_changes = 0;
  uint64_t refused_flows = 0;
  uint64_t learned = 0;
  uint64_t monitor_gaps = 0;
  std::optional<MonoTime> gap_told;
  std::vector<IpAddress> greeted;  // by tunnel, on this connection
  MonoTime next_hello{};
  int first_hellos = 0;                   // to come at short intervals
  std::map<ServiceId, uint64_t> unbound;  // as the switch counted last
  uint64_t misses = 0;                    // packets that a D-Forwarder asked about
  std::string last_error;
  mutable std::vector<Distance> distances;  // by instance: what was looked up

  bool forwarder() const { return config.role == SwitchRole::kDForwarder; }
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
  void On(const BindingsLearned& event, Now now, Effects* effects);
  void On(const MonitorGap& event, Now now, Effects* effects);
  void On(const BindingsCounted& event, Now now, Effects* effects);
  void On(const UnboundCounted& event, Now now, Effects* effects);
  void On(const PortsCounted& event, Now now, Effects* effects);
  void On(const NeighborWanted& event, Now now, Effects* effects);
  void On(const NeighborFound& event, Now now, Effects* effects);
  void On(const IcmpErrorArrived& event, Now now, Effects* effects);
  void On(const FragmentArrived& event, Now now, Effects* effects);
  void On(const TtlExceeded& event, Now now, Effects* effects);
  void On(const DrainRequested& event, Now now, Effects* effects);
  void On(const Tick& event, Now now, Effects* effects);
  // What a step leaves to do: records of instances that changed, plans that changed.
  void Finish(Now now, Effects* effects);

  // Configuration and plans.
  void Configure(std::shared_ptr<const config::FabricConfig> config, Now now, Effects* effects);
  void UpdatePlan(Switch* sw, Now now, Effects* effects);
  void EmitPlan(Switch* sw, Now now, Effects* effects);
  SwitchPlan Anew(const Switch& sw) const;
  // Ends the service's bindings on these switches, in the switches too.
  void UnbindService(ServiceId service, const std::set<SwitchId>& where, Effects* effects, Now now);
  void DropSwitch(Switch* sw, EndReason reason, Effects* effects, Now now);

  // The network between agents, and the switches' ports.
  std::vector<LinkView> LinksOf(const Switch& sw, MonoTime now) const;
  void ForgetLinks(Switch* sw, Now now, Effects* effects);
  void TakePaths(const std::string& agent, const wire::Paths& paths, Now now, Effects* effects);
  void ForgetPaths(const std::string& agent, Now now, Effects* effects);
  // The agent beside a switch, a D-Forwarder's D-Router's where it names none; empty: not known.
  const std::string& PlaceOf(const Switch& sw) const;

  // Scores. core_scores.cc, core_metrics.cc.
  // The way from `sw` to an instance's site; nothing where it is not known, or `sw` is nullptr.
  std::optional<PathMetrics> WayTo(const Instance& instance, const Service& service, const Switch* sw,
                                   MonoTime now) const;
  // Nothing for an instance that is down, or whose metrics are too old.
  std::optional<InstanceLevels> LevelsNow(const Instance& instance, const Service& service,
                                          MonoTime now) const;
  // With the way from `sw`, if that is not nullptr and the way is known.
  ScoreValues ScoresFrom(const Switch* sw, const Instance& instance, MonoTime now) const;
  struct RowMaker;
  // Counts the samples that nothing defines and nobody names: kept and shown, they decide nothing.
  void CountUnknown(const Instance& instance, const Service* service);
  // What is recorded of the instance's scores, made anew if that is due.
  void UpdateScores(Instance* instance, Now now);
  void CheckLevels(const std::string& agent, const Instance& instance, Now now, Effects* effects);

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
  // As seen from `at`; nullptr: from nowhere.
  uint64_t Gather(const Service& service, bool v4, const Switch* at, MonoTime now,
                  std::vector<Candidate>* candidates) const;
  // From what was seen of the members' pace to what is believed.
  void UpdatePaces(Service* service, MonoTime now);
  static Situation SituationOf(const Service& service);
  // How far the instance is from the switch, as last looked up.
  Distance DistanceTo(const Switch& at, const Instance& instance, std::chrono::milliseconds expiry,
                      MonoTime now) const;
  // Before a binding at `at` begins, before it ends, and before that if it ended by itself.
  void NoteBound(const Service& service, Instance* instance, const Switch& at, MonoTime now);
  void NoteUnbound(const BindingRow& row, EndReason reason, MonoTime now);
  void NoteFinished(const FoundBinding& ended, MonoTime now);
  // The context of the last Choose for demands at `at`: recorded already, or now.
  uint64_t ContextFor(Service* service, const Switch& at, uint64_t shape, Now now, Effects* effects);
  void Install(const Service& service, BindingRow* row, MonoTime now, Effects* effects);
  BindingFlow FlowOf(const BindingRow& row) const;

  // `sw`: whose way to the candidate counts for its scores; nullptr: none.
  CandidateContext ContextOf(const Candidate& candidate, double capacity, const Switch* sw, Now now) const;

  // Dispatch learn: shares. core_shares.cc.
  // Brings the slots of the service on all switches in line with its instances and, if asked and where that
  // is due, their weights. An agent tells of its instances one after the other: weights wait for the next
  // tick, so that no slot moves for what was half told.
  enum class ShareUpdate : uint8_t { kInstances, kInstancesAndWeights };
  void UpdateShares(Service* service, ShareUpdate what, Now now, Effects* effects);
  void UpdateAllShares(Now now, Effects* effects);
  void UpdateDueShares(Now now, Effects* effects);
  // Something that weights depend on was said: they are looked at soon.
  void LookSoon(Service* service, MonoTime now);
  void LookSoonAt(const std::string& instance, MonoTime now);
  // Gathers the family's candidates into candidates_; those that a select group has no room for are excluded.
  size_t GatherForSlots(const Service& service, bool v4, const Switch* at, MonoTime now,
                        std::vector<Candidate>* candidates) const;
  // Weights that are finite, and 0 for those that take no demands.
  void WeighForSlots(const Service& service, const std::vector<Candidate>& candidates,
                     std::vector<double>* weights, std::vector<double>* capacities) const;
  std::vector<SlotWant> Wants(Service* service, bool v4, const Switch& at, Now now, Effects* effects);
  // True if the slots changed.
  static bool ApplyWants(Service* service, bool v4, const std::vector<SlotWant>& wants, ShareUpdate what,
                         MonoTime now, SwitchDispatch* dispatch);
  void EmitShares(const Service& service, Switch* sw, SwitchDispatch* dispatch, Now now, Effects* effects);
  // Forgets what the configuration no longer names, makes what it names anew, and brings bindings to where a
  // new configuration holds them; `unbind` lists services of which no binding may stay.
  void ConfigureDispatch(const std::vector<ServiceId>& unbind, Now now, Effects* effects);

  // Dispatch learn: what switches do by themselves. core_learn.cc.
  // True if the demand is not the controller's to serve: it was dropped or refused.
  bool LeaveToSwitch(const DemandArrived& event, Service* service, const BindingRow* row,
                     const BindingKey& key, Now now, Effects* effects);
  void Learn(const FoundBinding& found, Switch* sw, Now now, Effects* effects);
  void CheckLimits(Switch* sw, Now now, Effects* effects);
  // True if a binding of `found`'s key and instance may stand in switch `at` at all.
  bool Meaningful(const FoundBinding& found, SwitchId at) const;
  void AdoptDispatch(const SwitchFound& event, Switch* sw, bool first, Now now);

  void IcmpErrorToClient(const IcmpErrorArrived& event, Effects* effects);
  void IcmpErrorToSid(const IcmpErrorArrived& event, Effects* effects);

  // D-Forwarders. core_forwarders.cc. Switches are nullptr where there is none.
  const Switch* ByName(const std::string& name) const;
  const Switch* AskedBy(const Switch& forwarder) const;
  const Switch* ForwarderAt(const IpAddress& endpoint) const;
  // Whose dispatch decides on demands that enter at `sw`: the D-Router that a D-Forwarder asks, or itself.
  const Switch& DeciderOf(const Switch& sw) const;
  // How bindings come about at `sw`: at a D-Forwarder always by themselves.
  static Dispatch DispatchAt(const Switch& sw, const Service& service);
  TunnelPlan TunnelsOf(const Switch& sw) const;
  // True if a D-Forwarder's plan speaks of other instances than it would now.
  bool PlanLags(const Switch& sw) const;
  void SendHellos(Switch* sw, MonoTime now, Effects* effects);
  void RefuseAtForwarder(const DemandArrived& event, const Switch& forwarder, Effects* effects);

  // Stores. generations.cc.
  SwitchDispatch* FindDispatch(SwitchId at, ServiceId service);
  const SwitchDispatch* FindDispatch(SwitchId at, ServiceId service) const;
  // The row's flow was deleted at a flip; the sweep ends it soon.
  bool Doomed(const BindingRow& row) const;
  // Where a new flow of the row's service belongs.
  void PlaceNow(BindingRow* row) const;
  // As found; false if the service's store has no such place: then as PlaceNow.
  bool PlaceAsFound(const FoundBinding& found, BindingRow* row) const;
  // How late the switch looks at the binding's table: 0 the timed or current one, 1 the older one,
  // 2 and 3 never: left by another store, where the same order held.
  int RankOf(const FoundBinding& found, SwitchId at) const;
  void FlipDue(Now now, Effects* effects);
  void Sweep(Now now, Effects* effects);
  // How the switch holds the service's bindings.
  BindingStoreKind StoreAt(SwitchId at, const Service& service) const;
  KeyForm FormAt(SwitchId at, const Service& service) const;
  bool InUse(SwitchId at, const Service& service, BindingPlace place) const;
  // The service's flows on these switches go to the tables of another store or form; what is left in the old
  // ones is deleted later.
  struct HeldAs {
    BindingStoreKind store = BindingStoreKind::kAuto;
    KeyForm form = KeyForm::kRegisters;
    friend bool operator==(const HeldAs&, const HeldAs&) = default;
  };
  void MoveStore(ServiceId service, const std::map<SwitchId, HeldAs>& from, Now now, Effects* effects);
  // The effect that ends the key's flows, whatever their form.
  RemoveBinding Removal(const BindingKey& key) const;
  void LeaveBehind(SwitchId at, ServiceId service, BindingPlace place, MonoTime now);
  void RemoveLeftovers(Now now, Effects* effects);
  // The service's flows have changed tables, but the switch goes on with those of before: it has no plan yet,
  // as its ports are not known.
  bool WaitsForPlan(SwitchId at, ServiceId service) const;
  // Such flows age unused until the plan is there. Before it comes their time starts anew: they may end late,
  // never early.
  void RenewUnused(const Switch& sw, MonoTime now, Effects* effects);
  size_t GenerationRows(const Switch& sw) const;
  // How long a row may live after `last_seen`.
  std::chrono::seconds Lifetime(const BindingRow& row) const;

  // Found bindings.
  void TakeFound(const FoundBinding& found, SwitchId at, Now now, Effects* effects);
  void HandleMissing(Switch* sw, bool empty, Now now, Effects* effects);
  BindingRow* Adopt(const FoundBinding& found, const Service& service, Now now, Effects* effects);
  // True if the row is what a D-Forwarder was told in vain, and `counted` what it goes on with.
  bool ToldInVain(const BindingRow& row, const FoundBinding& counted, MonoTime now) const;
  void TouchIfChanged(const FoundBinding& found, BindingRow* row, Now now, Effects* effects);
  void AgeFlowless(Now now, Effects* effects);
  void SweepStale(Now now, Effects* effects);
  void RemoveBindingsOfInstance(InstanceId instance, Effects* effects, Now now);

  // Explain. core_view.cc.
  void ExplainChoice(const Service& service, bool v4, std::optional<SwitchId> at, Now now,
                     Explanation* explanation) const;
  void ExplainShares(const Service& service, bool v4, std::optional<SwitchId> at, Now now,
                     Explanation* explanation) const;
  ExplainedCandidate ExplainCandidate(const Candidate& candidate, const Switch* sw, Now now) const;

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
  PathTable paths_;
  BindingTable table_;
  Neighbors neighbors_;
  mutable Chooser chooser_;
  std::vector<Candidate> candidates_;  // scratch
  std::vector<double> usual_;          // scratch
  std::vector<SeenPace> seen_;         // scratch
  std::vector<Pace> believed_;         // scratch
  PaceJudge judge_;
  uint64_t next_context_;
  // Rows without a flow, each with the time to look at it again.
  std::deque<std::pair<MonoTime, BindingKey>> flowless_;
  std::set<BindingKey> flowless_keys_;  // of flowless_: a key stands there once, its rows may come and go
  Effects pending_;                     // of the constructor, given out with the first step
  bool plans_dirty_ = false;
  bool shares_dirty_ = false;  // of some service
  // The sweep for rows that a flip doomed: shards done since the start, how far it must get, when it may go
  // on.
  uint64_t swept_ = 0;
  uint64_t sweep_until_ = 0;
  MonoTime sweep_from_{};
  struct Leftover {
    MonoTime due{};
    SwitchId at;
    ServiceId service;
    BindingPlace place = BindingPlace::kTimed;
  };
  std::vector<Leftover> leftovers_;
  MonoTime next_sweep_{};
  MonoTime deadline_{};
  std::map<std::string, MonoTime, std::less<>> refusal_told_;        // by agent: last event about it
  std::map<std::string, MonoTime, std::less<>> contradiction_told_;  // the same, of contradictory levels
  std::map<std::string, uint64_t, std::less<>> counters_;
  // Counters of the hot path.
  uint64_t demands_ = 0;
  uint64_t followed_ = 0;
  uint64_t selected_ = 0;
  uint64_t reselected_ = 0;
  uint64_t learned_ = 0;
};

}  // namespace dyncast::core
