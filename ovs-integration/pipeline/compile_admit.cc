// Table admit: who may send.
#include "ovs-integration/pipeline/compile_admit.h"

#include <algorithm>
#include <vector>

namespace dyncast::pipeline {
namespace {

bool Within(const std::vector<IpPrefix>& prefixes, const IpAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const IpPrefix& prefix) { return prefix.Contains(address); });
}

std::string SourceMatch(const IpPrefix& source) {
  return PrefixMatch(source.address.is_v4() ? "nw_src" : "ipv6_src", source);
}

void CompilePort(FlowBuilder& out, const PlannedPort& port, Family family) {
  const bool v4 = family == Family::kV4;
  const uint16_t allowed = v4 ? admit::kAllowedV4 : admit::kAllowedV6;
  const std::string in = From(IpText(family), port);
  const std::string to_us = in + "dl_dst=" + port.mac.ToString() + ",";
  const auto forged = [&](const IpAddress& source) {
    out.Add(Table::kAdmit, v4 ? admit::kForgedV4 : admit::kForgedV6, in + FromAddress(source), "drop");
  };
  // The gateway's own addresses never arrive as a source.
  for (const IpPrefix& own : port.addresses) {
    if (FamilyOf(own.address) == family) forged(own.address);
  }
  if (port.role != PortRole::kAccess) {
    out.Add(Table::kAdmit, allowed, to_us, Visit(Table::kRoute));
    return;
  }
  const std::vector<IpPrefix>& sources = port.sources.empty() ? port.addresses : port.sources;
  for (const IpPrefix& source : sources) {
    if (FamilyOf(source.address) != family || source.address.is_link_local()) continue;
    out.Add(Table::kAdmit, allowed, to_us + SourceMatch(source), Visit(Table::kService));
  }
  // Nobody may pose as a D-SID, nor as an instance that does not live on this port's own network. Only
  // where `sources` would let it in: the others fall to the refusal below.
  for (const PlannedService& service : out.plan().services) {
    const std::optional<IpAddress>& sid = SidOf(service.spec, family);
    if (sid && Within(sources, *sid)) forged(*sid);
  }
  for (const PlannedInstance& instance : out.plan().instances) {
    if (FamilyOf(instance.bid) != family || !Within(sources, instance.bid)) continue;
    if (!Within(port.addresses, instance.bid)) forged(instance.bid);
  }
  out.Add(Table::kAdmit, v4 ? admit::kRefusedV4 : admit::kRefusedV6, to_us, "drop");
}

}  // namespace

std::string LearnNeighbor(const SwitchPlan& plan, const PlannedPort& port, const std::string& table_match,
                          const std::string& mac) {
  // A host that claims one address after another must not fill the switch. OVS counts the flows of a cookie
  // for each new neighbour; this is for ARP and ND only, so the walk is rare.
  constexpr unsigned kMaxNeighborsPerPort = 8192;
  const uint64_t cookie = EncodeCookie({.kind = FlowKind::kNeighbor,
                                        .service = ServiceId{static_cast<uint16_t>(port.tagged().value())},
                                        .instance = InstanceId{port.vlan},
                                        .at = plan.id});
  // A learned flow can load but not resubmit: whoever wants a neighbour visits kNeighbor, then kOutput.
  // delete_learned: a port that leaves the plan takes its neighbours along.
  return "learn(table=" + std::to_string(static_cast<unsigned>(Table::kNeighbor)) +
         ",priority=100,cookie=" + Hex(cookie) +
         ",delete_learned,limit=" + std::to_string(kMaxNeighborsPerPort) + "," + table_match +
         ",load:" + mac + "->NXM_OF_ETH_DST[],load:" + Hex(port.tagged().value()) + "->NXM_NX_REG3[])";
}

void CompileAdmit(FlowBuilder& out) {
  for (const PlannedPort& port : out.plan().ports) {
    for (Family family : kFamilies) CompilePort(out, port, family);
  }
  // Sources that stand for no host. The unspecified IPv6 source has its place in ND.
  for (const char* nobody : {"ip,nw_src=127.0.0.0/8", "ip,nw_src=224.0.0.0/3"}) {
    out.Add(Table::kAdmit, admit::kNobodyV4, nobody, "drop");
  }
  for (const char* nobody :
       {"ipv6,ipv6_src=ff00::/8", "ipv6,ipv6_src=::1", "ipv6,ipv6_src=::ffff:0.0.0.0/96"}) {
    out.Add(Table::kAdmit, admit::kNobodyV6, nobody, "drop");
  }
  out.Add(Table::kAdmit, admit::kForgedV6, "ipv6,ipv6_src=::", "drop");
  for (int type : kNdTypes) {
    out.Add(Table::kAdmit, admit::kNd, "icmp6,icmp_type=" + std::to_string(type), Visit(Table::kLink));
  }
  out.Add(Table::kAdmit, admit::kArp, "arp", Visit(Table::kLink));
  out.Add(Table::kAdmit, admit::kMiss, "", "drop");
}

}  // namespace dyncast::pipeline
