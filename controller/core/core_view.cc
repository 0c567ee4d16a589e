// What the core shows of itself.
#include <algorithm>
#include <cmath>

#include "controller/core/core_impl.h"

namespace dyncast::core {
namespace {

std::chrono::milliseconds Millis(Micros us) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(us);
}

std::vector<MetricView> MetricsOf(const Instance& instance, MonoTime now) {
  std::vector<MetricView> views;
  if (!instance.metrics.reported()) return views;
  const auto age = Millis(now - instance.metrics.at());
  for (const MetricSample& sample : instance.metrics.samples())
    views.push_back({.sample = sample, .age = age});
  return views;
}

std::vector<ShareView> SharesOf(const SwitchDispatch& dispatch, const Registry& registry) {
  std::map<InstanceId, ShareView> shares;
  for (const InstanceId instance : dispatch.slots_v4) ++shares[instance].slots_v4;
  for (const InstanceId instance : dispatch.slots_v6) ++shares[instance].slots_v6;
  std::vector<ShareView> views;
  for (auto& [id, share] : shares) {
    const Instance* instance = registry.Find(id);
    share.instance = id;
    share.instance_name = instance != nullptr ? instance->record.name : "";
    views.push_back(std::move(share));
  }
  return views;
}

std::string StateOf(const Switch& sw) {
  if (!sw.connected) return "away";
  if (!sw.numbers) return "waiting-ports";
  return sw.synced ? "synced" : "found";
}

}  // namespace

FabricView Core::View(Now now) const {
  const Impl& impl = *impl_;
  FabricView view;
  view.at = now.wall;
  impl.services_.ForEach([&](const Service& service) {
    if (!service.configured) return;
    ServiceView out{.id = service.id,
                    .spec = service.spec,
                    .switches = {},
                    .bindings = impl.table_.CountOf(service.id),
                    .demands = service.demands,
                    .demands_refused = service.demands_refused,
                    .demands_unbound = service.demands_unbound};
    out.store = StoreOf(service.spec.affinity);
    out.bindings_known = HasRows(out.store);
    for (const auto& sw : impl.switches_) {
      if (!sw || !sw->configured) continue;
      const SwitchDispatch* dispatch = impl.FindDispatch(sw->id, service.id);
      if (dispatch == nullptr) continue;
      out.closed = out.closed || dispatch->closed;
      const BindingStoreKind store = impl.StoreAt(sw->id, service);
      out.bindings_known = out.bindings_known || HasRows(store);
      out.switches.push_back({.at = sw->id,
                              .switch_name = sw->config.name,
                              .store = store,
                              .bindings_known = HasRows(store),
                              .bindings = impl.table_.CountOf(service.id, sw->id),
                              .closed = dispatch->closed,
                              .closings = dispatch->closings,
                              .generation = dispatch->generation(),
                              .flips = dispatch->flips,
                              .shares = SharesOf(*dispatch, impl.registry_)});
    }
    out.instances_known = static_cast<uint32_t>(service.members.size());
    for (const Instance* instance : service.members) out.instances_up += instance->up() ? 1 : 0;
    view.services.push_back(std::move(out));
  });
  impl.registry_.ForEach([&](const Instance& instance) {
    const InstanceRecord& record = instance.record;
    const Service* service = impl.services_.Find(record.service);
    InstanceView out;
    out.id = record.id;
    out.name = record.name;
    if (service != nullptr) out.service = service->spec.name;
    out.agent = record.agent;
    out.bid = record.bid;
    out.state = record.state;
    out.reason = record.reason;
    out.trusted_from_before = instance.trusted_from_before;
    out.in_state = Millis(now.mono - instance.state_since);
    // Those of an instance that is gone select again with their next packet: they are not its any more.
    out.bindings = instance.in_plan() ? impl.table_.CountOf(record.id) : 0;
    out.demands = instance.demands;
    out.capacity = record.capacity;
    const auto expiry =
        service != nullptr ? service->spec.selection.metrics_expiry : std::chrono::milliseconds{0};
    if (instance.metrics.Recent(now.mono, expiry)) {
      out.load = instance.metrics.load();
      if (now.mono - instance.metrics.estimated_at() <= expiry) {
        out.estimated_capacity = instance.metrics.estimate();
      }
    }
    out.metrics = MetricsOf(instance, now.mono);
    view.instances.push_back(std::move(out));
  });
  view.agents = impl.agents_.View(now.mono);
  for (const auto& sw : impl.switches_) {
    if (!sw || !sw->configured) continue;
    const Switch* asked = sw->forwarder() ? impl.AskedBy(*sw) : nullptr;
    view.switches.push_back({.id = sw->id,
                             .name = sw->config.name,
                             .role = sw->config.role,
                             .state = StateOf(*sw),
                             .bindings = impl.table_.CountAt(sw->id),
                             .demands = sw->demands,
                             .plan_changes = sw->plan_changes,
                             .refused_flows = sw->refused_flows,
                             .learned = sw->learned,
                             .monitor_gaps = sw->monitor_gaps,
                             .asks = asked == nullptr ? "" : asked->config.name,
                             .misses = sw->misses,
                             .last_error = sw->last_error,
                             .links = impl.LinksOf(*sw, now.mono)});
  }
  for (const auto& [name, value] : impl.counters_) view.counters[name] = value;
  view.counters["demands"] = impl.demands_;
  view.counters["demands-followed"] = impl.followed_;
  view.counters["demands-selected"] = impl.selected_;
  view.counters["demands-reselected"] = impl.reselected_;
  view.counters["demands-learned"] = impl.learned_;
  view.counters["neighbor-questions"] = impl.neighbors_.asked();
  view.counters["held-dropped"] = impl.neighbors_.held_dropped();
  uint64_t refused = 0;
  uint64_t unbound = 0;
  impl.services_.ForEach([&](const Service& service) {
    refused += service.demands_refused;
    unbound += service.demands_unbound;
  });
  view.counters["demands-refused"] = refused;
  view.counters["demands-unbound"] = unbound;
  return view;
}

std::vector<PathView> Core::Paths(Now now) const {
  std::vector<PathView> views;
  for (const PathTable::Row& row : impl_->paths_.Rows(now.mono)) {
    views.push_back({.from = std::string(row.from), .sample = *row.sample, .age = Millis(row.age)});
  }
  return views;
}

std::optional<ServiceId> Core::FindService(std::string_view name_or_sid) const {
  const Service* by_name = impl_->services_.FindByName(name_or_sid);
  if (by_name != nullptr && by_name->configured) return by_name->id;
  const auto address = IpAddress::Parse(name_or_sid);
  if (!address.ok()) return std::nullopt;
  std::optional<ServiceId> found;
  impl_->services_.ForEach([&](const Service& service) {
    if (!service.configured || found) return;
    if (service.spec.sid_v4 == *address || service.spec.sid_v6 == *address) found = service.id;
  });
  return found;
}

Explanation Core::Explain(const Demand& demand, ServiceId service_id, std::optional<SwitchId> at,
                          Now now) const {
  const Impl& impl = *impl_;
  Explanation out;
  const Service* service = impl.services_.Find(service_id);
  if (service == nullptr || !service->configured) {
    out.no_instance_reason = "the service is not configured";
    return out;
  }
  const Policy& policy = PolicyOf(service->spec.selection.policy);
  out.service = service->spec.name;
  out.policy = std::string(PolicyKindName(policy.kind()));
  out.formula = std::string(policy.formula());
  out.dispatch = service->spec.dispatch;
  out.store = at ? impl.StoreAt(*at, *service) : StoreOf(service->spec.affinity);
  out.key = MakeBindingKey(service->spec.affinity, at.value_or(SwitchId{}), service_id, demand);

  // What the demand leaves open (a port or protocol of 0) matches anything.
  impl.table_.ForEach([&](const BindingRow& row) {
    const BindingKey& key = row.key;
    if (key.service != service_id || key.client != out.key.client) return;
    if ((at && key.at != *at) || impl.Doomed(row)) return;
    if (out.key.src_port != 0 && key.src_port != out.key.src_port) return;
    if (out.key.dst_port != 0 && key.dst_port != out.key.dst_port) return;
    if (out.key.proto != IpProto::kAny && key.proto != out.key.proto) return;
    const Switch* sw = impl.FindSwitch(key.at);
    const Instance* instance = impl.registry_.Find(row.instance);
    out.bound.push_back({.at = key.at,
                         .switch_name = sw != nullptr ? sw->config.name : "",
                         .key = key,
                         .instance = row.instance,
                         .instance_name = instance != nullptr ? instance->record.name : "",
                         .instance_gone = !impl.Usable(row)});
  });
  std::sort(out.bound.begin(), out.bound.end(),
            [](const ExplainedBinding& a, const ExplainedBinding& b) { return a.key < b.key; });

  if (out.dispatch == Dispatch::kLearn) {
    impl.ExplainShares(*service, demand.client.is_v4(), at, now, &out);
  } else {
    impl.ExplainChoice(*service, demand.client.is_v4(), at, now, &out);
  }
  return out;
}

void Core::Impl::ExplainChoice(const Service& service, bool v4, std::optional<SwitchId> at, Now now,
                               Explanation* explanation) const {
  Explanation& out = *explanation;
  const Switch* sw = at ? FindSwitch(*at) : nullptr;
  std::vector<Candidate> candidates;
  Gather(service, v4, at ? FindSwitch(*at) : nullptr, now.mono, &candidates);
  const Selection& selection = service.spec.selection;
  const Policy& policy = PolicyOf(selection.policy);
  const Choice choice = chooser_.Choose(policy, SituationOf(service), selection.max_share, &candidates);
  const auto* chosen = std::get_if<Chosen>(&choice);
  for (size_t i = 0; i < candidates.size(); ++i) {
    ExplainedCandidate row = ExplainCandidate(candidates[i], sw, now);
    if (chosen != nullptr && candidates[i].eligible()) {
      row.cost = chooser_.costs()[i];
      if (policy.expects()) row.expected_ms = chooser_.costs()[i] * 1e3;
      if (chooser_.capacities()[i] > 0) row.capacity = chooser_.capacities()[i];
    }
    out.candidates.push_back(std::move(row));
  }
  if (chosen != nullptr) {
    out.would_choose = candidates[chosen->index].instance;
    out.would_choose_name = out.candidates[chosen->index].name;
  } else {
    out.no_instance_reason = std::string(NoInstanceReasonName(std::get<NoInstance>(choice).reason));
  }
  std::stable_sort(out.candidates.begin(), out.candidates.end(),
                   [&](const ExplainedCandidate& a, const ExplainedCandidate& b) {
                     if (a.cost.has_value() != b.cost.has_value()) return a.cost.has_value();
                     if (!a.cost || *a.cost == *b.cost) return false;
                     return *a.cost < *b.cost;
                   });
}

void Core::Impl::ExplainShares(const Service& service, bool v4, std::optional<SwitchId> at, Now now,
                               Explanation* explanation) const {
  Explanation& out = *explanation;
  const Switch* sw = at ? FindSwitch(*at) : nullptr;
  const SwitchDispatch* here = at ? FindDispatch(*at, service.id) : nullptr;
  if (here != nullptr) {
    const Switch& decider = DeciderOf(*sw);
    if (const SwitchDispatch* dispatch = FindDispatch(decider.id, service.id))
      out.slots = dispatch->slots(v4);
    if (&decider != sw) out.asks = decider.config.name;
    out.closed = here->closed;
  }
  std::vector<Candidate> candidates;
  GatherForSlots(service, v4, at ? &DeciderOf(*sw) : nullptr, now.mono, &candidates);
  std::vector<double> weights;
  std::vector<double> capacities;
  WeighForSlots(service, candidates, &weights, &capacities);
  const bool any =
      std::any_of(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.eligible(); });
  for (size_t i = 0; i < candidates.size(); ++i) {
    ExplainedCandidate row = ExplainCandidate(candidates[i], sw, now);
    if (candidates[i].eligible() && capacities[i] > 0) row.capacity = capacities[i];
    if (!out.slots.empty()) {
      const auto held = std::count(out.slots.begin(), out.slots.end(), row.instance);
      row.share = static_cast<double>(held) / static_cast<double>(out.slots.size());
    }
    out.candidates.push_back(std::move(row));
  }
  if (!any) out.no_instance_reason = std::string(NoInstanceReasonName(WhyNoInstance(candidates)));
  std::stable_sort(out.candidates.begin(), out.candidates.end(),
                   [](const ExplainedCandidate& a, const ExplainedCandidate& b) {
                     return a.share.value_or(0) > b.share.value_or(0);
                   });
}

ExplainedCandidate Core::Impl::ExplainCandidate(const Candidate& c, const Switch* sw, Now now) const {
  const Instance* instance = registry_.Find(c.instance);
  ExplainedCandidate row;
  row.instance = c.instance;
  row.name = instance->record.name;
  row.state = instance->record.state;
  row.excluded = std::string(ExclusionName(c.exclusion));
  row.load = c.load;
  if (c.rtt_s) row.rtt = Micros{std::llround(*c.rtt_s * 1e6)};
  row.outstanding = c.ahead.mean;
  row.bindings = instance->in_plan() ? c.bindings : 0;
  row.scores = ScoresFrom(sw, *instance, now.mono);
  row.metrics = MetricsOf(*instance, now.mono);
  return row;
}

}  // namespace dyncast::core
