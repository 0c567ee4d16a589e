// The controller's decisions, all of them: registry of services and instances, selection, binding
// table, planner. Pure: no clock, no I/O; the same events at the same times give the same effects.
//
// Rules that hold after every step:
//  - a binding moves only when its instance is down, or drained past its deadline, or it ended;
//  - a demand whose key is bound goes where it is bound, also when the flow is not in the switch yet;
//  - an instance that is down is in no plan; one that is drained gets no new demand;
//  - no plan is set for a switch before its own bindings were found (SwitchFound);
//  - a refused message changes nothing but a counter.
//
// Not thread-safe: owned by the control thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "controller/core/event.h"
#include "controller/core/view.h"
#include "schema/model/record.h"

namespace dyncast::core {

class Core {
 public:
  // `persisted`: what the database held; instances that were up are trusted for `startup_grace`.
  // `seed` and `context_base` make random choices and DecisionContextRecord::context; give the start's
  // wall clock in microseconds for the latter.
  Core(std::shared_ptr<const config::FabricConfig> config, const PersistedState& persisted, Now now,
       uint64_t seed, uint64_t context_base);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Appends to *effects. Spans inside the effects are those of the event.
  void Step(const Event& event, Now now, Effects* effects);
  // The hot path, the same as Step(Event{demand}, ...) without building the variant.
  void StepDemand(const DemandArrived& demand, Now now, Effects* effects);

  // When Step(Tick) is next needed.
  MonoTime NextDeadline() const;

  // The ids that stand for names, for the edges. nullopt if unknown.
  std::optional<SwitchId> FindSwitch(std::string_view name) const;

  // The plan that Step last set, and the plan made anew from configuration and registry: equal, unless
  // incremental work went wrong (`dyncastctl check` compares). Null for an unknown switch; PlanInForce also
  // before the first SetPlan. While a switch is away its plan is kept up to date.
  std::shared_ptr<const SwitchPlan> PlanInForce(SwitchId at) const;
  std::shared_ptr<const SwitchPlan> PlanAnew(SwitchId at) const;
  // All bindings that should stand as flows in the switch, unordered: those of a gone instance too, whose
  // flows stay until their next packet.
  std::vector<BindingFlow> BindingsOf(SwitchId at) const;
  size_t binding_count() const;
  // Bytes that the binding table takes for all its bindings, its spare room included.
  size_t binding_bytes() const;

  FabricView View(Now now) const;
  // Metrics and scores of all levels: of instances, of each service's part of a site, of the ways to sites.
  std::vector<MetricRow> Metrics(Now now) const;
  // The network as agents say it is, by names and family.
  std::vector<PathView> Paths(Now now) const;
  // Where would a demand go now, and where is it bound? `client` may come from any switch.
  Explanation Explain(const Demand& demand, ServiceId service, std::optional<SwitchId> at, Now now) const;
  std::optional<ServiceId> FindService(std::string_view name_or_sid) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyncast::core
