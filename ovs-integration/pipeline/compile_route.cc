// Tables route, neighbor and output: a small router.
#include <algorithm>
#include <array>
#include <string>

#include "ovs-integration/pipeline/compile_admit.h"
#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

// In table route, highest first. OVS tries one mask after the other, that of the highest priority first,
// until no mask left can beat what it found: IPv4, which most packets are, is done before a mask of IPv6 is
// tried.
constexpr uint16_t kIpv4 = 500;  // added to each of the priorities below
constexpr uint16_t kOwnEcho = 530;
constexpr uint16_t kOwn = 520;
constexpr uint16_t kNotRoutable = 510;
constexpr uint16_t kTtlEnds = 500;
constexpr uint16_t kPrefixBase = 100;  // + 2 per bit of the prefix, + 1 for a connected network
constexpr uint16_t kMiss = 0;

constexpr uint16_t kKnownPort = 100;

// Of the flows of table route for one family.
uint16_t Priority(Family family, uint16_t priority) {
  return static_cast<uint16_t>(priority + (family == Family::kV4 ? kIpv4 : 0));
}

uint16_t PrefixPriority(const IpPrefix& prefix, uint16_t extra) {
  return Priority(FamilyOf(prefix.address), static_cast<uint16_t>(kPrefixBase + 2 * prefix.length + extra));
}

std::string DestinationMatch(const IpPrefix& prefix) {
  return prefix.address.is_v4() ? "ip," + PrefixMatch("nw_dst", prefix)
                                : "ipv6," + PrefixMatch("ipv6_dst", prefix);
}

// `next_hop` sets reg5, or xxreg3. A packet to clients visits kReturn, which gives answers their D-SID back
// and goes on by itself: the way out decides, so answers of local and remote instances are treated alike, and
// traffic between edges is left as it is. TTL goes down here, before a packet may wait for its neighbour at
// the controller.
std::string Forward(const std::string& next_hop, const PlannedPort& port) {
  return "dec_ttl," + next_hop + "," + (port.role == PortRole::kAccess ? Visit(Table::kReturn) : VisitOut());
}

// Turns an echo request to the gateway into its reply, back where it came from: the port and VLAN it came
// from, by the MAC it came from.
std::string AnswerEcho(Family family) {
  const bool v4 = family == Family::kV4;
  const std::string source = v4 ? "NXM_OF_IP_SRC[]" : "NXM_NX_IPV6_SRC[]";
  const std::string destination = v4 ? "NXM_OF_IP_DST[]" : "NXM_NX_IPV6_DST[]";
  return "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],push:" + source + ",push:" + destination +
         ",pop:" + source + ",pop:" + destination +
         (v4 ? ",set_field:0->icmp_type" : ",set_field:129->icmpv6_type") +
         ",set_field:64->nw_ttl,move:NXM_OF_IN_PORT[]->NXM_NX_REG3[0..15],"
         "move:NXM_NX_REG6[16..27]->NXM_NX_REG3[16..27]," +
         Visit(Table::kOutput);
}

// Addresses of a network that no host has: IPv4's first and last one; IPv6's first one, which is the routers'
// (RFC 4291 section 2.6.1) and not answered here.
void CompileUnused(FlowBuilder& out, const IpPrefix& own) {
  const auto drop = [&](const IpAddress& nobody) {
    const Family family = FamilyOf(nobody);
    out.Add(Table::kRoute, Priority(family, kNotRoutable), ToAddress(IpText(family), nobody), "drop");
  };
  const uint8_t longest = own.address.is_v4() ? 30 : 126;
  if (own.length > longest || own.length == 0) return;
  const IpAddress network = own.Network().address;
  drop(network);
  if (own.address.is_v4()) drop(IpAddress::V4(network.v4() | (0xffffffffu >> own.length)));
}

void CompileConnected(FlowBuilder& out, const PlannedPort& port) {
  for (const IpPrefix& own : port.addresses) {
    const Family family = FamilyOf(own.address);
    const bool v4 = family == Family::kV4;
    const std::string echo = v4 ? ",icmp_type=8,icmp_code=0" : ",icmp_type=128,icmp_code=0";
    out.Add(Table::kRoute, Priority(family, kOwnEcho),
            ToAddress(ProtoText(IpProto::kIcmp, family) + echo, own.address), AnswerEcho(family));
    out.Add(Table::kRoute, Priority(family, kOwn), ToAddress(IpText(family), own.address), "drop");
    if (own.address.is_link_local()) continue;
    out.Add(Table::kRoute, PrefixPriority(own, 1), DestinationMatch(own),
            Forward(v4 ? "move:NXM_OF_IP_DST[]->NXM_NX_REG5[]" : "move:NXM_NX_IPV6_DST[]->NXM_NX_XXREG3[]",
                    port));
    CompileUnused(out, own);
  }
}

void CompileRoute(FlowBuilder& out, const PlannedRoute& route) {
  const PlannedPort* best = nullptr;
  int best_length = -1;
  for (const PlannedPort& port : out.plan().ports) {
    for (const IpPrefix& net : port.addresses) {
      if (!net.Contains(route.via) || net.length <= best_length) continue;
      best = &port;
      best_length = net.length;
    }
  }
  if (best == nullptr) return;  // CheckPlan refuses such a route
  out.Add(Table::kRoute, PrefixPriority(route.to, 0), DestinationMatch(route.to),
          Forward(SetNextHop(route.via), *best));
}

// A packet whose last hop this is: whether somebody is told, and by which address, the controller decides.
void CompileTtl(FlowBuilder& out) {
  const std::string punt = out.Punt(PuntReason::kTtlExceeded, ServiceId{});
  for (const char* ttl : {",nw_ttl=0", ",nw_ttl=1"}) {
    for (Family family : kFamilies) {
      out.Add(Table::kRoute, Priority(family, kTtlEnds), IpText(family) + ttl, punt);
    }
  }
}

void CompileOutput(FlowBuilder& out, const PlannedPort& port) {
  std::string actions = "set_field:" + port.mac.ToString() + "->eth_src,";
  if (port.vlan != 0) {
    constexpr unsigned kPresent = 0x1000;  // OpenFlow's bit for 'has a tag'
    actions += "push_vlan:0x8100,set_field:" + std::to_string(kPresent | port.vlan) + "->vlan_vid,";
  }
  // in_port is cleared because OVS never sends a packet back out of the port it came from; a client and its
  // instance may be behind the same one.
  out.Add(Table::kOutput, kKnownPort, "reg3=" + Hex(port.tagged().value()),
          actions + "set_field:0->in_port,output:" + PortText(port.number));
}

}  // namespace

void CompileRouting(FlowBuilder& out) {
  const SwitchPlan& plan = out.plan();
  // Of two ports on the same network the access port's flow stands: answers must pass `return`.
  for (PortRole role : {PortRole::kAccess, PortRole::kEdge, PortRole::kUplink}) {
    for (const PlannedPort& port : plan.ports) {
      if (port.role == role) CompileConnected(out, port);
    }
  }
  for (const PlannedRoute& route : plan.routes) CompileRoute(out, route);
  // No host's address, or one of a single link; the last but one: from a single link.
  const auto drop = [&](Family family, const char* special) {
    out.Add(Table::kRoute, Priority(family, kNotRoutable), IpText(family) + special, "drop");
  };
  for (const char* special : {",nw_dst=0.0.0.0/8", ",nw_dst=127.0.0.0/8", ",nw_dst=224.0.0.0/3"}) {
    drop(Family::kV4, special);
  }
  for (const char* special : {",ipv6_dst=::", ",ipv6_dst=::1", ",ipv6_dst=::ffff:0.0.0.0/96",
                              ",ipv6_dst=fe80::/10", ",ipv6_src=fe80::/10", ",ipv6_dst=ff00::/8"}) {
    drop(Family::kV6, special);
  }
  CompileTtl(out);
  out.Add(Table::kRoute, kMiss, "", "drop");

  out.Add(Table::kNeighbor, kMiss, "", out.Punt(PuntReason::kNeighborWanted, ServiceId{}));

  for (const PlannedPort& port : plan.ports) CompileOutput(out, port);
  out.Add(Table::kOutput, kMiss, "", "drop");
}

}  // namespace dyncast::pipeline
