// Table link: neighbour discovery (RFC 4861). A solicitation passes the table up to three times:
//   1. by port (reg3=0): its sender is learned, reg3 becomes the port;
//   2. by target: one of ours turns it into an advertisement of the target;
//   3. by port (reg3): the advertisement gets our MAC, for nd_tll wants type 136 first; out by kOutput.
// So D-SIDs cost one flow each, however many ports there are. A packet from outside has reg3 0.
#include <set>

#include "ovs-integration/pipeline/compile_admit.h"

namespace dyncast::pipeline {
namespace {

// RFC 4861 section 7.1: others are not of this link.
constexpr const char* kSolicitation = "icmp_type=135,icmp_code=0,nw_ttl=255,";
constexpr const char* kAdvertisement = "icmp_type=136,icmp_code=0,nw_ttl=255,";
constexpr const char* kUnicastSll = "nd_sll=00:00:00:00:00:00/01:00:00:00:00:00";
constexpr const char* kUnicastTll = "nd_tll=00:00:00:00:00:00/01:00:00:00:00:00";
constexpr const char* kNoSll = "nd_sll=00:00:00:00:00:00";
constexpr const char* kNoTll = "nd_tll=00:00:00:00:00:00";

// nd_reserved of an advertisement: router, solicited, override.
constexpr uint32_t kSolicitedFlags = 0xe0000000;
constexpr uint32_t kUnsolicitedFlags = 0xa0000000;

std::string SetNdReserved(uint32_t flags) { return "set_field:" + Hex(flags) + "->nd_reserved"; }

// Step 2. The source MAC is written by kOutput.
std::string Advertise() {
  return "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[],"
         "move:NXM_NX_ND_TARGET[]->NXM_NX_IPV6_SRC[],set_field:136->icmpv6_type," +
         SetNdReserved(kSolicitedFlags) + "," + Visit(Table::kLink);
}

void CompileStepThree(FlowBuilder& out, const PlannedPort& port) {
  const std::string ours = From("icmp6", port) + "reg3=" + Hex(port.tagged().value()) + "," + kAdvertisement;
  const std::string mac =
      "set_field:2->nd_options_type,set_field:" + port.mac.ToString() + "->nd_tll," + Visit(Table::kOutput);
  out.Add(Table::kLink, link::kAdvertise, ours, mac);
  // Somebody is about to take our address (duplicate address detection, RFC 4862 section 5.4.3): all hear no.
  out.Add(Table::kLink, link::kAdvertiseToAll, ours + "ipv6_dst=::",
          "set_field:ff02::1->ipv6_dst,set_field:33:33:00:00:00:01->eth_dst," +
              SetNdReserved(kUnsolicitedFlags) + "," + mac);
}

void CompilePort(FlowBuilder& out, const PlannedPort& port) {
  const std::string in = From("icmp6", port);
  const std::string solicitation = in + "reg3=0," + kSolicitation;
  const std::string advertisement = in + "reg3=0," + kAdvertisement;
  const std::string answer = SetRegister(3, port.tagged().value()) + "," + Visit(Table::kLink);
  const auto learn = [&](const char* address, const char* mac) {
    return LearnNeighbor(out.plan(), port, std::string("eth_type=0x86dd,NXM_NX_XXREG3[]=") + address, mac);
  };
  const std::string learn_asker = learn("NXM_NX_IPV6_SRC[]", "NXM_NX_ND_SLL[]");
  const std::string learn_advertiser = learn("NXM_NX_ND_TARGET[]", "NXM_NX_ND_TLL[]");

  bool any = false;
  for (const IpPrefix& own : port.addresses) {
    if (own.address.is_v4()) continue;
    any = true;
    const std::string address = own.address.ToString();
    out.Add(Table::kLink, link::kForged, solicitation + "ipv6_src=" + address, "drop");
    out.Add(Table::kLink, link::kForged, advertisement + "nd_target=" + address, "drop");
    out.Add(Table::kLink, link::kSolicited, in + kSolicitation + "nd_target=" + address, Advertise());
    if (own.address.is_link_local()) continue;
    out.Add(Table::kLink, link::kLearn, solicitation + PrefixMatch("ipv6_src", own) + kUnicastSll,
            learn_asker + "," + answer);
    const std::string advertiser = PrefixMatch("nd_target", own) + kUnicastTll;
    // The controller asked for this one and may hold packets for it. Others stay in the switch.
    out.Add(Table::kLink, link::kReplyToUs,
            advertisement + "dl_dst=" + port.mac.ToString() + "," + advertiser,
            out.Punt(PuntReason::kNeighborFound, ServiceId{}, learn_advertiser));
    out.Add(Table::kLink, link::kLearn, advertisement + advertiser, learn_advertiser);
  }
  if (!any && port.role != PortRole::kAccess) return;
  // From a link-local address, from the unspecified one, or without a link-layer address: not learned.
  out.Add(Table::kLink, link::kNoLinkAddress, solicitation + kNoSll, answer);
  out.Add(Table::kLink, link::kSolicitation, solicitation, answer);
  CompileStepThree(out, port);
}

}  // namespace

void CompileNd(FlowBuilder& out) {
  for (const PlannedPort& port : out.plan().ports) CompilePort(out, port);
  const std::string access = "icmp6,reg6=" + Hex(1 + static_cast<unsigned>(PortRole::kAccess)) + "/0xffff,";
  for (const PlannedService& service : out.plan().services) {
    if (!service.spec.sid_v6) continue;
    const std::string sid = service.spec.sid_v6->ToString();
    out.Add(Table::kLink, link::kForged, "icmp6,reg3=0,icmp_type=135,icmp_code=0,ipv6_src=" + sid, "drop");
    out.Add(Table::kLink, link::kForged, "icmp6,reg3=0,icmp_type=136,icmp_code=0,nd_target=" + sid, "drop");
    out.Add(Table::kLink, link::kSolicited, access + kSolicitation + "nd_target=" + sid, Advertise());
  }
  // An advertisement without a MAC says nothing new.
  out.Add(Table::kLink, link::kNoLinkAddress, std::string("icmp6,reg3=0,") + kAdvertisement + kNoTll, "drop");
  // Router solicitations to redirects: of this link only, and of no use to a router whose neighbours are
  // configured. No router advertisements are sent.
  for (int type : kNdTypes) {
    out.Add(Table::kLink, link::kOther, "icmp6,icmp_type=" + std::to_string(type), "drop");
  }
  out.Add(Table::kLink, link::kMiss, "", "drop");
}

}  // namespace dyncast::pipeline
