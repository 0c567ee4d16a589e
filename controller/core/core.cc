#include "controller/core/core.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "controller/core/core_impl.h"

namespace dyncast::core {
namespace {

// More flows without timeouts are not counted: that costs the switch 3 us each.
constexpr size_t kCountedGenerations = 20'000;

}  // namespace

Core::Core(std::shared_ptr<const config::FabricConfig> config, const PersistedState& persisted, Now now,
           uint64_t seed, uint64_t context_base)
    : impl_(std::make_unique<Impl>(std::move(config), persisted, now, seed, context_base)) {}

Core::~Core() = default;

void Core::Step(const Event& event, Now now, Effects* effects) {
  if (const auto* demand = std::get_if<DemandArrived>(&event)) {
    StepDemand(*demand, now, effects);
    return;
  }
  std::move(impl_->pending_.begin(), impl_->pending_.end(), std::back_inserter(*effects));
  impl_->pending_.clear();
  std::visit([&](const auto& e) { impl_->On(e, now, effects); }, event);
  impl_->Finish(now, effects);
}

void Core::StepDemand(const DemandArrived& demand, Now now, Effects* effects) {
  if (!impl_->pending_.empty()) {
    std::move(impl_->pending_.begin(), impl_->pending_.end(), std::back_inserter(*effects));
    impl_->pending_.clear();
  }
  impl_->On(demand, now, effects);
}

MonoTime Core::NextDeadline() const { return impl_->deadline_; }

std::optional<SwitchId> Core::FindSwitch(std::string_view name) const {
  const auto id = impl_->switch_ids_.Find(name);
  if (!id) return std::nullopt;
  const Switch* sw = impl_->FindSwitch(*id);
  return sw != nullptr && sw->configured ? id : std::nullopt;
}

std::shared_ptr<const SwitchPlan> Core::PlanInForce(SwitchId at) const {
  const Switch* sw = impl_->FindSwitch(at);
  return sw != nullptr ? sw->plan : nullptr;
}

std::shared_ptr<const SwitchPlan> Core::PlanAnew(SwitchId at) const {
  const Switch* sw = impl_->FindSwitch(at);
  if (sw == nullptr || !sw->configured) return nullptr;
  return std::make_shared<const SwitchPlan>(impl_->Anew(*sw));
}

std::vector<BindingFlow> Core::BindingsOf(SwitchId at) const {
  std::vector<BindingFlow> flows;
  flows.reserve(impl_->table_.CountAt(at));
  impl_->table_.ForEach([&](const BindingRow& row) {
    if (row.key.at == at && !row.Is(BindingRow::kFlowless) && !impl_->Doomed(row))
      flows.push_back(impl_->FlowOf(row));
  });
  return flows;
}

size_t Core::binding_count() const { return impl_->table_.size(); }
size_t Core::binding_bytes() const { return impl_->table_.bytes(); }

// ---- Impl: what all events share ------------------------------------------------------------------

Core::Impl::Impl(std::shared_ptr<const config::FabricConfig> config, const PersistedState& persisted, Now now,
                 uint64_t seed, uint64_t context_base)
    : started_(now.mono),
      registry_(&services_, &agents_),
      table_(seed),
      chooser_(seed),
      next_context_(context_base) {
  for (const SwitchRecord& record : persisted.switches) {
    if (!switch_ids_.Adopt(record.name, record.id)) continue;
    if (switches_.size() <= record.id.value()) switches_.resize(size_t{record.id.value()} + 1);
    switches_[record.id.value()] = std::make_unique<Switch>();
    switches_[record.id.value()]->id = record.id;
    switches_[record.id.value()]->config.role = record.role;
  }
  services_.Load(persisted.services);
  registry_.Load(persisted.instances, *config, now);
  for (const PersistedBinding& binding : persisted.bindings) {
    const bool known = FindSwitch(binding.key.at) != nullptr &&
                       services_.Find(binding.key.service) != nullptr && binding.instance.valid();
    if (!known) {
      Emit(BindingEnded{.key = binding.key,
                        .reason = EndReason::kAwayEnded,
                        .at = now.wall,
                        .packets = std::nullopt,
                        .bytes = std::nullopt},
           &pending_);
      continue;
    }
    if (table_.Find(binding.key) != nullptr) continue;
    table_.Insert({.key = binding.key, .instance = binding.instance, .flags = BindingRow::kUnconfirmed});
  }
  Configure(std::move(config), now, &pending_);
  Finish(now, &pending_);
  next_sweep_ = now.mono;
  UpdateDeadline(now.mono);
}

Switch* Core::Impl::FindSwitch(SwitchId at) {
  return at.value() < switches_.size() ? switches_[at.value()].get() : nullptr;
}
const Switch* Core::Impl::FindSwitch(SwitchId at) const {
  return at.value() < switches_.size() ? switches_[at.value()].get() : nullptr;
}

void Core::Impl::Tell(std::string kind, std::string subject, std::string detail, Now now, Effects* effects) {
  Emit(EventRecord{.at = now.wall,
                   .kind = std::move(kind),
                   .subject = std::move(subject),
                   .detail = std::move(detail)},
       effects);
}

void Core::Impl::End(const BindingKey& key, EndReason reason, std::optional<uint64_t> packets,
                     std::optional<uint64_t> bytes, Now now, Effects* effects) {
  const BindingKey copy = key;  // `key` may be the row's own
  const BindingRow* row = table_.Find(copy);
  if (row == nullptr) return;
  NoteUnbound(*row, reason, now.mono);
  table_.Erase(copy);
  Emit(BindingEnded{.key = copy, .reason = reason, .at = now.wall, .packets = packets, .bytes = bytes},
       effects);
}

EndReason Core::Impl::GoneReason(InstanceId instance) const {
  const Instance* known = registry_.Find(instance);
  return known != nullptr && known->drained ? EndReason::kInstanceDrained : EndReason::kInstanceGone;
}

Decis Core::Impl::Since(MonoTime at) const {
  if (at <= started_) return Decis{0};
  return std::chrono::duration_cast<Decis>(at - started_);
}

BindingFlow Core::Impl::FlowOf(const BindingRow& row) const {
  const Service* service = services_.Find(row.key.service);
  BindingFlow flow{.key = row.key, .instance = row.instance};
  if (service == nullptr) return flow;
  const Affinity& affinity = service->spec.affinity;
  flow.idle_timeout =
      row.idle_timeout_s != 0 ? std::chrono::seconds{row.idle_timeout_s} : affinity.idle_timeout;
  flow.place = row.place();
  if (row.form == KeyForm::kHeader) flow.client_bits = ClientBits(affinity, row.key.client);
  if (!IsTimed(flow.place)) return flow;
  // A coarser key covers connections that still run when one of them ends.
  const bool fin = affinity.kind == AffinityKind::k5Tuple && row.key.proto == IpProto::kTcp;
  flow.fin_timeout = fin ? affinity.fin_timeout : std::chrono::seconds{0};
  return flow;
}

void Core::Impl::Finish(Now now, Effects* effects) {
  const auto changes = registry_.TakeChanges();
  for (const Registry::Change& change : changes) {
    const Instance* instance = registry_.Find(change.instance);
    if (change.rebuilt) RemoveBindingsOfInstance(change.instance, effects, now);
    if (!change.event.empty()) Tell(change.event, instance->record.name, change.detail, now, effects);
    plans_dirty_ = plans_dirty_ || change.plan_changed;
  }
  // One row for each instance, however often it changed in this step.
  for (size_t i = 0; i < changes.size(); ++i) {
    const bool last =
        std::none_of(changes.begin() + static_cast<std::ptrdiff_t>(i) + 1, changes.end(),
                     [&](const Registry::Change& later) { return later.instance == changes[i].instance; });
    if (last) Emit(registry_.Find(changes[i].instance)->record, effects);
  }
  if (!changes.empty() || shares_dirty_) UpdateAllShares(now, effects);
  if (plans_dirty_) {
    plans_dirty_ = false;
    for (const auto& sw : switches_) {
      if (sw && sw->configured) UpdatePlan(sw.get(), now, effects);
    }
  }
  if (!changes.empty()) UpdateDeadline(now.mono);
}

void Core::Impl::UpdateDeadline(MonoTime now) {
  // Never later than the cadence of ticks that callers promise.
  deadline_ = now + std::chrono::milliseconds{100};
  const auto consider = [this](const std::optional<MonoTime>& at) {
    if (at && *at < deadline_) deadline_ = *at;
  };
  consider(registry_.NextDeadline());
  consider(agents_.NextSilence());
  consider(neighbors_.NextDeadline());
  if (!flowless_.empty()) consider(flowless_.front().first);
  services_.ForEach([&](const Service& service) { consider(service.look_at); });
  deadline_ = std::max(deadline_, now + Micros{1});
}

void Core::Impl::On(const Tick&, Now now, Effects* effects) {
  for (const std::string& agent : agents_.TakeSilent(now.mono)) {
    Tell("agent-silent", agent, {}, now, effects);
    registry_.AgentSilent(agent, now);
    ForgetPaths(agent, now, effects);
  }
  registry_.Tick(now);
  UpdateDueShares(now, effects);
  for (const auto& sw : switches_) {
    if (sw && sw->configured) CheckLimits(sw.get(), now, effects);
  }
  // Before the plan that makes the emptied table the current one.
  FlipDue(now, effects);
  // The plan first: whom to ask depends on it.
  Finish(now, effects);
  neighbors_.Tick(
      now.mono, [this](SwitchId at) { return FindSwitch(at)->plan.get(); }, effects);
  AgeFlowless(now, effects);
  Sweep(now, effects);
  RemoveLeftovers(now, effects);
  for (const auto& sw : switches_) {
    if (!sw || !sw->configured) continue;
    SendHellos(sw.get(), now.mono, effects);
    plans_dirty_ = plans_dirty_ || PlanLags(*sw);
    if (!sw->synced || now.mono < sw->next_count) continue;
    sw->next_count = now.mono + config_->controller.stats_interval;
    const size_t generation_rows = GenerationRows(*sw);
    effects->emplace_back(CountBindings{
        .at = sw->id, .generations = generation_rows > 0 && generation_rows <= kCountedGenerations});
    effects->emplace_back(CountPorts{sw->id});
  }
  if (now.mono >= next_sweep_) SweepStale(now, effects);
  UpdateDeadline(now.mono);
}

}  // namespace dyncast::core
