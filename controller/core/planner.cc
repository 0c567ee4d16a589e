#include "controller/core/planner.h"

namespace dyncast::core {

OnLink FindOnLink(const SwitchPlan& plan, const IpAddress& address) {
  OnLink best;
  int longest = -1;
  for (const PlannedPort& port : plan.ports) {
    for (const IpPrefix& prefix : port.addresses) {
      if (prefix.length <= longest || !prefix.Contains(address)) continue;
      longest = prefix.length;
      best = {.port = &port, .gateway = prefix.address};
    }
  }
  return best;
}

SwitchPlan MakePlan(const config::FabricConfig& config, const config::SwitchConfig& sw, SwitchId id,
                    const PortNumbers& numbers, const ServiceTable& services, const Registry& registry,
                    const DispatchMap& dispatch) {
  SwitchPlan plan;
  plan.id = id;
  plan.name = sw.name;
  plan.role = sw.role;
  plan.punts = sw.punts;
  for (const config::PortConfig& port : sw.ports) {
    const auto number = numbers.find(port.name);
    if (number == numbers.end()) continue;
    PlannedPort planned{.name = port.name,
                        .number = number->second,
                        .vlan = port.vlan,
                        .role = port.role,
                        .addresses = port.addresses,
                        .sources = port.sources,
                        .mac = config::GatewayMac(config, sw, port)};
    if (port.role == PortRole::kAccess && planned.sources.empty()) {
      for (const IpPrefix& prefix : port.addresses) planned.sources.push_back(prefix.Network());
    }
    plan.ports.push_back(std::move(planned));
  }
  for (const config::RouteConfig& route : sw.routes) {
    if (FindOnLink(plan, route.via).port == nullptr) continue;
    plan.routes.push_back({.to = route.to, .via = route.via});
  }
  services.ForEach([&](const Service& service) {
    if (!service.configured) return;
    PlannedService& planned = plan.services.emplace_back();
    planned.id = service.id;
    planned.spec = service.spec;
    const auto state = dispatch.find(service.id);
    if (state == dispatch.end()) return;
    if (service.spec.dispatch == Dispatch::kLearn) {
      planned.slots_v4 = state->second.slots_v4;
      planned.slots_v6 = state->second.slots_v6;
      planned.binding_closed = state->second.closed;
    }
    if (StoreOf(service.spec.affinity) == BindingStoreKind::kGenerations) {
      planned.generation = state->second.generation();
    }
  });
  registry.ForEach([&](const Instance& instance) {
    const Service* service = services.Find(instance.record.service);
    if (!instance.in_plan() || service == nullptr || !service->configured) return;
    plan.instances.push_back(
        {.id = instance.id(), .service = instance.record.service, .bid = instance.record.bid});
  });
  return plan;
}

}  // namespace dyncast::core
