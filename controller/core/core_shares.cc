// Shares of new demands that switches select for by themselves (dispatch learn): from the policy's weights to
// slots. Instances that come and go change slots at once; weights alone at most once in the service's
// weights_gap.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "controller/core/core_impl.h"
#include "controller/core/mix.h"

namespace dyncast::core {
namespace {

// The same slots on every switch for the same history; nobody outside can choose which slot a key has anyway.
constexpr uint64_t kSlotSeed = 0x5851F42D4C957F2Dull;

// What several instances say at the same time makes one change of the shares.
constexpr std::chrono::milliseconds kNewsTogether{20};
// Between two looks at the weights of one service, however much is said.
constexpr std::chrono::milliseconds kLookGap{100};

uint32_t CountOf(const std::vector<InstanceId>& slots, InstanceId instance) {
  return static_cast<uint32_t>(std::count(slots.begin(), slots.end(), instance));
}

}  // namespace

size_t Core::Impl::GatherForSlots(const Service& service, bool v4, const Switch* at, MonoTime now,
                                  std::vector<Candidate>* candidates) const {
  Gather(service, v4, at, now, candidates);
  AdmitEligible(candidates);
  size_t eligible = 0;
  size_t surplus = 0;
  for (Candidate& c : *candidates) {
    if (!c.eligible() || ++eligible <= kMostSlotInstances) continue;
    c.exclusion = Exclusion::kSurplus;
    ++surplus;
  }
  return surplus;
}

void Core::Impl::WeighForSlots(const Service& service, const std::vector<Candidate>& candidates,
                               std::vector<double>* weights, std::vector<double>* capacities) const {
  weights->assign(candidates.size(), 0);
  capacities->assign(candidates.size(), 0);
  const bool any =
      std::any_of(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.eligible(); });
  if (!any) return;
  const Selection& selection = service.spec.selection;
  PolicyOf(selection.policy).Weigh(SituationOf(service), candidates, *weights, *capacities);
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].eligible() || !std::isfinite((*weights)[i]) || !((*weights)[i] > 0)) (*weights)[i] = 0;
  }
  if (selection.max_share < 1) BoundWeights(*weights, selection.max_share);
}

std::vector<SlotWant> Core::Impl::Wants(Service* service, bool v4, const Switch& at, Now now,
                                        Effects* effects) {
  std::vector<SlotWant> wants;
  const ServiceSpec& spec = service->spec;
  const bool served = service->configured && spec.dispatch == Dispatch::kLearn &&
                      (v4 ? spec.sid_v4 : spec.sid_v6).has_value();
  if (!served) return wants;
  const size_t surplus = GatherForSlots(*service, v4, &at, now.mono, &candidates_);
  if (surplus != 0 && service->surplus[v4 ? 1 : 0] == 0) {
    Tell("instances-refused", spec.name,
         fmt::format("{} instances may take demands of IPv{}; dispatch 'learn' selects among at most {}: the "
                     "{} that came last take none",
                     surplus + kMostSlotInstances, v4 ? 4 : 6, kMostSlotInstances, surplus),
         now, effects);
  }
  service->surplus[v4 ? 1 : 0] = surplus;
  std::vector<double> weights;
  std::vector<double> capacities;
  WeighForSlots(*service, candidates_, &weights, &capacities);
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (weights[i] > 0) wants.push_back({.instance = candidates_[i].instance, .weight = weights[i]});
  }
  return wants;
}

bool Core::Impl::ApplyWants(Service* service, bool v4, const std::vector<SlotWant>& wants, ShareUpdate what,
                            MonoTime now, SwitchDispatch* dispatch) {
  std::vector<InstanceId>& slots = v4 ? dispatch->slots_v4 : dispatch->slots_v6;
  if (SameInstances(slots, wants)) {
    if (what == ShareUpdate::kInstances || wants.empty()) return false;
    if (!SharesDiffer(slots, wants)) return false;
    const MonoTime allowed =
        std::max(dispatch->held_until, dispatch->pushed_at + Micros{service->spec.selection.weights_gap});
    if (now < allowed) {
      service->look_at = std::min(service->look_at.value_or(allowed), allowed);
      return false;
    }
  }
  std::vector<InstanceId> next = AssignSlots(slots, wants, Mix(kSlotSeed, service->id.value() + 1u));
  if (next == slots) return false;
  slots = std::move(next);
  return true;
}

void Core::Impl::UpdateShares(Service* service, ShareUpdate what, Now now, Effects* effects) {
  service->shares_dirty = false;
  if (what == ShareUpdate::kInstancesAndWeights) {
    service->shares_at = now.mono;
    service->look_at.reset();
  }
  UpdatePaces(service, now.mono);
  for (const auto& sw : switches_) {
    // Before it was found, what it holds is not known.
    if (!sw || !sw->configured || !sw->found_before || sw->forwarder()) continue;
    SwitchDispatch* dispatch = FindDispatch(sw->id, service->id);
    if (dispatch == nullptr) continue;
    const std::vector<SlotWant> wants_v4 = Wants(service, true, *sw, now, effects);
    const std::vector<SlotWant> wants_v6 = Wants(service, false, *sw, now, effects);
    const bool changed_v4 = ApplyWants(service, true, wants_v4, what, now.mono, dispatch);
    const bool changed_v6 = ApplyWants(service, false, wants_v6, what, now.mono, dispatch);
    if (!changed_v4 && !changed_v6) continue;
    dispatch->pushed_at = now.mono;
    dispatch->context = 0;
    plans_dirty_ = true;
    if (sw->connected) EmitShares(*service, sw.get(), dispatch, now, effects);
  }
}

void Core::Impl::UpdateAllShares(Now now, Effects* effects) {
  shares_dirty_ = false;
  services_.ForEach([&](Service& service) {
    if (service.shares_dirty) UpdateShares(&service, ShareUpdate::kInstances, now, effects);
  });
}

void Core::Impl::UpdateDueShares(Now now, Effects* effects) {
  services_.ForEach([&](Service& service) {
    if (!service.configured || service.spec.dispatch != Dispatch::kLearn) return;
    // Time alone changes weights, too: slow starts, expiries.
    const bool period_over = now.mono - service.shares_at >= service.spec.selection.weights_gap;
    if (!period_over && !(service.look_at && now.mono >= *service.look_at)) return;
    UpdateShares(&service, ShareUpdate::kInstancesAndWeights, now, effects);
  });
}

void Core::Impl::LookSoon(Service* service, MonoTime now) {
  if (service->spec.dispatch != Dispatch::kLearn || service->look_at) return;
  service->look_at = std::max(now + kNewsTogether, service->shares_at + kLookGap);
  deadline_ = std::min(deadline_, *service->look_at);
}

void Core::Impl::EmitShares(const Service& service, Switch* sw, SwitchDispatch* dispatch, Now now,
                            Effects* effects) {
  dispatch->context = ++next_context_;
  DecisionContextRecord record{.context = dispatch->context,
                               .service = service.id,
                               .policy = service.spec.selection.policy,
                               .at = now.wall,
                               .switch_id = sw->id,
                               .candidates = {}};
  std::vector<double> weights;
  std::vector<double> capacities;
  for (const bool v4 : {true, false}) {
    if (!(v4 ? service.spec.sid_v4 : service.spec.sid_v6)) continue;
    GatherForSlots(service, v4, sw, now.mono, &candidates_);
    WeighForSlots(service, candidates_, &weights, &capacities);
    const std::vector<InstanceId>& slots = dispatch->slots(v4);
    for (size_t i = 0; i < candidates_.size(); ++i) {
      const Candidate& c = candidates_[i];
      if (registry_.Find(c.instance)->record.bid.is_v4() != v4) continue;
      CandidateContext& out = record.candidates.emplace_back(ContextOf(c, capacities[i], sw, now));
      if (!slots.empty()) {
        out.share = static_cast<double>(CountOf(slots, c.instance)) / static_cast<double>(slots.size());
      }
    }
  }
  Emit(std::move(record), effects);
}

void Core::Impl::ConfigureDispatch(const std::vector<ServiceId>& unbind, Now now, Effects* effects) {
  std::map<ServiceId, std::set<SwitchId>> ended;
  std::map<ServiceId, std::map<SwitchId, HeldAs>> moved;
  for (const auto& sw : switches_) {
    if (!sw) continue;
    for (const ServiceId service : unbind) ended[service].insert(sw->id);
    std::erase_if(sw->dispatch, [&](const auto& entry) {
      const Service* service = services_.Find(entry.first);
      return !sw->configured || service == nullptr || !service->configured;
    });
    if (!sw->configured) continue;
    services_.ForEach([&](const Service& service) {
      if (!service.configured) return;
      SwitchDispatch& dispatch = sw->dispatch[service.id];
      if (DispatchAt(*sw, service) != Dispatch::kLearn) dispatch.closed = false;
      const HeldAs before{.store = dispatch.store, .form = dispatch.form};
      const HeldAs held{.store = StoreAt(sw->id, service), .form = FormAt(sw->id, service)};
      dispatch.store = held.store;
      dispatch.form = held.form;
      // From a store without known bindings there is nothing to bring along; before the first one neither.
      if (HasRows(before.store) && !HasRows(held.store)) ended[service.id].insert(sw->id);
      if (HasRows(before.store) && HasRows(held.store) && before != held) {
        moved[service.id].emplace(sw->id, before);
      }
      const auto period = service.spec.affinity.idle_timeout;
      if (dispatch.period == period) return;
      dispatch.period = period;
      if (dispatch.next_flip) dispatch.next_flip = now.mono + period;
    });
  }
  for (const auto& [service, where] : ended) UnbindService(service, where, effects, now);
  for (const auto& [service, from] : moved) {
    if (std::find(unbind.begin(), unbind.end(), service) != unbind.end()) continue;
    MoveStore(service, from, now, effects);
  }
  shares_dirty_ = true;
}

}  // namespace dyncast::core
