// What a plan must keep to so that its flows mean what it says.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "ovs-integration/pipeline/compile_admit.h"
#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

constexpr uint32_t kMaxPort = 0xfeff;  // above are OpenFlow 1.0's reserved ports

// A claim to some ports of (address, protocol), and who makes it.
struct Claim {
  IpAddress address;
  IpProto proto = IpProto::kTcp;
  uint16_t first = 0;
  uint16_t last = 0;
  std::string by;
};

// The first two claims that share a port, as an error.
Status CheckDisjoint(std::vector<Claim> claims) {
  std::sort(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) {
    return std::tie(a.address, a.proto, a.first, a.last, a.by) <
           std::tie(b.address, b.proto, b.first, b.last, b.by);
  });
  for (size_t i = 1; i < claims.size(); ++i) {
    const Claim& a = claims[i - 1];
    const Claim& b = claims[i];
    if (a.address != b.address || a.proto != b.proto || b.first > a.last) continue;
    return MakeError(Errc::kConflict, a.by + " and " + b.by + " both claim " + b.address.ToString() + " " +
                                          std::string(IpProtoName(b.proto)) + " port " +
                                          std::to_string(b.first));
  }
  return Ok();
}

Status CheckPorts(const SwitchPlan& plan) {
  constexpr uint16_t kMaxVlan = 4094;
  std::set<PortNo> numbers;
  for (const PlannedPort& port : plan.ports) {
    const uint32_t number = RegisterPort(port.number);
    if (number == 0 || (number > kMaxPort && number != kLocalPort)) {
      return MakeError(Errc::kLimit, "port " + port.name + ": number " + std::to_string(number) +
                                         " is not within 1.." + std::to_string(kMaxPort) + " nor LOCAL");
    }
    if (port.vlan > kMaxVlan) {
      return MakeError(Errc::kLimit, "port " + port.name + ": VLAN " + std::to_string(port.vlan) +
                                         " is not within 1.." + std::to_string(kMaxVlan) + ", or 0 for none");
    }
    if (!numbers.insert(port.tagged()).second) {
      const std::string tag = port.vlan == 0 ? "" : " with VLAN " + std::to_string(port.vlan);
      return MakeError(Errc::kDuplicate,
                       "port " + port.name + ": number " + std::to_string(number) + tag + " is said twice");
    }
    if (port.mac.is_none() || (port.mac.octets[0] & 1) != 0) {
      return MakeError(Errc::kInvalid, "port " + port.name + ": gateway MAC " + port.mac.ToString() +
                                           " is not a unicast address");
    }
  }
  return Ok();
}

Status CheckRoutes(const SwitchPlan& plan) {
  std::map<IpPrefix, IpAddress> seen;
  for (const PlannedRoute& route : plan.routes) {
    const std::string name = "route to " + route.to.ToString() + " via " + route.via.ToString();
    if (FamilyOf(route.to.address) != FamilyOf(route.via)) {
      return MakeError(Errc::kInvalid, name + ": the next hop is of the other family");
    }
    if (route.via.is_link_local()) {
      return MakeError(Errc::kInvalid, name + ": a link-local next hop does not say behind which port it is");
    }
    const bool reachable = std::any_of(plan.ports.begin(), plan.ports.end(), [&](const PlannedPort& port) {
      return std::any_of(port.addresses.begin(), port.addresses.end(),
                         [&](const IpPrefix& net) { return net.Contains(route.via); });
    });
    if (!reachable) {
      return MakeError(Errc::kInvalid, name + ": the next hop is on no port's network");
    }
    const auto [at, added] = seen.emplace(route.to.Network(), route.via);
    if (!added && at->second != route.via) {
      return MakeError(Errc::kConflict, name + ": the same prefix goes via " + at->second.ToString());
    }
  }
  return Ok();
}

// What a service's store asks of its key and dispatch.
Status CheckStore(const PlannedService& service, const std::string& name) {
  const Affinity& affinity = service.spec.affinity;
  const BindingStoreKind store = StoreOf(affinity);
  const std::string named = name + ": store " + std::string(BindingStoreKindName(store));
  const bool learn = service.spec.dispatch == Dispatch::kLearn;
  if (service.generation > 1) {
    return MakeError(Errc::kInvalid,
                     name + ": generation " + std::to_string(service.generation) + " is neither 0 nor 1");
  }
  if (store == BindingStoreKind::kNone && !learn) {
    return MakeError(Errc::kInvalid, named + " needs dispatch learn");
  }
  if (store != BindingStoreKind::kConntrack) return Ok();
  if (!learn || affinity.kind != AffinityKind::k5Tuple) {
    return MakeError(Errc::kInvalid, named + " needs dispatch learn and affinity key 5-tuple, not " +
                                         std::string(DispatchName(service.spec.dispatch)) + " and " +
                                         std::string(AffinityKindName(affinity.kind)));
  }
  return Ok();
}

using InstancesById = std::map<InstanceId, const PlannedInstance*>;

Status CheckSlots(const PlannedService& service, const std::vector<InstanceId>& slots, Family family,
                  const InstancesById& instances, const std::string& name) {
  const std::string named = name + ": IPv" + (family == Family::kV4 ? "4" : "6") + " slots";
  if (!slots.empty() && slots.size() != kSlots) {
    return MakeError(Errc::kInvalid, named + ": there are " + std::to_string(slots.size()) + ", not " +
                                         std::to_string(kSlots) + " or none");
  }
  InstanceId last;  // neighbours are often the same one
  for (InstanceId id : slots) {
    if (id == last) continue;
    last = id;
    const auto found = instances.find(id);
    if (found == instances.end() || found->second->service != service.id) {
      return MakeError(Errc::kNotFound,
                       named + ": instance " + std::to_string(id.value()) + " is not one of this service");
    }
    if (FamilyOf(found->second->bid) != family) {
      return MakeError(Errc::kInvalid, named + ": instance " + std::to_string(id.value()) + " has D-BID " +
                                           found->second->bid.ToString());
    }
  }
  return Ok();
}

Status CheckAffinity(const PlannedService& service, const std::string& name) {
  const Affinity& affinity = service.spec.affinity;
  for (const auto& [length, most] : {std::pair{affinity.prefix_v4, 32}, std::pair{affinity.prefix_v6, 128}}) {
    if (length <= most) continue;
    return MakeError(Errc::kInvalid, name + ": prefix length " + std::to_string(length) +
                                         " is not within 0.." + std::to_string(most));
  }
  return CheckStore(service, name);
}

Status CheckRange(const PortRange& range, const std::string& name) {
  const std::string text = std::string(IpProtoName(range.proto)) + " " + std::to_string(range.first) + "-" +
                           std::to_string(range.last);
  if (range.proto == IpProto::kIcmp) {
    if (range.first == 0 && range.last == 0) return Ok();
    return MakeError(Errc::kInvalid, name + ": " + text + ": icmp has no ports");
  }
  if (HasPorts(range.proto) && range.first != 0 && range.first <= range.last) return Ok();
  return MakeError(Errc::kInvalid, name + ": " + text + " is no range within 1..65535 of tcp, udp or sctp");
}

Status CheckServices(const SwitchPlan& plan) {
  InstancesById instances;
  for (const PlannedInstance& instance : plan.instances) instances[instance.id] = &instance;
  std::set<ServiceId> ids;
  std::vector<Claim> claims;
  for (const PlannedService& service : plan.services) {
    const ServiceSpec& spec = service.spec;
    const std::string name = "service " + spec.name;
    if (!service.id.valid()) return MakeError(Errc::kInvalid, name + ": id 0 means none");
    if (!ids.insert(service.id).second) {
      return MakeError(Errc::kDuplicate,
                       name + ": id " + std::to_string(service.id.value()) + " is said twice");
    }
    if (Status status = CheckAffinity(service, name); !status.ok()) return status;
    for (Family family : kFamilies) {
      const std::optional<IpAddress>& sid = SidOf(spec, family);
      if (sid && (sid->is_none() || FamilyOf(*sid) != family)) {
        return MakeError(Errc::kInvalid, name + ": D-SID " + sid->ToString() + " is not IPv" +
                                             (family == Family::kV4 ? "4" : "6"));
      }
      const std::vector<InstanceId>& slots = family == Family::kV4 ? service.slots_v4 : service.slots_v6;
      if (Status status = CheckSlots(service, slots, family, instances, name); !status.ok()) return status;
    }
    for (const PortRange& range : spec.ports) {
      if (Status status = CheckRange(range, name); !status.ok()) return status;
      for (Family family : kFamilies) {
        const std::optional<IpAddress>& sid = SidOf(spec, family);
        if (sid) claims.push_back({*sid, range.proto, range.first, range.last, name});
      }
    }
  }
  return CheckDisjoint(std::move(claims));
}

Status CheckInstances(const SwitchPlan& plan) {
  std::map<ServiceId, const PlannedService*> services;
  for (const PlannedService& service : plan.services) services[service.id] = &service;
  std::set<InstanceId> ids;
  std::vector<Claim> claims;
  for (const PlannedInstance& instance : plan.instances) {
    const std::string name = "instance " + std::to_string(instance.id.value());
    if (!instance.id.valid()) return MakeError(Errc::kInvalid, name + ": id 0 means none");
    if (!ids.insert(instance.id).second) return MakeError(Errc::kDuplicate, name + " is said twice");
    const auto service = services.find(instance.service);
    if (service == services.end()) {
      return MakeError(Errc::kNotFound,
                       name + ": there is no service " + std::to_string(instance.service.value()));
    }
    if (instance.bid.is_none()) return MakeError(Errc::kInvalid, name + ": there is no D-BID");
    for (const PortRange& range : service->second->spec.ports) {
      claims.push_back({instance.bid, range.proto, range.first, range.last, name});
    }
  }
  return CheckDisjoint(std::move(claims));
}

Status CheckTunnel(const SwitchPlan& plan) {
  const bool forwarder = plan.role == SwitchRole::kDForwarder;
  if (!plan.tunnel) {
    // A D-Forwarder whose tunnel port is not there yet keeps what is bound.
    if (plan.forwarders.empty() && plan.d_routers.empty() && plan.ask.is_none()) return Ok();
    return MakeError(Errc::kInvalid, "tunnel: there is none, but endpoints to talk to");
  }
  const PlannedTunnel& tunnel = *plan.tunnel;
  const uint32_t number = RegisterPort(tunnel.port);
  if (number == 0 || number > kMaxPort) {
    return MakeError(Errc::kLimit, "tunnel: port number " + std::to_string(number) + " is not within 1.." +
                                       std::to_string(kMaxPort));
  }
  for (const PlannedPort& port : plan.ports) {
    if (port.number != tunnel.port) continue;
    return MakeError(Errc::kDuplicate,
                     "tunnel: port number " + std::to_string(number) + " is port " + port.name);
  }
  constexpr uint16_t kLeastMtu = 576;
  if (tunnel.mtu_octets < kLeastMtu) {
    return MakeError(Errc::kLimit, "tunnel: MTU " + std::to_string(tunnel.mtu_octets) + " is below " +
                                       std::to_string(kLeastMtu));
  }
  std::vector<IpAddress> peers = plan.d_routers;
  for (const PlannedForwarder& peer : plan.forwarders) peers.push_back(peer.endpoint);
  std::set<IpAddress> seen{tunnel.local};
  for (const IpAddress& peer : peers) {
    if (peer.is_none() || !peer.is_v4() || !seen.insert(peer).second) {
      return MakeError(Errc::kInvalid,
                       "tunnel: endpoint " + peer.ToString() + " is no IPv4 address, or said twice");
    }
  }
  if (forwarder ? !plan.forwarders.empty() : !plan.d_routers.empty()) {
    return MakeError(Errc::kInvalid, "tunnel: a D-Forwarder has D-Routers, a D-Router D-Forwarders");
  }
  if (!plan.ask.is_none() &&
      std::find(plan.d_routers.begin(), plan.d_routers.end(), plan.ask) == plan.d_routers.end()) {
    return MakeError(Errc::kNotFound,
                     "tunnel: " + plan.ask.ToString() + " is none of the D-Routers' endpoints");
  }
  return Ok();
}

}  // namespace

Status CheckPlan(const SwitchPlan& plan) {
  const auto checked = [&]() -> Status {
    if (!plan.id.valid()) return MakeError(Errc::kInvalid, "id 0 means none");
    for (const auto& check : {CheckPorts, CheckRoutes, CheckServices, CheckInstances, CheckTunnel}) {
      if (Status status = check(plan); !status.ok()) return status;
    }
    return Ok();
  }();
  if (checked.ok()) return Ok();
  Error error = checked.error();
  error.where = "switch " + plan.name;
  return error;
}

}  // namespace dyncast::pipeline
