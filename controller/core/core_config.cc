// Configuration, ports and plans.
#include <algorithm>
#include <set>
#include <utility>

#include "controller/core/core_impl.h"

namespace dyncast::core {

void Core::Impl::On(const ConfigChanged& event, Now now, Effects* effects) {
  if (event.config == nullptr) return;
  Configure(event.config, now, effects);
  Tell("config-changed", event.config->controller.fabric, {}, now, effects);
}

void Core::Impl::Configure(std::shared_ptr<const config::FabricConfig> config, Now now, Effects* effects) {
  config_ = std::move(config);
  std::set<SwitchId> named;
  for (const config::SwitchConfig& sw_config : config_->switches) {
    const bool known = switch_ids_.Find(sw_config.name).has_value();
    const auto id = switch_ids_.Get(sw_config.name);
    if (!id) {
      ++counters_["switch-without-id"];
      continue;
    }
    named.insert(*id);
    if (switches_.size() <= id->value()) switches_.resize(size_t{id->value()} + 1);
    auto& slot = switches_[id->value()];
    if (!slot) slot = std::make_unique<Switch>();
    const bool row_changed = !known || slot->config.role != sw_config.role;
    slot->id = *id;
    slot->config = sw_config;
    slot->configured = true;
    if (row_changed) {
      Emit(SwitchRecord{.id = *id, .name = sw_config.name, .role = sw_config.role}, effects);
    }
  }
  const auto changes = services_.Configure(config_->services);
  for (const ServiceRecord& record : changes.records) {
    if (record.removed) Tell("service-removed", record.name, {}, now, effects);
    Emit(record, effects);
  }
  for (const std::string& name : changes.without_id) {
    ++counters_["service-without-id"];
    Tell("service-refused", name, "all 65535 service ids are taken", now, effects);
  }
  services_.ForEach(
      [&](Service& service) { service.scores = ResolveScores(config_->metrics, service.spec.scores); });
  ConfigureDispatch(changes.unbind, now, effects);
  for (const auto& sw : switches_) {
    if (sw && named.count(sw->id) == 0) DropSwitch(sw.get(), EndReason::kFlowLost, effects, now);
  }
  agents_.Configure(*config_);
  std::set<std::string> unlisted;
  for (const PathTable::Row& row : paths_.Rows(now.mono)) {
    if (agents_.Allowance(row.from) == nullptr) unlisted.emplace(row.from);
  }
  for (const std::string& agent : unlisted) ForgetPaths(agent, now, effects);
  paths_.Retain([this](std::string_view agent) { return agents_.Allowance(agent) != nullptr; });
  registry_.Configure(*config_, now);
  plans_dirty_ = true;
}

// A switch that is no longer configured: its bindings are nobody's.
void Core::Impl::DropSwitch(Switch* sw, EndReason reason, Effects* effects, Now now) {
  std::vector<std::pair<BindingKey, EndReason>> ended;
  table_.ForEach([&](const BindingRow& row) {
    if (row.key.at != sw->id) return;
    ended.emplace_back(row.key, row.Is(BindingRow::kUnconfirmed) ? EndReason::kAwayEnded : reason);
  });
  for (const auto& [key, why] : ended) End(key, why, std::nullopt, std::nullopt, now, effects);
  neighbors_.Disconnected(sw->id);
  ForgetLinks(sw, now, effects);
  sw->configured = false;
  sw->connected = false;
  sw->synced = false;
  sw->found_before = false;
  sw->dispatch.clear();
  sw->plan.reset();
  sw->numbers.reset();
}

void Core::Impl::UnbindService(ServiceId service, const std::set<SwitchId>& where, Effects* effects,
                               Now now) {
  std::vector<BindingKey> ended;
  table_.ForEach([&](const BindingRow& row) {
    if (row.key.service == service && where.count(row.key.at) != 0) ended.push_back(row.key);
  });
  for (const SwitchId at : where) {
    const Switch* sw = FindSwitch(at);
    // One that is away is told when it is back: what it then holds is not known to us any more.
    if (sw == nullptr || !sw->configured || !sw->connected) continue;
    // All of them, not only the known ones: a switch may have learned some just now.
    for (const BindingPlace place : kBindingPlaces) {
      effects->emplace_back(RemoveBindingsAt{.at = sw->id, .service = service, .place = place});
    }
  }
  for (const BindingKey& key : ended) {
    End(key, EndReason::kServiceRemoved, std::nullopt, std::nullopt, now, effects);
  }
}

void Core::Impl::RemoveBindingsOfInstance(InstanceId instance, Effects* effects, Now now) {
  std::vector<BindingKey> ended;
  std::set<std::pair<SwitchId, ServiceId>> flows;
  // A D-Forwarder that was told in vain may hold a flow of another instance than its row's: that one's end
  // must not leave the flow without a row, nor may the flow outlive its own instance.
  std::vector<BindingKey> told;
  table_.ForEach([&](const BindingRow& row) {
    const bool in_doubt = row.Is(BindingRow::kTold);
    if (row.instance != instance && !in_doubt) return;
    flows.emplace(row.key.at, row.key.service);
    if (row.instance != instance) return;
    ended.push_back(row.key);
    if (in_doubt) told.push_back(row.key);
  });
  for (const auto& [at, service] : flows) {
    const Switch* sw = FindSwitch(at);
    if (sw == nullptr || !sw->connected) continue;
    effects->emplace_back(RemoveBindingsOf{.at = at, .service = service, .instance = instance});
  }
  for (const BindingKey& key : ended) {
    End(key, EndReason::kInstanceGone, std::nullopt, std::nullopt, now, effects);
  }
  for (const BindingKey& key : told) effects->emplace_back(Removal(key));
}

void Core::Impl::On(const PortsKnown& event, Now now, Effects* effects) {
  Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->configured) {
    ++counters_["ports-of-unknown-switch"];
    return;
  }
  PortNumbers numbers;
  for (const auto& [name, number] : event.ports) {
    if (number.valid()) numbers[name] = number;
  }
  const bool first = !sw->numbers.has_value();
  if (!first && *sw->numbers == numbers) return;
  sw->numbers = std::move(numbers);
  plans_dirty_ = plans_dirty_ || !TunnelsOf(*sw).forwarders.empty();  // whether they can ask here
  if (first && sw->connected) {
    RenewUnused(*sw, now.mono, effects);
    EmitPlan(sw, now, effects);
  } else {
    UpdatePlan(sw, now, effects);
  }
  if (sw->synced && sw->plan != nullptr) neighbors_.Connected(*sw->plan, now.mono);
}

SwitchPlan Core::Impl::Anew(const Switch& sw) const {
  static const PortNumbers kNone;
  return MakePlan(*config_, sw.config, sw.id, sw.numbers ? *sw.numbers : kNone, services_, registry_,
                  sw.dispatch, TunnelsOf(sw));
}

// Sets the plan whether or not it changed: the switch has just connected.
void Core::Impl::EmitPlan(Switch* sw, Now now, Effects* effects) {
  auto plan = std::make_shared<const SwitchPlan>(Anew(*sw));
  if (sw->plan == nullptr || *sw->plan != *plan) {
    ++sw->plan_changes;
    sw->plan = std::move(plan);
  }
  neighbors_.SetPlan(*sw->plan, now.mono);
  sw->plan_sent = now.mono;
  effects->emplace_back(SetPlan{.at = sw->id, .plan = sw->plan});
}

void Core::Impl::UpdatePlan(Switch* sw, Now now, Effects* effects) {
  if (sw->plan == nullptr) return;
  SwitchPlan anew = Anew(*sw);
  if (anew == *sw->plan) return;
  sw->plan = std::make_shared<const SwitchPlan>(std::move(anew));
  ++sw->plan_changes;
  neighbors_.SetPlan(*sw->plan, now.mono);
  // One that is away gets it when it is back.
  if (!sw->ready()) return;
  sw->plan_sent = now.mono;
  effects->emplace_back(SetPlan{.at = sw->id, .plan = sw->plan});
}

}  // namespace dyncast::core
