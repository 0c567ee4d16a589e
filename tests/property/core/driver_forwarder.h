// The D-Forwarder of a random life: it holds what D-Routers tell it, late or never. Included by driver.h.
#pragma once

#include "tests/property/core/driver.h"

namespace dyncast::core {

inline void Driver::AddForwarder() {
  config::SwitchConfig forwarder = config_.switches[0];
  forwarder.name = "f3";
  forwarder.bridge = "br3";
  forwarder.role = SwitchRole::kDForwarder;
  forwarder.d_routers = {"r1", "r2"};
  forwarder.ports[0].name = "acc3";
  forwarder.ports[0].addresses = {Net("10.13.0.1/24")};
  forwarder.ports[1].name = "up3";
  config_.switches.push_back(forwarder);
  for (size_t i = 0; i < config_.switches.size(); ++i) {
    const std::string n = std::to_string(i + 1);
    config_.switches[i].tunnel = config::TunnelConfig{.address = Ip("10.255." + n + ".2"), .port = "gnv" + n};
  }
}

inline Driver::Told Driver::Ask(SwitchId forwarder, const DemandArrived& demand) {
  Oracle::World& asker = oracle.switches[forwarder];
  for (auto& [id, router] : oracle.switches) {
    if (router.forwarder || router.address != asker.holds->ask) continue;
    const PlannedService* service = router.Service(demand.service);
    if (service == nullptr) return std::nullopt;  // it has started again, or does not know the service
    const BindingKey key = MakeBindingKey(service->spec.affinity, forwarder, demand.service, demand.demand);
    if (!service->slots_v4.empty()) {
      const InstanceId went = service->slots_v4[std::hash<BindingKey>{}(key) % kSlots];
      if (!router.HasEgress(went)) oracle.broken.push_back(step_ + ": a slot of an instance without egress");
      return std::pair{key, went};
    }
    if (!router.found) return std::nullopt;  // nobody to ask
    return AskController(id, *service, key, demand);
  }
  return std::nullopt;
}

inline Driver::Told Driver::AskController(SwitchId router, const PlannedService& service,
                                          const BindingKey& key, const DemandArrived& demand) {
  DemandArrived punted = demand;
  punted.at = router;
  punted.in_port = PortNo{9};
  punted.forwarder = oracle.switches[key.at].address;
  const bool knows = oracle.switches[router].plan != nullptr;
  const InstanceId must = oracle.MustGo(key, now_.mono);
  Effects effects;
  core_->StepDemand(punted, now_, &effects);
  if (tamper_) tamper_(&effects);
  Note(effects);
  Told told;
  for (const Effect& effect : effects) {
    if (std::holds_alternative<InstallBinding>(effect)) {
      oracle.broken.push_back(step_ + ": a flow beside what is told");
    }
    const auto* forward = std::get_if<ForwardDemand>(&effect);
    if (forward == nullptr) continue;
    if (knows && forward->key == key && must.valid() && forward->instance != must) {
      oracle.broken.push_back(step_ + ": asked again, and told another instance");
    }
    // Told longer ago than is promised, and remembered all the same.
    const auto row = oracle.rows.find(key);
    const bool remembered = row != oracle.rows.end() && row->second == forward->instance;
    if (knows && service.spec.dispatch == Dispatch::kLearn && !must.valid() && !remembered) {
      oracle.broken.push_back(step_ + ": nobody takes it, but it went somewhere");
    }
    if (!forward->forwarder.is_none()) told = std::pair{forward->key, forward->instance};
  }
  oracle.Take(effects, now_, step_, {});
  // Until it is learned.
  if (told) oracle.switches[told->first.at].told[told->first] = now_.mono;
  return told;
}

inline void Driver::AtForwarder(SwitchId id, const PlannedService& service, const BindingKey& key,
                                const DemandArrived& demand) {
  Oracle::World& sw = oracle.switches[id];
  step_ = std::to_string(count_) + " packet at a D-Forwarder";
  const auto held = sw.Find(key);
  if (held && sw.HasEgress(held->instance)) {
    Pass(&sw, &service, key, *held);
    Saw(service, key, held->instance, true);
  } else if (const Told offer = Ask(id, demand)) {
    ++misses;
    if (const size_t luck = Pick(held ? 4 : 8); luck == 0) {
      ++refused;  // lost on its way
    } else if (luck < 3) {
      sw.offers.push_back(*offer);
    } else {
      sw.TakeOffer(offer->first, offer->second, now_.mono);
    }
  }
  oracle.Check(*core_, now_, step_);
  if (Pick(3) != 0) Report(id);
}

inline void Driver::TakeOffers(SwitchId id) {
  Oracle::World& sw = oracle.switches[id];
  for (; !sw.offers.empty(); sw.offers.pop_front()) {
    const auto& [key, instance] = sw.offers.front();
    const auto held = sw.Find(key);
    if (held && sw.HasEgress(held->instance)) ++refused;
    sw.TakeOffer(key, instance, now_.mono);
  }
}

}  // namespace dyncast::core
