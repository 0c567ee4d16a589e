// Tables route, neighbor and output: a small IPv4 router.
#include <string>

#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

constexpr uint16_t kOwnEcho = 330;
constexpr uint16_t kOwn = 320;
constexpr uint16_t kNotRoutable = 310;
constexpr uint16_t kPrefixBase = 100;  // + 2 per bit of the prefix, + 1 for a connected network
constexpr uint16_t kMiss = 0;

constexpr uint16_t kKnownPort = 100;

uint16_t PrefixPriority(uint8_t length, uint16_t extra) {
  return static_cast<uint16_t>(kPrefixBase + 2 * length + extra);
}

// `next_hop` sets reg5. A packet to clients passes `return`, which gives answers their D-SID back: the way
// out decides, so answers of local and remote instances are treated alike, and traffic between edges is
// left as it is. TTL goes down here, before a packet may wait for its neighbour at the controller.
std::string Forward(const std::string& next_hop, const PlannedPort& port) {
  std::string actions = "dec_ttl," + next_hop + ",";
  if (port.role == PortRole::kAccess) actions += Visit(Table::kReturn) + ",";
  return actions + Visit(Table::kNeighbor) + "," + Visit(Table::kOutput);
}

void CompileConnected(FlowBuilder& out, const PlannedPort& port) {
  for (const IpPrefix& own : port.addresses) {
    if (!own.address.is_v4()) continue;
    const std::string to_own = "nw_dst=" + own.address.ToString();
    out.Add(Table::kRoute, kOwnEcho, "icmp,icmp_type=8,icmp_code=0," + to_own,
            "push:NXM_OF_ETH_SRC[],push:NXM_OF_ETH_DST[],pop:NXM_OF_ETH_SRC[],pop:NXM_OF_ETH_DST[],"
            "push:NXM_OF_IP_SRC[],push:NXM_OF_IP_DST[],pop:NXM_OF_IP_SRC[],pop:NXM_OF_IP_DST[],"
            "set_field:0->icmp_type,set_field:64->nw_ttl,IN_PORT");
    out.Add(Table::kRoute, kOwn, "ip," + to_own, "drop");
    out.Add(Table::kRoute, PrefixPriority(own.length, 1), "ip," + PrefixMatch("nw_dst", own),
            Forward("move:NXM_OF_IP_DST[]->NXM_NX_REG5[]", port));
    if (own.length > 30 || own.length == 0) continue;
    const IpAddress network = own.Network().address;
    const IpAddress broadcast = IpAddress::V4(network.v4() | (0xffffffffu >> own.length));
    for (const IpAddress& nobody : {network, broadcast}) {
      out.Add(Table::kRoute, kNotRoutable, "ip,nw_dst=" + nobody.ToString(), "drop");
    }
  }
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
  for (const PlannedRoute& route : plan.routes) {
    if (!route.to.address.is_v4()) continue;
    const PlannedPort* best = nullptr;
    int best_length = -1;
    for (const PlannedPort& port : plan.ports) {
      for (const IpPrefix& net : port.addresses) {
        if (!net.Contains(route.via) || net.length <= best_length) continue;
        best = &port;
        best_length = net.length;
      }
    }
    if (best == nullptr) continue;  // CheckPlan refuses such a route
    out.Add(Table::kRoute, PrefixPriority(route.to.length, 0), "ip," + PrefixMatch("nw_dst", route.to),
            Forward(SetRegister(5, route.via.v4()), *best));
  }
  for (const char* special : {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"}) {
    out.Add(Table::kRoute, kNotRoutable, std::string("ip,nw_dst=") + special, "drop");
  }
  out.Add(Table::kRoute, kMiss, "", "drop");

  out.Add(Table::kNeighbor, kMiss, "", out.Punt(PuntReason::kNeighborWanted, ServiceId{}));

  for (const PlannedPort& port : plan.ports) {
    // in_port is cleared because OVS never sends a packet back out of the port it came from; a client
    // and its instance may be behind the same one.
    out.Add(Table::kOutput, kKnownPort, "reg3=" + Hex(RegisterPort(port.number)),
            "set_field:" + port.mac.ToString() +
                "->eth_src,set_field:0->in_port,output:" + (PortText(port.number)));
  }
  out.Add(Table::kOutput, kMiss, "", "drop");
}

}  // namespace dyncast::pipeline
