// What one switch must hold, in the domain's words. The controller's planner makes it; the pipeline
// compiles it to OpenFlow. Equal plans compile to equal flows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schema/base/ids.h"
#include "schema/base/ip.h"
#include "schema/model/service.h"

namespace dyncast {

enum class SwitchRole : uint8_t { kDRouter, kDForwarder };
std::string_view SwitchRoleName(SwitchRole role);  // "d-router", "d-forwarder"

enum class PortRole : uint8_t {
  kAccess,  // clients: sources are checked, demands recognised, answers get the D-SID back
  kEdge,    // instances and agents: plain routing
  kUplink,  // towards the infrastructure: plain routing
};
std::string_view PortRoleName(PortRole role);  // "access", "edge", "uplink"

struct PlannedPort {
  std::string name;
  PortNo number;  // as OVSDB reports it; a port without one is left out of the plan
  PortRole role = PortRole::kAccess;
  std::vector<IpPrefix> addresses;  // the gateway's own addresses on this port (host bits kept)
  std::vector<IpPrefix> sources;    // access: source prefixes that may enter; default the networks
  MacAddress mac;                   // the gateway's MAC on this port
  friend bool operator==(const PlannedPort&, const PlannedPort&) = default;
};

struct PlannedRoute {
  IpPrefix to;
  IpAddress via;  // on the network of one of the ports
  friend bool operator==(const PlannedRoute&, const PlannedRoute&) = default;
};

struct PlannedService {
  ServiceId id;
  ServiceSpec spec;
  friend bool operator==(const PlannedService&, const PlannedService&) = default;
};

// An instance that has its egress flow: up, or draining. One that is down is not in the plan.
struct PlannedInstance {
  InstanceId id;
  ServiceId service;
  IpAddress bid;
  friend bool operator==(const PlannedInstance&, const PlannedInstance&) = default;
};

// Packets per second that may reach the controller, per reason; 0: no limit.
struct PuntLimits {
  uint32_t demands_per_s = 20000;
  uint32_t others_per_s = 200;
  friend bool operator==(const PuntLimits&, const PuntLimits&) = default;
};

struct SwitchPlan {
  SwitchId id;
  std::string name;
  SwitchRole role = SwitchRole::kDRouter;
  std::vector<PlannedPort> ports;
  std::vector<PlannedRoute> routes;
  std::vector<PlannedService> services;    // ordered by id
  std::vector<PlannedInstance> instances;  // ordered by id
  PuntLimits punts;
  friend bool operator==(const SwitchPlan&, const SwitchPlan&) = default;
};

}  // namespace dyncast
