// Table classify: which port a packet came from, ARP, and who may send.
#include <string>
#include <vector>

#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

// Priorities, highest first.
constexpr uint16_t kTagged = 900;
constexpr uint16_t kArpForged = 330;  // claims an address of ours
constexpr uint16_t kArpAnswerAndLearn = 320;
constexpr uint16_t kArpAnswer = 310;
constexpr uint16_t kArpReplyToUs = 300;
constexpr uint16_t kArpLearn = 290;
constexpr uint16_t kArpOther = 280;
constexpr uint16_t kForged = 220;
constexpr uint16_t kAllowed = 210;
constexpr uint16_t kRefused = 200;
constexpr uint16_t kMiss = 0;

// Only a unicast MAC is learned: a neighbour must not turn packets for its address into broadcasts.
constexpr const char* kUnicastSender = "arp_sha=00:00:00:00:00:00/01:00:00:00:00:00";

// Turns an ARP request into the answer `mac`, back out of the port. reg5 is free: ARP is not routed.
std::string AnswerArp(const MacAddress& mac) {
  return "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:" + mac.ToString() +
         "->eth_src,set_field:2->arp_op,move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],set_field:" + mac.ToString() +
         "->arp_sha,move:NXM_OF_ARP_TPA[]->NXM_NX_REG5[],move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],"
         "move:NXM_NX_REG5[]->NXM_OF_ARP_SPA[],IN_PORT";
}

// A learned flow can load but not resubmit: whoever wants a neighbour visits kNeighbor, then kOutput.
// delete_learned: a port that leaves the plan takes its neighbours along.
// A host that claims one address after another must not fill the switch. OVS counts the flows of a cookie for
// each new neighbour; this is for ARP only, so the walk is rare.
constexpr unsigned kMaxNeighborsPerPort = 8192;

std::string LearnNeighbor(const SwitchPlan& plan, const PlannedPort& port) {
  const uint64_t cookie =
      EncodeCookie({.kind = FlowKind::kNeighbor,
                    .service = ServiceId{static_cast<uint16_t>(RegisterPort(port.number))},
                    .at = plan.id});
  return "learn(table=" + std::to_string(static_cast<unsigned>(Table::kNeighbor)) +
         ",priority=100,cookie=" + Hex(cookie) +
         ",delete_learned,limit=" + std::to_string(kMaxNeighborsPerPort) +
         ",NXM_NX_REG5[]=NXM_OF_ARP_SPA[],load:NXM_NX_ARP_SHA[]->NXM_OF_ETH_DST[],"
         "load:NXM_OF_IN_PORT[]->NXM_NX_REG3[0..15])";
}

void CompileArp(FlowBuilder& out, const PlannedPort& port) {
  const std::string in = "arp,in_port=" + PortText(port.number) + ",";
  const std::string answer = AnswerArp(port.mac);
  const std::string learn = LearnNeighbor(out.plan(), port);

  std::vector<IpAddress> ours;
  for (const IpPrefix& own : port.addresses) {
    if (own.address.is_v4()) ours.push_back(own.address);
  }
  for (const IpAddress& own : ours) {
    out.Add(Table::kClassify, kArpForged, in + "arp_spa=" + own.ToString(), "drop");
  }
  if (port.role == PortRole::kAccess) {
    for (const PlannedService& service : out.plan().services) {
      if (service.spec.sid_v4) ours.push_back(*service.spec.sid_v4);
    }
  }
  for (const IpAddress& own : ours) {
    const std::string request = in + "arp_op=1,arp_tpa=" + own.ToString() + ",";
    // A host may ask with a source address that is not of this network: answered, but not learned.
    out.Add(Table::kClassify, kArpAnswer, request, answer);
    for (const IpPrefix& net : port.addresses) {
      if (!net.address.is_v4()) continue;
      out.Add(Table::kClassify, kArpAnswerAndLearn, request + PrefixMatch("arp_spa", net) + kUnicastSender,
              learn + "," + answer);
    }
  }
  for (const IpPrefix& net : port.addresses) {
    if (!net.address.is_v4()) continue;
    const std::string sender = PrefixMatch("arp_spa", net) + kUnicastSender;
    // The controller asked for this one and may hold packets for it. Other ARP stays in the switch.
    out.Add(Table::kClassify, kArpReplyToUs, in + "arp_op=2,dl_dst=" + port.mac.ToString() + "," + sender,
            out.Punt(PuntReason::kNeighborFound, ServiceId{}, learn));
    out.Add(Table::kClassify, kArpLearn, in + sender, learn);
  }
  out.Add(Table::kClassify, kArpOther, in, "drop");
}

void CompileIp(FlowBuilder& out, const PlannedPort& port) {
  const std::string in = "ip,in_port=" + PortText(port.number) + ",";
  const std::string to_us = in + "dl_dst=" + port.mac.ToString() + ",";
  const std::string role = SetRegister(6, 1 + static_cast<unsigned>(port.role));

  // The gateway's own addresses never arrive as a source.
  for (const IpPrefix& own : port.addresses) {
    if (own.address.is_v4())
      out.Add(Table::kClassify, kForged, in + "nw_src=" + own.address.ToString(), "drop");
  }
  if (port.role != PortRole::kAccess) {
    out.Add(Table::kClassify, kAllowed, to_us, role + "," + Visit(Table::kRoute));
    return;
  }
  const std::vector<IpPrefix>& sources = port.sources.empty() ? port.addresses : port.sources;
  const auto within = [](const std::vector<IpPrefix>& prefixes, const IpAddress& address) {
    for (const IpPrefix& prefix : prefixes) {
      if (prefix.Contains(address)) return true;
    }
    return false;
  };
  for (const IpPrefix& source : sources) {
    if (!source.address.is_v4()) continue;
    out.Add(Table::kClassify, kAllowed, to_us + PrefixMatch("nw_src", source),
            role + "," + Visit(Table::kService));
  }
  // Nobody may pose as a D-SID, nor as an instance that does not live on this port's own network. Only
  // where `sources` would let it in: the others fall to the refusal below.
  for (const PlannedService& service : out.plan().services) {
    if (!service.spec.sid_v4 || !within(sources, *service.spec.sid_v4)) continue;
    out.Add(Table::kClassify, kForged, in + "nw_src=" + service.spec.sid_v4->ToString(), "drop");
  }
  for (const PlannedInstance& instance : out.plan().instances) {
    if (!within(sources, instance.bid) || within(port.addresses, instance.bid)) continue;
    out.Add(Table::kClassify, kForged, in + "nw_src=" + instance.bid.ToString(), "drop");
  }
  out.Add(Table::kClassify, kRefused, to_us, "drop");
}

}  // namespace

void CompileClassify(FlowBuilder& out) {
  // VLANs are the infrastructure's: a tag here would ride through the router unseen.
  out.Add(Table::kClassify, kTagged, "vlan_tci=0x1000/0x1000", "drop");
  for (const PlannedService& service : out.plan().services) {
    if (!service.spec.sid_v4) continue;
    out.Add(Table::kClassify, kArpForged, "arp,arp_spa=" + service.spec.sid_v4->ToString(), "drop");
  }
  for (const PlannedPort& port : out.plan().ports) {
    CompileArp(out, port);
    CompileIp(out, port);
  }
  out.Add(Table::kClassify, kMiss, "", "drop");
}

}  // namespace dyncast::pipeline
