// Table service: from a D-SID and a port to a service and its affinity key: in registers, or where it stands.
//
// A copied field is a field that the datapath's flow has to match whole, whatever comes of it. So where the
// bindings match the header nothing of it is copied: what demands have in common then shares one flow.
#include <string>

#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

// Highest first. OVS tries one mask after the other, that of the highest priority first, until no mask left
// can beat what it found. So a demand to a port is found early: after what it must not pass by (TTL, source
// port), before ICMP and fragments, which no flow of a port matches (fragments show port 0; no service has
// that one).
constexpr uint16_t kTtlEnds = 300;
constexpr uint16_t kNoSourcePort = 250;
constexpr uint16_t kServicePort = 210;   // one port: most services
constexpr uint16_t kServiceBlock = 200;  // part of a range; each size of block has a mask of its own
constexpr uint16_t kEcho = 140;
constexpr uint16_t kIcmpError = 130;
constexpr uint16_t kFragment = 120;
constexpr uint16_t kFragmentRefused = 110;
constexpr uint16_t kNoSuchPort = 50;  // all else to a D-SID
constexpr uint16_t kMiss = 0;

// Whether a packet shows its ports. Fragments do not, not even the first one (OVS's fragment mode `normal`).
enum class Ports : uint8_t { kShown, kHidden };

std::string MovePorts(const Affinity& affinity, IpProto proto) {
  if (!KeyHasPorts(affinity, proto)) return {};
  std::string actions;
  if (affinity.kind == AffinityKind::k5Tuple) {
    actions = "move:" + SourcePortField(proto) + "->NXM_NX_REG7[16..31],";
  }
  return actions + "move:" + DestinationPortField(proto) + "->NXM_NX_REG7[0..15],";
}

// The client's bits that count, copied where a binding can match them exactly: no mask in the binding
// tables, however different the prefixes of the services are.
std::string MoveClient(const Affinity& affinity, Family family) {
  const std::string bits = ClientBitRange(affinity, family);
  if (bits.empty()) return {};
  return family == Family::kV4 ? "move:NXM_OF_IP_SRC" + bits + "->NXM_NX_REG8" + bits + ","
                               : "move:NXM_NX_IPV6_SRC" + bits + "->NXM_NX_XXREG2" + bits + ",";
}

// What says the key beside reg1 and reg4; empty, or with a comma behind.
std::string KeyActions(SwitchRole role, const PlannedService& service, IpProto proto, Family family,
                       Ports ports) {
  const Affinity& affinity = service.spec.affinity;
  if (KeyFormAt(role, service.spec) == KeyForm::kHeader) {
    const bool has_ports = ports == Ports::kShown && KeyHasPorts(affinity, proto);
    return has_ports ? SetRegister(7, kKeyHasPorts) + "," : "";
  }
  return (ports == Ports::kShown ? MovePorts(affinity, proto) : "") + MoveClient(affinity, family);
}

std::string ServiceActions(SwitchRole role, const PlannedService& service, IpProto proto, Family family,
                           Ports ports) {
  const Affinity& affinity = service.spec.affinity;
  const uint32_t reg4 =
      (KeyHasProto(affinity) ? static_cast<uint32_t>(proto) : 0) | (family == Family::kV6 ? kKeyIpv6 : 0);
  std::string actions = SetRegister(1, service.id.value()) + ",";
  if (reg4 != 0) actions += SetRegister(4, reg4) + ",";
  return actions + KeyActions(role, service, proto, family, ports) + Visit(Table::kLookup);
}

// All fragments of a client and protocol share a key without ports: the first one and the later ones go to
// the same instance. Connection tracking does not help: it gives later ones no ports to match either.
void CompileFragments(FlowBuilder& out, const PlannedService& service, Family family) {
  const IpAddress& sid = *SidOf(service.spec, family);
  for (IpProto proto : ProtosOf(service.spec)) {
    if (!out.SteersFragments(service, proto, family)) continue;
    const std::string actions = ServiceActions(out.plan().role, service, proto, family, Ports::kHidden);
    for (const FragmentMatch& fragment : FragmentMatches(proto, family)) {
      out.Add(Table::kService, kFragment, ToAddress(fragment.protocol, sid) + fragment.which, actions,
              {.service = service.id});
    }
  }
}

void CompileService(FlowBuilder& out, const PlannedService& service, Family family) {
  const ServiceSpec& spec = service.spec;
  const IpAddress& sid = *SidOf(spec, family);
  const FlowSubject subject{.service = service.id};
  for (const PortRange& range : spec.ports) {
    const std::string to_sid = ToAddress(ProtoText(range.proto, family), sid);
    const std::string actions = ServiceActions(out.plan().role, service, range.proto, family, Ports::kShown);
    if (!HasPorts(range.proto)) {
      const std::string request = family == Family::kV4 ? "8" : "128";
      out.Add(Table::kService, kEcho, to_sid + ",icmp_type=" + request + ",icmp_code=0", actions, subject);
      continue;
    }
    for (const PortMask& mask : PortMasks(range.first, range.last)) {
      out.Add(Table::kService, mask.IsPort() ? kServicePort : kServiceBlock,
              to_sid + ",tp_dst=" + PortMaskText(mask), actions, subject);
    }
  }
  for (IpProto proto : ProtosOf(spec)) {
    // Port 0 stands for 'left out' in a key: such a packet would bind the client's every port. Fragments
    // only look like it, and have flows of their own.
    if (spec.affinity.kind != AffinityKind::k5Tuple || !HasPorts(proto)) continue;
    out.Add(Table::kService, kNoSourcePort, ToAddress(ProtoText(proto, family), sid) + ",nw_frag=no,tp_src=0",
            "drop", subject);
  }
  CompileFragments(out, service, family);

  // What follows belongs to the D-SID, whichever services are there.
  for (int type : IcmpErrorTypes(family)) {
    out.Add(Table::kService, kIcmpError,
            ToAddress(ProtoText(IpProto::kIcmp, family), sid) + ",icmp_type=" + std::to_string(type),
            out.Punt(PuntReason::kIcmpErrorToSid, ServiceId{}));
  }
  const std::string any = ToAddress(IpText(family), sid);
  // A packet whose last hop this is ends before the D-SID is gone: the answer quotes what the client sent.
  for (const char* ttl : {",nw_ttl=0", ",nw_ttl=1"}) {
    out.Add(Table::kService, kTtlEnds, any + ttl, out.Punt(PuntReason::kTtlExceeded, ServiceId{}));
  }
  for (const char* which : {",nw_frag=first", ",nw_frag=later"}) {
    out.Add(Table::kService, kFragmentRefused, any + which, "drop");
  }
  out.Add(Table::kService, kNoSuchPort, any, "drop");
}

}  // namespace

void CompileServices(FlowBuilder& out) {
  for (const PlannedService& service : out.plan().services) {
    for (Family family : kFamilies) {
      if (SidOf(service.spec, family)) CompileService(out, service, family);
    }
  }
  out.Add(Table::kService, kMiss, "", Visit(Table::kRoute));
}

}  // namespace dyncast::pipeline
