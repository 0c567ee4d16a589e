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
  kClassify = 0,      // port and VLAN -> reg6; the tag is taken off
  kTunnel = 2,        // from the tunnel: who is it, and what does it say?
  kAdmit = 5,         // who may send; ARP and ND go to kLink
  kLink = 6,          // ARP and ND: answers for our addresses, neighbours learned
  kService = 10,      // D-SID, protocol, port -> service id and affinity key, in registers
  kLookup = 15,       // service -> where its bindings are; then on to kSelect. Cookie kDispatch
  kOlder = 16,        // generations, not in the current table: look into the older one
  kRenew = 17,        // found in the older one: learn it into the current one
  kMarked = 18,       // after connection tracking: mark -> instance id
  kBinding = 20,      // timed bindings: affinity key -> instance id
  kGeneration0 = 21,  // bindings without timeouts
  kGeneration1 = 22,
  kOffer = 25,          // D-Forwarder: binding info, its key looked up: take it?
  kHeaderBinding = 26,  // as kBinding and its two sisters, for services that the controller decides about:
  kHeaderGeneration0 = 27,  // matched is the packet's header
  kHeaderGeneration1 = 28,
  kSelect = 30,    // no binding: to the controller (reactive), to the select group (learn)
  kLearn = 35,     // selected by the group: keep it as the service's store does, then kEgress
  kMiss = 37,      // D-Forwarder: a demand without a binding: does it fit into the tunnel?
  kAsk = 38,       // D-Forwarder: to the D-Router, marked
  kEgress = 40,    // instance id -> D-BID; one flow per instance
  kReturn = 50,    // source D-BID -> D-SID; visited from kRoute by what leaves through an access port
  kReturned = 55,  // the same, after connection tracking saw the answer
  kRoute = 60,     // destination -> next hop; TTL
  kNeighbor = 70,  // next hop -> MAC, port and VLAN; learned from ARP and ND
  kOutput = 80,    // port -> source MAC and VLAN tag
};
std::string_view TableName(Table table);

// Registers. reg0: instance id (0: none). reg1: service id. reg2: bit 0: the egress was gone, select
// again; kOfferInRegister2: binding info, no packet. reg3: output port as TaggedPort. reg5: next hop's IPv4
// address; xxreg3 (reg12..15) its IPv6 address. reg6: role of the input port (1 + PortRole) in bits 0..15,
// its VLAN id in bits 16..27. Role kTunnelRole: a demand that a D-Forwarder asks about, its tunnel endpoint
// in reg5 until it is routed. The affinity key, whatever kind it is of, so that one flow learns and one group
// hashes all kinds:
//   reg4   bits 0..7 protocol (0 where the key leaves it out; ICMPv6 counts as ICMP), bit 8: IPv6
//   reg7   source port << 16 | destination port, 0 where the key leaves one out or the protocol has none
//   xxreg2 (reg8..11) client address masked to the key's prefix; IPv4 in reg8, the rest 0
constexpr uint32_t kKeyIpv6 = 0x100;  // in reg4
// KeyForm::kHeader: reg4 is the same, xxreg2 is 0, and reg7 says only whether ports belong to the packet's
// key. Those of a service that leaves them out, of echo and of fragments do not: no binding with ports may
// take them, nor may one without take a whole packet.
constexpr uint32_t kKeyHasPorts = 1;  // in reg7
constexpr uint32_t kTunnelRole = 4;   // in reg6
constexpr uint32_t kOfferInRegister2 = 4;

// Select group of a service (dispatch learn), one per family: hash over exactly reg4, reg7, xxreg2.
constexpr uint32_t GroupId(ServiceId service, bool v6) {  // NOLINT: a family, not a mode
  return static_cast<uint32_t>(service.value()) | (v6 ? 0x10000u : 0u);
}
// Connection tracking: the zone of a service with store kConntrack is its id. ct_mark: service << 16 |
// instance.

// cookie = owner (8 bits, 0xd1) | kind (8) | service (16) | instance (16) | switch (16).
inline constexpr uint64_t kCookieOwner = 0xd1;
inline constexpr uint64_t kCookieOwnerMask = 0xff00000000000000ull;
enum class FlowKind : uint8_t {
  kStatic = 1,   // made from the plan
  kEgress = 2,   // made from the plan, one per instance and family
  kBinding = 3,  // one affinity key; comes and goes with its flow
  // Learned by the switch from ARP and ND; its `service` field holds the port's number, its `instance` field
  // the VLAN id. Not part of a Compiled: sessions leave these flows alone. The switch deletes them with the
  // flow that learned them.
  kNeighbor = 4,
  // Static too: the kLookup flow of a service; its `instance` field holds bit 0: current generation, bit 1:
  // over its limit, nothing is learned.
  kDispatch = 5,
  // Static too: the controller counts its packets. Those of a service that is over its limit; of service 0:
  // those that a D-Forwarder asks about.
  kUnbound = 6,
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
  kNeighborWanted = 3,  // reg5, or xxreg3 for IPv6, holds the neighbour
  kNeighborFound = 4,   // an ARP or ND packet of a neighbour on one of our networks
  kIcmpErrorToClient =
      5,                // an ICMP error that leaves through an access port; next hop as for kNeighborWanted
  kIcmpErrorToSid = 6,  // an ICMP error to a D-SID
  kTtlExceeded = 7,     // TTL or hop limit at 1 or 0 where it would be routed
  // Later IPv4 fragments of TCP and UDP: OVS would spoil them with the address (see docs/pipeline.md).
  kFragmentToInstance = 8,  // reg0 holds the instance
  kFragmentToClient = 9,    // of an answer; next hop as for kNeighborWanted
};

// Geneve options between D-Forwarders and D-Routers (docs/wire.md): experimental class (RFC 8926 section 7).
inline constexpr uint16_t kTunnelClass = 0xff01;
// Option 1, tun_metadata0, 4 octets: kind << 24 | service.
// Option 2, tun_metadata1, 12 octets: instance, reg4, reg7 of the key.
// Option 3, tun_metadata2, 16 octets: xxreg2 of the key.
enum class TunnelKind : uint8_t {
  kHello = 0,        // dropped
  kMiss = 1,         // from a D-Forwarder: a demand without a binding
  kBindingInfo = 2,  // from a D-Router: the key's instance; options 1 to 3, the frame behind them cut off
};

// Meter ids.
inline constexpr uint32_t kDemandMeter = 1;
inline constexpr uint32_t kOtherMeter = 2;
inline constexpr uint32_t kFragmentMeter = 3;
constexpr bool IsOurMeter(uint32_t id) { return id >= kDemandMeter && id <= kFragmentMeter; }

}  // namespace dyncast::pipeline
