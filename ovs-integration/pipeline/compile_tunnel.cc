// What D-Forwarders and D-Routers say to each other over Geneve (docs/wire.md): tables tunnel, offer, miss
// and ask, and the ways of other tables into them.
#include <string>

#include "ovs-integration/pipeline/compile_admit.h"
#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

// In table classify.
constexpr uint16_t kTunnelPort = 110;
// In table tunnel.
constexpr uint16_t kPeer = 100;
// In table lookup, above every service's own flow.
constexpr uint16_t kAskedLookup = 200;
// In table select, above all that has no offer in it.
constexpr uint16_t kOffered = 200;
// In table learn, above all that keeps something.
constexpr uint16_t kAskedForNothing = 310;
constexpr uint16_t kAsked = 300;
// In table offer.
constexpr uint16_t kBoundAlready = 110;
constexpr uint16_t kTake = 100;
constexpr uint16_t kTakeAgain = 90;
// In table route, above all else.
constexpr uint16_t kEgressIsThere = 2000;
// In table service.
constexpr uint16_t kToEndpoint = 210;  // as the ports of services: no mask of its own
// In table ask.
constexpr uint16_t kTooLarge = 110;
constexpr uint16_t kAsk = 100;
constexpr uint16_t kMiss = 0;

constexpr uint16_t kGenevePort = 6081;  // RFC 8926 section 3.3
// reg2 of binding info on its way through the tables: nothing known yet; the key is bound, but to an instance
// without an egress; it is bound to one that has an egress.
constexpr uint32_t kOffer = kOfferInRegister2;
constexpr uint32_t kOfferAgain = kOffer | 1;
constexpr uint32_t kOfferBound = 0x8;

// "reg6=0x4/0xffff": asked by a D-Forwarder, whose endpoint is in reg5.
std::string AskedMatch() { return "reg6=" + Hex(kTunnelRole) + "/0xffff"; }

std::string KindMatch(TunnelKind kind) {
  return "tun_metadata0=" + Hex(static_cast<uint32_t>(kind) << 24) + "/0xff000000";
}

std::string SetKind(TunnelKind kind) {
  return "set_field:" + Hex(static_cast<uint32_t>(kind) << 24) + "->tun_metadata0";
}

std::string FromPeer(const PlannedTunnel& tunnel, const IpAddress& peer) {
  return "in_port=" + PortText(tunnel.port) + ",tun_src=" + peer.ToString() + ",";
}

std::string SourceMatch(const IpPrefix& source) {
  return PrefixMatch(source.address.is_v4() ? "nw_src" : "ipv6_src", source);
}

// A demand of the D-Forwarder's: it is selected for, and the answer goes to the endpoint in reg5.
std::string AsAsked(uint16_t vlan, const IpAddress& endpoint) {
  return SetRegister(6, kTunnelRole | static_cast<uint32_t>(vlan) << 16) + "," +
         SetRegister(5, endpoint.v4()) + "," + Visit(Table::kService);
}

// The registers of the key and of the instance into the options, and the frame behind them cut off: all that
// is wanted stands in the options, and so an answer is small however large the demand is.
std::string TellBinding(const PlannedTunnel& tunnel) {
  return "clone(set_field:0->in_port,move:NXM_NX_REG5[]->NXM_NX_TUN_IPV4_DST[]," +
         SetKind(TunnelKind::kBindingInfo) +
         ",move:NXM_NX_REG1[0..15]->NXM_NX_TUN_METADATA0[0..15]"
         ",move:NXM_NX_REG7[]->NXM_NX_TUN_METADATA1[0..31]"
         ",move:NXM_NX_REG4[]->NXM_NX_TUN_METADATA1[32..63]"
         ",move:NXM_NX_REG0[]->NXM_NX_TUN_METADATA1[64..95]"
         ",move:NXM_NX_XXREG2[]->NXM_NX_TUN_METADATA2[0..127]"
         ",output(port=" +
         PortText(tunnel.port) + ",max_len=64))";
}

// A D-Router keeps nothing of what it is asked: past all bindings to the selection, and back with the
// verdict.
void CompileAsked(FlowBuilder& out, const PlannedTunnel& tunnel) {
  const SwitchPlan& plan = out.plan();
  for (const PlannedForwarder& forwarder : plan.forwarders) {
    const std::string from = FromPeer(tunnel, forwarder.endpoint);
    out.Add(Table::kTunnel, kPeer, from + KindMatch(TunnelKind::kHello), "drop");
    for (const IpPrefix& source : forwarder.sources) {
      const Family family = FamilyOf(source.address);
      const std::string ip = IpText(family);
      out.Add(Table::kTunnel, kPeer,
              ip + "," + from + KindMatch(TunnelKind::kMiss) + "," + SourceMatch(source),
              AsAsked(0, forwarder.endpoint));
      // What was too large for the tunnel comes the plain way.
      for (const PlannedPort& port : plan.ports) {
        if (port.role != PortRole::kUplink) continue;
        out.Add(Table::kAdmit, family == Family::kV4 ? admit::kForwarderV4 : admit::kForwarderV6,
                From(ip, port) + "dl_dst=" + port.mac.ToString() + "," + SourceMatch(source),
                AsAsked(port.vlan, forwarder.endpoint));
      }
    }
  }
  out.Add(Table::kLookup, kAskedLookup, AskedMatch(), Visit(Table::kSelect));
  // By way of table select once more: it knows what later fragments want.
  out.Add(Table::kLearn, kAsked, AskedMatch(), TellBinding(tunnel) + "," + Visit(Table::kSelect));
  for (const PlannedService& service : plan.services) {
    // D-Forwarders do not keep these either.
    if (StoreOf(service.spec.affinity) != BindingStoreKind::kNone) continue;
    out.Add(Table::kLearn, kAskedForNothing, AskedMatch() + ",reg1=" + Hex(service.id.value()),
            Visit(Table::kSelect), {.service = service.id});
  }
}

// A D-Forwarder takes the first answer: a key that is bound to an instance with an egress stays where it is.
// Table select sends the offer, its key in the registers and looked up, through table egress: only where
// there is an egress does it come to table route.
void CompileOffers(FlowBuilder& out, const PlannedTunnel& tunnel) {
  for (const IpAddress& d_router : out.plan().d_routers) {
    const std::string from = FromPeer(tunnel, d_router);
    out.Add(Table::kTunnel, kPeer, from + KindMatch(TunnelKind::kHello), "drop");
    out.Add(Table::kTunnel, kPeer, from + KindMatch(TunnelKind::kBindingInfo),
            "move:NXM_NX_TUN_METADATA0[0..15]->NXM_NX_REG1[0..15]"
            ",move:NXM_NX_TUN_METADATA1[0..31]->NXM_NX_REG7[]"
            ",move:NXM_NX_TUN_METADATA1[32..63]->NXM_NX_REG4[]"
            ",move:NXM_NX_TUN_METADATA1[64..79]->NXM_NX_REG5[0..15]"
            ",move:NXM_NX_TUN_METADATA2[0..127]->NXM_NX_XXREG2[]," +
                SetRegister(2, kOffer) + "," + Visit(Table::kLookup));
  }
  out.Add(Table::kSelect, kOffered, "reg2=" + Hex(kOffer),
          Visit(Table::kEgress) + "," + Visit(Table::kOffer));
  out.Add(Table::kRoute, kEgressIsThere, "reg2=" + Hex(kOffer) + "/" + Hex(kOffer),
          SetRegister(2, kOfferBound));
  out.Add(Table::kOffer, kBoundAlready, "reg2=" + Hex(kOfferBound), "drop");
  const std::string take = "move:NXM_NX_REG5[0..15]->NXM_NX_REG0[0..15]," + Visit(Table::kLearn);
  out.Add(Table::kOffer, kTake, "reg0=0,reg2=" + Hex(kOffer), take);
  out.Add(Table::kOffer, kTakeAgain, "reg2=" + Hex(kOffer), SetRegister(2, kOfferAgain) + "," + take);
  out.Add(Table::kOffer, kMiss, "", "drop");
}

void CompileMisses(FlowBuilder& out, const PlannedTunnel& tunnel) {
  // Outer IPv4, UDP, Geneve, option 1 and the inner Ethernet header; OVS counts the frame with the latter.
  constexpr uint16_t kHeaders = 20 + 8 + 8 + 8 + 14;
  const int largest = tunnel.mtu_octets - kHeaders + 14;
  out.Add(Table::kMiss, kMiss, "",
          "check_pkt_larger(" + std::to_string(largest) + ")->NXM_NX_REG2[16]," + Visit(Table::kAsk),
          {.kind = FlowKind::kUnbound});
  if (out.plan().ask.is_none()) {
    out.Add(Table::kAsk, kMiss, "", "drop");
    return;
  }
  out.Add(Table::kAsk, kTooLarge, "reg2=0x10000/0x10000", Visit(Table::kRoute));
  out.Add(Table::kAsk, kAsk, "reg2=0/0x10000",
          "set_field:" + out.plan().ask.ToString() + "->tun_dst," + SetKind(TunnelKind::kMiss) +
              ",move:NXM_NX_REG1[0..15]->NXM_NX_TUN_METADATA0[0..15],output:" + PortText(tunnel.port));
}

}  // namespace

void CompileTunnel(FlowBuilder& out) {
  const SwitchPlan& plan = out.plan();
  if (!plan.tunnel) return;
  const PlannedTunnel& tunnel = *plan.tunnel;
  out.Add(Table::kClassify, kTunnelPort, "in_port=" + PortText(tunnel.port) + ",vlan_tci=0x0000/0x1fff",
          SetRegister(6, kTunnelRole) + "," + Visit(Table::kTunnel));
  // Strangers, and what is none of the peers' business.
  out.Add(Table::kTunnel, kMiss, "", "drop");
  // No client speaks to the endpoint.
  out.Add(Table::kService, kToEndpoint,
          ToAddress("udp", tunnel.local) + ",tp_dst=" + std::to_string(kGenevePort), "drop");
  if (plan.role == SwitchRole::kDRouter) {
    CompileAsked(out, tunnel);
  } else {
    CompileOffers(out, tunnel);
    CompileMisses(out, tunnel);
  }
}

std::vector<TunnelOption> TunnelOptions() {
  return {{.option_class = kTunnelClass, .type = 1, .octets = 4, .field = 0},
          {.option_class = kTunnelClass, .type = 2, .octets = 12, .field = 1},
          {.option_class = kTunnelClass, .type = 3, .octets = 16, .field = 2}};
}

}  // namespace dyncast::pipeline
