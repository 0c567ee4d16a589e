// What one switch must hold, in the domain's words. The controller's planner makes it; the pipeline
// compiles it to OpenFlow. Equal plans compile to equal flows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schema/base/ids.h"
#include "schema/base/ip.h"
#include "schema/model/binding.h"
#include "schema/model/service.h"

namespace dyncast {

enum class SwitchRole : uint8_t { kDRouter, kDForwarder };
std::string_view SwitchRoleName(SwitchRole role);  // "d-router", "d-forwarder"
// How a switch of that role holds the bindings of a service: never kAuto. Connection tracking marks what a
// switch sees itself, and what a D-Forwarder is told is no packet of a connection: there kConntrack means
// what kAuto does.
BindingStoreKind StoreAt(SwitchRole role, const Affinity& affinity);
// What the flows of a service's bindings match in a switch of that role. Where the controller decides, the
// header: a demand that finds no flow then shares the datapath's flow with others like it. Where the switch
// learns, registers: one learned flow for all keys, and what D-Forwarders are told has no header.
KeyForm KeyFormAt(SwitchRole role, const ServiceSpec& spec);

enum class PortRole : uint8_t {
  kAccess,  // clients: sources are checked, demands recognised, answers get the D-SID back
  kEdge,    // instances and agents: plain routing
  kUplink,  // towards the infrastructure: plain routing
};
std::string_view PortRoleName(PortRole role);  // "access", "edge", "uplink"

// The 802.1Q VLAN id within a PortNo that names a port for the controller: bits 0..15 are the OpenFlow port
// (65534: LOCAL), bits 16..27 the VLAN id, 0 for untagged. reg3, Punt::in_port and all effects use it.
constexpr PortNo TaggedPort(PortNo number, uint16_t vlan) {
  return PortNo{(number.value() & 0xffffu) | static_cast<uint32_t>(vlan) << 16};
}

struct PlannedPort {
  std::string name;
  PortNo number;      // as OVSDB reports it; a port without one is left out of the plan
  uint16_t vlan = 0;  // 802.1Q VLAN id that its packets carry, 1..4094; 0: untagged
  PortRole role = PortRole::kAccess;
  std::vector<IpPrefix> addresses;  // the gateway's own addresses on this port (host bits kept)
  std::vector<IpPrefix> sources;    // access: source prefixes that may enter; default the networks
  MacAddress mac;                   // the gateway's MAC on this port
  PortNo tagged() const { return TaggedPort(number, vlan); }
  friend bool operator==(const PlannedPort&, const PlannedPort&) = default;
};

struct PlannedRoute {
  IpPrefix to;
  IpAddress via;  // on the network of one of the ports
  friend bool operator==(const PlannedRoute&, const PlannedRoute&) = default;
};

// Slots of a service's select group: a demand's hash picks one of them, all alike, so an instance's share of
// new demands is its number of slots over kSlots.
inline constexpr size_t kSlots = 1024;

struct PlannedService {
  ServiceId id;
  ServiceSpec spec;
  // dispatch learn: the instance of each slot, per family (an instance has one D-BID). Size kSlots, or empty:
  // no instance takes demands of that family.
  std::vector<InstanceId> slots_v4;
  std::vector<InstanceId> slots_v6;
  // dispatch learn, over the limit: demands are steered by hash, nothing is learned.
  bool binding_closed = false;
  // Store kGenerations: which of the two tables is current, 0 or 1. The other one holds older bindings.
  uint8_t generation = 0;
  friend bool operator==(const PlannedService&, const PlannedService&) = default;
};

// The table that a switch of that role looks for the service's bindings in first. Precondition: its store
// holds flows.
BindingPlace PlaceAt(SwitchRole role, const PlannedService& service);

// An instance that has its egress flow: up, or draining. One that is down is not in the plan of a D-Router.
// D-Forwarders keep what belongs to it but for the egress flow: so its going is one flow, its coming another.
struct PlannedInstance {
  InstanceId id;
  ServiceId service;
  IpAddress bid;
  bool reachable = true;
  friend bool operator==(const PlannedInstance&, const PlannedInstance&) = default;
};

// Packets per second that may reach the controller, per reason; 0: no limit.
struct PuntLimits {
  uint32_t demands_per_s = 20000;
  uint32_t fragments_per_s = 5000;
  uint32_t others_per_s = 1000;
  friend bool operator==(const PuntLimits&, const PuntLimits&) = default;
};

// The Geneve port over which D-Forwarders and D-Routers talk (docs/wire.md).
struct PlannedTunnel {
  PortNo port;                 // as OVSDB reports it
  IpAddress local;             // IPv4: our endpoint; it stands on the bridge's LOCAL port
  uint16_t mtu_octets = 1500;  // IP packets of the infrastructure, tunnel headers included
  friend bool operator==(const PlannedTunnel&, const PlannedTunnel&) = default;
};

// A D-Forwarder that may ask this D-Router.
struct PlannedForwarder {
  SwitchId id;
  IpAddress endpoint;             // of its tunnel
  std::vector<IpPrefix> sources;  // its clients
  friend bool operator==(const PlannedForwarder&, const PlannedForwarder&) = default;
};

struct SwitchPlan {
  SwitchId id;
  std::string name;
  SwitchRole role = SwitchRole::kDRouter;
  std::vector<PlannedPort> ports;
  std::vector<PlannedRoute> routes;
  std::vector<PlannedService> services;    // ordered by id
  std::vector<PlannedInstance> instances;  // ordered by id
  std::optional<PlannedTunnel> tunnel;
  std::vector<PlannedForwarder> forwarders;  // of a D-Router, ordered by id
  std::vector<IpAddress> d_routers;          // of a D-Forwarder: tunnel endpoints it takes binding info from
  IpAddress ask;                             // of a D-Forwarder: the one of them that it asks; none: nobody
  PuntLimits punts;
  friend bool operator==(const SwitchPlan&, const SwitchPlan&) = default;
};

}  // namespace dyncast
