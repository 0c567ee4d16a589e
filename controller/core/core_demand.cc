// The hot path: a demand without a usable flow. O(instances of the service), no allocation of its own.
#include <algorithm>
#include <cmath>
#include <utility>

#include "controller/core/core_impl.h"
#include "controller/core/mix.h"

namespace dyncast::core {
namespace {

// A flow that was sent this recently is on its way: packets that follow in a burst do not send it again.
// In tenths of a second, so at least 100 ms and less than 200 ms.
constexpr uint32_t kReinstallGap = 2;
// For a flow that the switch refused lately.
constexpr uint32_t kRefusedGap = 10;
// How long a plan may take until the switch holds it.
constexpr std::chrono::seconds kPlanUnderWay{1};

// What is believed of instances' pace is looked at anew after this time.
constexpr std::chrono::milliseconds kPaceHold{50};

template <typename T>
std::optional<T> If(bool condition, const std::optional<T>& value) {
  return condition ? value : std::nullopt;
}

}  // namespace

bool Core::Impl::Usable(const BindingRow& row) const {
  const Instance* instance = registry_.Find(row.instance);
  return instance != nullptr && instance->in_plan() && instance->record.service == row.key.service;
}

void Core::Impl::On(const DemandArrived& event, Now now, Effects* effects) {
  ++demands_;
  Switch* sw = FindSwitch(event.at);
  Service* service = services_.Find(event.service);
  if (sw == nullptr || !sw->configured || service == nullptr || !service->configured) {
    ++counters_["demands-of-nothing-known"];
    return;
  }
  const Switch* asker = event.forwarder.is_none() ? nullptr : ForwarderAt(event.forwarder);
  if (!event.forwarder.is_none() && asker == nullptr) {
    ++counters_["demands-of-unknown-forwarder"];
    return;
  }
  ++sw->demands;
  // What a D-Forwarder asks about is bound there, not here.
  const BindingKey key = MakeBindingKey(service->spec.affinity, asker != nullptr ? asker->id : event.at,
                                        event.service, event.demand);
  BindingRow* row = table_.Find(key);
  if (row != nullptr && Doomed(*row)) {
    End(key, EndReason::kIdle, row->packets, std::nullopt, now, effects);
    row = nullptr;
  }
  if (row != nullptr && Usable(*row)) {
    FollowBinding(event, row, now, effects);
    return;
  }
  // The end of a connection that nobody here knows is no demand: a binding for it would serve nothing.
  if (row == nullptr && event.phase == TcpPhase::kReset) {
    ++counters_["resets-without-binding"];
    return;
  }
  if (service->spec.dispatch == Dispatch::kLearn && LeaveToSwitch(event, service, row, key, now, effects)) {
    return;
  }
  if (row == nullptr && table_.CountOf(event.service, key.at) >= service->spec.affinity.limit) {
    ServeUnbound(event, service, key, now, effects);
    return;
  }
  SelectFor(event, service, key, row, now, effects);
}

// A connection that closes before the switch uses its flow shows its FIN to the controller only: the flow's
// own FIN timeout never sees it. So the timeout follows the phase here as well; a port used anew has the
// whole one.
uint16_t Core::Impl::IdleTimeout(const Service& service, const DemandArrived& event, uint16_t current_s) {
  const Affinity& affinity = service.spec.affinity;
  const auto seconds = [](std::chrono::seconds s) {
    return static_cast<uint16_t>(std::clamp<int64_t>(s.count(), 1, UINT16_MAX));
  };
  const uint16_t whole_s = seconds(affinity.idle_timeout);
  if (affinity.kind != AffinityKind::k5Tuple || affinity.fin_timeout.count() == 0 ||
      StoreOf(affinity) == BindingStoreKind::kGenerations || event.demand.proto != IpProto::kTcp) {
    return current_s == 0 ? whole_s : current_s;
  }
  switch (event.phase) {
    case TcpPhase::kOpening: return whole_s;
    case TcpPhase::kClosing:
    case TcpPhase::kReset: return std::min(whole_s, seconds(affinity.fin_timeout));
    case TcpPhase::kNone: break;
  }
  return current_s == 0 ? whole_s : current_s;
}

void Core::Impl::FollowBinding(const DemandArrived& event, BindingRow* row, Now now, Effects* effects) {
  ++followed_;
  const Decis at = Since(now.mono);
  row->last_seen = at;
  // A packet whose flow is on its way still meets the gone instance's flow, and is no sign of a lost egress.
  const bool on_its_way = at.count() - row->installed.count() < kRefusedGap;
  const uint32_t gap = row->Is(BindingRow::kWatched) || event.egress_gone ? kRefusedGap : kReinstallGap;
  const Service& service = *services_.Find(event.service);
  // What a D-Forwarder has learned keeps its timeout: it is told keys, not phases.
  const bool asked = !event.forwarder.is_none();
  const uint16_t idle_timeout_s =
      asked ? row->idle_timeout_s : IdleTimeout(service, event, row->idle_timeout_s);
  const bool other_timeout = idle_timeout_s != row->idle_timeout_s;
  row->idle_timeout_s = idle_timeout_s;
  if (other_timeout || row->Is(BindingRow::kUnconfirmed) || at.count() - row->installed.count() >= gap) {
    if (asked) {
      row->Clear(BindingRow::kUnconfirmed);
    } else {
      Install(service, row, now.mono, effects);
    }
  }
  if (!on_its_way && DropsForNoEgress(event, now)) return;
  effects->emplace_back(ForwardDemand{.at = event.at,
                                      .in_port = event.in_port,
                                      .service = event.service,
                                      .instance = row->instance,
                                      .bid = registry_.Find(row->instance)->record.bid,
                                      .forwarder = event.forwarder,
                                      .key = row->key,
                                      .packet = event.packet});
}

bool Core::Impl::DropsForNoEgress(const DemandArrived& event, Now now) {
  if (!event.egress_gone) return false;
  const Switch* sw = FindSwitch(event.at);
  if (sw->plan_sent && now.mono - *sw->plan_sent < kPlanUnderWay) return false;
  ++counters_["demands-dropped-no-egress"];
  return true;
}

void Core::Impl::Install(const Service& service, BindingRow* row, MonoTime now, Effects* effects) {
  row->Clear(BindingRow::kUnconfirmed);
  row->Clear(BindingRow::kFlowless);  // until it is refused again
  row->Clear(BindingRow::kTold);
  PlaceNow(row);
  row->installed = Since(now);
  if (row->idle_timeout_s == 0) {
    row->idle_timeout_s =
        static_cast<uint16_t>(std::clamp<int64_t>(service.spec.affinity.idle_timeout.count(), 1, UINT16_MAX));
  }
  effects->emplace_back(InstallBinding{.at = row->key.at, .flow = FlowOf(*row)});
}

uint64_t Core::Impl::Gather(const Service& service, bool v4, const Switch* at, MonoTime now,
                            std::vector<Candidate>* candidates) const {
  const Selection& selection = service.spec.selection;
  candidates->clear();
  uint64_t shape = v4 ? 1 : 2;
  for (const Instance* instance : service.members) {
    const InstanceMetrics& metrics = instance->metrics;
    const bool fresh = metrics.Fresh(now, selection.metrics_expiry);
    Candidate& c = candidates->emplace_back();
    c.instance = instance->id();
    c.rated_requests_per_s = instance->record.capacity.requests_per_s;
    c.cpu_cores = instance->record.capacity.cpu_cores;
    c.load = If(fresh, metrics.load());
    c.request_rate = If(fresh, metrics.request_rate());
    c.estimate = If(fresh && now - metrics.estimated_at() <= selection.metrics_expiry, metrics.estimate());
    c.bindings = table_.CountOf(instance->id());
    c.fresh = fresh;
    c.credit = instance->credit;
    c.recent = instance->recent;
    c.chosen_at = instance->chosen_at;
    if (at != nullptr) {
      const Distance distance = DistanceTo(*at, *instance, selection.metrics_expiry, now);
      c.bindings_here = table_.CountOf(instance->id(), at->id);
      if (distance.rtt_s >= 0) c.rtt_s = distance.rtt_s;
      if (distance.loss >= 0) c.loss = distance.loss;
      c.bound_here_per_s = instance->load.bound_per_s(at->id, now);
    }
    c.ahead = instance->load.Ahead(c.bindings, now, service.load);
    c.pace = instance->load.pace();
    c.bound_per_s = instance->load.bound_per_s(now);
    const std::optional<double>& most = instance->record.capacity.max_sessions;
    const double sessions = fresh ? metrics.sessions().value_or(0) : 0;
    if (instance->record.state == InstanceState::kDown) {
      c.exclusion = Exclusion::kDown;
    } else if (instance->record.state == InstanceState::kDraining) {
      c.exclusion = Exclusion::kDraining;
    } else if (instance->record.bid.is_v4() != v4) {
      c.exclusion = Exclusion::kFamily;
    } else if (most && std::max(sessions, static_cast<double>(c.bindings)) >= *most) {
      c.exclusion = Exclusion::kFull;
    }
    if (instance->up_since && selection.slow_start.count() > 0) {
      const Micros window{selection.slow_start};
      const Micros warm = now - *instance->up_since;
      if (warm < window) {
        c.warmth = std::max(0.1F, static_cast<float>(warm.count()) / static_cast<float>(window.count()));
      }
    }
    shape = Mix(shape ^ (static_cast<uint64_t>(c.exclusion) * 2 + (fresh ? 1 : 0) + 0x51ED270Bu),
                0x9E3779B97F4A7C15ull ^ instance->id().value());
  }
  return shape;
}

void Core::Impl::SelectFor(const DemandArrived& event, Service* service, const BindingKey& key,
                           BindingRow* row, Now now, Effects* effects) {
  const bool gone = row != nullptr;
  Switch* at_switch = FindSwitch(key.at);
  if (service->paces_at + kPaceHold <= now.mono) UpdatePaces(service, now.mono);
  const uint64_t shape = Gather(*service, event.demand.client.is_v4(), at_switch, now.mono, &candidates_);
  const Selection& selection = service->spec.selection;
  const Policy& policy = PolicyOf(selection.policy);
  const Choice choice = chooser_.Choose(policy, SituationOf(*service), selection.max_share, &candidates_);
  if (gone) {
    ++reselected_;
    End(key, GoneReason(row->instance), row->packets, std::nullopt, now, effects);
  }
  const Chosen* chosen = std::get_if<Chosen>(&choice);
  if (chosen == nullptr) {
    // The flow of the gone binding must not outlive its row.
    if (gone) effects->emplace_back(Removal(key));
    Refuse(event, service, effects);
    return;
  }
  ++selected_;
  ++service->demands;
  const uint64_t context = ContextFor(service, *at_switch, shape, now, effects);

  const InstanceId instance = candidates_[chosen->index].instance;
  NoteBound(*service, registry_.Find(instance), *at_switch, now.mono);
  const Decis at = Since(now.mono);
  BindingRow* bound = table_.Insert(
      {.key = key, .instance = instance, .last_seen = at, .idle_timeout_s = IdleTimeout(*service, event, 0)});
  // A D-Forwarder that asks learns the binding with the answer.
  const bool asked = !event.forwarder.is_none();
  Effects told;
  Install(*service, bound, now.mono, asked ? &told : effects);
  if (asked) bound->Set(BindingRow::kTold);
  effects->emplace_back(ForwardDemand{.at = event.at,
                                      .in_port = event.in_port,
                                      .service = event.service,
                                      .instance = instance,
                                      .bid = registry_.Find(instance)->record.bid,
                                      .forwarder = event.forwarder,
                                      .key = key,
                                      .packet = event.packet});
  auto& record = std::get<BindingStarted>(std::get<Record>(
      effects->emplace_back(std::in_place_type<Record>, std::in_place_type<BindingStarted>)));
  record.key = key;
  record.sid = service->SidFor(event.demand.client);
  record.instance = instance;
  record.reason = gone ? StartReason::kInstanceGone : StartReason::kNew;
  record.at = now.wall;
  record.idle_timeout = std::chrono::seconds{bound->idle_timeout_s};
  record.decision.context = context;
  chooser_.Describe(candidates_, &record.decision);

  chooser_.Settle(policy, &candidates_, chosen->index);
  for (const Candidate& c : candidates_) {
    Instance* kept = registry_.Find(c.instance);
    kept->credit = c.credit;
    kept->recent = c.recent;
    kept->chosen_at = c.chosen_at;
  }
  ++registry_.Find(instance)->demands;
}

// Over the service's limit: the same instance for the same key as long as the instances stay, without
// anything kept for it (highest random weight).
void Core::Impl::ServeUnbound(const DemandArrived& event, Service* service, const BindingKey& key, Now now,
                              Effects* effects) {
  const bool v4 = event.demand.client.is_v4();
  Instance* best = nullptr;
  uint64_t highest = 0;
  for (Instance* instance : service->members) {
    if (!instance->up() || instance->record.bid.is_v4() != v4) continue;
    const uint64_t weight = HashKey(key, Mix(instance->id().value() + 1, 0xD6E8FEB86659FD93ull));
    if (best != nullptr && weight <= highest) continue;
    best = instance;
    highest = weight;
  }
  if (best == nullptr) {
    Refuse(event, service, effects);
    return;
  }
  if (DropsForNoEgress(event, now)) return;
  ++service->demands;
  ++service->demands_unbound;
  ++best->demands;
  effects->emplace_back(ForwardDemand{.at = event.at,
                                      .in_port = event.in_port,
                                      .service = event.service,
                                      .instance = best->id(),
                                      .bid = best->record.bid,
                                      .packet = event.packet});
}

void Core::Impl::Refuse(const DemandArrived& event, Service* service, Effects* effects) {
  ++service->demands_refused;
  if (service->spec.no_instance == NoInstanceAction::kDrop) return;
  if (!event.forwarder.is_none()) {
    const Switch* asker = ForwarderAt(event.forwarder);
    if (asker != nullptr) RefuseAtForwarder(event, *asker, effects);
    return;
  }
  effects->emplace_back(RefuseDemand{.at = event.at, .in_port = event.in_port, .packet = event.packet});
}

uint64_t Core::Impl::ContextFor(Service* service, const Switch& at, uint64_t shape, Now now,
                                Effects* effects) {
  const Switch* seen_from = PlaceOf(at).empty() ? nullptr : &at;
  if (std::exchange(service->context_changed, false)) service->contexts.clear();
  Service::Recorded& last = service->contexts[seen_from == nullptr ? SwitchId{} : at.id];
  const bool due = service->reports != last.reports && now.mono - last.at >= Service::kContextGap;
  if (last.context != 0 && last.shape == shape && !due) return last.context;
  last = {.context = ++next_context_, .shape = shape, .reports = service->reports, .at = now.mono};
  DecisionContextRecord record{.context = last.context,
                               .service = service->id,
                               .policy = service->spec.selection.policy,
                               .at = now.wall,
                               .switch_id = seen_from == nullptr ? SwitchId{} : at.id,
                               .candidates = {}};
  record.candidates.reserve(candidates_.size());
  const bool expects = PolicyOf(service->spec.selection.policy).expects();
  for (size_t i = 0; i < candidates_.size(); ++i) {
    CandidateContext& row =
        record.candidates.emplace_back(ContextOf(candidates_[i], chooser_.capacities()[i], seen_from, now));
    if (expects && candidates_[i].eligible()) row.expected_ms = chooser_.costs()[i] * 1e3;
  }
  Emit(std::move(record), effects);
  return last.context;
}

CandidateContext Core::Impl::ContextOf(const Candidate& c, double capacity, const Switch* sw, Now now) const {
  const Instance* instance = registry_.Find(c.instance);
  CandidateContext out;
  out.instance = c.instance;
  out.state = instance->record.state;
  out.load = c.load;
  if (c.eligible() && capacity > 0) out.capacity = capacity;
  out.request_rate_per_s = c.request_rate;
  if (c.rtt_s) out.rtt = Micros{std::llround(*c.rtt_s * 1e6)};
  out.outstanding = c.ahead.mean;
  out.excluded = std::string(ExclusionName(c.exclusion));
  if (!instance->metrics.reported()) return out;
  out.metrics_age = std::chrono::duration_cast<std::chrono::milliseconds>(now.mono - instance->metrics.at());
  out.scores = ScoresFrom(sw, *instance, now.mono);
  out.metrics = instance->metrics.samples();
  return out;
}

}  // namespace dyncast::core
