// Dispatch learn: bindings that switches make by themselves, and their limit. Learning is a hot path: tens of
// thousands of bindings a second, O(1) each.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "controller/core/core_impl.h"

namespace dyncast::core {
namespace {

// How long a plan may take until the switch holds it.
constexpr std::chrono::seconds kPlanUnderWay{1};
// Between two events about one service's limit, or one switch's monitor.
constexpr std::chrono::seconds kTellGap{10};
// A closed service opens again below this part of its limit.
constexpr uint64_t kOpenPercent = 90;

}  // namespace

bool Core::Impl::Meaningful(const FoundBinding& found, SwitchId at) const {
  const BindingKey& key = found.key;
  const Service* service = services_.Find(key.service);
  const Instance* instance = registry_.Find(found.instance);
  if (key.at != at || service == nullptr || !service->configured || instance == nullptr) return false;
  if (instance->record.service != key.service) return false;
  if (instance->record.bid.is_v4() != key.client.is_v4()) return false;
  const Affinity& affinity = service->spec.affinity;
  const bool masked_otherwise =
      FormOf(found.place) == KeyForm::kHeader && found.client_bits != ClientBits(affinity, key.client);
  return HasRows(StoreAt(at, *service)) && KeyFits(affinity, key) && !masked_otherwise;
}

void Core::Impl::On(const BindingsLearned& event, Now now, Effects* effects) {
  Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->configured || !sw->connected) {
    ++counters_["learned-at-unknown-switch"];
    return;
  }
  for (const FoundBinding& found : event.bindings) Learn(found, sw, now, effects);
  CheckLimits(sw, now, effects);
}

void Core::Impl::Learn(const FoundBinding& found, Switch* sw, Now now, Effects* effects) {
  const BindingKey& key = found.key;
  BindingRow* row = table_.Find(key);
  if (!Meaningful(found, sw->id)) {
    ++counters_["learned-foreign-bindings"];
    effects->emplace_back(RemoveBinding{.at = sw->id, .key = key, .client_bits = found.client_bits});
    if (row == nullptr || key.at != sw->id) return;
    // The switch has nothing else under this key now.
    const Service* service = services_.Find(key.service);
    const bool removed = service == nullptr || !service->configured;
    End(key, removed ? EndReason::kServiceRemoved : EndReason::kReplaced, std::nullopt, std::nullopt, now,
        effects);
    return;
  }
  Service* service = services_.Find(key.service);
  StartReason reason = StartReason::kNew;
  if (row != nullptr && row->instance != found.instance) {
    EndReason ended = EndReason::kReplaced;
    if (Doomed(*row)) {
      ended = EndReason::kIdle;
    } else if (!Usable(*row)) {
      ended = GoneReason(row->instance);
      reason = StartReason::kInstanceGone;
      ++reselected_;
    } else {
      ++counters_["learned-replaced"];
    }
    End(key, ended, row->packets, std::nullopt, now, effects);
    row = nullptr;
  }
  const Decis seen = Since(now.mono - Micros{found.idle_age});
  const bool known = row != nullptr;
  if (!known) {
    const auto idle = found.idle_timeout.count() > 0 && IsTimed(found.place)
                          ? found.idle_timeout
                          : service->spec.affinity.idle_timeout;
    NoteBound(*service, registry_.Find(found.instance), *sw, now.mono);
    row = table_.Insert(
        {.key = key,
         .instance = found.instance,
         .last_seen = seen,
         .idle_timeout_s = static_cast<uint16_t>(std::clamp<int64_t>(idle.count(), 1, UINT16_MAX))});
  }
  row->last_seen = std::max(row->last_seen, seen);
  row->Clear(BindingRow::kUnconfirmed);
  row->Clear(BindingRow::kFlowless);
  row->Clear(BindingRow::kTold);
  if (!PlaceAsFound(found, row)) {
    // Learned by rules of before a change of the store.
    ++counters_["learned-elsewhere"];
    Install(*service, row, now.mono, effects);
    LeaveBehind(sw->id, key.service, found.place, now.mono);
  }
  if (known) return;

  ++learned_;
  ++sw->learned;
  ++service->demands;
  ++registry_.Find(found.instance)->demands;
  // The shares in force where it was decided; the controller's own decisions are told where they are made.
  Switch* decider = FindSwitch(DeciderOf(*sw).id);
  SwitchDispatch* dispatch = FindDispatch(decider->id, key.service);
  const bool by_shares = !sw->forwarder() || service->spec.dispatch == Dispatch::kLearn;
  if (by_shares && dispatch->context == 0) EmitShares(*service, decider, dispatch, now, effects);
  auto& record = std::get<BindingStarted>(std::get<Record>(
      effects->emplace_back(std::in_place_type<Record>, std::in_place_type<BindingStarted>)));
  record.key = key;
  record.sid = service->SidFor(key.client);
  record.instance = found.instance;
  record.decided_by = sw->forwarder() ? DecidedBy::kForwarder : DecidedBy::kSwitch;
  record.reason = reason;
  record.at = now.wall;
  record.idle_timeout = std::chrono::seconds{row->idle_timeout_s};
  if (by_shares) record.decision.context = dispatch->context;
}

void Core::Impl::On(const UnboundCounted& event, Now, Effects*) {
  Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->connected) return;
  for (const UnboundPackets& unbound : event.packets) {
    Service* service = services_.Find(unbound.service);
    const bool misses = !unbound.service.valid() && sw->forwarder();
    if (service == nullptr && !misses) continue;
    // A flow that has taken less than before was made anew.
    uint64_t& before = sw->unbound[unbound.service];
    (misses ? sw->misses : service->demands_unbound) +=
        unbound.packets - (before <= unbound.packets ? before : 0);
    before = unbound.ended ? 0 : unbound.packets;
  }
}

void Core::Impl::On(const MonitorGap& event, Now now, Effects* effects) {
  Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->configured) return;
  ++sw->monitor_gaps;
  ++counters_["monitor-gaps"];
  if (sw->gap_told && now.mono - *sw->gap_told < kTellGap) return;
  sw->gap_told = now.mono;
  Tell("monitor-gap", sw->config.name,
       "the switch changed bindings faster than it could report: some that came and went are not recorded",
       now, effects);
}

void Core::Impl::CheckLimits(Switch* sw, Now now, Effects* effects) {
  for (auto& [id, dispatch] : sw->dispatch) {
    const Service* service = services_.Find(id);
    const bool limited = DispatchAt(*sw, *service) == Dispatch::kLearn && HasRows(StoreAt(sw->id, *service));
    const uint64_t limit = service->spec.affinity.limit;
    const uint64_t rows = table_.CountOf(id, sw->id);
    bool closed = dispatch.closed;
    if (!limited || rows * 100 < limit * kOpenPercent) {
      closed = false;
    } else if (rows >= limit) {
      closed = true;
    }
    if (closed == dispatch.closed) continue;
    dispatch.closed = closed;
    plans_dirty_ = true;
    if (closed) {
      ++dispatch.closings;
      ++counters_["binding-limit-closings"];
    }
    if (dispatch.limit_told && now.mono - *dispatch.limit_told < kTellGap) continue;
    dispatch.limit_told = now.mono;
    const std::string detail =
        fmt::format("{} bindings on switch '{}', 'limit' is {}: ", rows, sw->config.name, limit);
    Tell(closed ? "binding-limit" : "binding-limit-over", service->spec.name,
         detail +
             (closed ? "further demands are steered by hash, without a binding" : "demands are bound again"),
         now, effects);
  }
}

bool Core::Impl::LeaveToSwitch(const DemandArrived& event, Service* service, const BindingRow* row,
                               const BindingKey& key, Now now, Effects* effects) {
  const SwitchDispatch* dispatch = FindDispatch(event.at, event.service);
  if (dispatch == nullptr || dispatch->slots(event.demand.client.is_v4()).empty()) {
    if (row != nullptr) {
      End(key, GoneReason(row->instance), row->packets, std::nullopt, now, effects);
      // The flow of the gone binding must not outlive its row.
      effects->emplace_back(Removal(key));
    }
    Refuse(event, service, effects);
    return true;
  }
  // The switch will select by itself as soon as it has its plan. What is decided here meanwhile could differ
  // from what it decides for the same key: the packet is dropped, and sent again by its sender.
  const Switch* sw = FindSwitch(event.at);
  if (sw->plan_sent && now.mono - *sw->plan_sent < kPlanUnderWay) {
    ++counters_["demands-before-their-plan"];
    return true;
  }
  // It does not do what its plan says.
  ++counters_["demands-instead-of-switch"];
  if (HasRows(StoreAt(key.at, *service))) return false;
  ServeUnbound(event, service, key, now, effects);
  return true;
}

void Core::Impl::AdoptDispatch(const SwitchFound& event, Switch* sw, bool first, Now now) {
  for (const FoundDispatch& found : event.dispatch) {
    SwitchDispatch* dispatch = FindDispatch(sw->id, found.service);
    if (dispatch == nullptr) {
      ++counters_["found-foreign-dispatch"];
      continue;
    }
    // Where its bindings are is the switch's to say: our last flip may not have reached it.
    if (found.generation <= 1 && found.generation != dispatch->generation()) {
      dispatch->epoch = static_cast<uint8_t>((dispatch->epoch + 3) & 3);
    }
    const Service* service = services_.Find(found.service);
    if (DispatchAt(*sw, *service) != Dispatch::kLearn) continue;
    if (first) dispatch->closed = found.binding_closed;
    if (sw->forwarder()) continue;
    // From what it does now the fewest slots must move, whatever changed while it was away.
    const auto adopt = [&](const std::vector<InstanceId>& slots, std::vector<InstanceId>* into) {
      if (slots.size() != kSlots || slots == *into) return;
      *into = slots;
      dispatch->context = 0;
      // After our start the weights are known when the agents have reported.
      if (first) dispatch->held_until = started_ + config_->controller.startup_grace;
    };
    adopt(found.slots_v4, &dispatch->slots_v4);
    adopt(found.slots_v6, &dispatch->slots_v6);
  }
  // Timers start anew: a binding may end late, never early.
  for (auto& [id, dispatch] : sw->dispatch) {
    dispatch.next_flip = now.mono + services_.Find(id)->spec.affinity.idle_timeout;
    dispatch.flipped_at.reset();
  }
  sw->synced_at.reset();
}

}  // namespace dyncast::core
