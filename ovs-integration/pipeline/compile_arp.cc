// Table link: ARP. The switch answers for its addresses and learns who its neighbours are.
#include <vector>

#include "ovs-integration/pipeline/compile_admit.h"

namespace dyncast::pipeline {
namespace {

// Only a unicast MAC is learned: a neighbour must not turn packets for its address into broadcasts.
constexpr const char* kUnicastSender = "arp_sha=00:00:00:00:00:00/01:00:00:00:00:00";

// Turns an ARP request into the answer, back out of the port with its VLAN. reg5 is free: ARP is not routed.
// The source MAC is written by kOutput.
std::string AnswerArp(const PlannedPort& port) {
  return "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:2->arp_op,move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]"
         ","
         "set_field:" +
         port.mac.ToString() +
         "->arp_sha,move:NXM_OF_ARP_TPA[]->NXM_NX_REG5[],move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],"
         "move:NXM_NX_REG5[]->NXM_OF_ARP_SPA[]," +
         SetRegister(3, port.tagged().value()) + "," + Visit(Table::kOutput);
}

void CompilePort(FlowBuilder& out, const PlannedPort& port) {
  const std::string in = From("arp", port);
  const std::string answer = AnswerArp(port);
  const std::string learn =
      LearnNeighbor(out.plan(), port, "eth_type=0x800,NXM_NX_REG5[]=NXM_OF_ARP_SPA[]", "NXM_NX_ARP_SHA[]");

  // For its tunnels Open vSwitch itself asks behind LOCAL, also in the middle of a packet-out: were a flow
  // learned there, it would wait for a lock that it holds, and abort (seen with 3.1).
  const bool asked_within = out.plan().tunnel && RegisterPort(port.number) == kLocalPort;

  std::vector<IpAddress> ours;
  for (const IpPrefix& own : port.addresses) {
    if (own.address.is_v4()) ours.push_back(own.address);
  }
  for (const IpAddress& own : ours) {
    out.Add(Table::kLink, link::kForged, in + "arp_spa=" + own.ToString(), "drop");
  }
  if (port.role == PortRole::kAccess) {
    for (const PlannedService& service : out.plan().services) {
      if (service.spec.sid_v4) ours.push_back(*service.spec.sid_v4);
    }
  }
  for (const IpAddress& own : ours) {
    const std::string request = in + "arp_op=1,arp_tpa=" + own.ToString() + ",";
    // A host may ask with a source address that is not of this network: answered, but not learned.
    out.Add(Table::kLink, link::kAnswer, request, answer);
    for (const IpPrefix& net : port.addresses) {
      if (!net.address.is_v4() || asked_within) continue;
      out.Add(Table::kLink, link::kAnswerAndLearn, request + PrefixMatch("arp_spa", net) + kUnicastSender,
              learn + "," + answer);
    }
  }
  for (const IpPrefix& net : port.addresses) {
    if (!net.address.is_v4()) continue;
    const std::string sender = PrefixMatch("arp_spa", net) + kUnicastSender;
    // The controller asked for this one and may hold packets for it. Other ARP stays in the switch.
    out.Add(Table::kLink, link::kReplyToUs, in + "arp_op=2,dl_dst=" + port.mac.ToString() + "," + sender,
            out.Punt(PuntReason::kNeighborFound, ServiceId{}, learn));
    out.Add(Table::kLink, link::kLearn, in + (asked_within ? "arp_op=2," : "") + sender, learn);
  }
  out.Add(Table::kLink, link::kOther, in, "drop");
}

}  // namespace

void CompileArp(FlowBuilder& out) {
  for (const PlannedService& service : out.plan().services) {
    if (!service.spec.sid_v4) continue;
    out.Add(Table::kLink, link::kForged, "arp,arp_spa=" + service.spec.sid_v4->ToString(), "drop");
  }
  for (const PlannedPort& port : out.plan().ports) CompilePort(out, port);
}

}  // namespace dyncast::pipeline
