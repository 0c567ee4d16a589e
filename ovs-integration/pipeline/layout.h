// The numbers that flows, packet-ins and the sessions agree on: tables, registers, cookies, userdata.
// docs/pipeline.md explains them with a packet walk.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "schema/base/ids.h"

namespace dyncast::pipeline {

// OpenFlow tables, in the order a packet meets them. Names are shown by dyncastctl and in the docs.
enum class Table : uint8_t {
  kClassify = 0,   // ARP, port roles, source check
  kService = 10,   // D-SID, protocol, port -> service id
  kBinding = 20,   // affinity key -> instance id
  kSelect = 30,    // no binding: to the controller (reactive)
  kEgress = 40,    // instance id -> D-BID; one flow per instance
  kReturn = 50,    // source D-BID -> D-SID; visited from kRoute by what leaves through an access port
  kRoute = 60,     // destination -> next hop; TTL
  kNeighbor = 70,  // next hop -> MAC and port; learned from ARP
  kOutput = 80,    // port -> source MAC
};
std::string_view TableName(Table table);

// Registers. reg0: instance id (0: none). reg1: service id. reg2: bit 0: the egress was gone, select
// again. reg3: output port (65534: LOCAL). reg5: next hop's IPv4 address. reg6: role of the input port
// (1 + PortRole). reg8: client address masked to the key's prefix, for keys made of the client alone
// (`client`, `client/PREFIX`); IPv6 will use xxreg2 (reg8..11) for it.

// cookie = owner (8 bits, 0xd1) | kind (8) | service (16) | instance (16) | switch (16).
inline constexpr uint64_t kCookieOwner = 0xd1;
inline constexpr uint64_t kCookieOwnerMask = 0xff00000000000000ull;
enum class FlowKind : uint8_t {
  kStatic = 1,   // made from the plan
  kEgress = 2,   // made from the plan, one per instance and family
  kBinding = 3,  // one affinity key; comes and goes with its flow
  // Learned by the switch from ARP; its `service` field holds the port's number. Not part of a
  // Compiled: sessions leave these flows alone. The switch deletes them with the flow that learned them.
  kNeighbor = 4,
};
struct Cookie {
  FlowKind kind = FlowKind::kStatic;
  ServiceId service{};
  InstanceId instance{};
  SwitchId at{};
  friend bool operator==(const Cookie&, const Cookie&) = default;
};
uint64_t EncodeCookie(const Cookie& cookie);
std::optional<Cookie> DecodeCookie(uint64_t raw);  // nullopt: not ours

// First octet of a packet-in's userdata: why the switch sent it. The service id follows (2 octets,
// network order) for demands; the other registers are in the packet-in's metadata.
enum class PuntReason : uint8_t {
  kDemand = 1,          // no binding
  kEgressGone = 2,      // bound, but the instance's egress flow is gone
  kNeighborWanted = 3,  // reg5 holds the neighbour
  kNeighborFound = 4,   // an ARP packet of a neighbour on one of our networks
};

// Meter ids.
inline constexpr uint32_t kDemandMeter = 1;
inline constexpr uint32_t kOtherMeter = 2;

}  // namespace dyncast::pipeline
