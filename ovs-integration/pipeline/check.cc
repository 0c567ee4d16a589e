// What a plan must keep to so that its flows mean what it says.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

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
  std::set<uint32_t> numbers;
  for (const PlannedPort& port : plan.ports) {
    const uint32_t number = RegisterPort(port.number);
    if (number == 0 || (number > kMaxPort && number != kLocalPort)) {
      return MakeError(Errc::kLimit, "port " + port.name + ": number " + std::to_string(number) +
                                         " is not within 1.." + std::to_string(kMaxPort) + " nor LOCAL");
    }
    if (!numbers.insert(number).second) {
      return MakeError(Errc::kDuplicate,
                       "port " + port.name + ": number " + std::to_string(number) + " is said twice");
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
    if (!route.to.address.is_v4()) continue;
    const std::string name = "route to " + route.to.ToString() + " via " + route.via.ToString();
    const bool reachable = std::any_of(plan.ports.begin(), plan.ports.end(), [&](const PlannedPort& port) {
      return std::any_of(port.addresses.begin(), port.addresses.end(),
                         [&](const IpPrefix& net) { return net.Contains(route.via); });
    });
    if (!route.via.is_v4() || !reachable) {
      return MakeError(Errc::kInvalid, name + ": the next hop is on no port's network");
    }
    const auto [at, added] = seen.emplace(route.to.Network(), route.via);
    if (!added && at->second != route.via) {
      return MakeError(Errc::kConflict, name + ": the same prefix goes via " + at->second.ToString());
    }
  }
  return Ok();
}

Status CheckServices(const SwitchPlan& plan) {
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
    if (spec.dispatch != Dispatch::kReactive) {
      return MakeError(Errc::kInvalid, name + ": dispatch " + std::string(DispatchName(spec.dispatch)) +
                                           " is not what this pipeline does; use reactive");
    }
    if (spec.sid_v4 && !spec.sid_v4->is_v4()) {
      return MakeError(Errc::kInvalid, name + ": D-SID " + spec.sid_v4->ToString() + " is not IPv4");
    }
    if (spec.affinity.prefix_v4 > 32) {
      return MakeError(Errc::kInvalid, name + ": prefix length " + std::to_string(spec.affinity.prefix_v4) +
                                           " is not within 0..32");
    }
    for (const PortRange& range : spec.ports) {
      if (!HasPorts(range.proto) || range.first == 0 || range.first > range.last) {
        return MakeError(Errc::kInvalid, name + ": " + std::string(IpProtoName(range.proto)) + " " +
                                             std::to_string(range.first) + "-" + std::to_string(range.last) +
                                             " is no range within 1..65535 of tcp, udp or sctp");
      }
      if (spec.sid_v4) claims.push_back({*spec.sid_v4, range.proto, range.first, range.last, name});
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
    if (!instance.bid.is_v4()) {
      return MakeError(Errc::kInvalid, name + ": D-BID " + instance.bid.ToString() + " is not IPv4");
    }
    for (const PortRange& range : service->second->spec.ports) {
      claims.push_back({instance.bid, range.proto, range.first, range.last, name});
    }
  }
  return CheckDisjoint(std::move(claims));
}

}  // namespace

Status CheckPlan(const SwitchPlan& plan) {
  const auto checked = [&]() -> Status {
    if (!plan.id.valid()) return MakeError(Errc::kInvalid, "id 0 means none");
    if (plan.role != SwitchRole::kDRouter) {
      return MakeError(Errc::kInvalid, "role " + std::string(SwitchRoleName(plan.role)) +
                                           " is not what this pipeline does; use d-router");
    }
    for (const auto& check : {CheckPorts, CheckRoutes, CheckServices, CheckInstances}) {
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
