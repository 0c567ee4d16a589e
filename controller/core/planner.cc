#include "controller/core/planner.h"

#include <algorithm>
#include <set>

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

NextHop FindNextHop(const SwitchPlan& plan, const IpAddress& address) {
  NextHop best;
  int longest = -1;
  // Of equal prefixes that of a connected network counts, and there that of an access port, as in table
  // route.
  for (const PortRole role : {PortRole::kAccess, PortRole::kEdge, PortRole::kUplink}) {
    for (const PlannedPort& port : plan.ports) {
      if (port.role != role) continue;
      for (const IpPrefix& own : port.addresses) {
        if (own.length <= longest || own.address.is_link_local() || !own.Contains(address)) continue;
        longest = own.length;
        best = {.port = &port, .address = address};
      }
    }
  }
  for (const PlannedRoute& route : plan.routes) {
    if (route.to.length <= longest || !route.to.Contains(address)) continue;
    longest = route.to.length;
    best = {.port = FindOnLink(plan, route.via).port, .address = route.via};
  }
  return best;
}

namespace {

// At a D-Forwarder bindings come from outside, whoever decides.
void AdaptToForwarder(PlannedService* planned) {
  planned->spec.dispatch = Dispatch::kLearn;
  Affinity& affinity = planned->spec.affinity;
  affinity.store = StoreAt(SwitchRole::kDForwarder, affinity);
}

void AddTunnel(const config::SwitchConfig& sw, const PortNumbers& numbers, const TunnelPlan& tunnels,
               SwitchPlan* plan) {
  if (!sw.tunnel) return;
  const auto number = numbers.find(sw.tunnel->port);
  if (number == numbers.end()) return;
  plan->tunnel = {.port = number->second, .local = sw.tunnel->address, .mtu_octets = sw.tunnel->mtu};
  plan->forwarders = tunnels.forwarders;
  plan->d_routers = tunnels.d_routers;
  plan->ask = tunnels.ask;
}

// What is gone but bound to keeps all but its egress at D-Forwarders, unless somebody else has its D-BID.
void AddUnreachable(const ServiceTable& services, const Registry& registry,
                    const std::vector<InstanceId>& gone, SwitchPlan* plan) {
  std::set<IpAddress> taken;
  for (const PlannedInstance& instance : plan->instances) taken.insert(instance.bid);
  for (const InstanceId id : gone) {
    const Instance* instance = registry.Find(id);
    if (instance == nullptr || instance->in_plan()) continue;
    const Service* service = services.Find(instance->record.service);
    if (service == nullptr || !service->configured) continue;
    if (instance->record.bid.is_none() || !taken.insert(instance->record.bid).second) continue;
    plan->instances.push_back(
        {.id = id, .service = instance->record.service, .bid = instance->record.bid, .reachable = false});
  }
  std::sort(plan->instances.begin(), plan->instances.end(),
            [](const PlannedInstance& a, const PlannedInstance& b) { return a.id < b.id; });
}

}  // namespace

SwitchPlan MakePlan(const config::FabricConfig& config, const config::SwitchConfig& sw, SwitchId id,
                    const PortNumbers& numbers, const ServiceTable& services, const Registry& registry,
                    const DispatchMap& dispatch, const TunnelPlan& tunnels) {
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
  AddTunnel(sw, numbers, tunnels, &plan);
  const bool forwarder = sw.role == SwitchRole::kDForwarder;
  services.ForEach([&](const Service& service) {
    if (!service.configured) return;
    PlannedService& planned = plan.services.emplace_back();
    planned.id = service.id;
    planned.spec = service.spec;
    if (forwarder) AdaptToForwarder(&planned);
    const auto state = dispatch.find(service.id);
    if (state == dispatch.end()) return;
    if (forwarder) {
      planned.binding_closed = state->second.closed;
    } else if (service.spec.dispatch == Dispatch::kLearn) {
      planned.slots_v4 = state->second.slots_v4;
      planned.slots_v6 = state->second.slots_v6;
      planned.binding_closed = state->second.closed;
    }
    if (StoreOf(planned.spec.affinity) == BindingStoreKind::kGenerations) {
      planned.generation = state->second.generation();
    }
  });
  registry.ForEach([&](const Instance& instance) {
    const Service* service = services.Find(instance.record.service);
    if (!instance.in_plan() || service == nullptr || !service->configured) return;
    plan.instances.push_back(
        {.id = instance.id(), .service = instance.record.service, .bid = instance.record.bid});
  });
  if (forwarder) AddUnreachable(services, registry, tunnels.gone, &plan);
  return plan;
}

}  // namespace dyncast::core
