// What the driver's switches and operators do: the longer steps of a life. Included by driver.h.
#pragma once

#include "tests/property/core/driver.h"

namespace dyncast::core {

inline void Driver::Pass(Oracle::World* sw, const PlannedService* planned, const BindingKey& key,
                         const Oracle::World::Held& held) {
  if (IsTimed(held.place)) {
    Oracle::World::Flow& flow = sw->flows.at(key);
    flow.last = now_.mono;
    ++flow.packets;
  } else if (planned != nullptr && held.place != GenerationPlace(planned->generation, FormOf(held.place))) {
    sw->Learn(*planned, key, held.instance, now_.mono);  // taken over into the current table
  }
}

inline void Driver::SelfMade(SwitchId id, const PlannedService& service, const BindingKey& key,
                             const DemandArrived& demand) {
  Oracle::World& sw = oracle.switches[id];
  step_ = std::to_string(count_) + " packet";
  const auto held = sw.Find(key);
  InstanceId went;
  bool bound = true;
  if (held && sw.HasEgress(held->instance)) {
    went = held->instance;
    Pass(&sw, &service, key, *held);
  } else if (service.slots_v4.empty()) {
    if (!sw.found) return;
    const InstanceId must = oracle.MustGo(key, now_.mono);  // bound, without a flow
    Effects effects;
    core_->StepDemand(demand, now_, &effects);
    Note(effects);
    for (const Effect& effect : effects) {
      const auto* forward = std::get_if<ForwardDemand>(&effect);
      if (forward != nullptr && forward->instance != must && sw.plan != nullptr) {
        oracle.broken.push_back(step_ + ": nobody takes it, but it went somewhere");
      }
    }
    oracle.Take(effects, now_, step_, {});
    oracle.Check(*core_, now_, step_);
    return;
  } else {
    went = service.slots_v4[std::hash<BindingKey>{}(key) % kSlots];
    if (!sw.HasEgress(went)) oracle.broken.push_back(step_ + ": a slot of an instance without egress");
    bound = !service.binding_closed;
    if (bound) sw.Learn(service, key, went, now_.mono);
  }
  Saw(service, key, went, bound);
  if (Pick(3) != 0) Report(id);
}

inline void Driver::Saw(const PlannedService& service, const BindingKey& key, InstanceId went, bool bound) {
  const SwitchId id = key.at;
  const Oracle::World& sw = oracle.switches[id];
  const auto view = views_.find(key);
  if (view != views_.end() && view->second.instance != went) {
    const auto idle = std::min(view->second.idle, service.spec.affinity.idle_timeout);
    if (now_.mono - view->second.last < idle)
      oracle.broken.push_back(
          step_ + ": a bound flow moved, service " + std::to_string(key.service.value()) + " switch " +
          std::to_string(id.value()) + " key " + key.client.ToString() + ":" + std::to_string(key.src_port) +
          " from " + std::to_string(view->second.instance.value()) + " to " + std::to_string(went.value()) +
          " after us " + std::to_string((now_.mono - view->second.last).count()) + " row " +
          std::to_string(oracle.rows.count(key) ? oracle.rows[key].value() : 0) + " found " +
          std::to_string(sw.found) + " plan " + std::to_string(sw.plan != nullptr));
  }
  if (bound && oracle.Usable(went)) {
    const auto flow = sw.flows.find(key);
    const bool timed = StoreOf(service.spec.affinity) == BindingStoreKind::kTimed;
    views_[key] = {
        .instance = went,
        .last = now_.mono,
        .idle = timed && flow != sw.flows.end() ? flow->second.idle : service.spec.affinity.idle_timeout};
  } else {
    views_.erase(key);
  }
}

inline void Driver::SwitchLife() {
  const std::string name = kSwitches[Pick(3)];
  const SwitchId id = *core_->FindSwitch(name);
  Oracle::World& sw = oracle.switches[id];
  if (sw.found && sw.plan != nullptr && !sw.endpoint && Pick(2) == 0) {
    sw.endpoint = true;
    Deliver(NeighborFound{id, PortNo{0xfffe}, sw.address, MacAddress{{2, 0, 0, 0, 0, 9}}}, "endpoint");
    return;
  }
  if (sw.found && Pick(3) != 0) return;
  if (sw.found) {
    if (Pick(3) == 0) {  // the switch itself starts again
      sw.Wipe();
      std::erase_if(views_, [&](const auto& view) { return view.first.at == id; });
    }
    sw.found = sw.synced = sw.endpoint = false;
    sw.unreported.clear();
    std::erase_if(counts_, [&](const BindingsCounted& counted) { return counted.at == id; });
    Deliver(SwitchLost{id, "test"}, "lost");
    return;
  }
  if (!sw.ports && Pick(2) == 0) {
    sw.ports = true;
    const std::string n = name.substr(1);
    Deliver(PortsKnown{id, {{"acc" + n, PortNo{1}}, {"up" + n, PortNo{2}}, {"gnv" + n, PortNo{9}}}}, "ports");
    return;
  }
  std::set<BindingKey> allowed;
  for (const auto& [key, instance] : oracle.rows) {
    if (key.at != id) continue;
    const auto held = sw.Find(key);
    if (!held || held->instance != instance || sw.InDoubt(key)) allowed.insert(key);
  }
  const std::vector<FoundBinding> found = Holds(sw, true);
  for (const FoundBinding& binding : found) {
    sw.doomed.erase(binding.key);
    oracle.flowless.erase(binding.key);
  }
  const bool fresh = sw.plan == nullptr && now_.mono - restarted_at_ < std::chrono::seconds{5};
  const auto before = sw.holds;
  sw.found = true;
  Deliver(SwitchFound{id, found, sw.Dispatch(), sw.holds == nullptr && sw.empty()}, "found", allowed);
  if (fresh && before != nullptr && sw.plan != nullptr) SameSlots(*before, *sw.plan);
  // A session without a plan, as long as the ports are not known, is not in sync: its switch is not counted.
  if (sw.plan == nullptr) return;
  sw.synced = true;
  Deliver(SwitchSynced{id}, "synced");
}

inline void Driver::SameSlots(const SwitchPlan& before, const SwitchPlan& after) {
  for (const PlannedService& service : after.services) {
    for (const PlannedService& old : before.services) {
      if (old.id != service.id || old.spec != service.spec || old.slots_v4 == service.slots_v4) continue;
      const std::set<InstanceId> had(old.slots_v4.begin(), old.slots_v4.end());
      const std::set<InstanceId> has(service.slots_v4.begin(), service.slots_v4.end());
      if (had == has) oracle.broken.push_back(step_ + ": slots changed with a start of the controller");
    }
  }
}

inline std::vector<FoundBinding> Driver::Holds(const Oracle::World& sw, bool generations) const {
  std::vector<FoundBinding> found;
  for (const auto& [key, flow] : sw.flows) found.push_back(Found(sw, key, flow));
  for (size_t turn = 0; turn < 2 && generations; ++turn) {
    for (const auto& [key, instance] : sw.turns[turn]) {
      FoundBinding binding{.key = key, .instance = instance};
      binding.place = sw.Placed(GenerationPlace(static_cast<uint8_t>(turn)), key);
      found.push_back(binding);
    }
  }
  return found;
}

inline void Driver::Count(const CountBindings& count) {
  const Oracle::World& sw = oracle.switches[count.at];
  if (sw.found) counts_.push_back({count.at, Holds(sw, count.generations)});
}

inline void Driver::DeliverCounts() {
  while (!counts_.empty()) {
    const BindingsCounted counted = counts_.front();
    counts_.pop_front();
    const size_t told = oracle.switches[counted.at].told.size();
    Deliver(counted, "counted");
    followed += told - oracle.switches[counted.at].told.size();
    oracle.CheckCounted(counted, now_.mono, step_);
  }
}

inline void Driver::Delete() {
  DeliverCounts();
  for (auto& [id, sw] : oracle.switches) {
    std::vector<std::pair<BindingKey, Oracle::World::Held>> all;
    sw.ForEach([&](const BindingKey& key, const Oracle::World::Held& held) {
      if (!sw.OnItsWay(key)) all.emplace_back(key, held);
    });
    if (!sw.found || sw.plan == nullptr || all.empty()) continue;
    const auto [key, held] = all[Pick(all.size())];
    sw.Erase(key);
    ++deleted;
    FoundBinding gone{.key = key, .instance = held.instance, .age = std::chrono::milliseconds{0}};
    gone.place = held.place;
    Deliver(BindingFlowEnded{id, gone, EndReason::kFlowLost}, "deleted");
    return;
  }
}

inline void Driver::Refuse() {
  for (auto& [id, sw] : oracle.switches) {
    if (!sw.found || sw.flows.empty()) continue;
    auto flow = sw.flows.begin();
    std::advance(flow, Pick(sw.flows.size()));
    if (!oracle.Usable(flow->second.instance)) continue;
    const BindingKey key = flow->first;
    const PlannedService* planned = sw.Service(key.service);
    if (planned == nullptr || planned->spec.dispatch == Dispatch::kLearn || sw.OnItsWay(key)) continue;
    if (StoreOf(planned->spec.affinity) != BindingStoreKind::kTimed) continue;
    sw.flows.erase(flow);
    oracle.flowless.insert(key);
    views_.erase(key);
    Deliver(BindingFlowRefused{id, key, "full"}, "refused");
    return;
  }
}

inline void Driver::Configure() {
  std::set<BindingKey> allowed;
  for (auto& [id, sw] : oracle.switches) Report(id);
  auto& service = config_.services[Pick(config_.services.size())];
  const auto id = core_->FindService(service.name);
  const auto forget = [&] {
    std::erase_if(views_, [&](const auto& view) { return view.first.service == *id; });
  };
  switch (Pick(7)) {
    case 4: {
      // Without its plan a switch would not follow.
      for (const auto& [at, sw] : oracle.switches) {
        if (sw.found && sw.plan == nullptr) return;
        // A row that was told in vain is moved, not the flow that the switch goes on with.
        std::erase_if(views_, [&, told = &sw.told](const auto& view) {
          return view.first.service == *id && told->count(view.first) != 0;
        });
      }
      const bool timed = service.affinity.store == BindingStoreKind::kTimed;
      service.affinity.store = timed ? BindingStoreKind::kGenerations : BindingStoreKind::kTimed;
      break;
    }
    case 5: {
      const bool learns = service.dispatch == Dispatch::kLearn;
      service.dispatch = learns ? Dispatch::kReactive : Dispatch::kLearn;
      break;
    }
    case 6: service.affinity.limit = static_cast<uint32_t>(10 + Pick(60)); break;
    case 0: service.affinity.idle_timeout = std::chrono::seconds{5 + Pick(30)}; break;
    case 1: service.selection.policy = static_cast<PolicyKind>(Pick(5)); break;
    case 2: {
      service.affinity.kind = static_cast<AffinityKind>(Pick(4));
      forget();
      for (const auto& [key, instance] : oracle.rows) {
        if (key.service == *id) allowed.insert(key);
      }
      break;
    }
    default: {
      for (const auto& [key, instance] : oracle.rows) {
        if (key.service == *id) allowed.insert(key);
      }
      if (config_.services.size() == 5) {
        forget();
        removed_ = service;
        std::erase_if(config_.services, [&](const ServiceSpec& s) { return s.name == removed_.name; });
      } else {
        allowed.clear();
        config_.services.push_back(removed_);
      }
    }
  }
  Deliver(ConfigChanged{std::make_shared<config::FabricConfig>(config_)}, "config", allowed);
}

}  // namespace dyncast::core
